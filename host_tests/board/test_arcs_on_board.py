"""G2 and G3 on the emulated board: single-precision points, step edges against the exact circle, even speed, stops."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from host_tests.board.printers import FLASH_SIZE, check_drivers, flash_with, image, run_program
from host_tests.board.printers import printer as ordinary_printer
from tools.twin.emulator import Board
from tools.twin.plan import plan_for
from tools.twin.printer import PrinterTwin
from tools.twin.repl import Repl
from tools.twin.status import Status

FINE = 400.0  # steps/mm of X and Y: half a step is 1.25 um
START = (60.0, 70.0)
FILLING_S = 0.3  # until the steps ahead have been filled, few segments are known at a time
FAR_MM = 1e5


def printer():
    """A printer with fine X and Y without ends, at START."""
    plan = plan_for("skr_pico", steps_per_mm={"x": FINE, "y": FINE})
    plan.axes = [replace(axis, low=-FAR_MM, high=FAR_MM, switch=None, switch_pin=None) for axis in plan.axes]
    twin = PrinterTwin(image("skr_pico"), "skr_pico", plan=plan)
    twin.boot()
    twin.stream(["M302 P1", "M92 X%g Y%g" % (FINE, FINE), "M201 X10000 Y10000", "G92 X%g Y%g E0" % START])
    return twin


def underruns(twin):
    status = Status()
    for line in twin.command("M122"):
        status.read(line)
    return status.number("underruns")


def made(twin, *lines):
    """The track of what these lines move, from START."""
    twin.run(0.2)
    since = twin.pins.now_ns()
    twin.stream([*lines, "M400"], timeout=100)
    return twin.track(since, {"x": START[0], "y": START[1]})


def distances(track, centre, times):
    return np.hypot(track.at("x", times) - centre[0], track.at("y", times) - centre[1])


CASES = {
    # M204, line, centre
    "middle": (1500, "G3 I8 J0 E3 F6000", (68.0, 70.0)),
    "helix, two turns": (3000, "G2 X52 Y62 I-8 J0 Z2 E5 P1 F4000", (52.0, 70.0)),
    "fast": (9000, "G2 I30 J-40 F12000", (90.0, 30.0)),
    "small": (2000, "G3 I0.5 J0 P20 E5 F6000", (60.5, 70.0)),
    "tiny": (2000, "G2 I0.05 J0.05 P40 F6000", (60.05, 70.05)),
    "by radius": (2000, "G2 X70 Y80 R10 F6000", (70.0, 70.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_edge_lies_on_the_circle(case, record_property):
    """Wherever a motor steps, the tool is within 0.005 mm and half a step of the circle."""
    accel, line, centre = CASES[case]
    with printer() as twin:
        track = made(twin, "M204 S%d" % accel, line)
        check_drivers(twin)
        times = np.sort(np.concatenate([twin.steps(motor).times for motor in "xy"]).astype(float))
        times = times[times >= track.start_ns]
        error = np.abs(distances(track, centre, times) - math.dist(START, centre))
        print("%s: %d edges, largest radial error %.4f mm" % (case, len(times), np.max(error)))
        record_property("radial_error_mm", float(np.max(error)))
        assert len(times) > 100
        assert np.max(error) <= 0.005 + 0.5 / FINE
        assert underruns(twin) == 0


SPEEDS = {
    # lines before, line, radius, speed that is expected
    "feedrate": (["M204 S1500"], "G3 I10 E4 P2 F3000", 10.0, 50.0),
    "acceleration": (["M204 S1500"], "G3 I10 E4 P3 F18000", 10.0, math.sqrt(1500 * 10)),
    "hard": (["M204 S9000"], "G3 I4 P5 F18000", 4.0, math.sqrt(9000 * 4)),
    "small": (["M204 S1500"], "G3 I1 E5 P8 F18000", 1.0, math.sqrt(1500 * 1)),
}


@pytest.mark.parametrize("case", SPEEDS)
def test_the_speed_is_even_inside_the_arc(case, record_property):
    """From the edges over windows of 4 ms, but for the beginning and the ramp at the end."""
    before, line, radius, expected = SPEEDS[case]
    accel = float(before[0].split("S")[1])
    with printer() as twin:
        track = made(twin, *before, line)
        t, speed = track.speed(interval_ms=4.0)
        speed /= np.sinc(expected * 0.002 / radius / math.pi)  # the chord of 4 ms is shorter than its arc
        inside = speed[(t > FILLING_S) & (t < t[-1] - expected / accel * 1.3 - 0.02)]
        grain = 0.7 / FINE / 0.004
        print("%s: %.1f to %.1f mm/s, %.1f expected" % (case, np.min(inside), np.max(inside), expected))
        record_property("slowest_percent", float(np.min(inside) / expected * 100))
        assert len(inside) > 50
        assert np.min(inside) > 0.98 * expected - grain
        assert np.max(inside) < 1.01 * expected + grain
        assert underruns(twin) == 0
        check_drivers(twin)


def wall(seed, count):
    """A wall of arcs that go over into each other, with lines, turns and refusals between them; from (100, 100)."""
    dice = random.Random(seed)
    x, y, heading = 100.0, 100.0, 0.3
    lines = ["M302 P1", "G28", "M83", "G1 X100 Y100 Z2 F12000", "G1 F4800"]
    for number in range(count):
        radius, length = dice.choice((2, 5, 20, 60)), dice.uniform(1, 5)
        sense = 1 if number // 2 % 2 else -1
        i, j = -sense * radius * math.sin(heading), sense * radius * math.cos(heading)
        heading += sense * length / radius
        end = x + i + sense * radius * math.sin(heading), y + j - sense * radius * math.cos(heading)
        end = round(end[0], 3), round(end[1], 3)
        words = "X%.3f Y%.3f E%.4f" % (*end, length * 0.04)
        code = "G3" if sense > 0 else "G2"
        if length < 1.5 * radius and dice.random() < 0.3:
            lines.append("%s %s R%g" % (code, words, radius + 0.001))
        else:
            lines.append("%s %s I%.3f J%.3f" % (code, words, i, j))
        x, y = end
        if number % 10 == 9:
            heading = math.atan2(100 - y, 100 - x)
            x, y = round((x + 100) / 2, 3), round((y + 100) / 2, 3)
            lines += ["G1 X%.3f Y%.3f Z%g" % (x, y, 2 + number % 3 * 0.2), "G2 X500 I200", "G3 I1.5 P1 E0.5", "G2 R1"]
    return lines


@pytest.mark.parametrize("kinematics", ["cartesian", "corexy"])
def test_motors_end_where_an_independent_reader_says(kinematics):
    with ordinary_printer(kinematics=kinematics) as twin:
        expected = run_program(twin, wall(5, 120))
        assert len([note for note in expected.notes if "not an arc" in note]) == 24
        assert len(expected.path) > 1500
        assert underruns(twin) == 0


def test_many_segments_a_second_do_not_starve():
    """The most that is ever asked for: 1000 segments/s by a fine junction deviation and a high acceleration."""
    with printer() as twin:
        track = made(twin, "M204 S10000", "M205 J0.001", "M214 P0.01", "G3 I8 P6 E20 F18000")
        t, speed = track.speed(interval_ms=4.0)
        inside = speed[(t > 0.5) & (t < t[-1] - 0.1)]
        print("%.0f to %.0f mm/s" % (np.min(inside), np.max(inside)))
        assert np.min(inside) > 0.9 * np.median(inside)
        assert underruns(twin) == 0


@pytest.mark.parametrize("after_s", [0.1, 0.9])
def test_m410_in_an_arc_knows_where_the_tool_is(after_s):
    with printer() as twin:
        twin.run(0.2)
        since = twin.pins.now_ns()
        twin.send("G3 I10 P50 F6000")
        twin.run(after_s)
        twin.send("M410")
        twin.run(0.5)
        counts = {motor: twin.steps(motor).after(since).net for motor in "xy"}
        twin.run(0.5)
        assert counts == {motor: twin.steps(motor).after(since).net for motor in "xy"}
        status = Status()
        for line in twin.command("M114"):
            status.read(line)
        place = [START[n] + counts[motor] / FINE for n, motor in enumerate("xy")]
        assert [status.position["x"], status.position["y"]] == pytest.approx(place, abs=0.0101)
        assert math.dist(place, (70, 70)) == pytest.approx(10, abs=0.01)
        track = made(twin, "G1 X60 Y70", "G3 X80 Y70 I10 F6000")
        assert track.end_ns > track.start_ns
        counts = {motor: twin.steps(motor).after(since).net for motor in "xy"}
        assert counts == {"x": 20 * FINE, "y": 0}


def test_m112_in_an_arc_stops_it():
    with printer() as twin:
        twin.send("G3 I10 P50 F6000")
        twin.run(0.7)
        twin.send("M112")
        twin.run(0.05)
        counts = {motor: twin.steps(motor).total for motor in "xy"}
        twin.run(0.5)
        assert counts == {motor: twin.steps(motor).total for motor in "xy"}
        enable = {plan.enable: plan.enable_level for plan in twin.plan.motors if plan.enable is not None}
        assert all(twin.pins.level(pin) != level for pin, level in enable.items())


# Every segment of some arcs, as the board's single precision makes them, each from START
_SEGMENTS = """
import gc
from adder.board import load
from adder.hal.rp2040 import Hal
from adder.printer import Printer
from adder.command import Command
p = Printer(load("skr_pico"), Hal(), None)
m = p.motion
m.extrude_min_cc = 0
way = m.feeder.planner.request
state = m.frame.state
c = Command()
def queue():
    print(list(way[0:4]), end=",")
    return True
