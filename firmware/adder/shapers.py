"""Input shapers: a move as a sum of delayed copies, so timed that the swings of the copies cancel.

ZV after Singer and Seering, "Preshaping Command Inputs to Reduce System Vibration" (1990); EI with 5 % of tolerance
after Singhose and others, "Extra-Insensitive Input Shapers" (1994), in its form for weak damping; MZV as Klipper
documents it (`docs/Resonance_Compensation.md`).
"""

import math

NONE, ZV, MZV, EI = 0, 1, 2, 3
NAMES = ("none", "ZV", "MZV", "EI")
_TOLERANCE = 0.05


def impulses(kind, frequency, damping):
    """Impulses of a shaper as (times in s, weights); the weights sum up to 1.

    `kind` is NONE, ZV, MZV or EI; `frequency` in Hz, above 0; `damping` is the ratio, 0 to below 1.
    """
    root = math.sqrt(1 - damping * damping)
    period = 1 / (frequency * root)
    if kind == ZV:
        k = math.exp(-damping * math.pi / root)
        times = (0, period / 2)
        weights = (1, k)
    elif kind == MZV:
        k = math.exp(-0.75 * damping * math.pi / root)
        a = 1 - 1 / math.sqrt(2)
        times = (0, period * 0.375, period * 0.75)
        weights = (a, (math.sqrt(2) - 1) * k, a * k * k)
    elif kind == EI:
        k = math.exp(-damping * math.pi / root)
        a = (1 + _TOLERANCE) / 4
        times = (0, period / 2, period)
        weights = (a, (1 - _TOLERANCE) / 2 * k, a * k * k)
    else:
        return (0,), (1.0,)
    total = sum(weights)
    return times, [weight / total for weight in weights]


def mean_delay(times, weights):
    """By how much a shaper delays, in s."""
    return sum([times[i] * weights[i] for i in range(len(times))])
