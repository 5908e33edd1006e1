"""Handlers of the codes: what they answer, what they set, and that a refused line sets nothing."""

import importlib
import re
from array import array
from pathlib import Path

import pytest
from heat_bench import Bench

from adder import settings as settings_module
from adder.codes import status, table
from adder.command import OK, Command
from adder.errors import Refused
from adder.frame import OFFSET, Frame
from adder.kinematics.linear import Cartesian
from adder.output import Output
from adder.report import Reporter
from tools import gcodes


class Clock(Bench):
    """The heaters' bench as the hal."""

    def __init__(self):
        super().__init__()
        self.written = b""

    def ticks_diff(self, a, b):
        return a - b

    def write(self, data):
        self.written += data

    def unique_id(self):
        return bytes.fromhex("e6614c775b6f1a2b")

    def heap_free(self):
        return 123456


class Planner:
    def waiting(self):
        return 5


class Feeder:
    planner = Planner()
    underruns = 2
    lowest_ahead_us = 154321

    def ahead_us(self):
        return 99999


class Motion:
    """Keeps what was asked for, in order."""

    def __init__(self):
        self.calls = []
        self.absolute = self.absolute_e = True
        self.inch = False
        self.homed = 0
        self.feed_percent = self.flow_percent = 100
        self.clipped = 3
        self.hotend = "hotend"
        self.feeder = Feeder()
        self.position = [0, 0, 0, 0]
        self.frame = Frame()
        self.kinematics = Cartesian()
        self.switches = [0, 1, None]

    def __getattr__(self, name):
        if name not in ("move", "drain", "home", "enable", "rescale"):
            raise AttributeError(name)
        return lambda *values: self.calls.append((name, *values))

    def set_position(self, axis, value):
        self.calls.append(("set_position", axis, value))
        self.position[axis] = value

    def position_u(self, axis):
        return self.position[axis]

    def steps(self, motor):
        return (8000, -16, 0)[motor]

    def endstop(self, axis):
        return self.switches[axis]


class Fans:
    def __init__(self):
        self.asked = []

    def request(self, index, speed):
        if index or not 0 <= speed <= 255:
            raise Refused("fan P%d S%d" % (index, speed))
        self.asked.append(speed)


class Link:
    def __init__(self):
        self.counters = {"resends": 4}
        self.lines = 1000


class Store:
    FORMAT = 1
    notes = []
    size = 1234
    crc = 99

    def __init__(self):
        self.text = None

    def read(self):
        return self.text

    def write(self, text):
        self.text = text
        return True


class Printer:
    """What the handlers get."""

    def __init__(self):
        self.hal = Clock()
        self.board = self.hal.board
        self.heat = self.hal.heat
        self.out = Output(self.hal)
        self.settings = settings_module.Settings(settings_module.groups(), None, Store())
        self.motion = Motion()
        self.report = Reporter(self.hal, self.out, self.settings, self.heat, self.motion)
        self.fans = Fans()
        self.link = Link()
        self.queue = [1, 2, 3]
        self.halted = False
        self.cancelled = True  # left over from an earlier M108
        self.restarts = 0
        self.pumps = 0
        self.during = lambda: None

    def pump(self, timeout_ms=100):
        self.pumps += 1
        assert self.pumps < 100_000
        self.hal.run(0.1)
        self.during()

    def restart(self):
        self.restarts += 1

    def run(self, line):
        """Run a line; gives what was written, with the `ok` that the dispatcher writes."""
        c = Command()
        line = line.encode()
        assert c.scan(line, len(line)) == OK, c.error
        code = chr(c.letter) + ("" if c.letter == ord("T") else str(c.number) + (".%d" % c.sub if c.sub else ""))
        _, module, function, *_ = table.find(code)
        self.hal.written = b""
        try:
            done = getattr(importlib.import_module("adder.codes." + module), function)(self, c)
        except Refused as problem:
            self.out.line("echo:" + str(problem))
            done = False
        if not done:
            self.out.ok()
        return self.hal.written.decode()


@pytest.fixture
def p():
    return Printer()


