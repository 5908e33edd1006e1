"""Motion rebuilt from step edges alone: position, speed and acceleration over time, limits, the tool's path.

Times are ns since power-up in arrays and s in results; lengths are mm. The position of a motor between two
edges is interpolated. An edge stands for the crossing between two whole steps, so a firmware that puts each
edge within one step of the true trajectory gives positions here that are right within one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .expected import AXES
from .step_record import Steps

REST_NS = 20_000_000  # a longer gap between two edges counts as standing still
REST_RAMP_NS = 5_000_000


class MotorTrack:
    """One motor's position over time, in steps."""

    def __init__(self, steps: Steps, origin: float = 0.0):
        signs = steps.signs[steps.enabled].astype(np.int64)
        times = steps.times[steps.enabled].astype(np.float64)
        counts = np.cumsum(signs)
        self.net = int(counts[-1]) if len(counts) else 0
        self.first_ns = times[0] if len(times) else 0.0
        self.last_ns = times[-1] if len(times) else 0.0
        self._times, self._values = self._rests(times, counts - signs / 2, counts)
        self._origin = origin
        self._final = origin + self.net

    def _rests(self, times, crossings, counts):
        """Add the points between which the motor stood at a whole step."""
        if not len(times):
            return np.zeros(1), np.zeros(1)
        gaps = np.flatnonzero(np.diff(times) > REST_NS)
        extra_times = [[times[0] - REST_RAMP_NS], times[gaps] + REST_RAMP_NS]
        extra_times += [times[gaps + 1] - REST_RAMP_NS, [times[-1] + REST_RAMP_NS]]
        extra_values = [[0], counts[gaps], counts[gaps], [counts[-1]]]
        all_times = np.concatenate([times, *extra_times])
        order = np.argsort(all_times, kind="stable")
        return all_times[order], np.concatenate([crossings, *extra_values])[order]

    def at(self, times_ns) -> np.ndarray:
        """Positions in steps at these times."""
        return self._origin + np.interp(times_ns, self._times, self._values)


@dataclass
class Excess:
    """A limit that was not kept: which, where, how much was measured and allowed (mm/s or mm/s2)."""

    what: str
    axis: str
    time_s: float
    measured: float
    allowed: float

    def __str__(self) -> str:
        return "%s of %s at %.3f s is %.1f, allowed %.1f" % (
            self.what,
            self.axis.upper(),
            self.time_s,
            self.measured,
            self.allowed,
        )


