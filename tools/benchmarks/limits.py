"""What the edges on the pins say of the limits that were set: speed, acceleration, and how soon M220 acts.

Speeds and accelerations are first and second differences of a motor's position over long windows, so that the rounding
of edges to their place (a tenth of a step) stays below half a per cent.
"""

from __future__ import annotations

import math
import random

import numpy as np

from tools.twin.printer import PrinterTwin

from .rig import BenchError, Setup, command, underruns

SPEED = {"x": 150.0, "y": 120.0, "z": 20.0, "e": 60.0}
ACCEL = {"x": 1500, "y": 1200, "z": 150, "e": 600}
PATH_SPEED, PATH_ACCEL = 90.0, 800
MOVES = 10
ROUNDING = 0.15  # of a step
SHARE = 0.005  # of the limit, that it may amount to

OVERRIDES = (50, 200)
CRUISE = 60.0
RAMP = 500  # mm/s^2 while the percentage changes
CHANGED = 0.02  # of the step rate
LAST = 200  # edges that tell the speed in the end


class Way:
    """A motor's position over time, s and steps, straight from edge to edge."""

    def __init__(self, times, signs):
        self.times = times / 1e9
        self.places = np.cumsum(signs) - signs / 2

    def at(self, times):
        return np.interp(times, self.times, self.places)

    def within(self, half: float, step: float = 0.001) -> np.ndarray:
        """Middles of all windows of `half` to either side that lie between first and last edge."""
        return np.arange(self.times[0] + half, self.times[-1] - half, step)


def highest_speed(ways: list[Way], half: float) -> float:
    """Highest speed of motors together (root of squares), steps/s."""
    times = _common(ways, half)
    return float(np.sqrt(sum(((way.at(times + half) - way.at(times - half)) / (2 * half)) ** 2 for way in ways)).max())


def highest_acceleration(ways: list[Way], half: float) -> float:
    """The same of the acceleration, steps/s^2."""
    times = _common(ways, half)
    return float(
        np.sqrt(
            sum(((way.at(times + half) - 2 * way.at(times) + way.at(times - half)) / half**2) ** 2 for way in ways)
        ).max()
    )


def _common(ways, half):
    grids = [way.within(half) for way in ways]
    first, last = max(grid[0] for grid in grids), min(grid[-1] for grid in grids)
    return np.arange(first, last, 0.001)


def _windows(speed: float, accel: float) -> tuple[float, float]:
    """Half windows for a speed in steps/s and an acceleration in steps/s^2, s."""
    return ROUNDING / (SHARE * speed), math.sqrt(4 * ROUNDING / (SHARE * accel))


def _excess(measured: float, limit: float) -> float:
    return max(0.0, (measured / limit - 1) * 100)


def _alone(twin: PrinterTwin, line: str, motors: str) -> list[Way]:
    """The edges of one move from rest to rest."""
    before = {motor: len(twin.edges(motor)[0]) for motor in motors}
    command(twin, line, "M400")
    return [Way(*(column[before[motor] :] for column in twin.edges(motor))) for motor in motors]


def limits(setup: Setup) -> dict:
    """Moves that each axis' own limits bind, and such that feedrate and M204 bind: the highest excess in per cent."""
    rng = random.Random(3)
    plan = setup.wide_plan()
    scale = plan.steps_per_mm
    speeds, accels = [], []
    with setup.twin(0.0, plan) as twin:
        names = "xyze"
        command(
            twin, "M302 S0", "G91", "M83", "M203 " + " ".join("%s%g" % (a.upper(), SPEED[a]) for a in names),
            "M201 " + " ".join("%s%d" % (a.upper(), ACCEL[a]) for a in names), "M204 P20000 R20000 T20000",
        )
        for number in range(MOVES):
            for motor in names:
                steps, step_accel = SPEED[motor] * scale[motor], ACCEL[motor] * scale[motor]
                way = SPEED[motor] ** 2 / ACCEL[motor] * rng.uniform(1.3, 2.5) * (-1) ** number
                (track,) = _alone(twin, "G1 %s%.3f F60000" % (motor.upper(), way), motor)
                half, half_accel = _windows(steps, step_accel)
                speeds.append(_excess(highest_speed([track], half), steps))
                accels.append(_excess(highest_acceleration([track], half_accel), step_accel))
        command(twin, "M204 P%d T%d" % (PATH_ACCEL, PATH_ACCEL))
        half, half_accel = _windows(PATH_SPEED * scale["x"], PATH_ACCEL * scale["x"])
        for _ in range(MOVES):
            angle, way = rng.uniform(0, 2 * math.pi), PATH_SPEED**2 / PATH_ACCEL * rng.uniform(1.3, 2.5)
            line = "G1 X%.3f Y%.3f F%g" % (way * math.cos(angle), way * math.sin(angle), PATH_SPEED * 60)
            tracks = _alone(twin, line, "xy")
            speeds.append(_excess(highest_speed(tracks, half), PATH_SPEED * scale["x"]))
            accels.append(_excess(highest_acceleration(tracks, half_accel), PATH_ACCEL * scale["x"]))
        if underruns(twin):
            raise BenchError("underruns between moves")
    return {"velocity_error_percent": max(speeds), "acceleration_error_percent": max(accels)}


def _override(setup: Setup, percent: int) -> tuple[float, float]:
    """ms from the last byte of M220 to a step rate that has changed, and the excess of the ramp's acceleration, %."""
    plan = setup.wide_plan()
    with setup.twin(0.0, plan) as twin:
        scale = plan.steps_per_mm["x"]
        command(twin, "G91", "M203 X300", "M201 X%d" % RAMP, "M204 P%d T%d" % (RAMP, RAMP))
        command(twin, "G1 X200 F%g" % (CRUISE * 60))
        twin.run(1.0)
        twin.send("M220 S%d" % percent)
        twin.run(0.8)
        sent = twin.board.usb.last_out * 8e-9
        track = Way(*twin.edges("x"))
        before = (track.times > sent - 0.2) & (track.times < sent)
        period = float(np.median(np.diff(track.times[before])))
        after = track.times[track.times > sent]
        changed = np.abs(np.diff(after) / period - 1) > CHANGED
        if not changed.any() or abs(1 / period / (CRUISE * scale) - 1) > CHANGED:
            raise BenchError("M220 S%d changed nothing, or the move was not at its speed" % percent)
        begins = float(after[int(np.argmax(changed))])
        final = LAST / (track.times[-1] - track.times[-1 - LAST]) / (CRUISE * scale)
        if abs(final * 100 / percent - 1) > CHANGED:
            raise BenchError("M220 S%d: %.0f %% of the speed after 0.8 s" % (percent, final * 100))
        _, half = _windows(1, RAMP * scale)
        chosen = (track.times > sent - 0.05) & (track.times < begins + 0.4)
        ramp = Way(track.times[chosen] * 1e9, np.diff(track.places[chosen], prepend=track.places[chosen][0] - 1))
        return (begins - sent) * 1000, _excess(highest_acceleration([ramp], half), RAMP * scale)


def override(setup: Setup) -> dict:
    """M220 in the middle of one long move, slower and faster: the later one, and the steeper ramp."""
    results = [_override(setup, percent) for percent in OVERRIDES]
    return {
        "override_ms": max(result[0] for result in results),
        "override_acceleration_error_percent": max(result[1] for result in results),
    }
