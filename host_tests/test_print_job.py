"""Judging a print: a small firmware of the tests' own drives the pins of a bench; what it does wrong must be found."""

import re
from io import StringIO

import pytest
from matplotlib import image
from rich.console import Console

from tools.twin import pictures
from tools.twin.host import Host, HostError, StreamCount, framed
from tools.twin.pins import BenchPins
from tools.twin.plan import plan_for
from tools.twin.print_job import PrintJob, path_of, read_gcode
from tools.twin.printer import PrinterTwin, Surroundings
from tools.twin.show import Display, show_result

FILE = """\
; a small print
M140 S40
M104 S200
G28
G1 X5 Y4 Z1 F6000
M190 S40
M109 S200
G92 E0
G1 X9 Y4 E0.5 F3000
G1 X9 Y8 E1 ; a side
G1 X5 Y4 E1.25
G1 E-1
M104 S0
M140 S0
G1 X0.1 Y0.1 Z2
M84
"""


class SmallFirmware:
    """Answers G-code by driving pins right away: absolute moves, homing by the switch, heaters by a switch."""

    def __init__(self, pins, plan):
        self.pins, self.plan = pins, plan
        self.at = dict.fromkeys("xyze", 0.0)
        self.steps = dict.fromkeys("xyze", 0)
        self.targets = {"hotend": 0.0, "bed": 0.0}
        self.scale = dict(plan.steps_per_mm)
        self.origin_e = 0.0
        self.out = b"start\n"
        self.last = 0
        self.cheat = lambda text: text
        self.extra_steps = {}
        self.settles_at = 1.0
        self.pulse_ns = 1000
        self.dead_after = None
        self.halfway_off = False

    def now(self):
        return self.pins.now_ns() / 1e9

    def wait(self, seconds):
        if not self.out:
            self.pins.advance(int(seconds * 1e9))
        data, self.out = self.out, b""
        return data

    def write(self, data):
        for raw in data.decode().split("\n"):
            match = re.fullmatch(r"(?:N(-?\d+) )?(.*?)(?:\*\d+)?", raw)
            if not match[2]:
                continue
            if match[1] and framed(match[2], int(match[1])) != raw:
                self.say("Error:checksum mismatch", "Resend: %d" % (self.last + 1), "ok")
                continue
            self.last = int(match[1] or 0)
            self.execute(self.cheat(match[2]))

    def say(self, *lines):
        self.out += "".join(line + "\n" for line in lines).encode()

    def execute(self, text):
        code, *rest = text.split()
        words = {word[0].lower(): float(word[1:] or 0) for word in rest}
        if code == "G1":
            self.move(words)
        elif code == "G28":
            self.home()
        elif code == "G92":
            self.origin_e = self.at["e"] - words["e"]
        elif code in ("M104", "M109", "M140", "M190"):
            self.heat("hotend" if code in ("M104", "M109") else "bed", words["s"], code in ("M109", "M190"))
        elif code == "M503":
            self.say("M92 X80 Y80 Z400 E93", "M203 X200 Y200 Z10 E60", "M201 X9000 Y9000 Z9000 E9000")
        elif code == "M122":
            self.say("echo:underruns:0 heap_free:123456 queue:1/32 buffer_ms:180 lowest_ahead_ms:170")
        elif code == "M105":
            self.say("ok T:%.1f /0.0 B:22.0 /0.0 @:0 B@:0" % 22.0)
            return
        if code == self.dead_after:
            self.say("Error:Heating failed", "Error:Printer halted. kill() called!")
            return
        self.say("ok")

    def step(self, axis, sign):
        motor = next(m for m in self.plan.motors if m.name == axis)
        self.pins.drive(motor.direction, motor.positive_level if sign > 0 else 1 - motor.positive_level)
        self.pins.advance(1000)
        self.pins.drive(motor.step, 1)
        self.pins.advance(self.pulse_ns)
        self.pins.drive(motor.step, 0)
        self.pins.advance(1000)
        self.steps[axis] += sign

    def move(self, words):
        for axis in "xyze":
            if axis in words:
                self.at[axis] = words[axis] + (self.origin_e if axis == "e" else 0.0)
        wanted = {a: round(self.at[a] * self.scale[a]) + self.extra_steps.pop(a, 0) for a in "xyze"}
        begin, most = dict(self.steps), max(abs(wanted[a] - self.steps[a]) for a in "xyze")
        for number in range(1, most + 1):
            if self.halfway_off and number == most // 2:
                self.enable(False)
            for axis in "xyze":
                due = begin[axis] + round((wanted[axis] - begin[axis]) * number / most)
                while self.steps[axis] != due:
                    self.step(axis, 1 if due > self.steps[axis] else -1)
            self.pins.advance(100_000)

    def enable(self, on):
        for motor in self.plan.motors:
            self.pins.drive(motor.enable, motor.enable_level if on else 1 - motor.enable_level)

    def home(self):
        self.enable(True)
        for axis in self.plan.axes:
            while axis.switch_pin is not None and self.pins.inputs[axis.switch_pin] != axis.closed_level:
                self.step(axis.name, -1)
            if axis.name != "e":
                self.at[axis.name] = self.steps[axis.name] = 0

    def heat(self, name, target, wait):
        plan = next(heater for heater in self.plan.heaters if heater.name == name)
        if not target:
            self.pins.set_duty(plan.pin, 0.0)
            return
        self.targets[name] = target * self.settles_at
        while wait:
            heater = self.heater_models[name]
            error = self.targets[name] - heater.model.sensor
            self.pins.set_duty(plan.pin, min(max(error / 10 + 0.25, 0.0), 1.0))
            self.pins.advance(100_000_000)
            heater.catch_up()
            if abs(error) < 0.5:
                break


