"""The firmware as a whole on a host's clock: waits, busy lines, emergencies, half lines, garbage."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adder.board import load
from adder.hal.host import Hal, Restart
from adder.printer import HALTED, Printer

ROOM_CC = 2200


class Done(BaseException):
    """The time that the test gave is over."""


class Clock(Hal):
    """A hal whose poll ends the firmware's main loop when there is nothing left to do."""

    def __init__(self):
        super().__init__()
        self.stop_ms = 0
        self.later = []  # (ms, bytes)
        self.on_write = None
        self.on_idle = self._idle

    def _idle(self):
        now = self.ticks_ms()
        while self.later and self.later[0][0] <= now:
            self.feed(self.later.pop(0)[1])
        if now >= self.stop_ms and not self.whole():
            raise Done

    def poll(self, timeout_ms):
        if timeout_ms and not self._input:
            self._idle()
        return super().poll(timeout_ms)

    def write(self, data):
        if self.on_write:
            self.on_write(bytes(data))
        super().write(data)


class Bench:
    """A printer on the board SKR Pico, at room temperature; `run(seconds, ...)` gives what it said meanwhile."""

    def __init__(self):
        self.hal = Clock()
        self.board = load("skr_pico")
        for heater in self.board.heaters:
            self.hal.adc_values[heater.sensor_pin] = 40000
        for axis in self.board.axes:
            if axis.endstop is not None:
                self.hal.levels[axis.endstop] = 0
        self.p = Printer(self.board, self.hal)
        for name in ("hotend", "bed"):
            self.set_temperature(name, ROOM_CC)
        self.p = Printer(self.board, self.hal)
        self.hal._timers.clear()
        self.p.start()
        assert self.hal.take() == ["start"]

    def set_temperature(self, name, cc):
        heater = self.p.heat.by_name(name)
        low, high = 0, 65535  # the reading falls as the temperature rises
        while low < high:
            middle = (low + high) // 2
            if heater.thermistor.centi(middle) > cc:
                low = middle + 1
            else:
                high = middle
        self.hal.adc_values[heater.part.sensor_pin] = low

    def follow(self, name):
        """Let the temperature go where the target is, 5 degC a second."""
        heater = self.p.heat.by_name(name)
        now = [ROOM_CC]

        def step(_):
            target = heater.target_cc or ROOM_CC
            now[0] += max(-50, min(50, target - now[0]))
            self.set_temperature(name, now[0])

        self.hal.timer(100, step)

    def run(self, seconds, *events):
        """Let so much time pass; events are (after seconds, bytes or text)."""
        now = self.hal.ticks_ms()
        for after, data in events:
            data = data.encode() if isinstance(data, str) else data
            self.hal.later.append((now + round(after * 1000), data))
        self.hal.later.sort(key=lambda event: event[0])
        self.hal.stop_ms = now + round(seconds * 1000)
        with pytest.raises(Done):
            self.p._serve()
        return self.hal.take()

    def say(self, text, seconds=0.0):
        return self.run(seconds, (0, text))

    def off(self):
        """No heater has a target or a duty, no motor is on."""
        pins = [heater.pin for heater in self.board.heaters]
        return (
            all(self.hal.pwms[pin].value == 0 for pin in pins)
            and all(heater.target_cc == 0 for heater in self.p.heat.heaters)
            and all(not self.hal.outputs[axis.enable].on for axis in self.board.axes)
        )

    def steps(self):
        return sum(len(edges) for edges in self.hal.streams.edges)


@pytest.fixture
def bench():
    return Bench()


def test_commands_are_answered(bench):
    assert bench.say("G21\n\nM105\nM114\nFOO\n") == [
        "ok",
        "ok T:22.0 /0.0 B:22.0 /0.0 T0:22.0 /0.0 @:0 B@:0",
        "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0",
        "ok",
        'echo:Unknown command: "FOO"',
        "ok",
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [("G999", "G999"), ("M9999 X5 ; c", "M9999 X5"), ("Q1", "Q1"), ("hello world", "hello world"), ("%%", "%%"),
     ("N7 M9999*20", "M9999"), ("M10.5", "M10.5"), ("G1.5 X2", "G1.5 X2"), ("M", "M"), ("X10", "X10"),
     ("A" * 99, "A" * 60), ("D-1", "D-1")],
)
def test_unknown_codes_are_named_and_acknowledged(bench, line, shown):
    bench.say("M110 N6\n")
    assert bench.say(line + "\n") == ['echo:Unknown command: "%s"' % shown, "ok"]


