"""An axis that swings: a mass that the motor pulls by a spring, damped against the frame or against the motor.

    x'' = w^2 (u - x) - 2 d w x'      w = 2 pi f, damping ratio d, motor position u; by the motor: 2 d w (u' - x')

The state is advanced exactly for a motor that goes straight from sample to sample, so steps of time far below the
period are not needed for the swing itself. Times s, lengths mm.
"""

from __future__ import annotations

import math

import numpy as np


class SpringMass:
    """A mass at the end of an axis, f Hz; `damped_by_motor`: the damper is between mass and motor."""

    def __init__(self, frequency: float, damping: float = 0.1, damped_by_motor: bool = False):
        self.omega = 2 * math.pi * frequency
        self.damping = damping
        self.damped_by_motor = damped_by_motor

    def follow(self, positions, interval: float) -> np.ndarray:
        """Where the mass is while the motor goes through `positions`, `interval` s apart; at rest at the beginning."""
        u = np.asarray(positions, dtype=float)
        w, d = self.omega, self.damping
        root = w * math.sqrt(1 - d * d)
        fade = math.exp(-d * w * interval)
        c, s = math.cos(root * interval), math.sin(root * interval)
        # Against a motor of constant speed v the mass settles at u - lag * v; around that it swings freely
        lag = 0.0 if self.damped_by_motor else 2 * d / w
        result = np.empty(len(u))
        x, speed = u[0], 0.0
        result[0] = x
        for number in range(1, len(u)):
            v = (u[number] - u[number - 1]) / interval
            apart, drift = x - u[number - 1] + lag * v, speed - v
            swing = (drift + d * w * apart) / root
            x = u[number] - lag * v + fade * (apart * c + swing * s)
            speed = v + fade * (drift * c - (root * apart + d * w * swing) * s)
            result[number] = x
        return result

    def swing(self, positions, interval: float, end: float) -> float:
        """Largest distance of mass and motor after the time `end`, when the motor stands."""
        u = np.asarray(positions, dtype=float)
        after = math.ceil(end / interval)
        return float(np.max(np.abs(self.follow(u, interval)[after:] - u[after:])))


def residual_swing(position, seconds: float, frequency: float, damping: float = 0.1, interval: float = 1e-4) -> float:
    """Largest swing of the mass after a motion that ends after `seconds`; `position` as in models.shaping."""
    count = math.ceil((seconds + 3 / frequency) / interval) + 1
    times = np.arange(count) * interval
    return SpringMass(frequency, damping).swing(position(times), interval, seconds)
