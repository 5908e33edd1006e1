"""Where everything is at any time: blocks of `models.planner` one after the other, with a single start time.

Times are s from the start of the motion, lengths mm. Arrays of any number of times at once.
"""

from __future__ import annotations

import numpy as np


class Trajectory:
    """Position, velocity and acceleration of X Y Z E over time."""

    def __init__(self, blocks, origin=(0.0, 0.0, 0.0, 0.0)):
        blocks = list(blocks)
        phases = np.array([block.phases for block in blocks], dtype=float).reshape(len(blocks), 3, 3)
        durations, speeds, accelerations = phases[:, :, 0], phases[:, :, 1], phases[:, :, 2]
        self.lengths = np.array([block.length for block in blocks])
        self.units = np.array([block.unit for block in blocks]).reshape(len(blocks), 4)
        self.corners = np.vstack([origin, origin + np.cumsum(self.units * self.lengths[:, None], axis=0)])
        ends = np.cumsum(durations.ravel())
        self.times = np.concatenate([[0.0], ends[2::3]])  # when each block begins, and the end
        self.duration = float(self.times[-1])
        self._begins = np.concatenate([[0.0], ends[:-1]])  # of every phase
        self._speeds, self._accelerations = speeds.ravel(), accelerations.ravel()
        ways = durations * (speeds + accelerations * durations / 2)
        self._ways = np.hstack([np.zeros((len(blocks), 1)), np.cumsum(ways, axis=1)[:, :2]]).ravel()
        self._durations = durations.ravel()

    def _phase(self, times):
        """(block, way along it, speed, acceleration) at each time; at rest before and after."""
        times = np.asarray(times, dtype=float)
        phase = np.clip(np.searchsorted(self._begins, times, side="right") - 1, 0, len(self._begins) - 1)
        t = np.clip(times - self._begins[phase], 0.0, self._durations[phase])
        moves = (times >= 0) & (times < self.duration)
        speed = self._speeds[phase] + self._accelerations[phase] * t
        way = self._ways[phase] + t * (self._speeds[phase] + self._accelerations[phase] * t / 2)
        block = phase // 3
        way = np.clip(way, 0.0, self.lengths[block])
        return block, way, np.where(moves, speed, 0.0), np.where(moves, self._accelerations[phase], 0.0)

    def position(self, times) -> np.ndarray:
        """Positions, one row per time."""
        block, way, _, _ = self._phase(times)
        return self.corners[block] + self.units[block] * way[..., None]

    def velocity(self, times) -> np.ndarray:
        """Velocities, one row per time; at a corner that of the block that begins."""
        block, _, speed, _ = self._phase(times)
        return self.units[block] * speed[..., None]

    def acceleration(self, times) -> np.ndarray:
        """Accelerations along the blocks; the jumps of velocity at corners are not in them."""
        block, _, _, acceleration = self._phase(times)
        return self.units[block] * acceleration[..., None]

    def speed(self, times) -> np.ndarray:
        """Speed along the path."""
        return self._phase(times)[2]

    def time_at(self, block, share) -> np.ndarray:
        """When this share (0 to 1) of a block has been made; arrays of both, or one of either."""
        block, share = np.broadcast_arrays(np.asarray(block), np.asarray(share, dtype=float))
        way = share * self.lengths[block]
        phase = 3 * block
        for more in (1, 2):
            phase = np.where((way >= self._ways[3 * block + more]) & (share > 0), 3 * block + more, phase)
        left, v, a = way - self._ways[phase], self._speeds[phase], self._accelerations[phase]
        # t of left = v t + a t^2 / 2, in the form that loses no digits
        root = np.sqrt(np.maximum(v * v + 2 * a * left, 0.0)) + v
        t = np.divide(2 * left, root, out=np.zeros_like(left), where=root > 0)
        return self._begins[phase] + np.clip(t, 0.0, self._durations[phase])