def test_busy_lines_come_every_two_seconds_while_an_ok_is_late(bench):
    assert bench.run(7.5, (0, "G4 S7\n")) == ["echo:busy: processing"] * 3 + ["ok"]
    assert bench.run(3, (0, "M113 S1\nG4 P2500\n")) == ["ok"] + ["echo:busy: processing"] * 2 + ["ok"]
    assert bench.run(5, (0, "M113 S0\nG4 S4\n")) == ["ok", "ok"]
    assert bench.run(10) == []


def test_busy_lines_are_never_more_than_their_interval_apart(bench):
    times = []
    bench.hal.on_write = lambda data: times.append((bench.hal.ticks_ms(), data))
    bench.run(21, (0, "G4 S20\n"))
    assert times[-1][1] == b"ok\n"
    moments = [0] + [ms for ms, data in times]
    assert max(b - a for a, b in itertools.pairwise(moments[1:])) <= 2100
    assert moments[1] <= 2200


def test_short_commands_bring_no_busy_lines(bench):
    events = [(n * 0.9, "G4 P800\n") for n in range(10)]
    assert bench.run(10, *events) == ["ok"] * 10


def test_temperatures_come_by_themselves_also_during_waits(bench):
    said = bench.run(5.05, (0, "M155 S1\n"))
    assert said[0] == "ok" and len(said) == 6
    assert all(line.startswith(" T:22.0 /0.0 B:") for line in said[1:])
    said = bench.run(5.05, (0, "G4 S5\n"))
    assert len([line for line in said if line.startswith(" T:")]) == 5
    bench.say("M155 S0\n")
    assert bench.run(5) == []


def test_waiting_for_heat(bench):
    bench.follow("hotend")
    said = bench.run(60, (0, "M109 S60\n"), (1, "M105\n"))
    reports = [line for line in said if "W:" in line]
    assert 8 <= len(reports) <= 14
    assert all("T:" in line and not line.startswith("ok") for line in reports)
    assert said[-2:] == ["ok", said[-1]] and said[-1].startswith("ok T:60.0 /60.0")
    assert [line for line in said if line.startswith("ok")] == said[-2:]


@pytest.mark.parametrize("line", ["M108\n", "N1 M108*43\n", "m108 ; enough\n"])
@pytest.mark.parametrize("wait", ["M109 S200\n", "M190 S60\n", "G4 S60\n"])
def test_m108_ends_a_wait(bench, wait, line):
    bench.follow("hotend")
    bench.follow("bed")
    said = bench.run(4, (0, wait), (1.5, line))
    assert [line for line in said if line == "ok"] == ["ok", "ok"]
    assert bench.say("M114\n")[-1] == "ok"


def test_m108_before_a_wait_does_not_end_it(bench):
    said = bench.run(3, (0, "M108\nG4 S2\n"), (2.5, "M114\n"))
    assert said[0] == "ok" and said[-1] == "ok" and said.count("ok") == 3


