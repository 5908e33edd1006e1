"""Step rates of the motors, also where they do not follow the axes in proportion (delta, SCARA)."""

from __future__ import annotations

import numpy as np

PROBE_MM = 0.05  # way over which a motor's steps are compared with the path's


def step_rates(kinematics, moves) -> np.ndarray:
    """Highest rate of each motor in every block, steps/s; looked at at both ends where the kinematics is not linear."""
    length = np.maximum(moves.length_mm, 1e-9)[:, None]
    rates = np.abs(moves.steps) / length
    if not kinematics.linear and moves.count:
        starts, ends = moves.starts(), moves.ends
        share = np.minimum(PROBE_MM / np.maximum(moves.across, 1e-9), 1.0)[:, None]
        near = (ends - starts) * share
        ways = length * share
        at_start = np.abs(_placed(kinematics, starts + near) - _placed(kinematics, starts))
        at_end = np.abs(_placed(kinematics, ends) - _placed(kinematics, ends - near))
        rates[:, :3] = np.where(moves.across[:, None] > 0, np.maximum(at_start, at_end) / ways, 0.0)
    return rates * moves.v1[:, None]


def _placed(kinematics, points_mm) -> np.ndarray:
    """Motor positions in steps at these points."""
    units = np.rint(points_mm * 1e5).astype(int).tolist()
    return np.array([list(kinematics.place(point)[:3]) for point in units]) / 4096
