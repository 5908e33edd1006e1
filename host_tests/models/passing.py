"""When the corners of a path were passed, by step edges alone, and how that compares with a plan.

A motor stands on the whole step that is nearest to where it should be; so the steps made up to a corner are known, and
the corner lies between two edges.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np


class Passed:
    """Times (s) at which the corners between moves were passed, and how loosely each of them is known.

    `edges`: per motor an array of rows (s, +1 or -1). `ends`: where the motors should be, in steps (floats or
    fractions), at the beginning and at the end of every move; one row each. `vague`: motors whose steps at a corner are
    known within one only.
    """

    def __init__(self, edges, ends, vague=()):
        whole = np.array([[math.floor(place + Fraction(1, 2)) for place in row] for row in ends])
        count = np.cumsum(np.abs(np.diff(whole, axis=0, prepend=whole[:1])), axis=0)
        for motor, made in enumerate(edges):
            # A rounding of what is vague may make a step there and back, or not
            assert abs(count[-1, motor] - len(made)) <= 2 * (motor in vague), (
                "motor %d makes %d steps on its way instead of %d" % (motor, len(made), count[-1, motor])
            )
        # A corner lies behind all edges ahead of it and ahead of all edges behind it
        corners = count[1:-1]
        ahead, behind = np.full(len(corners), -np.inf), np.full(len(corners), np.inf)
        for motor, made in enumerate(edges):
            about = 2 * int(motor in vague)
            times = np.concatenate([np.full(1 + about, -np.inf), made[:, 0], np.full(1 + 2 * about, np.inf)])
            ahead = np.maximum(ahead, times[corners[:, motor]])
            behind = np.minimum(behind, times[corners[:, motor] + 1 + 2 * about])
        self.times = (ahead + behind) / 2
        self.loose = np.abs(behind - ahead) / 2


def stretches(passed: Passed, model, first, last):
    """(time made, time of the model, what is not known of it) from corner `first` to corner `last`; arrays."""
    spent = passed.times[last] - passed.times[first]
    return spent, model[last] - model[first], passed.loose[first] + passed.loose[last]