WAITS = {
    "idle": "",
    "heating": "M109 S200\n",
    "bed": "M190 S60\n",
    "dwell": "G4 S60\n",
    "homing": "G28\n",
    "moving": "G1 X100 Y100 F600\n",
    "end of moves": "G1 X100 Y100 F600\nM400\n",
    "planner full": "".join("G1 X%d Y%d F300\n" % (n, n % 7) for n in range(100)),
    "flooded": "G4 S60\n" + "G1 X100 Y100 Z10 E10 F600 ; comment\n" * 300,
    "half a line before": "G4 S60\nG1 X1",
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("line", ["M112\n", "N5 M112*0\n", " m112\n"])
def test_m112_switches_off_first_and_speaks_then(bench, wait, line):
    bench.follow("hotend")
    bench.follow("bed")
    seen = []

    def on_write(data):
        if HALTED.encode() in data:
            seen.append((bench.off(), bench.hal.streams._running))

    bench.hal.on_write = on_write
    bench.run(1, (0, "M104 S200\nM140 S60\nM302 P1\nM17\n"))
    said = bench.run(3, (0, WAITS[wait]), (1, line))
    assert said[-1] == HALTED and said.count(HALTED) == 1
    assert seen == [(True, False)]
    steps = bench.steps()
    assert bench.run(3, (0.5, "M105\nG1 X5\nM104 S200\n"), (1, b"\x00\xff\n\n"), (2, "M112\n")) == []
    assert bench.off() and bench.steps() == steps


@pytest.mark.parametrize("line", ["M999\n", "N17 M999*1\n", "m999 S1\n", " M999 ; go on\n"])
def test_m999_restarts_a_halted_printer(bench, line):
    bench.say("M112\n")
    bench.hal.feed(b"M9990\nM117 M999\n;M999\n" + line.encode())
    bench.hal.stop_ms = bench.hal.ticks_ms()
    with pytest.raises(Restart):
        bench.p._serve()
    assert bench.off()


def test_a_heater_fault_halts_with_its_reason(bench):
    bench.say("M104 S200\n")
    bench.hal.adc_values[bench.p.heat.by_name("hotend").part.sensor_pin] = 65535
    said = bench.run(5)
    assert said[0].startswith("Error:MINTEMP triggered") and said[1:] == [HALTED]
    assert bench.off()
    assert bench.run(2, (0, "M105\n")) == []


@pytest.mark.parametrize("wait", ["G4 S60\n", "M109 S200\n", "G1 X100 F60\nM400\n", "G1 X5"])
def test_a_heater_fault_ends_every_wait(bench, wait):
    bench.follow("bed")
    bench.say("M104 S200\n")
    bench.hal.later.append((bench.hal.ticks_ms() + 1000, b""))
    pin = bench.p.heat.by_name("hotend").part.sensor_pin

    def unplug(_):
        if bench.hal.ticks_ms() > 1500:
            bench.hal.adc_values[pin] = 65535

    bench.hal.timer(100, unplug)
    said = bench.run(8, (0, wait))
    assert said[-1] == HALTED and said[-2].startswith("Error:MINTEMP")
    assert bench.off()


def test_half_a_line_holds_nothing_but_itself_up(bench):
    bench.follow("hotend")
    bench.say("M155 S1\nM104 S60\n")
    said = bench.run(10, (0, "G1 X1"), (8, "0 F3000\nM114\n"))
    reports = [line for line in said if line.startswith(" T:")]
    assert 7 <= len(reports) <= 10
    assert [line for line in said if not line.startswith(" T:")] == [
        "ok", "X:10.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "ok"
    ]
    assert bench.p.heat.by_name("hotend").temperature_cc > 5500


def test_busy_lines_go_on_while_half_a_line_comes(bench):
    said = bench.run(9, (0, "G4 S3\n"), (0.5, "M1"), (8, "14\n"))
    assert said.count("echo:busy: processing") >= 3
    assert said[-3] == "ok" and said[-1] == "ok"


def test_nothing_is_written_into_the_middle_of_a_line(bench):
    """Whatever a timer does while a line goes out, lines stay whole."""
    def on_write(data):
        assert data.endswith(b"\n") and not data.startswith(b"\n")
        assert all(32 <= byte < 127 or byte == 10 for byte in data)
        bench.hal.advance_ms(1)

    bench.hal.on_write = on_write
    bench.follow("hotend")
    bench.run(10, (0, "M155 S1\nM115\nM503\nM109 S40\n"), (5, "M11"), (8, "5\n"))


def test_a_mistake_in_a_handler_halts(bench):
    bench.p.motion.set_position = lambda axis, value: 1 // 0
    bench.hal.feed(b"M104 S200\nG92 X5\nM105\n")
    bench.hal.stop_ms = bench.hal.ticks_ms() + 500
    with pytest.raises(Done):
        bench.p.run()
    said = bench.hal.take()
    assert said[:2] == ["start", "ok"]
    assert said[2].startswith("Error:firmware failed: ZeroDivisionError") and said[3:] == [HALTED]
    assert bench.off()


def test_m410_drops_the_moves_and_the_printer_goes_on(bench):
    said = bench.run(3, (0, "G1 X100 F1200\nG1 X0\nM400\n"), (1, "M410\n"))
    assert said == ["ok"] * 4
    x = bench.p.motion.position_u(0)
    assert 500_000 < x < 9_000_000
    made = sum(direction for _, direction in bench.hal.streams.edges[0])
    assert abs(x - made * 100_000 // 80) <= 1250
    assert bench.say("G1 X0 F6000\nM400\n", 8).count("ok") == 2
    assert sum(direction for _, direction in bench.hal.streams.edges[0]) == 0


def test_m410_also_drops_a_move_that_waits_for_room(bench):
    lines = "".join("G1 X%d F300\n" % (n % 2 * 50) for n in range(60))
    bench.run(6, (0, lines), (3, "M410\n"))
    moved = bench.steps()
    assert bench.p.motion.stops == 1
    assert moved > 0


# Input of every kind

LINES = [
    "G1 X10 Y10 F3000", "G28", "G92 E0", "M105", "M114", "M115", "M119", "M503", "M117 text",
    "M118 E1 text", "T0", "T1", "G4 P1", "FOO", "G1 X--1", "G1 X1e9", "M104 S0", "M106 S255", "M107",
    "M220 S50", "M221 S90", "M83", "G91", "G90", "M84", "M155 S0", "M108", "M410", "M110 N0", "M400",
    "M502", "M92", "G20", "G21", "M113", "\x00", "M109 S0", "M999999", "G999", "M104 S9999",
]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=25), st.booleans())
def test_every_line_has_one_ok(lines, together):
    bench = Bench()
    if together:
        events = [(0, "".join(line + "\n" for line in lines))]
    else:
        events = [(0.05 * n, line + "\n") for n, line in enumerate(lines)]
    homing = sum(line == "G28" for line in lines)
    # The switches close after a while, so that homing ends
    bench.hal.streams.on_step = close_switches(bench)
    said = bench.run(30 + 60 * homing, *events)
    oks = [line for line in said if line == "ok" or line.startswith("ok ")]
    assert len(oks) == len(lines), said
    for line in said:
        assert line.isascii() and line.isprintable()
        assert not line.lower().startswith(("rs", "resend", "error", "!!", "wait", "start")), line