class Track:
    """All motors of a printer together, as axes in mm.

    `origin_mm` is where the axes were at the first of the steps (Cartesian: also the motors).
    """

    def __init__(
        self,
        steps: dict[str, Steps],
        steps_per_mm: dict[str, float],
        kinematics: str = "cartesian",
        origin_mm: dict[str, float] | None = None,
    ):
        self.steps_per_mm = dict(steps_per_mm)
        self.kinematics = kinematics
        origin = dict.fromkeys(AXES, 0.0) | (origin_mm or {})
        if kinematics == "corexy":
            origin["x"], origin["y"] = origin["x"] + origin["y"], origin["x"] - origin["y"]
        self.motors = {
            name: MotorTrack(record, origin.get(name, 0.0) * steps_per_mm[name]) for name, record in steps.items()
        }
        moving = [motor for name, motor in self.motors.items() if len(steps[name].times)]
        self.start_ns = min((motor.first_ns for motor in moving), default=0.0)
        self.end_ns = max((motor.last_ns for motor in moving), default=0.0)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(axis for axis in AXES if axis in self.motors)

    def times(self, interval_ms: float, margin_ms: float = 0.0) -> np.ndarray:
        """An even grid of times in ns over the whole motion and `margin_ms` around it."""
        margin = margin_ms * 1e6
        count = int((self.end_ns - self.start_ns + 2 * margin) / (interval_ms * 1e6)) + 2
        return self.start_ns - margin + np.arange(count) * interval_ms * 1e6

    def at(self, axis: str, times_ns) -> np.ndarray:
        """Position of an axis in mm at these times."""
        if self.kinematics == "corexy" and axis in ("x", "y"):
            a = self.motors["x"].at(times_ns) / self.steps_per_mm["x"]
            b = self.motors["y"].at(times_ns) / self.steps_per_mm["y"]
            return (a + b) / 2 if axis == "x" else (a - b) / 2
        return self.motors[axis].at(times_ns) / self.steps_per_mm[axis]

    def path(self, interval_ms: float = 2.0) -> dict[str, np.ndarray]:
        """Times ("t", s from the first step) and positions of every axis on an even grid."""
        times = self.times(interval_ms)
        result = {axis: self.at(axis, times) for axis in self.axes}
        result["t"] = (times - self.start_ns) / 1e9
        return result

    def speed(self, axes=("x", "y"), interval_ms: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
        """Times (s from the first step) and the speed of the tool in these axes, mm/s."""
        times = self.times(interval_ms, margin_ms=interval_ms)
        square = sum(np.diff(self.at(axis, times)) ** 2 for axis in axes)
        middle = (times[:-1] + times[1:]) / 2
        return (middle - self.start_ns) / 1e9, np.sqrt(square) / (interval_ms / 1e3)

    # Limits

    def peak_speed(self, axis: str, window_ms: float = 10.0) -> tuple[float, float]:
        """Highest mean speed of an axis over any window: (mm/s, its time in s)."""
        times = self.times(window_ms / 8, margin_ms=window_ms)
        position = self.at(axis, times)
        speed = np.abs(position[8:] - position[:-8]) / (window_ms / 1e3)
        worst = int(np.argmax(speed))
        return float(speed[worst]), (times[worst + 4] - self.start_ns) / 1e9

    def peak_acceleration(self, axis: str, window_ms: float = 20.0) -> tuple[float, float]:
        """Highest change of the mean speed between neighbouring windows: (mm/s2, its time in s)."""
        times = self.times(window_ms / 8, margin_ms=2 * window_ms)
        p = self.at(axis, times)
        bend = np.abs(p[16:] - 2 * p[8:-8] + p[:-16]) / (window_ms / 1e3) ** 2
        worst = int(np.argmax(bend))
        return float(bend[worst]), (times[worst + 8] - self.start_ns) / 1e9

    def check_limits(
        self,
        max_speed: dict[str, float],
        max_acceleration: dict[str, float],
        jerk: dict[str, float] | None = None,
        windows_ms=(5.0, 10.0, 20.0, 40.0),
        edge_error: float = 1.0,
    ) -> list[Excess]:
        """Limits that cannot have been kept, whatever the trajectory between the edges was.

        With edges within `edge_error` steps of the true position, the mean speed over a window W is exact
        within 2 e/W, and two neighbouring windows differ by at most A W + J + 4 e/W, J being the jump in
        speed that `jerk` allows.
        """
        found = []
        for axis in self.axes:
            step = edge_error / self.steps_per_mm[axis]
            jump = (jerk or {}).get(axis, 0.0)
            for window in windows_ms:
                w = window / 1e3
                if axis in max_speed:
                    measured, when = self.peak_speed(axis, window)
                    allowed = max_speed[axis] + 2 * step / w
                    if measured > allowed * (1 + 1e-6):
                        found.append(Excess("speed", axis, when, measured, allowed))
                if axis in max_acceleration:
                    measured, when = self.peak_acceleration(axis, window)
                    allowed = max_acceleration[axis] + jump / w + 4 * step / w**2
                    if measured > allowed * (1 + 1e-6):
                        found.append(Excess("acceleration", axis, when, measured, allowed))
        return found


def largest_edge_error(steps: Steps, origin: float, position) -> float:
    """How far the edges of a motor lie from an analytic trajectory, in steps.

    `position(times_ns)` gives the exact motor position in steps; `origin` the motor's position before the first edge.
    Each edge takes the motor from one whole step to the next and belongs where the exact position is halfway.
    """
    if not len(steps.times):
        return 0.0
    halfway = origin + np.cumsum(steps.signs.astype(np.int64)) - steps.signs / 2
    return float(np.max(np.abs(position(steps.times) - halfway)))


def path_deviation(path: dict[str, np.ndarray], segments, axes=("x", "y", "z")) -> np.ndarray:
    """Distance in mm of every path point from the commanded segments, which are followed in order.

    `segments` are `expected.Segment`s. A point counts from the nearest of the segments just ahead of and
    behind the one reached before, so that a tool that leaves out a corner is noticed even where the path
    crosses itself later.
    """
    columns = [AXES.index(axis) for axis in axes]
    moving = [s for s in segments if any(s.start[c] != s.end[c] for c in columns)]
    points = np.stack([path[axis] for axis in axes], axis=1)
    if not moving:
        return np.linalg.norm(points - points[0], axis=1)
    starts = np.array([[s.start[c] for c in columns] for s in moving])
    ends = np.array([[s.end[c] for c in columns] for s in moving])
    vectors = ends - starts
    squares = np.sum(vectors**2, axis=1)
    result = np.empty(len(points))
    reached, ahead = 0, 24
    for number, point in enumerate(points):
        first, last = max(reached - 1, 0), reached + ahead
        along = np.sum((point - starts[first:last]) * vectors[first:last], axis=1)
        share = np.clip(along / squares[first:last], 0.0, 1.0)
        feet = starts[first:last] + share[:, None] * vectors[first:last]
        distances = np.linalg.norm(point - feet, axis=1)
        best = int(np.argmin(distances))
        result[number] = distances[best]
        reached = max(reached, first + best)
    return result


def corner_distances(path: dict[str, np.ndarray], segments, tolerance: float, axes=("x", "y", "z")) -> np.ndarray:
    """How close the path came to the end of each segment, in mm, the ends being looked for one after the other.

    An end counts as reached where the path first comes within `tolerance` of it after the end before. For one that is
    never reached the result is the least distance over all of the rest of the path.
    """
    columns = [AXES.index(axis) for axis in axes]
    points = np.stack([path[axis] for axis in axes], axis=1)
    starts, vectors = points[:-1], np.diff(points, axis=0)
    squares = np.maximum(np.sum(vectors**2, axis=1), 1e-30)
    result, at, chunk = np.empty(len(segments)), 0, 256
    for number, segment in enumerate(segments):
        end = np.array([segment.end[c] for c in columns])
        least, first = np.inf, at
        while first < len(starts):
            last = first + chunk
            away = end - starts[first:last]
            share = np.clip(np.sum(away * vectors[first:last], axis=1) / squares[first:last], 0.0, 1.0)
            distances = np.linalg.norm(away - share[:, None] * vectors[first:last], axis=1)
            near = np.flatnonzero(distances <= tolerance)
            if len(near):
                at = first + int(near[0])
                least = distances[near[0]]
                break
            least = min(least, distances.min())
            first = last
        result[number] = least
    return result