def refused(p, line, *words):
    """The line is answered by one echo line with these words, and changes no setting and no target."""
    before = (list(p.settings._values), [h.target_cc for h in p.heat.heaters])
    answer = p.run(line)
    assert answer.startswith("echo:") and answer.endswith("\nok\n") and answer.count("\n") == 2, answer
    for word in words:
        assert word in answer
    assert before == (list(p.settings._values), [h.target_cc for h in p.heat.heaters])


# The table


def test_every_row_has_its_handler():
    codes = [row[0] for row in table.ROWS]
    assert len(set(codes)) == len(codes)
    for code, module, function, title, letters, buffered in table.ROWS:
        assert re.fullmatch(r"[GM]\d+(\.\d)?|T", code)
        assert title and isinstance(letters, str)
        assert re.fullmatch(r"(queued|drain|immediate|realtime)(\+blocks)?", buffered)
        if module:
            assert callable(getattr(importlib.import_module("adder.codes." + module), function))
        else:
            assert buffered == "realtime"


def test_table_is_in_order():
    def key(code):
        return ("GMT".index(code[0]), float(code[1:] or 0))

    codes = [row[0] for row in table.ROWS]
    assert codes == sorted(codes, key=key)
    assert table.exists("M104") and not table.exists("M10")


def test_page_is_current():
    assert gcodes.PAGE.read_text() == gcodes.page(gcodes.rows())


def test_version_is_that_of_the_project():
    project = (Path(gcodes.PAGE).parents[1] / "pyproject.toml").read_text()
    assert f'version = "{status.VERSION}"' in project


# Moves


def test_moves_go_to_motion(p):
    for line in ("G0 X1", "G1 X1"):
        assert p.run(line) == "ok\n"
    assert [call[0] for call in p.motion.calls] == ["move", "move"]


@pytest.mark.parametrize(
    "line, ms", [("G4", 0), ("G4 P500", 500), ("G4 S2", 2000), ("G4 S0.5 P9000", 500), ("G4 P0", 0)]
)
def test_dwell(p, line, ms):
    assert p.run(line) == "ok\n"
    assert p.hal.ms == ms
    assert p.motion.calls == [("drain",)]


def test_dwell_ends_with_m108_and_after_a_halt(p):
    p.during = lambda: setattr(p, "cancelled", p.hal.ms >= 300)
    assert p.run("G4 S10") == "ok\n"
    assert p.hal.ms == 300
    p.during = lambda: setattr(p, "halted", True)
    p.run("G4 S10")
    assert p.hal.ms == 400


@pytest.mark.parametrize("line", ["G4 S150", "M190 S60"])
def test_motors_hold_while_waiting(p, line):
    idle = []
    p.motion.last_activity_ms = 0
    p.during = lambda: idle.append(p.hal.ms - p.motion.last_activity_ms)
    p.run(line)
    assert len(idle) > 100 and max(idle) < 1000


def test_dwell_refuses(p):
    refused(p, "G4 P-1", "P-1", "0 to 86400000 ms")
    refused(p, "G4 S100000", "S100000", "0 to 86400 s")


def test_units_and_modes(p):
    assert p.run("G20") == p.run("G91") == "ok\n"
    assert p.motion.inch and not p.motion.absolute and not p.motion.absolute_e
    p.run("M82")
    assert p.motion.absolute_e
    p.run("G21")
    p.run("M83")
    p.run("G90")
    assert not p.motion.inch and p.motion.absolute and p.motion.absolute_e
    p.settings.set("e_follows_g90", 0)
    p.run("G91")
    assert p.motion.absolute_e


@pytest.mark.parametrize("line, mask", [("G28", 7), ("G28 X", 1), ("G28 Z Y0", 6), ("G28 W", 7), ("G28 O", 6)])
def test_home(p, line, mask):
    p.motion.homed = 1
    assert p.run(line) == "ok\n"
    assert p.motion.calls == [("home", mask)]


def test_home_only_what_is_not_homed(p):
    p.motion.homed = 7
    assert p.run("G28 O") == "ok\n"
    assert p.motion.calls == []


