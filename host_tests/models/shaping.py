"""What refines a motion, as functions of exact positions over time, in double precision.

A position here is a function of an array of times in s that gives mm (one axis); it stands still outside its motion.

Impulse sequences: ZV from N. C. Singer and W. P. Seering, "Preshaping Command Inputs to Reduce System Vibration"
(1990); EI from W. Singhose, W. Seering, N. Singer, "Residual Vibration Reduction Using Vector Diagrams to Generate
Shaped Inputs" (1994), its damping taken in as Klipper and Marlin do; MZV is Klipper's, with the times and amplitudes
that it publishes (docs/Resonance_Compensation.md and its shaper definitions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.05  # of EI: swing that is left at the set frequency


@dataclass
class Impulses:
    """Times (s, the first is 0) and amplitudes (sum 1)."""

    times: np.ndarray
    amplitudes: np.ndarray

    @property
    def mean(self) -> float:
        """How much later a shaped motion comes in the mean."""
        return float(self.times @ self.amplitudes)


def _impulses(frequency, damping, periods, amplitudes) -> Impulses:
    # `periods`: of the damped swing; `amplitudes`: those without damping, which take away what is left of the swing
    # after so many periods
    root = math.sqrt(1 - damping**2)
    times = np.array(periods) / (frequency * root)
    left = np.exp(-damping * 2 * math.pi * frequency * times)
    weights = np.array(amplitudes) * left
    return Impulses(times, weights / weights.sum())


def zv(frequency: float, damping: float = 0.1) -> Impulses:
    """Zero vibration: two impulses, half a period apart."""
    return _impulses(frequency, damping, (0, 0.5), (1, 1))


def mzv(frequency: float, damping: float = 0.1) -> Impulses:
    """Klipper's modified ZV: three impulses within three quarters of a period."""
    outer = 1 - 1 / math.sqrt(2)
    return _impulses(frequency, damping, (0, 0.375, 0.75), (outer, math.sqrt(2) - 1, outer))


def ei(frequency: float, damping: float = 0.1, tolerance: float = TOLERANCE) -> Impulses:
    """Extra insensitive: three impulses in one period; leaves `tolerance` of the swing, in a wide band."""
    outer = (1 + tolerance) / 4
    return _impulses(frequency, damping, (0, 0.5, 1), (outer, (1 - tolerance) / 2, outer))


SHAPERS = {"ZV": zv, "MZV": mzv, "EI": ei}


def residual(impulses: Impulses, frequency: float, damping: float) -> float:
    """Swing that is left after a sequence, as a share of that after a single impulse (Singer and Seering, 1990)."""
    omega = 2 * math.pi * frequency
    grown = impulses.amplitudes * np.exp(damping * omega * impulses.times)
    angle = omega * math.sqrt(1 - damping**2) * impulses.times
    return math.exp(-damping * omega * impulses.times[-1]) * math.hypot(grown @ np.cos(angle), grown @ np.sin(angle))


def shaped(position, impulses: Impulses, early: float = 0.0):
    """The position convolved with the impulses; `early` takes that much time off the delay."""

    def result(times):
        times = np.asarray(times, dtype=float) + early
        return sum(a * position(times - t) for t, a in zip(impulses.times, impulses.amplitudes, strict=True))

    return result


def boxed(position, width: float, parts: int = 64):
    """The mean of the position over a centred window of `width` s: a jump of acceleration takes so long then."""
    offsets = width * ((np.arange(parts) + 0.5) / parts - 0.5)

    def result(times):
        times = np.asarray(times, dtype=float)
        return sum(position(times + offset) for offset in offsets) / parts

    return result


def advanced(position, k: float, half_window: float = 0.0):
    """Pressure advance: position + k * speed, the speed being the mean over `half_window` s on either side.

    k in s. Without a window the speed is that over a microsecond.
    """
    w = half_window or 5e-7

    def result(times):
        times = np.asarray(times, dtype=float)
        return position(times) + k * (position(times + w) - position(times - w)) / (2 * w)

    return result


def backlash(positions, amount: float, smoothing: float = 0.0, start: float = 0.0) -> np.ndarray:
    """Positions (mm, one after the other) with what makes up for a play of `amount` mm when the direction changes.

    Going up `amount` is added in the end, going down nothing; the change is spread over a way of `smoothing` mm.
    `start`: what is added at the beginning.
    """
    positions = np.asarray(positions, dtype=float)
    added, result = start, [positions[0] + start]
    for way, position in zip(np.diff(positions), positions[1:], strict=True):
        if way and smoothing:
            added = min(max(added + amount * way / smoothing, 0.0), amount)
        elif way:
            added = amount if way > 0 else 0.0
        result.append(position + added)
    return np.array(result)


def mesh(x, y, xs, ys, heights) -> np.ndarray:
    """Height of a bed at (x, y), bilinear between the points of a grid; `heights[row of y][column of x]`.

    Outside the grid it is that of the nearest point of its border.
    """
    heights = np.asarray(heights, dtype=float)
    x, y = np.clip(x, xs[0], xs[-1]), np.clip(y, ys[0], ys[-1])
    i = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, len(xs) - 2)
    j = np.clip(np.searchsorted(ys, y, side="right") - 1, 0, len(ys) - 2)
    xs, ys = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    p, q = (x - xs[i]) / (xs[i + 1] - xs[i]), (y - ys[j]) / (ys[j + 1] - ys[j])
    near = heights[j, i] * (1 - p) + heights[j, i + 1] * p
    far = heights[j + 1, i] * (1 - p) + heights[j + 1, i + 1] * p
    return near * (1 - q) + far * q


def skewed(x, y, z, xy: float = 0.0, xz: float = 0.0, yz: float = 0.0):
    """Machine coordinates of a point on axes that do not stand at right angles; factors as in M852 I J K.

    A factor is how far the axis leans per mm of the second one: x is taken back by xy * y, and so on (Marlin, M852).
    """
    return x - y * xy - z * (xz - xy * yz), y - z * yz, z