def close_switches(bench):
    position = [800, 800, 4000, 0]

    def on_step(motor, direction):
        position[motor] += direction
        if motor < 3:
            bench.hal.levels[bench.board.axes[motor].endstop] = 1 if position[motor] <= 0 else 0

    return on_step


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=120), max_size=12), st.integers(0, 10**6))
def test_garbage_neither_heats_nor_moves_nor_ends_anything(pieces, seed):
    bench = Bench()
    rng = random.Random(seed)
    said = bench.run(4, *((rng.random() * 3, piece) for piece in pieces))
    for line in said:
        assert line.isascii() and line.isprintable(), line
    assert all(heater.target_cc == 0 for heater in bench.p.heat.heaters)
    bench.run(1, (0, "\n\n"))
    said = bench.run(1, (0, "M110 N0\nN1 M105*38\n"))
    if not bench.p.halted:
        assert said[-1].startswith("ok T:22.0"), said


def test_printer_lives_through_ten_kilobytes_without_a_newline(bench):
    said = bench.run(2, (0, b"\x55" * 10_000), (1, "\nM105\n"))
    assert said[:2] == ["echo:Line longer than 255 bytes ignored", "ok"]
    assert len(said) == 3 and said[2].startswith("ok T:")


def test_printer_lives_through_a_flood(bench):
    said = bench.run(60, (0, "G1 X1 F6000\nG1 X2\n" * 2000), (50, "M114\n"))
    assert said[-1] == "ok"
    assert said.count("ok") == 4001
