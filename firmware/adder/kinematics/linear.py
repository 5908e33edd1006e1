"""Kinematics that are sums and differences: Cartesian and CoreXY.

Calling one with (values, offset) turns axis values (positions or ways, any unit) into motor values, at
values[offset : offset + 4] or, without offset, as a tuple; `inverse(values)` turns motor values back in place;
`motors(axis)` says which motors move an axis, as a bit mask.
"""


class Cartesian:
    """Every motor moves its own axis."""

    name = "Cartesian"
    number = 0
    linear = True
    problem = None

    def __call__(self, values, offset=0):
        if offset:
            values[offset] = values[0]
            values[offset + 1] = values[1]
            values[offset + 2] = values[2]
            values[offset + 3] = values[3]
        return values

    def configure(self, get):
        """There is nothing to set."""

    def shape(self):
        """What must stay as it is for the motors' positions to keep their meaning."""
        return (self.number,)

    def scale(self, axis, steps_m):
        """Steps per 1000 mm of an axis as the planner has them."""
        return steps_m

    def limits(self, axis, low, high):
        """Between which an axis is kept, 10 nm."""
        return low, high

    def turns(self, axis):
        """Whether a motor counts in degrees."""
        return False

    def groups(self, axes):
        """The axes of a bit mask as they are homed: tuples of those that move together."""
        return [(axis,) for axis in range(3) if axes >> axis & 1]

    def inverse(self, values):
        return values

    def motors(self, axis):
        return 1 << axis


class Motors(Cartesian):
    """Motors by themselves, those of another kinematics; X, Y and Z are their positions (see adder/joints.py)."""

    name = "motors"

    def __init__(self, scales):
        self._scales = scales

    def shape(self):
        return self.name

    def scale(self, axis, steps_m):
        return self._scales[axis] if axis < 3 and self._scales else steps_m


class CoreXY(Cartesian):
    """Motor A turns with X + Y, motor B with X - Y (Marlin's COREXY)."""

    name = "CoreXY"
    number = 1

    def __call__(self, values, offset=0):
        x = values[0]
        y = values[1]
        if not offset:
            return (x + y, x - y, values[2], values[3])
        values[offset] = x + y
        values[offset + 1] = x - y
        values[offset + 2] = values[2]
        values[offset + 3] = values[3]
        return values

    def inverse(self, values):
        a = values[0]
        b = values[1]
        values[0] = (a + b) // 2
        values[1] = (a - b) // 2
        return values

    def motors(self, axis):
        return 3 if axis < 2 else 1 << axis