def test_set_position(p):
    assert p.run("G92") == "ok\n"
    assert p.motion.calls == []
    assert p.run("G92 X1.5 E0") == "ok\n"
    assert p.motion.calls == [("set_position", 0, 150000), ("set_position", 3, 0)]
    p.motion.calls.clear()
    p.motion.inch = True
    p.run("G92 Z-1")
    assert p.motion.calls == [("set_position", 2, -2540000)]
    p.motion.calls.clear()
    refused(p, "G92 X1 Y", "G92 Y has no value")
    refused(p, "G92 X1 Y99999", "Y99999")
    assert p.motion.calls == []
    p.motion.frame.state[OFFSET : OFFSET + 3] = array("i", [1, 2, 3])
    p.run("G92.1")
    assert list(p.motion.frame.state[OFFSET : OFFSET + 3]) == [0, 0, 0]


def test_motors(p):
    p.run("M17")
    p.run("M17 X E")
    p.run("M84")
    p.run("M18 Z")
    p.run("M84 X Y E")
    enabled = [call[1:] for call in p.motion.calls if call[0] == "enable"]
    assert enabled == [(15, True), (9, True), (15, False), (4, False), (11, False)]
    assert p.motion.calls[0] == p.motion.calls[2] == ("drain",)


def test_motor_timeout(p):
    assert p.run("M84 S0") == "ok\n"
    assert p.settings.get("motor_timeout") == 0
    assert p.run("M18 S300") == "ok\n"
    assert p.settings.get("motor_timeout") == 300
    refused(p, "M84 S-1", "S-1", "0 to 86400 s")
    assert p.motion.calls == []


def test_feedrate_percentage(p):
    assert p.run("M220") == "FR:100%\nok\n"
    assert p.run("M220 S150") == "ok\n"
    assert p.run("M220 B S50") == "ok\n"
    assert p.run("M220") == "FR:50%\nok\n"
    assert p.run("M220 R") == "ok\n"
    assert p.motion.feed_percent == 150
    for bad in ("9", "1000", "0", "-5"):
        refused(p, "M220 B S" + bad, "S" + bad, "10 to 999 %")
    refused(p, "M220 S", "S has no value")
    p.run("M220 S80")
    p.run("M220 R")
    assert p.motion.feed_percent == 150


def test_flow_percentage(p):
    assert p.run("M221") == "echo:E0 Flow: 100%\nok\n"
    assert p.run("M221 S95 T0") == "ok\n"
    assert p.motion.flow_percent == 95
    refused(p, "M221 S5", "S5", "10 to 999 %")
    refused(p, "M221 T1 S50", "T1 Invalid extruder")
    assert p.motion.flow_percent == 95


def test_finish_moves(p):
    assert p.run("M400") == "ok\n"
    assert p.motion.calls == [("drain",)]


# Heat


def test_targets(p):
    assert p.run("M104 S205.5") == "ok\n"
    assert p.run("M140 S60") == "ok\n"
    assert (p.hal.hotend.target_cc, p.hal.bed.target_cc) == (20550, 6000)
    assert p.run("M104") == p.run("M140") == "ok\n"
    assert p.run("M104 T0 S0") == "ok\n"
    assert (p.hal.hotend.target_cc, p.hal.bed.target_cc) == (0, 6000)


def test_targets_refused(p):
    p.run("M104 S200")
    refused(p, "M104 S400", "400.0", "0 (off) to 270.0 C")
    refused(p, "M104 S-5", "-5.0")
    refused(p, "M104 S", "S has no value", "270.0")
    refused(p, "M104 T1 S100", "T1 Invalid extruder")
    refused(p, "M109 P2 S100", "T2 Invalid extruder")
    refused(p, "M140 S111", "111.0", "0 (off) to 110.0 C")
    refused(p, "M109 R400", "400.0")
    refused(p, "M190 S400", "400.0")


def test_no_heater(p):
    p.heat.heaters.remove(p.hal.bed)
    refused(p, "M140 S60", "M140 not available", "bed")


LINE = r" T:\d+\.\d /\d+\.\d B:\d+\.\d /\d+\.\d T0:\d+\.\d /\d+\.\d @:\d+ B@:\d+ W:\?"


