"""Step rates of the motors, also where they do not follow the axes in proportion (delta, SCARA)."""

from __future__ import annotations

import numpy as np

PROBE_MM = 0.05  # way over which a motor's steps are compared with the path's


def step_rates(kinematics, moves) -> np.ndarray:
    """Highest rate of each motor in every block, steps/s; looked at at both ends where the kinematics is not linear."""
    rates = np.abs(moves.steps) / np.maximum(moves.length_mm, 1e-9)[:, None]
    which = moves.printing & (moves.across > 0)
    if not kinematics.linear and which.any():
        starts, ends = moves.starts()[which], moves.ends[which]
        share = np.minimum(PROBE_MM / moves.across[which], 1.0)[:, None]
        near = (ends - starts) * share
        at_start = np.abs(_placed(kinematics, starts + near) - _placed(kinematics, starts))
        at_end = np.abs(_placed(kinematics, ends) - _placed(kinematics, ends - near))
        rates[:, :3] = 0.0
        rates[which, :3] = np.maximum(at_start, at_end) / (moves.length_mm[which][:, None] * share)
    return rates * moves.v1[:, None]


def _placed(kinematics, points_mm) -> np.ndarray:
    """Motor positions in steps at these points."""
    units = np.rint(points_mm * 1e5).astype(int).tolist()
    return np.array([list(kinematics.place(point)[:3]) for point in units]) / 4096
