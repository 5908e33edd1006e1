"""The edges on the pins against trajectories computed in double precision, and against the limits that were set.

What is computed here knows nothing of slices: trapezoids of constant acceleration over straight lines.
"""

import functools
import math
import random

import numpy as np
import pytest

from host_tests.board.printers import check_drivers, printer
from tools.twin.trajectory import largest_edge_error

SCALE = {"x": 80.0, "y": 80.0, "z": 400.0, "e": 93.0}
SPEED = {"x": 300.0, "y": 300.0, "z": 12.0, "e": 60.0}
ACCEL = {"x": 3000.0, "y": 3000.0, "z": 200.0, "e": 5000.0}


class Trapezoid:
    """Way along a straight line from rest to rest over time, s and mm."""

    def __init__(self, length, speed, accel):
        self.length = length
        self.accel = accel
        self.peak = min(speed, math.sqrt(accel * length))
        self.ramp_s = self.peak / accel
        ramp = self.peak**2 / (2 * accel)
        self.cruise_s = (length - 2 * ramp) / self.peak
        self.ramp = ramp
        self.end_s = 2 * self.ramp_s + self.cruise_s

    def at(self, t):
        """Way at these times."""
        t = np.clip(t, 0.0, self.end_s)
        up = self.accel * t**2 / 2
        middle = self.ramp + self.peak * (t - self.ramp_s)
        down = self.length - self.accel * (self.end_s - t) ** 2 / 2
        return np.where(t < self.ramp_s, up, np.where(t < self.ramp_s + self.cruise_s, middle, down))


def ideal(way, feedrate, accel):
    """The trapezoid of a move of `way` (mm per axis) under the limits of all axes."""
    length = math.hypot(way["x"], way["y"], way["z"]) or abs(way["e"])
    speed = feedrate
    for axis, distance in way.items():
        if distance:
            speed = min(speed, SPEED[axis] * length / abs(distance))
            accel = min(accel, ACCEL[axis] * length / abs(distance))
    return Trapezoid(length, speed, accel)


def start_ns(records, before, way, shape):
    """When the move began: what fits all edges of the motor with most steps best, to a microsecond."""
    motor = max(way, key=lambda axis: abs(way[axis]) * SCALE[axis])
    times = records[motor]
    steps = abs(way[motor]) * SCALE[motor]
    marks = (np.arange(len(times)) + 0.5 - before[motor]) / steps * shape.length

    def late(t):
        # The time at which the trapezoid passes each mark, by bisection on its rising way
        low, high = np.zeros(len(marks)), np.full(len(marks), shape.end_s)
        for _ in range(45):
            middle = (low + high) / 2
            below = shape.at(middle) < marks
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return t - high * 1e9

    return float(np.median(late(times.astype(float))))


MOVES = [
    # x, y, z, e in mm; mm/min; M204 for the move
    ((60, 0, 0, 0), 6000, 1500),
    ((-60, 0, 0, 0), 18000, 3000),
    ((40, 30, 0, 2.5), 9000, 1500),
    ((-33.3, 21.7, 0, 1), 4321, 777),
    ((0.5, -0.3, 0, 0.05), 6000, 2000),
    ((0, 0, 3, 0), 6000, 1500),
    ((20, 10, -1.5, 3), 12000, 5000),
    ((0, 0, 0, -4), 2400, 2000),
    ((0, 0, 0, 6), 12000, 900),
    ((-25, -45, 0, 0.001), 15000, 8000),
    ((3, -7, 0.2, 0.5), 300, 100),
    ((0.1, 0.0, 0, 0.0), 60, 1500),
    ((-8, -8, -1.7, -2), 7000, 20000),
]


@pytest.mark.parametrize("board", ["skr_pico", "pico"])
def test_every_edge_of_a_single_move_lies_within_a_step(board, record_property):
    """Moves from rest to rest: every edge of every motor, with one start time for all of them."""
    worst = {}
    with printer(board, start={"x": 70, "y": 60, "z": 10}) as twin:
        twin.stream(["M302 P1", "G91"])
        twin.run(0.3)
        at = dict.fromkeys("xyze", 0.0)  # exact motor positions, steps
        for numbers, feedrate, accel in MOVES:
            way = dict(zip("xyze", numbers, strict=True))
            twin.command("M204 P%d T%d R%d" % (accel, accel, accel))
            since = twin.pins.now_ns()
            counts = {motor: twin.steps(motor).net for motor in "xyze"}
            twin.stream(["G1 X%g Y%g Z%g E%g F%g" % (*numbers, feedrate), "M400"])
            parts = {motor: twin.steps(motor).after(since) for motor in "xyze"}
            records = {motor: part.times for motor, part in parts.items()}
            shape = ideal(way, feedrate / 60, accel)
            # Where the motor is exactly, seen from the whole step on which it stands, in the direction of the move
            offset = {m: (at[m] - counts[m]) * (1 if way[m] >= 0 else -1) for m in "xyze"}
            begin = start_ns(records, offset, way, shape)
            for motor, part in parts.items():
                if not len(part.times):
                    assert abs(way[motor] * SCALE[motor]) <= 1, (motor, numbers)
                    continue
                steps = way[motor] * SCALE[motor]
                exact = functools.partial(_along, at[motor], steps / shape.length, shape, begin)
                worst[numbers, motor] = largest_edge_error(part, counts[motor], exact)
                at[motor] += steps
        check_drivers(twin)
    figures = {key: round(value, 3) for key, value in sorted(worst.items(), key=lambda item: -item[1])[:4]}
    print("largest edge errors, steps:", figures)
    record_property("edge_error_steps", max(worst.values()))
    assert max(worst.values()) <= 1.0, figures


