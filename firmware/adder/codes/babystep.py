"""M290: babysteps."""

from adder.codes.common import AXES
from adder.errors import Refused
from adder.frame import UNIT

_MOST_MM = 2


def m290(p, c):
    """M290: move X, Y or Z (S stands for Z) a little while a print runs; positions in G-code stay as they are.

    Letters as in Marlin. Without letters the sum since the axis was homed is printed.
    """
    motion = p.motion
    ways = []
    for letter in "XYZS":
        if c.has(letter):
            if not c.valued(letter):
                raise Refused("M290 %s has no value, should be a way such as %s0.05" % (letter, letter))
            way = c.length(letter, motion.inch)
            if abs(way) > _MOST_MM * UNIT:
                raise Refused("M290 %s%s: should be -%d to %d mm" % (letter, c.show(letter), _MOST_MM, _MOST_MM))
            ways.append((2 if letter == "S" else AXES.index(letter), way))
    if not ways:
        sums = ["%s:%.3f" % (AXES[axis], motion.babysteps[axis] / UNIT) for axis in range(3)]
        p.out.line("echo:Babysteps " + " ".join(sums))
    for axis, way in ways:
        motion.babystep(axis, way)