@pytest.mark.parametrize("line, name, cc", [("M109 S100", "hotend", 10000), ("M190 R40", "bed", 4000)])
def test_wait_for_heat(p, line, name, cc):
    answer = p.run(line).splitlines()
    heater = p.heat.by_name(name)
    assert heater.settled() and abs(heater.temperature_cc - cc) < 300
    assert answer[-1] == "ok"
    assert abs(len(answer) - 1 - p.hal.ms // 1000) <= 1
    for text in answer[:-1]:
        assert re.fullmatch(LINE, text)


def test_target_zero_does_not_wait(p):
    p.hal.heat_to("hotend", 100)
    for line in ("M109 S0", "M109 R0", "M109", "M190 S0", "M190"):
        before = p.pumps
        assert p.run(line) == "ok\n"
        assert p.pumps == before


def test_s_does_not_wait_for_cooling_and_r_does(p):
    p.hal.heat_to("hotend", 120)
    assert p.run("M109 S100") == "ok\n"
    assert p.hal.hotend.target_cc == 10000
    assert p.pumps == 0
    assert p.run("M109 R100").endswith("W:?\nok\n")
    assert p.pumps and p.hal.hotend.settled()


def test_wait_without_letters_is_for_the_target_before(p):
    p.run("M104 S80")
    p.run("M109")
    assert p.hal.hotend.settled() and p.hal.hotend.temperature_cc > 7500


def test_wait_ends_with_m108_and_keeps_the_target(p):
    p.during = lambda: setattr(p, "cancelled", p.hal.ms >= 1500)
    assert p.run("M109 S200").count("\n") == 2
    assert p.hal.ms == 1500
    assert p.hal.hotend.target_cc == 20000


def test_wait_ends_silently_after_a_halt(p):
    p.during = lambda: setattr(p, "halted", p.hal.ms >= 1000)
    assert p.run("M109 S200") == "ok\n"
    assert p.hal.ms == 1000


def test_fan(p):
    for line in ("M106", "M106 S127.5", "M106 P0 S0", "M107", "M107 P0"):
        assert p.run(line) == "ok\n"
    assert p.fans.asked == [255, 127, 0, 0, 0]
    refused(p, "M106 S256", "S256")
    refused(p, "M107 P3", "P3")
    refused(p, "M106 P-1", "P-1")


def test_cold_extrusion(p):
    assert p.run("M302") == "echo:Cold extrudes are disabled (min temp 170C)\nok\n"
    assert p.run("M302 P1") == "ok\n"
    assert p.motion.hotend is None
    assert p.run("M302") == "echo:Cold extrudes are enabled (min temp 170C)\nok\n"
    assert p.run("M302 P0") == "ok\n"
    assert p.motion.hotend is p.hal.hotend
    assert p.run("M302 S0") == "ok\n"
    assert p.run("M302") == "echo:Cold extrudes are enabled (min temp 0C)\nok\n"
    p.run("M302 P1")
    p.run("M302 S150")
    assert p.run("M302") == "echo:Cold extrudes are disabled (min temp 150C)\nok\n"
    refused(p, "M302 S501 P1", "S501", "0 to 500")
    refused(p, "M302 S100 P2", "P2", "0 to 1")


# Reports


def test_temperatures_in_one_line_with_the_ok(p):
    p.run("M104 S200")
    answer = p.run("M105")
    number = r"\d+\.\d"
    assert re.fullmatch(rf"ok T:({number}) /200\.0 B:{number} /0\.0 T0:\1 /200\.0 @:0 B@:0\n", answer)
    assert p.run("M105 T0").startswith("ok T:")
    refused(p, "M105 T1", "T1 Invalid extruder")


@pytest.mark.parametrize(
    "units, text",
    [(0, "0.00"), (123456, "1.23"), (-123500, "-1.24"), (-499, "0.00"), (-500, "-0.01"), (20000000, "200.00")],
)
def test_position(p, units, text):
    p.motion.position = [units, 0, 0, 499]
    assert p.run("M114") == f"X:{text} Y:0.00 Z:0.00 E:0.00 Count X:8000 Y:-16 Z:0\nok\n"


def test_firmware(p):
    lines = p.run("M115").splitlines()
    assert lines[0].startswith("FIRMWARE_NAME:")
    name = lines[0][len("FIRMWARE_NAME:") :]
    assert "Marlin" in name
    keys = re.findall(r"(?:^|\s)([A-Z0-9_]+):", lines[0])
    assert keys == ["FIRMWARE_NAME", "PROTOCOL_VERSION", "MACHINE_TYPE", "EXTRUDER_COUNT", "UUID"]
    special = ["repetier", "anet_a8", "reprapfirmware", "malyan", "teacup", "klipper", "ultimaker2", "prusa-firmware"]
    for word in [*special, "bugfix"]:
        assert word not in lines[0].lower()
    assert lines[0].endswith("UUID:00000000-0000-0000-e661-4c775b6f1a2b")
    assert lines[-1] == "ok"
    caps = lines[1:-1]
    assert all(re.fullmatch(r"Cap:[A-Z_0-9]+:[01]", line) for line in caps)
    assert len({line.rsplit(":", 1)[0] for line in caps}) == len(caps)
    on = {line.split(":")[1] for line in caps if line.endswith("1")}
    assert on == {
        "ARCS", "AUTOREPORT_TEMP", "BABYSTEPPING", "BUSY_PROTOCOL", "EEPROM", "EMERGENCY_PARSER", "THERMAL_PROTECTION",
        "VOLUMETRIC",
    }  # fmt: skip
    assert p.run("M115 V") == f"Adder {status.VERSION}\nok\n"


def test_endstops(p):
    assert p.run("M119") == "Reporting endstop status\nx_min: open\ny_min: TRIGGERED\nok\n"
    p.settings.set("home_to_max_x", 1)
    assert "x_max: open\n" in p.run("M119")


# Host


def test_busy_interval(p):
    assert p.run("M113") == "M113 S2\nok\n"
    assert p.run("M113 S5") == "ok\n"
    assert p.run("M113") == "M113 S5\nok\n"
    refused(p, "M113 S61", "S61", "0 to 60 s")


def test_reports_by_themselves(p):
    assert p.run("M155 S2") == "ok\n"
    assert (p.report.interval_s, p.report.what) == (2, 1)
    p.run("M155 C5")
    assert (p.report.interval_s, p.report.what) == (2, 5)
    p.run("M155")
    assert (p.report.interval_s, p.report.what) == (2, 5)
    refused(p, "M155 S256", "S256", "0 to 255 s")
    refused(p, "M155 S1 C8", "C8", "0 to 7")
    assert p.report.interval_s == 2
    p.run("M155 S0")
    assert p.report.interval_s == 0


@pytest.mark.parametrize(
    "line, answer",
    [
        ("M118 hello World", "hello World"),
        ("M118 A1 action:pause", "//action:pause"),
        ("M118 E1 G28 N5 T0", "echo:G28 N5 T0"),
        ("M118 E1 A1 x", "//x"),
        ("M118 P0 A0 E0 text", "text"),
        ("M118 A1", "//"),
        ("M118", "echo:"),
        ("M118 Easy", "Easy"),
        ("M118 E3V2 here", "E3V2 here"),
        ("M118 ok", "echo:ok"),
        ("M118 Start now", "echo:Start now"),
        ("M118 rs 5", "echo:rs 5"),
        ("M118 Error:x", "echo:Error:x"),
        ("M118 !! stop", "echo:!! stop"),
    ],
)
def test_print_to_host(p, line, answer):
    assert p.run(line) == answer + "\nok\n"


def test_message(p):
    assert p.run("M117 Layer 3 of G9 M112 ; comment") == "ok\n"
    assert p.message == "Layer 3 of G9 M112"
    assert p.run("M117") == "ok\n"
    assert p.message == ""


def test_restart(p):
    assert p.run("M999") == "ok\n"
    assert p.restarts == 1


def test_tools(p):
    assert p.run("T0") == "ok\n"
    assert p.run("T5") == "echo:T5 Invalid extruder\nok\n"
    assert p.run("Tx").startswith("echo:Tx not available: ")
    assert p.run("T?").startswith("echo:T? not available: ")
    assert "T-1" in p.run("T-1")


# Settings


def test_steps_per_mm(p):
    assert p.run("M92") == "M92 X80.00 Y80.00 Z400.00 E93.00\nok\n"
    p.motion.calls.clear()
    assert p.run("M92 X100 E415.25") == "ok\n"
    assert p.motion.calls == [("drain",), ("rescale",)]
    assert p.run("M92") == "M92 X100.00 Y80.00 Z400.00 E415.25\nok\n"
    refused(p, "M92 X50 Y0", "Y0", "0.10 to 10000.00 steps/mm")
    refused(p, "M92 X50 Y", "Y has no value")


@pytest.mark.parametrize(
    "line, answer",
    [
        ("M201", "M201 X3000 Y3000 Z200 E5000"),
        ("M203", "M203 X300.00 Y300.00 Z12.00 E60.00"),
        ("M204", "M204 P1500 R2000 T2000"),
        ("M205", "M205 B20000 S0.00 T0.00 J0.013 X10.00 Y10.00 Z0.40 E5.00 C0"),
        ("M211", "Soft endstops: On  Min: X0.00 Y0.00 Z0.00  Max: X200.00 Y200.00 Z200.00"),
    ],
)
def test_bare_prints(p, line, answer):
    assert p.run(line) == answer + "\nok\n"


def test_limits(p):
    assert p.run("M201 X1000 Z50") == "ok\n"
    assert p.run("M203 X120 E40.5") == "ok\n"
    assert p.run("M204 S800") == "ok\n"
    assert p.run("M204 R900") == "ok\n"
    assert p.run("M205 X8 J0.02") == "ok\n"
    get = p.settings.get
    assert (get("max_acceleration_x"), get("max_acceleration_z"), get("max_feedrate_e")) == (1000, 50, 4050)
    assert [get("acceleration_" + kind) for kind in ("print", "retract", "travel")] == [800, 900, 800]
    assert (get("jerk_x"), get("jerk_y"), get("junction_deviation")) == (800, 1000, 20)
    refused(p, "M201 X500 Y0", "Y0", "1 to 50000 mm/s^2")
    refused(p, "M204 P500 T60000", "T60000")
    refused(p, "M205 X5 S-1", "S-1")
    for line, value in (
        ("M203 X0", "X0"), ("M203 E-5", "E-5"), ("M201 Z-1", "Z-1"), ("M205 X0", "X0"), ("M205 E-1", "E-1"),
        ("M205 J-0.01", "J-0.01"), ("M92 X0", "X0"), ("M92 E-93", "E-93"), ("M205 J0.02 Y0", "Y0"),
    ):
        before = list(p.settings._values)
        refused(p, line, value, "should be")
        assert list(p.settings._values) == before


def test_feedrate_in_the_wrong_unit_is_remarked(p):
    assert p.run("M203 X0.5 Y2").startswith("echo:Warning: M203 X0.50 is below 1 mm/s")
    assert p.settings.get("max_feedrate_x") == 50


def test_soft_endstops(p):
    assert p.run("M211 S0") == "ok\n"
    assert p.run("M211").startswith("Soft endstops: Off ")
    refused(p, "M211 X1 S1", "M211 X not available")
    refused(p, "M211 S2", "S2", "0 to 1")


def test_save_load_defaults(p):
    p.run("M92 X100")
    assert p.run("M500") == "echo:Settings Stored (1234 bytes; crc 99)\nok\n"
    assert p.motion.calls[-1] == ("drain",)
    p.motion.calls.clear()
    assert p.run("M502") == "echo:Hardcoded Default Settings Loaded\nok\n"
    assert p.motion.calls == [("drain",), ("rescale",)]
    assert p.settings.get("steps_per_mm_x") == 80000
    p.motion.calls.clear()
    answer = p.run("M501").splitlines()
    assert answer[0] == "echo:V1 stored settings retrieved (1234 bytes; crc 99)"
    assert "echo:  M92 X100.00 Y80.00 Z400.00 E93.00" in answer
    assert p.motion.calls == [("drain",), ("rescale",)]


def test_print_settings(p):
    full = p.run("M503").splitlines()
    assert full[0] == "echo:; Steps per unit:"
    assert full[1] == "echo:  M92 X80.00 Y80.00 Z400.00 E93.00"
    short = p.run("M503 S0").splitlines()
    assert short[-1] == "ok"
    assert short[:-1] == [line for line in full if line.startswith("echo:  ")]
    for line in short[:-1]:
        assert p.run(line[len("echo:") :].strip()).endswith("ok\n")
        assert table.exists(line.split()[1])