def _along(start, steps_per_mm, shape, begin, times):
    return start + steps_per_mm * shape.at((times - begin) / 1e9)


def plan(moves, deviation):
    """Entry speeds of moves that are known beforehand: textbook look-ahead with junction deviation."""
    shapes = []
    for way, feedrate, accel in moves:
        trapezoid = ideal(way, feedrate, accel)
        length = trapezoid.length
        speed, limit = feedrate, accel
        for axis, distance in way.items():
            if distance:
                speed = min(speed, SPEED[axis] * length / abs(distance))
                limit = min(limit, ACCEL[axis] * length / abs(distance))
        unit = np.array([way[axis] / length for axis in "xyze"])
        shapes.append((length, unit, speed, limit))
    entry = [0.0] * (len(shapes) + 1)
    for number in range(1, len(shapes)):
        (_, u0, v0, a0), (_, u1, v1, a1) = shapes[number - 1], shapes[number]
        half = np.linalg.norm(u1 - u0) / 2
        top = min(v0, v1)
        if half >= 1:
            top = 0.0
        elif half > 1e-6:
            c = math.sqrt(1 - half * half)
            top = min(top, math.sqrt(min(a0, a1) * deviation * c / (1 - c)))
        entry[number] = top
    for number in range(len(shapes) - 1, -1, -1):
        entry[number] = min(
            entry[number], math.sqrt(entry[number + 1] ** 2 + 2 * shapes[number][3] * shapes[number][0])
        )
    for number in range(len(shapes)):
        entry[number + 1] = min(
            entry[number + 1], math.sqrt(entry[number] ** 2 + 2 * shapes[number][3] * shapes[number][0])
        )
    return shapes, entry


def way_at(length, v0, v1, speed, accel, count=4001):
    """(times, ways, duration) of one move of a chain."""
    peak = min(speed, math.sqrt((2 * accel * length + v0**2 + v1**2) / 2))
    up, down = (peak - v0) / accel, (peak - v1) / accel
    flat = (length - (peak**2 - v0**2 + peak**2 - v1**2) / (2 * accel)) / peak
    end = up + flat + down
    t = np.linspace(0, end, count)
    rising = v0 * t + accel * t**2 / 2
    cruising = (peak**2 - v0**2) / (2 * accel) + peak * (t - up)
    falling = length - v1 * (end - t) - accel * (end - t) ** 2 / 2
    return t, np.where(t < up, rising, np.where(t < up + flat, cruising, falling)), end


@pytest.mark.parametrize("seed", range(3))
def test_every_edge_of_a_chain_of_moves_lies_within_a_step(seed, record_property):
    """Moves without a stop between them, planned here once more; the clock is set anew at every corner's best fit."""
    dice = random.Random(seed)
    moves, direction = [], dice.uniform(0, 6)
    for number in range(14):
        direction += dice.uniform(-0.3, 1.1) if number % 7 else 1.5
        size = dice.uniform(6, 20)
        way = {"x": round(size * math.cos(direction), 2), "y": round(size * math.sin(direction), 2)}
        way |= {"z": 0.0, "e": round(size * 0.04, 3)}
        moves.append((way, dice.choice((60.0, 100.0, 150.0)), 1500.0))
    with printer(start={"x": 100, "y": 100, "z": 10}) as twin:
        twin.stream(["M302 P1", "G91", "M204 P1500 T1500"])
        twin.run(0.3)
        since = twin.pins.now_ns()
        for way, speed, _ in moves:
            twin.send("G1 X%.2f Y%.2f E%.3f F%d" % (way["x"], way["y"], way["e"], speed * 60))
        twin.run(0.2)
        twin.command("M400", timeout=30)
        parts = {motor: twin.steps(motor).after(since) for motor in "xye"}
        check_drivers(twin)
    shapes, entry = plan(moves, 0.013)
    clock, at = 0.0, dict.fromkeys("xye", 0.0)
    all_times, tracks = [], {motor: [] for motor in "xye"}
    borders = [0.0]
    for number, (length, unit, speed, accel) in enumerate(shapes):
        t, way, end = way_at(length, entry[number], entry[number + 1], speed, accel)
        all_times.append(t + clock)
        for axis, motor in enumerate("xyze"):
            if motor in at:
                tracks[motor].append((at[motor] + unit[axis] * way) * SCALE[motor])
                at[motor] += unit[axis] * length
        clock += end
        borders.append(clock)
    clock_times = np.concatenate(all_times)
    tracks = {motor: np.concatenate(track) for motor, track in tracks.items()}
    begin = min(part.times[0] for part in parts.values()) / 1e9
    # One time for the start, chosen once for all motors and moves
    best = None
    for shift in np.arange(-0.02, 0.02, 0.0001):
        worst = max(_error(part, tracks[motor], clock_times, begin + shift) for motor, part in parts.items())
        best = min(best or (9e9, 0), (worst, shift))
    spent = max(part.times[-1] for part in parts.values()) / 1e9 - begin
    print("chain %d: %.2f s, planned %.2f s, largest edge error %.2f steps" % (seed, spent, clock, best[0]))
    record_property("chain_edge_error_steps", best[0])
    assert spent == pytest.approx(clock, rel=0.003, abs=0.02)
    assert best[0] <= 1.0


