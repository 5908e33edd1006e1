"""The whole printer on the host: what acts on arrival, floods, silence, garbage, faults, busy lines, Ctrl-C."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printer_bench import HALTED, PrinterBench, Reset, numbered

from adder.errors import Fault

MOVES = "".join("G1 X%d F1200\n" % (20 + n % 2 * 20) for n in range(6))


@pytest.fixture
def bench():
    benches = []

    def make(**how):
        benches.append(PrinterBench(**how))
        assert benches[-1].say("") == ["start"]
        return benches[-1]

    yield make
    for b in benches:
        b.close()
        assert b.error is None or type(b.error).__name__ in ("_End", "Reset", "KeyboardInterrupt"), b.error


@pytest.fixture
def b(bench):
    return bench()


def homed(bench, **how):
    b = bench(**how)
    assert b.say("G28\n")[-1] == "ok"
    return b


# What is going on when something arrives
SITUATIONS = {
    "idle": "",
    "heating": "M109 S200\n",
    "heating the bed": "M190 S60\n",
    "dwelling": "G4 S30\n",
    "finishing": MOVES + "M400\n",
    "planner full": "G91\n" + "G1 X1 F300\nG1 X-1\n" * 20,
    "ring full": "G4 S20\n" + "G92 E0\n" * 40,
    "homing": "G28\n",
}


# M410, M110


def check_position(b):
    """Position, step counts and motors agree."""
    text = b.say("M114\n")[0]
    found = re.fullmatch(r"X:(\S+) Y:(\S+) Z:(\S+) E:(\S+) Count X:(\S+) Y:(\S+) Z:(\S+)", text)
    says = [float(value) for value in found.groups()]
    base = [-round(start) for start in b.start]
    for axis in range(3):
        real = b.made[axis] - base[axis]
        assert says[4 + axis] == real
        assert abs(says[axis] * b.scale[axis] - real) <= 0.5 + 0.005 * b.scale[axis]


@pytest.mark.parametrize("line", [b"M410\n", numbered(1, "M410")])
@pytest.mark.parametrize("lines", [MOVES + "M400\n", "G1 Z5 F300\n" + "G1 X100 Y70 F6000\nG1 X10 Y5\n" * 30, MOVES])
def test_m410_stops_and_the_position_is_known_to_the_step(bench, lines, line):
    b = homed(bench)
    b.send(lines)
    b.run(900)
    b.take()
    before = list(b.made)
    b.run(100)
    assert b.made != before
    b.send(line)
    b.run(450)  # what is in the step driver, then the deceleration
    stopped = list(b.made)
    b.settle()
    if len(lines) < 200:
        # Nothing waited to be planned: it stays where it stopped
        assert b.made == stopped
    written = b.take()
    assert set(written) == {"ok"}
    assert b.lines.count("ok") == 1 + lines.count("\n") + 1
    b.say("M400\n")
    check_position(b)
    b.say("G1 X12 Y3 Z1\nM400\n")
    check_position(b)
    assert b.made[:2] == [12 * 80 - b.start[0], 3 * 80 - b.start[1]]


def test_m410_while_homing_ends_it_without_a_fault(b):
    b.send("G28\n")
    b.run(300)
    b.send("M410\n")
    b.settle()
    assert b.take() == ["ok", "ok"]
    assert b.printer.motion.homed == 0
    assert b.say("G28\n")[-1] == "ok"
    check_position(b)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_m110_acts_on_arrival_in_every_situation(b, situation):
    b.send(SITUATIONS[situation])
    b.run(1500)
    b.send(numbered(400, "M110 N41") + numbered(42, "M108") + b"M410\n" + numbered(43, "G92 E3"))
    b.run(50)
    assert b.printer.link.last >= 42
    b.settle(400_000)
    b.take()
    assert not [text for text in b.lines if text.startswith(("Error", "Resend"))]
    assert b.printer.link.last == 43
    assert b.lines.count("ok") == SITUATIONS[situation].count("\n") + 4


# More lines than there is room for


@pytest.mark.parametrize("command", ["G1 X%d F9000", "G92 X%d", "G4 P%d"])
def test_flood_of_plain_lines(bench, command):
    b = homed(bench)
    del b.ran[:]
    texts = [command % (1 + n % 150) for n in range(500)]
    b.send("\n".join(texts) + "\n")
    b.settle(400_000)
    written = b.take()
    told = [re.fullmatch('echo:Too many lines without waiting for ok, dropped: "(.*)"', w) for w in written]
    told = [match[1] for match in told if match]
    assert written.count("ok") == 500
    assert len(written) - written.count("echo:busy: processing") == 500 + len(told)
    # Each was executed or named, once, and both in order
    ran = [text for _, text in b.ran]
    assert len(ran) + len(told) == 500
    assert sorted(ran + told) == sorted(texts)
    for part in (ran, told):
        left = iter(texts)
        assert all(text in left for text in part)
    assert bool(told) == (command[:4] != "G92 ")
    assert b.say("M115 V\n")[-1] == "ok"


@pytest.mark.parametrize("command", ["G1 X%d F9000", "G92 X%d", "G4 P%d"])
def test_flood_of_numbered_lines(bench, command):
    b = homed(bench)
    del b.ran[:]
    texts = [command % (1 + n % 150) for n in range(500)]
    lines = [numbered(n, text) for n, text in enumerate(texts, 1)]
    b.send(b"".join(lines))
    rounds = 0
    while True:
        b.settle(400_000)
        last = b.printer.link.last
        written = b.take()
        if last == 500:
            assert set(written) <= {"ok", "echo:busy: processing"}
            break
        error = "Error:Line Number is not Last Line Number+1, Last Line: %d" % last
        assert written[-3:] == [error, "Resend: %d" % (last + 1), "ok"]
        assert set(written[:-3]) <= {"ok", "echo:busy: processing"}
        rounds += 1
        b.send(b"".join(lines[last:]))
    assert b.ran == list(enumerate(texts, 1))
    assert rounds < 10
    assert b.lines.count("ok") == 1 + 500 + rounds


# Silence in the middle of a line


def test_half_a_line_holds_up_nothing_but_itself(bench):
    b = homed(bench)
    b.say("M155 S1\nM104 S100\n")
    b.send("G1 X150 F600\nG1 X10 F6000\nM105")
    b.run(1000)
    b.take()
    at = b.made[0]
    temperature = b.printer.heat.by_name("hotend").temperature_cc
    b.run(20_000)
    written = b.take()
    assert 19 <= len(written) <= 21 and all(w.startswith(" T:") for w in written)
    assert b.made[0] != at
    b.run(10_000)
    assert not b.printer.motion.busy()
    assert b.made[0] == 10 * 80 - b.start[0]
    assert b.printer.heat.by_name("hotend").temperature_cc > temperature + 1000
    b.take()
    b.send("\n")
    b.run(100)
    assert [w[:5] for w in b.take() if not w.startswith(" T:")] == ["ok T:"]


# Garbage

DAMAGED = [
    b"G1 X1e9 F3000", b"G1 X--3", b"G1 XNaN", b"G1 X", b"M104 SNaN", b"M104 S--200", b"M104 S1e3", b"M104 S",
    b"M140 S9999", b"M104 S2000", b"M109 S999999999999", b"G1 X1 X2", b"N5 G28", b"N1 G28*3", b"G28*22",
    b"G1 X+-1 F600", b"@pause", b"G1 X1.2.3", b"G1 X99999999", b"G1 X-20000000.5", b"T", b"G", b"M", b"*",
    b"N", b"N*", b"G1 F0", b"G1 X5 F-1", b"M999.5", b"M1120", b"G28.9X", b"X10 Y10", b"%", b"{}", b"<html>",
    b"G1 X\x00", b"\x00" * 40, b"ok", b"start", b"rs 1", b"M106 S300", b"G4 P-1", b"M17.3", b"M84 S-1",
    b"M92 X0", b"M221 S0", b"M220 S0",
]  # fmt: skip


@pytest.mark.parametrize("line", DAMAGED)
def test_damaged_lines_move_and_heat_nothing(b, line):
    written = b.say(line + b"\n")
    assert written[-1] == "ok" and written.count("ok") == 1
    assert written[0].startswith(("echo:", "Error:"))
    assert b.still() and b.total_steps() == [0] * 4
    assert b.error is None and not b.printer.halted
    assert b.say("M110 N0\n") == ["ok"]
    assert b.say(numbered(1, "M105"))[0].startswith("ok T:")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300).filter(lambda data: b"112" not in data and b"999" not in data),
            st.sampled_from(DAMAGED).map(lambda line: b"\n" + line + b"\n"),
            st.integers(1, 10_000).map(lambda n: b"\x00" * n),
            st.integers(1, 10_000).map(lambda n: b"G" * n),
        ),
        max_size=12,
    )
)
def test_garbage_moves_and_heats_nothing(pieces):
    b = PrinterBench()
    b.say("")
    try:
        for piece in pieces:
            b.send(piece)
            b.run(30)
            for line in b.take():
                assert line == "ok" or line.startswith(("echo:", "Error:", "Resend: ", "ok T:")), line
        written = b.say("\n\n")
        assert b.still() and b.total_steps() == [0] * 4
        assert not b.printer.halted and b.error is None, written
        assert b.say("M110 N0\n")[-1] == "ok"
        assert b.say(numbered(1, "G92 X1")) == ["ok"]
        assert b.printer.heat.heaters[0].target_cc == 0
    finally:
        b.close()


# Busy lines


LATE = {
    "M109": "M109 S250\n",
    "M190": "M190 S100\n",
    "G4": "G4 S20\n",
    "M400": "G1 X10 F60\nM400\n",
    "G28": "G28\n",
    "G1": "G91\n" + "G1 X9 F60\n" * 36,
    "M84": "G1 X10 F60\nM84\n",
    "M92": "G1 X10 F60\nM92 X90\n",
    "M500": "G1 X10 F60\nM500\n",
}


@pytest.mark.parametrize("interval", [1, 2, 5])
@pytest.mark.parametrize("name", LATE)
def test_busy_lines_in_time_in_every_late_command(bench, name, interval):
    b = bench(start_mm=(60.0, 50.0, 30.0))
    b.say("M113 S%d\n" % interval)
    b.send(LATE[name])
    heard = b.hal.ticks_ms()
    oks = LATE[name].count("\n")
    busy = 0
    begin = b.hal.ticks_ms()
    while b.hal.ticks_ms() < begin + 19_000:
        b.run(20)
        for line in b.take():
            if line == "ok" or line == "echo:busy: processing":
                assert line == "ok" or b.hal.ticks_ms() - heard >= interval * 1000 - 250
                heard = b.hal.ticks_ms()
                busy += line != "ok"
                oks -= line == "ok"
        if not oks:
            break
        assert b.hal.ticks_ms() - heard <= interval * 1000 + 150
    assert busy >= (1 if interval == 5 else 2)


def test_nothing_is_said_without_a_reason(b):
    b.run(60_000)
    assert b.take() == []
    b.send("G1 X100 F60\n")
    b.run(30_000)
    assert b.take() == ["ok"]


# Halts

BEHIND = "M104 S200\nM140 S60\nM17\nM106 S255\nG1 X50 F6000\n" * 20


def fail_in_a_handler(b):
    def set_position(axis, units):
        wait(b)
        return 1 // 0

    b.printer.motion.set_position = set_position
    b.send("G92 X1\n" + BEHIND)


def fault_in_a_handler(b):
    def drain():
        wait(b)
        raise Fault("Homing failed: no switch")

    b.printer.motion.drain = drain
    b.send("M400\n" + BEHIND)


def wait(b):
    # Until ring and store are full
    for _ in range(200):
        b.printer.pump()


def fail_in_the_feeder(b):
    b.printer.motion.feeder.service = lambda: 1 // 0
    b.send(BEHIND)


def fail_in_the_main_loop(b):
    b.hal.broken = OSError("usb")
    b.send(BEHIND)


def break_a_sensor(b):
    b.models["hotend"].break_part("open")
    b.send("G4 S30\n" + BEHIND)


def stop_from_the_host(b):
    b.send("G4 S30\n" + BEHIND + "M112\n" + BEHIND)


HALTS = [
    (fail_in_a_handler, "firmware failed: ZeroDivisionError"),
    (fault_in_a_handler, "Homing failed: no switch"),
    (fail_in_the_feeder, "motion failed: ZeroDivisionError"),
    (fail_in_the_main_loop, "firmware failed: OSError"),
    (break_a_sensor, "MINTEMP triggered: hotend"),
    (stop_from_the_host, None),
]


# A sensor that nobody needs is no fault
@pytest.mark.parametrize(
    ("how", "words", "heats"),
    [(*halt, heats) for halt in HALTS for heats in (False, True) if heats or halt[0] is not break_a_sensor],
)
def test_whatever_halts_is_off_before_it_speaks_and_stays_off(bench, how, words, heats):
    b = homed(bench)
    b.say("M113 S0\nM302 P1\nG1 X100 F600\n" + ("M104 S200\nM140 S60\n" if heats else ""))
    b.run(2000)
    assert b.cold() != heats
    at_text = []
    write = b.hal.write

    def watched(data):
        if b"Error" in data:
            at_text.append((b.cold(), any(b.motors()), b.hal.streams._running))
        write(data)

    b.hal.write = b.printer.out._write = watched
    how(b)
    b.run(8000)
    assert at_text == [(True, False, False)]
    written = b.take()
    assert written[-1] == HALTED
    if words:
        assert written[-2].startswith("Error:" + words)
    assert b.printer.halted and b.still()
    # What waited, and what comes now, does nothing
    b.send(BEHIND + "G28\nM105\nM112\nM108\nN1 G1*3\n" + "Q" * 700 + "\n")
    b.run(9000)
    assert b.take() == [] and b.still()
    assert not b.hal.pwms[b.board.fan("part").pin].value
    assert all(heater.target_cc == 0 for heater in b.printer.heat.heaters)
    assert b.error is None
    b.send("M999\n")
    b.run(100)
    assert isinstance(b.error, Reset)


def test_a_halted_printer_keeps_quiet_about_further_mistakes(b):
    b.say("M112\n")
    for _ in range(3):
        b.hal.broken = OSError("usb")
        b.run(1000)
    assert b.take() == [] and b.error is None
    b.send("M999\n")
    b.run(100)
    assert isinstance(b.error, Reset)


# The state as JSON


def test_state_as_json(bench):
    b = homed(bench)
    b.say("M140 S60\nM220 S150\nM221 S90\nM302 P1\nG1 X12.34 Y-7 Z0.3 E1.5 F6000\nM400\nG92 Y-1\n")
    written = b.say("M105 S2\n")
    assert written[1:] == ["ok"]
    state = json.loads(written[0])
    heaters = state.pop("heaters")
    assert heaters == [pytest.approx(22, abs=5), pytest.approx(22, abs=1)]
    assert state == {
        "status": "I", "active": [60, 0], "standby": [0, 0], "hstat": [2, 0], "pos": [12.34, -1, 0.3], "extr": [1.5],
        "sfactor": 150, "efactor": [90], "tool": 0, "probe": "0", "fanRPM": 0, "homed": [1, 1, 1],
        "fraction_printed": 0,
    }  # fmt: skip
    b.say("M104 S50\nG28 X\nM84 Y\nG1 X50 F600\n")
    b.run(200)
    written = b.say("M105 S3\n")
    state = json.loads(written[0])
    assert state["status"] == "B" and state["hstat"] == [2, 2] and state["homed"] == [1, 0, 1]
    assert state["myName"] == b.board.title and state["numTools"] == 1 and state["axes"] == 3
    for other in ("M105", "M105 S1", "M105 S"):
        written = b.say(other + "\n")
        assert len(written) == 1 and written[0].startswith("ok T:")


# Ctrl-C


def allowed(b):
    return b.hal.interrupts[-1]


def test_ctrl_c_is_only_allowed_while_idle(bench):
    b = homed(bench)
    b.say("M105\n")
    assert not allowed(b)
    b.run(4500)
    assert not allowed(b)
    b.run(1000)
    assert allowed(b)
    b.send("M105\n")
    b.run(21)
    assert not allowed(b)
    b.run(4500)
    b.say("; not even a command\n")
    b.run(4500)
    assert not allowed(b)
    b.run(1000)
    assert b.hal.interrupts == [False, True, False, True]


@pytest.mark.parametrize("line", ["M104 S50", "M140 S40", "G1 X150 F300", "G4 S30", "M109 S60"])
def test_no_ctrl_c_while_something_goes_on(bench, line):
    b = homed(bench)
    b.run(6000)
    assert allowed(b)
    b.send(line + "\n")
    b.run(25_000)
    assert not allowed(b)
    b.send("M108\nM104 S0\nM140 S0\n")
    b.settle()
    b.run(4000)
    assert not allowed(b)
    b.run(15_000)
    assert allowed(b)


def test_ctrl_c_while_halted_and_in_half_a_line(bench):
    b = homed(bench)
    b.say("M109 S50\nG1 X100\nM112\n")
    b.run(6000)
    assert allowed(b)
    b.say("M105\n")
    assert not allowed(b)
    b = bench()
    b.send("M10")
    b.run(20)
    assert not allowed(b)
    b.run(6500)
    assert allowed(b)
    assert b.say("5\n")[0].startswith("ok T:")
    assert not allowed(b)


def test_ctrl_c_leaves_the_printer_off(bench):
    b = homed(bench)
    b.run(6000)
    b.hal.broken = KeyboardInterrupt()
    b.run(100)
    assert isinstance(b.error, KeyboardInterrupt)
    assert allowed(b) and b.cold() and not any(b.motors())
