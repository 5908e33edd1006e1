"""What delta and SCARA share: scales, positions of motors, what is easily seen to be within reach.

Positions of X, Y and Z come in 10 nm from G-code and in 1/4096 virtual step from the slicer; motor positions are in
1/4096 motor step. A virtual step is a fraction of a motor step, a sixteenth on most deltas, so that where a block ends
is rounded to much less than a step.
"""

from array import array

import micropython
from micropython import const

from adder.kinematics.fixed import rounded

UM = 100  # 10 nm in a um
FLATTEST = 8  # arms and rods are used down to an angle whose sine is an eighth: beyond it the machine has no hold
MOST = 10**8 << 18  # positions of X, Y and Z are below 2**30: 2**18 virtual steps, as 10 nm times steps per 1000 mm
_FAR = const(32000)
_FURTHEST = const(0x3FFFFFFF)


def mm(units):
    """10 nm as text in mm."""
    units = rounded(units, 1000)
    return "%s%d.%02d" % ("-" if units < 0 else "", abs(units) // 100, abs(units) % 100)


@micropython.viper
def _easy(at: ptr32, easy: ptr32) -> int:
    # Whether a position is in the region of `easy`: a piece of a cylinder; see Bent.easy
    z = at[2]
    if z < easy[4] or z > easy[5]:
        return 0
    x = (at[0] >> 10) - easy[0]
    y = (at[1] >> 10) - easy[1]
    if x > _FAR or y > _FAR or x < 0 - _FAR or y < easy[3]:
        return 0
    if x * x + y * y < easy[2]:
        return 1
    return 0


class Bent:
    """Kinematics that bend straight lines.

    problem       None, or why the settings do not make a machine: nothing can be moved then
    k             constants (and scratch) of the slice function
    bend(at, k)   array of positions in 1/4096 virtual step -> motor positions in 1/4096 step, in place; E stays
    scales        virtual steps per 1000 mm of X, Y, Z
    motor_scales  steps per 1000 mm, or 1000 degrees, of the motors
    switches      motor position, in 10 nm or 0.00001 degree, at which a motor's switch closes
    signs         1 or -1: the way to it
    travels       the longest way to it
    """

    linear = False
    problem = None
    constants = 13  # words of `k` that are not scratch

    def __init__(self, constants):
        self.k = array("i", [0] * constants)
        self._region = array("i", [0, 0, 0, 0, 0, -1])
        self.scales = array("i", [1000, 1000, 1000])
        self.motor_scales = array("i", [1000, 1000, 1000])
        self.switches = [0, 0, 0]
        self.signs = [1, 1, 1]
        self.travels = [0, 0, 0]
        self.fastest = 1

    def easy(self, x, y, radius, front, low, high):
        """Within this cylinder around (x, y), `front` or more ahead of its axis (all 10 nm), all ways can be made."""
        region = self._region
        radius = min(radius >> 10, _FAR) - 2
        region[0] = x >> 10
        region[1] = y >> 10
        region[2] = radius * radius if radius > 0 else 0
        region[3] = max(front >> 10, -_FAR) + 2
        region[4] = low
        region[5] = high

    def reach(self, here, there, soft=True):
        """None, or a text that says why the straight way from `here` to `there` cannot be made.

        Both are arrays of X, Y, Z in 10 nm. `soft`: within the limits that M211 S0 lifts, too.
        """
        if self.problem:
            return self.problem
        if _easy(there, self._region) and _easy(here, self._region):
            return None
        why = self.check(here, there, soft)
        if why:
            return "X%s Y%s Z%s cannot be reached: %s" % (mm(there[0]), mm(there[1]), mm(there[2]), why)
        return None

    def shape(self):
        """What must stay as it is for the motors' positions to keep their meaning."""
        return (self.number, bytes(self.k[: self.constants]), bytes(self.scales))

    def scale(self, axis, steps_m):
        """Steps per 1000 mm of an axis as the planner has them: virtual ones but for E."""
        return self.scales[axis] if axis < 3 else steps_m

    def bends(self, motor):
        """Whether this motor's speed is not that of one axis."""
        return True

    def limit(self, speeds, rates, rate):
        """How fast the motors may be: each in 10 nm/s (or 0.00001 degree/s) and in steps/s, all in steps/s."""
        fastest = 0x0FFFFFFF
        for motor in range(3):
            if self.bends(motor):
                steps = min(rates[motor], rate) * 10**8 // self.motor_scales[motor]
                fastest = min(fastest, speeds[motor], steps)
        self.fastest = max(fastest, 1)

    def slow(self, here, request):
        """Lower the speed of a request of the planner that begins `here` to what the motors may."""
        there = array("i", [here[i] + request[i] for i in range(3)])
        ratio = self.ratio(here, there)
        if ratio:
            request[8] = max(min(request[8], self.fastest * 256 // ratio), 1)

    def turns(self, axis):
        """Whether a motor counts in degrees."""
        return False

    def limits(self, axis, low, high):
        """Between which an axis is kept, 10 nm: `reach` says more."""
        return -_FURTHEST, _FURTHEST

    def virtual(self, values):
        """X Y Z in 10 nm -> array of positions in 1/4096 virtual step."""
        return array("i", [rounded(values[i] * self.scales[i] * 4096, 10**8) for i in range(3)])

    def place(self, values):
        """X Y Z in 10 nm -> array of motor positions in 1/4096 step."""
        at = self.virtual(values)
        self.bend(at, self.k)
        return at

    def motor_units(self, motor, position):
        """A motor's position in 1/4096 step -> 10 nm or 0.00001 degree."""
        return rounded(position * 10**8, self.motor_scales[motor] * 4096)

    def motor_position(self, motor, units):
        """A motor's position in 10 nm or 0.00001 degree -> 1/4096 step."""
        return rounded(units * self.motor_scales[motor] * 4096, 10**8)