def _error(part, track, times, begin):
    return largest_edge_error(part, 0, lambda t: np.interp(t / 1e9 - begin, times, track))


LIMITS = {"M203": (120.0, 90.0, 6.0, 30.0), "M201": (800.0, 1200.0, 100.0, 600.0)}


@pytest.mark.parametrize("seed", range(2))
def test_speeds_and_accelerations_stay_within_the_limits(seed):
    """Limits far below what the program asks for; measured from the edges over windows of 20 and 40 ms."""
    dice = random.Random(seed)
    lines = ["M302 P1", "M204 P9000 T9000 R9000", "M83", "G90", "G1 F18000"]
    for code, values in LIMITS.items():
        lines.append(code + " X%g Y%g Z%g E%g" % values)
    x = y = 60.0
    for number in range(60):
        way = 0.0
        while way < 10:  # so that no two corners lie within one window
            to = dice.uniform(5, 110), dice.uniform(5, 110)
            way = math.dist(to, (x, y))
        x, y = to
        lines.append("G1 X%.3f Y%.3f%s" % (x, y, " E%.3f" % (way * 0.05) * (number % 3 > 0)))
        if number % 9 == 0:
            lines += ["G1 E-3", "G1 Z%g" % (number % 4), "G1 E3"]
    with printer(start={"x": 60, "y": 60, "z": 2}) as twin:
        twin.stream([lines[0], "G92 X60 Y60", *lines[1:], "M400"], timeout=200)
        check_drivers(twin)
        track = twin.track()
    speed, accel = (dict(zip("xyze", LIMITS[code], strict=True)) for code in ("M203", "M201"))
    # At a corner the junction deviation d lets the speed jump by up to 2 sqrt(2 a d); a is that along the moves
    along = math.hypot(800, 1200)
    jump = dict.fromkeys("xy", 2 * math.sqrt(2 * along * 0.013)) | {"z": 2.0, "e": 4.0}
    accel = {axis: value * 1.03 for axis, value in accel.items()}
    excesses = track.check_limits(speed, accel, jump, windows_ms=(20.0, 40.0))
    assert not excesses, [str(excess) for excess in excesses]
    fastest = {axis: track.peak_speed(axis, 20.0)[0] for axis in "xyze"}
    assert all(fastest[axis] > 0.75 * speed[axis] for axis in "xye"), fastest


@pytest.mark.parametrize("axis, feedrate", [("X", 12000), ("Y", 3000), ("Z", 600), ("E", 1800)])
def test_speed_and_acceleration_are_those_asked_for(axis, feedrate):
    """A long move: cruising at the feedrate, the ramps at the acceleration, both within 1 %."""
    name = axis.lower()
    accel = 150 if axis == "Z" else 1000
    length = {"X": 120, "Y": 60, "Z": 12, "E": 60}[axis]
    with printer(start={"x": 20, "y": 20, "z": 2}) as twin:
        twin.stream(
            [
                "M302 P1",
                "G91",
                "M204 P%d T%d R%d" % (accel, accel, accel),
                "G1 %s%g F%d" % (axis, length, feedrate),
                "M400",
            ]
        )
        times, _ = twin.edges(name)
        t, way = (times - times[0]) / 1e9, np.arange(len(times)) / SCALE[name]
        speed = feedrate / 60
        ramp = speed**2 / (2 * accel)
        cruise = (way > ramp * 1.1) & (way < length - ramp * 1.1)
        assert np.polyfit(t[cruise], way[cruise], 1)[0] == pytest.approx(speed, rel=0.001)
        up = (way > ramp * 0.05) & (way < ramp * 0.95)
        assert 2 * np.polyfit(t[up], way[up], 2)[0] == pytest.approx(accel, rel=0.01)
        down = (way < length - ramp * 0.05) & (way > length - ramp * 0.95)
        assert 2 * np.polyfit(t[down], way[down], 2)[0] == pytest.approx(-accel, rel=0.01)
        check_drivers(twin)
