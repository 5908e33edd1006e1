"""Where every motor should be at any time: the plan of the firmware's own planner, evaluated in double precision.

The planner runs on this machine with the same moves. What it decides (lengths, speeds where blocks meet,
accelerations) is taken as it is; the way along a block over time is computed here, by the formulas of constant
acceleration.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from tools import paths

UNITS_MM = 100_000
_SLICE_S = 64e-9
_FIELDS = 16


@dataclass
class Move:
    """A relative move in mm, with its feedrate in mm/min and acceleration in mm/s^2."""

    x: float
    y: float
    z: float
    e: float
    feed: int
    accel: int


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
    """The firmware's modules on this Python: (slicer module, Feeder, StepStream)."""
    for folder in (paths.FIRMWARE, paths.ROOT / "tools" / "host"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from adder import slicer
    from adder.feeder import Feeder
    from adder.hal.steps_host import StepStream

    return slicer, Feeder, StepStream


class _Planner:
    """The firmware's planner and slicer, watched: `blocks` as they were sealed, `slices` with their durations."""

    def __init__(self, limits: list[Limits], deviation_um: int):
        self.module, feeder, stream = _firmware()
        self.clock = _Clock()
        self.feeder = feeder(self.clock, stream(self.clock))
        self.planner = self.feeder.planner
        for axis, limit in enumerate(limits):
            self.planner.set_axis(
                axis, round(limit.speed * UNITS_MM), limit.accel, round(limit.jerk * 64), round(limit.scale * 1000),
                5_000_000,
            )
        self.planner.set_junction(deviation_um, False)
        self.blocks, self.slices = [], []

    def run(self, moves: list[Move]) -> None:
        """Plan all moves, the queue always as full as it can be."""
        seal, advance = self.module._seal, self.module._advance

        def noted_seal(st, pl, blk):
            head, tail = pl[0], pl[1]
            fields = list(blk[tail % 32 * _FIELDS : tail % 32 * _FIELDS + _FIELDS])
            leave = blk[(tail + 1) % 32 * _FIELDS + 5] if tail + 1 < head else 0
            self.blocks.append((fields, pl[2], leave, len(self.slices)))
            seal(st, pl, blk)

        def noted_advance(st, pl, blk):
            units = advance(st, pl, blk)
            if units:
                self.slices.append(units)
            return units

        self.module._seal, self.module._advance = noted_seal, noted_advance
        try:
            for move in moves:
                self._add(move)
            self.feeder.flush = True
            while self.feeder.busy():
                self.feeder.flush = True
                self._tick()
        finally:
            self.module._seal, self.module._advance = seal, advance

    def _add(self, move: Move) -> None:
        while self.planner.full():
            self._tick()
        request = self.planner.request
        for axis, way in enumerate((move.x, move.y, move.z, move.e)):
            request[axis] = request[4 + axis] = round(way * UNITS_MM)
        request[8] = move.feed * 1000 * 5 // 3  # 0.001 mm/min -> 10 nm/s
        request[9] = move.accel
        if self.planner.add() > 1:
            raise ValueError("moves of the job must fit into one block")

    def _tick(self) -> None:
        self.clock.us += 5000
        self.feeder.service()


class Plan:
    """Motor positions over time, in steps; times in s from the start of the motion."""

    def __init__(self, moves: list[Move], limits: list[Limits], deviation_um: int):
        planned = _Planner(limits, deviation_um)
        planned.run(moves)
        fields = np.array([block[0] for block in planned.blocks], dtype=float)
        self.length = fields[:, 0] / UNITS_MM
        self.steps = fields[:, 8:12]
        self.base = np.vstack([np.zeros(4), np.cumsum(self.steps, axis=0)])
        self._phases(fields, np.array([block[1:3] for block in planned.blocks], dtype=float))
        ends = np.concatenate([[0], np.cumsum(planned.slices)]) * _SLICE_S
        # When the blocks begin: by the slices, which have whole units of time; and by the formulas alone
        self.starts = ends[[block[3] for block in planned.blocks]]
        self.exact_starts = np.concatenate([[0], np.cumsum(self.durations.sum(axis=0))[:-1]])

    def _phases(self, fields, ends_v2) -> None:
        """Accelerate, cruise, decelerate: durations, speeds at their beginnings, accelerations; rows of three."""
        nominal, accel = fields[:, 1] / UNITS_MM, fields[:, 2]
        enter, leave = (np.minimum(np.sqrt(column / 256), nominal) for column in ends_v2.T)
        peak = np.sqrt(ends_v2.sum(axis=1) / 512 + accel * self.length)
        peak = np.maximum(np.minimum(peak, nominal), np.maximum(enter, leave))
        up, down = ((peak**2 - v**2) / (2 * accel) for v in (enter, leave))
        cruise = np.maximum(self.length - up - down, 0)
        self.durations = np.array([(peak - enter) / accel, cruise / peak, (peak - leave) / accel])
        self.speeds = np.array([enter, peak, peak])
        self.accels = np.array([accel, np.zeros_like(accel), -accel])

    def at(self, motor: int, times, starts=None):
        """Position of a motor at each time."""
        starts = self.starts if starts is None else starts
        block = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(starts) - 1)
        left = np.maximum(times - starts[block], 0)
        way = np.zeros(len(times))
        for phase in range(3):
            spent = np.minimum(left, self.durations[phase][block])
            way += self.speeds[phase][block] * spent + self.accels[phase][block] * spent**2 / 2
            left = left - spent
        return self.base[block, motor] + self.steps[block, motor] * np.minimum(way / self.length[block], 1)
