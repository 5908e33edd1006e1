"""Where every motor should be at any time: what the firmware's planner decides, evaluated in double precision.

The planner runs on this machine with the same moves. Taken from it are decisions only: the speeds at which blocks meet,
the speed and the acceleration of each block, and the whole step on which each motor ends it. Lengths and the way over
time are computed here from the moves themselves, by the formulas of constant acceleration, with a single start time for
the whole job.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from tools import paths

UNITS_MM = 100_000
_FIELDS = 16
# Fields of a block and of the planner's state, as in adder/planner.py
_SPEED, _ACCEL, _ENTRY_V2, _STEPS = 1, 2, 5, 8
_HEAD, _TAIL, _FIXED_V2 = 0, 1, 2
_V2 = 256  # in (mm/s)^2
HALF = 0.50001  # of a step: ends are rounded


@dataclass
class Move:
    """A relative move in mm, with its feedrate in mm/min and acceleration in mm/s^2."""

    x: float
    y: float
    z: float
    e: float
    feed: int
    accel: int

    @property
    def way(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.z, self.e


@dataclass
class Limits:
    """Of one axis: mm/s, mm/s^2, jerk mm/s, steps/mm."""

    speed: float
    accel: int
    jerk: float
    scale: float


class _Clock:
    """What the firmware's feeder needs of a hal; time passes when somebody waits."""

    us = 0

    def ticks_us(self):
        return self.us

    def ticks_ms(self):
        return self.us // 1000

    def ticks_diff(self, a, b):
        return a - b

    def ticks_add(self, a, b):
        return a + b


def _firmware():
    """The firmware's modules on this Python: (slicer module, Feeder, StepStream, blocks in the ring)."""
    for folder in (paths.FIRMWARE, paths.ROOT / "tools" / "host"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from adder import planner, slicer
    from adder.feeder import Feeder
    from adder.hal.steps_host import StepStream

    return slicer, Feeder, StepStream, planner.BLOCKS


class _Planner:
    """The firmware's planner, watched: `decided` is speed, acceleration, v2 at both ends, steps of sealed blocks."""

    def __init__(self, limits: list[Limits], deviation_um: int):
        self.module, feeder, stream, self.ring = _firmware()
        self.clock = _Clock()
        self.feeder = feeder(self.clock, stream(self.clock))
        self.planner = self.feeder.planner
        for axis, limit in enumerate(limits):
            self.planner.set_axis(
                axis, round(limit.speed * UNITS_MM), limit.accel, round(limit.jerk * 64), round(limit.scale * 1000),
                5_000_000,
            )
        self.planner.set_junction(deviation_um, False)
        self.decided = []

    def run(self, moves: list[Move]) -> None:
        """Plan all moves, the queue always as full as it can be."""
        seal = self.module._seal

        def noted_seal(st, pl, blk):
            here, behind = (pl[_TAIL] % self.ring * _FIELDS, (pl[_TAIL] + 1) % self.ring * _FIELDS)
            leave = blk[behind + _ENTRY_V2] if pl[_TAIL] + 1 < pl[_HEAD] else 0
            steps = blk[here + _STEPS : here + _STEPS + 4]
            self.decided.append((blk[here + _SPEED], blk[here + _ACCEL], pl[_FIXED_V2], leave, *steps))
            seal(st, pl, blk)

        self.module._seal = noted_seal
        try:
            for move in moves:
                self._add(move)
            while self.feeder.busy():
                self.feeder.flush = True
                self._tick()
        finally:
            self.module._seal = seal

    def _add(self, move: Move) -> None:
        while self.planner.full():
            self._tick()
        request = self.planner.request
        for axis, way in enumerate(move.way):
            request[axis] = request[4 + axis] = round(way * UNITS_MM)
        request[8] = move.feed * 1000 * 5 // 3  # 0.001 mm/min -> 10 nm/s
        request[9] = move.accel
        if self.planner.add():
            raise ValueError("each move of the job must make one block")

    def _tick(self) -> None:
        self.clock.us += 5000
        self.feeder.service()


class Plan:
    """Motor positions over time, in steps; times in s from the start of the motion."""

    def __init__(self, moves: list[Move], limits: list[Limits], deviation_um: int):
        planned = _Planner(limits, deviation_um)
        planned.run(moves)
        ways = np.array([move.way for move in moves])
        self.length = np.array([math.hypot(*move.way[:3]) or abs(move.e) for move in moves])
        if (np.abs(ways[:, 3]) > self.length).any():
            raise ValueError("the reference knows no moves with more filament than way")
        decided = np.array(planned.decided, dtype=float)
        self.steps = decided[:, 4:]
        self.base = np.vstack([np.zeros(4), np.cumsum(self.steps, axis=0)])
        exact = np.cumsum(ways * [limit.scale for limit in limits], axis=0)
        if np.abs(self.base[1:] - exact).max() > HALF:
            raise ValueError("the planner's blocks do not end where the moves do")
        self._phases(decided)
        self.starts = np.concatenate([[0], np.cumsum(self.durations.sum(axis=0))[:-1]])

    def _phases(self, decided) -> None:
        """Accelerate, cruise, decelerate: durations, speeds at their beginnings, accelerations; rows of three."""
        nominal, accel = decided[:, 0] / UNITS_MM, decided[:, 1] / 256
        enter, leave = (np.minimum(np.sqrt(column / _V2), nominal) for column in decided[:, 2:4].T)
        peak = np.minimum(np.sqrt((enter**2 + leave**2) / 2 + accel * self.length), nominal)
        peak = np.maximum(peak, np.maximum(enter, leave))
        up, down = ((peak**2 - v**2) / (2 * accel) for v in (enter, leave))
        cruise = np.maximum(self.length - up - down, 0)
        self.durations = np.array([(peak - enter) / accel, cruise / peak, (peak - leave) / accel])
        self.speeds = np.array([enter, peak, peak])
        self.accels = np.array([accel, np.zeros_like(accel), -accel])

    def at(self, motor: int, times):
        """Position of a motor at each time."""
        block = np.clip(np.searchsorted(self.starts, times, side="right") - 1, 0, len(self.starts) - 1)
        left = np.maximum(times - self.starts[block], 0)
        way = np.zeros(len(times))
        for phase in range(3):
            spent = np.minimum(left, self.durations[phase][block])
            way += self.speeds[phase][block] * spent + self.accels[phase][block] * spent**2 / 2
            left = left - spent
        return self.base[block, motor] + self.steps[block, motor] * np.minimum(way / self.length[block], 1)