m.queue = queue
m.pump = lambda ms=0: None
for line in LINES:
    for axis, mm in enumerate((60, 70, 0, 0)):
        state[axis] = mm * 100000
    c.scan(line + b"\\n")
    gc.collect()
    print("[", end="")
    m.arcs.move(c, line[:2] == b"G2")
    print("0]")
"""
ARCS = [
    # line, centre, sweep, end
    ("G3 I100 E50 Z3", (160, 70), 2 * math.pi, (60, 70, 3, 50)),
    ("G2 I-180 J240 E-3", (-120, 310), 2 * math.pi, (60, 70, 0, -3)),
    ("G2 X60.5 Y69.5 J-0.5 P20 Z1 E100", (60, 69.5), 40.5 * math.pi, (60.5, 69.5, 1, 100)),
    ("G3 X60 Y80 I-3000 J5", (-2940, 75), 2 * math.atan(5 / 3000), (60, 80, 0, 0)),
    ("G2 X60.02 Y70.01 R0.03 Z-2", None, 2 * math.asin(math.hypot(0.01, 0.005) / 0.03), (60.02, 70.01, -2, 0)),
]


def centre_by_radius(line, end):
    """From the definition: to the right of the chord for a short clockwise arc."""
    words = {word[0]: float(word[1:]) for word in line.split()}
    dx, dy = end[0] - START[0], end[1] - START[1]
    chord = math.hypot(dx, dy)
    left = math.sqrt(words["R"] ** 2 - chord**2 / 4) * (1 if words["R"] > 0 else -1) * (1 if words["G"] == 3 else -1)
    return START[0] + dx / 2 - dy / chord * left, START[1] + dy / 2 + dx / chord * left


def test_segments_in_single_precision():
    """Points, middles of chords, angles, Z and E against double precision; the end to the unit."""
    flash = flash_with({"/_board.py": "raise KeyboardInterrupt\n"})
    with Board(image("skr_pico"), flash, FLASH_SIZE) as board:
        source = "LINES = %r\n" % [line.encode() for line, *_ in ARCS]
        written = Repl(board).exec(source + _SEGMENTS, timeout=200).splitlines()
    for (line, centre, sweep, end), text in zip(ARCS, written, strict=True):
        ways = np.array(json.loads(text)[:-1], dtype=np.int64)
        start = np.array([*START, 0, 0])
        points = np.vstack([start, start + np.cumsum(ways, axis=0) / 1e5])
        assert np.array_equal(np.round(points[-1] * 1e5), np.round(np.array(end) * 1e5)), line
        centre = centre or centre_by_radius(line, end)
        radius = math.dist(START, centre)
        sign = -1 if line.startswith("G2") else 1
        off = np.hypot(*(points[:, :2] - centre).T) - radius
        middles = (points[1:, :2] + points[:-1, :2]) / 2
        sagitta = radius - np.hypot(*(middles - centre).T)
        angle = np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0])
        turned = sign * (np.unwrap(angle) - angle[0])
        print("%s: %d segments, points %.2g mm, chords %.2g mm off" % (line, len(ways), max(abs(off)), max(sagitta)))
        assert np.max(np.abs(off)) <= 5e-5 + radius * 3e-7, line
        assert np.max(sagitta) <= 0.0026 + radius * 3e-7, line
        assert np.all(np.diff(turned) > 0), line
        assert turned[-1] == pytest.approx(sweep, abs=3e-5 / radius + 1e-9), line
        for axis in (2, 3):
            share = points[:, axis] - end[axis] * turned / sweep
            assert np.max(np.abs(share)) <= 2e-5 + abs(end[axis]) * (2e-6 + 4e-5 / radius / sweep), line