class BenchTwin(Surroundings):
    """A `PrinterTwin` without an emulator: the same surroundings and host, the firmware above."""

    boot, command, streaming = PrinterTwin.boot, PrinterTwin.command, PrinterTwin.streaming
    steps, track, machine, now = PrinterTwin.steps, PrinterTwin.track, PrinterTwin.machine, PrinterTwin.now
    position_mm = PrinterTwin.position_mm

    def __init__(self, kinematics="cartesian"):
        plan = plan_for("skr_pico", kinematics)
        for axis in plan.axes:
            axis.start = {"x": 3.0, "y": 2.0, "z": 0.5}.get(axis.name, 0.0)
        pins = BenchPins()
        super().__init__(pins, plan, thermal_speed=5.0)
        self.wire = SmallFirmware(pins, plan)
        self.wire.heater_models = self.heaters
        self.host = Host(self.wire)
        self.count = StreamCount()


def printed(change=lambda firmware: None, text=FILE):
    twin = BenchTwin()
    change(twin.wire)
    job = PrintJob(twin, text.splitlines())
    error = None
    try:
        job.prepare()
        for _ in job.progress():
            pass
    except HostError as wrong:
        error = wrong
    return job, job.finish(error)


def test_a_right_print_is_found_right():
    job, result = printed()
    assert result.problems == []
    assert (result.lines, job.total) == (15, 15)
    assert result.path_error_mm < 0.06
    made = {motor.name: (motor.made, motor.expected) for motor in result.motors}
    assert made["x"] == (8, 8) and made["y"] == (8, 8) and made["z"] == (800, 800)
    assert made["e"] == (-93, -93)
    assert 195 < result.peaks["hotend"] < 215 and result.highest_targets == {"hotend": 200.0, "bed": 40.0}
    assert result.values["underruns"] == "0" and result.least_ahead_ms == 170
    track, path = path_of(job)
    assert path["x"].max() == pytest.approx(9, abs=0.1) and path["y"].max() == pytest.approx(8, abs=0.1)
    assert track.at("z", [track.end_ns + 1e7])[0] == pytest.approx(2.0, abs=0.01)


def one_more(axis):
    def change(firmware):
        firmware.extra_steps = {axis: 1}
        firmware.cheat = lambda text: text
        move = firmware.move

        def last_move(words):
            if words.get("z") != 2:
                firmware.extra_steps = {}
            elif not firmware.extra_steps:
                firmware.extra_steps = {axis: 1}
            move(words)

        firmware.move = last_move

    return change


@pytest.mark.parametrize("axis", "xyze")
def test_a_single_step_too_many(axis):
    _, result = printed(one_more(axis))
    assert len(result.problems) == 1
    assert result.problems[0].startswith("motor %s made" % axis.upper())


def test_a_line_that_was_skipped():
    _, result = printed(lambda f: setattr(f, "cheat", lambda t: "G4" if t.startswith("G1 X0.1") else t))
    assert any("motor X made 400 steps, the file asks for 8" in text for text in result.problems)
    assert any("axis X stands at 5.000 mm" in text for text in result.problems)


def test_a_corner_that_was_left_out():
    _, result = printed(lambda f: setattr(f, "cheat", lambda t: "G1 E0.5" if t.startswith("G1 X9 Y4") else t))
    assert result.path_error_mm == pytest.approx(4 * 4 / 32**0.5, abs=0.1)
    assert result.problems == ["the tool was up to %.2f mm away from the path of the file" % result.path_error_mm]


def test_a_wait_that_ends_too_early():
    _, result = printed(lambda f: setattr(f, "settles_at", 0.9))
    assert any("M109 S200 ended with the hotend at" in text for text in result.problems)


def test_too_hot():
    _, result = printed(lambda f: setattr(f, "settles_at", 1.12))
    assert any(re.search(r"the hotend got 2\d\d\.\d .C hot, its highest target was 200", t) for t in result.problems)


def test_times_of_the_driver():
    _, result = printed(lambda f: setattr(f, "pulse_ns", 50))
    assert any(re.search(r"motor X: the driver's times were not kept: step_high \d+", t) for t in result.problems)


def test_steps_with_the_motors_off():
    _, result = printed(lambda f: setattr(f, "halfway_off", True))
    assert any(re.search(r"motor X got \d+ steps while it was off", text) for text in result.problems)


def test_a_halt_ends_the_print_and_is_said():
    job, result = printed(lambda f: setattr(f, "dead_after", "M190"))
    assert "the printer halted at 'M190 S40'" in result.problems[0]
    assert result.lines < job.total


def test_file_ends_outside_of_the_machine():
    _, result = printed(text="G28\nG1 X5\nG1 X-3\n")
    assert any("axis X lost 80 steps against an end" in text for text in result.problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: nothing to print"),
        (b" \n\n", "is empty: nothing to print"),
        (b"G1 X1\n\x00\x01", "is a binary file"),
        (b"UF2\n\x57\x51\x5d\x9e\x00\x20", "is a binary file"),
        (b"dear printer,\nplease print\n", "has no line of G-code in its 2 lines"),
    ],
)
def test_files_that_cannot_be_printed(tmp_path, content, message):
    file = tmp_path / "file.gcode"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_gcode(str(file))


def test_paths_that_cannot_be_printed(tmp_path):
    for name, message in (("", "FILE is empty"), (str(tmp_path), "is a directory"), ("/no/such", "does not exist")):
        with pytest.raises(ValueError, match=message):
            read_gcode(name)
    file = tmp_path / "good.gcode"
    file.write_bytes(b"\xef\xbb\xbf; \xc3\xbc\r\nG1 X1\r\n")
    assert read_gcode(str(file)) == ["; \u00fc", "G1 X1"]


def test_pictures(tmp_path):
    job, result = printed()
    track, path = path_of(job)
    histories = {name: heater.history.arrays() for name, heater in job.twin.heaters.items()}
    files = [
        pictures.draw_path(path, tmp_path / "new" / "path.png"),
        pictures.draw_speed(track, tmp_path / "speed.png", result.limits["M203"]),
        pictures.draw_temperatures(histories, tmp_path / "temperatures.png", job.targets, job.reported),
    ]
    for file in files:
        pixels = image.imread(file)
        assert min(pixels.shape[:2]) > 500
        coloured = pixels[..., :3].max(axis=2) - pixels[..., :3].min(axis=2) > 0.2
        assert 500 < coloured.sum() < 0.2 * coloured.size


def test_pictures_of_nothing(tmp_path):
    job, result = printed(text="M104 S0\n")
    assert result.problems == []
    track, path = path_of(job)
    assert pictures.draw_path(path, tmp_path / "path.png").exists()
    assert pictures.draw_speed(track, tmp_path / "speed.png").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_screen(terminal):
    console = Console(file=StringIO(), width=130, force_terminal=terminal)
    twin = BenchTwin()
    one_more("y")(twin.wire)
    job = PrintJob(twin, FILE.splitlines())
    job.prepare()
    with Display(job, console) as display:
        for _ in job.progress():
            display.update()
    show_result(job.finish(), ["out/path.png"], console)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert ("Time on the board" if terminal else "50 %") in text
    assert "buffer 180 ms of steps" in re.sub(r"\s+", " ", text).replace("Buffer", "buffer")
    for wanted in ("15/15" if terminal else "90 %", "out/path.png", "123456 bytes", "wrong: motor Y made 9 steps"):
        assert wanted in text
    assert "Steps and temperatures are right." not in text
