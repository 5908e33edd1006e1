"""SCARA with two arms and a parallel linkage (RepRap Morgan): both motors sit at the shoulder and turn one arm each.

Theta is the direction of the first arm, psi that of the second one, both counted from the X axis; the elbow is on
the side where psi is ahead of theta, by 0 to 180 degrees. With arms A and B and the tool at a distance r from the
shoulder in direction phi

    tan((psi - theta) / 2) = sqrt(((A + B)^2 - r^2) / (r^2 - (A - B)^2))
    theta = phi - atan2(sqrt(...) * sqrt(...), r^2 + A^2 - B^2)       with the same two roots

which is the law of cosines, written so that nothing is lost where the arms are nearly stretched. Angles come from
CORDIC (J. E. Volder, "The CORDIC Trigonometric Computing Technique", 1959).
"""

import sys
from array import array

import micropython
from micropython import const

from adder.fixmath import isqrt, muldiv
from adder.kinematics.bent import FLATTEST, MOST, UM, Bent, mm
from adder.kinematics.fixed import DEGREE, halves, root, rounded, sine_cosine, whole

if sys.platform == "rp2":
    from adder.hal.scara_thumb import scara
else:

    def _angle(k, x, y):
        # Direction of (x, y)
        angle = 0
        if x < 0:
            angle = k[13] if y >= 0 else -k[13]
            x = -x
            y = -y
        for i in range(26):
            x_part = x >> i
            y_part = y >> i
            if y >= 0:
                x += y_part
                y -= x_part
                angle += k[20 + i]
            else:
                x -= y_part
                y += x_part
                angle -= k[20 + i]
        return angle

    def _steps(angle, scale):
        return -(-angle * scale >> 30) if angle < 0 else angle * scale >> 30

    def scara(at, k):
        """Position of the tool -> motors, in place. See `Scara` for units."""
        x = (at[0] >> k[0]) - k[2]
        y = (at[1] >> k[0]) - k[3]
        square = x * x + y * y
        short = root(whole(k[4], k[5]) - square)
        long = root(square - whole(k[6], k[7]))
        half = _angle(k, long, short)
        shoulder = _angle(k, (square + whole(k[8], k[9])) >> 31, short * long >> 31)
        theta = _angle(k, y, -x) + k[12] - shoulder
        at[0] = _steps(theta, k[10])
        at[1] = _steps(theta + 2 * half, k[11])
        at[2] >>= k[1]


_ATAN = (
    210828714, 124459457, 65760959, 33381290, 16755422, 8385879, 4193963, 2097109, 1048571, 524287, 262144, 131072,
    65536, 32768, 16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8,
)  # fmt: skip
_PI = const(843314857)  # angles of CORDIC: 2**-28
_SLACK = 1000  # 10 nm: rounding does not make a place unreachable
_CUT = 10_000  # 10 nm
_FAR = const(16383)
_SCALE_MOST = 1_600_000  # virtual steps per 1000 mm
_MARGIN = 20 * 1000 * UM


@micropython.viper
def _slow(here: ptr32, rq: ptr32, g: ptr32) -> int:
    # `Scara.ratio` in units of 40.96 um, and what follows for the request; 0: too large a machine
    if rq[0] == 0 and rq[1] == 0:
        return 1
    x0 = (here[0] >> 12) - g[0]
    y0 = (here[1] >> 12) - g[1]
    x = ((here[0] + rq[0]) >> 12) - g[0]
    y = ((here[1] + rq[1]) >> 12) - g[1]
    if x0 > _FAR or x > _FAR or y0 > _FAR or y > _FAR:
        return 0
    if x0 < 0 - _FAR or x < 0 - _FAR or y0 < 0 - _FAR or y < 0 - _FAR:
        return 0
    near = x0 * x0 + y0 * y0
    far = x * x + y * y
    if near > far:
        d = near
        near = far
        far = d
    x -= x0
    y -= y0
    along = 0 - x0 * x - y0 * y
    square = x * x + y * y
    if along > 0 and along < square:
        d = x0 * y - y0 * x
        if d < 0:
            d = 0 - d
        d = d // (int(isqrt(square)) + 1)
        near = d * d
    if far > g[2]:
        far = g[2]
    if near < g[3]:
        near = g[3]
    if near > far:
        near = far
    sine = int(isqrt(g[4] - far)) * int(isqrt(far - g[5]))
    d = int(isqrt(g[4] - near)) * int(isqrt(near - g[5]))
    if d < sine:
        sine = d
    d = int(muldiv(sine >> 8, g[6], g[7]))
    if d < 1:
        d = 1
    if rq[8] > d:
        rq[8] = d
    return 1


class Scara(Bent):
    """Motors X and Y are theta and psi, with steps per degree as their steps per mm; motor Z is as always.

    `k`, as `bend` reads it: shift of X and Y (0) and Z (1); the shoulder (2, 3), squares of the longest and the
    shortest reach (4-7) and A^2 - B^2 (8, 9), all in virtual steps / 4096 after that shift; steps per unit of angle
    (10, 11); a quarter and half a turn (12, 13); scratch (14-19); arc tangents of 2**-i (20-45).
    """

    name = "SCARA"
    number = 3
    constants = 14
    bend = staticmethod(scara)

    def __init__(self):
        super().__init__(46)
        for i in range(26):
            self.k[20 + i] = _ATAN[i]
        self.k[12] = _PI // 2
        self.k[13] = _PI
        self._factors = [10**5] * 3
        self._first = self._second = 0
        self._rough = array("i", [0] * 8)

    def motors(self, axis):
        """X and Y move both arms."""
        return 3 if axis < 2 else 1 << axis

    def bends(self, motor):
        """The two at the shoulder."""
        return motor < 2

    def turns(self, axis):
        """Theta and psi count in degrees."""
        return axis < 2

    def groups(self, axes):
        """One after the other: X is theta, Y is psi."""
        return [(axis,) for axis in range(3) if axes >> axis & 1]

    def configure(self, get):
        """Take the geometry from the settings: get(name, decimals) gives scaled integers. Sets `problem`."""
        first = get("scara_arm_1", 5)
        second = get("scara_arm_2", 5)
        inner = get("scara_inner_radius", 5)
        shoulder = (get("scara_shoulder_x", 5), get("scara_shoulder_y", 5))
        scales = [get("steps_per_mm_" + axis, 3) for axis in "xyz"]
        factors = [get("scara_scale_" + axis, 5) for axis in "xyz"]
        low = get("z_min", 5)
        high = get("z_max", 5)
        # Between arms that are nearly stretched and nearly folded
        middle = first * first + second * second
        swing = 2 * first * second * root((FLATTEST**2 - 1) << 40) // FLATTEST >> 20
        outer = root(middle + swing)
        least = root(middle - swing) + 1
        self.problem = None
        if inner > outer - _MARGIN:
            self.problem = "SCARA arms of %s and %s mm do not reach beyond the inner radius of %s mm" % (
                mm(first),
                mm(second),
                mm(inner),
            )
        elif max(scales[0], scales[1]) > 1_100_000:
            self.problem = "M92 X%s Y%s: should be at most 1100 steps per degree for a SCARA" % (
                mm(scales[0] * 100),
                mm(scales[1] * 100),
            )
        tall = max(high, -low) + _MARGIN
        if scales[2] * tall >= MOST:
            self.problem = "M92 Z%s: should be at most %s for a height of %s mm" % (
                mm(scales[2] * 100),
                mm(MOST // tall * 100),
                mm(high),
            )
        if self.problem:
            return
        self._first = first
        self._second = second
        self._shoulder = shoulder
        self._outer = outer
        self._least = least
        self._inner = max(inner, least)
        self._low = low
        self._high = high
        self._factors = factors
        self.motor_scales = array("i", scales)
        size = first + second + max(abs(shoulder[0]), abs(shoulder[1])) + _MARGIN
        scale = min(MOST // size, _SCALE_MOST)
        shift = 4
        while shift and tall * (scales[2] << shift) * factors[2] >= MOST * 10**5:
            shift -= 1
        self.scales = array(
            "i",
            [
                rounded(scale * factors[0], 10**5),
                rounded(scale * factors[1], 10**5),
                rounded((scales[2] << shift) * factors[2], 10**5),
            ],
        )
        k = self.k

        def length(units):
            return rounded(units * scale * 4096, 10**8)

        a = length(first)
        b = length(second)
        k[0] = 0
        k[1] = shift
        k[2] = length(shoulder[0])
        k[3] = length(shoulder[1])
        k[4], k[5] = halves((a + b) ** 2)
        k[6], k[7] = halves((a - b) ** 2)
        k[8], k[9] = halves(a * a - b * b)
        for i in range(2):
            k[10 + i] = rounded(scales[i] * 180 << 42, 1000 * _PI)
        self.switches = [
            get("scara_theta_home", 5) + get("endstop_trim_x", 5),
            get("scara_psi_home", 5) + get("endstop_trim_y", 5),
            (high if get("home_to_max_z", 0) else low) + get("endstop_trim_z", 5),
        ]
        self.signs = [1 if get("home_to_max_" + axis, 0) else -1 for axis in "xyz"]
        self.travels = [450 * DEGREE, 450 * DEGREE, (high - low) * 5 // 4 + _MARGIN]
        if factors == [10**5] * 3:
            self.easy(shoulder[0], shoulder[1], outer, self._inner, low, high)
            fits = size < _FAR << 12
            self._rough[7] = max(first, second) * 27747 // 10**7 + 1 if fits else 0
            for i in range(2):
                self._rough[i] = shoulder[i] >> 12
            for i, length in enumerate((outer, least, first + second, first - second)):
                self._rough[2 + i] = (length >> 12) ** 2 if fits else 0
        else:
            self.easy(0, 0, 0, 0, 0, -1)
            self._rough[7] = 0

    def _seen(self, place):
        # X Y Z from the shoulder, in true lengths
        x, y, z = [rounded(place[i] * self._factors[i], 10**5) for i in range(3)]
        return x - self._shoulder[0], y - self._shoulder[1], z

    def check(self, here, there, soft):
        """None, or why the straight way from `here` to `there` cannot be made. `soft`: within the limits of the bed."""
        x, y, z = self._seen(there)
        inner = self._inner if soft else self._least
        away = root(x * x + y * y)
        if away > self._outer + _SLACK or away < inner - _SLACK:
            return "%s mm from the shoulder, should be %s to %s" % (mm(away), mm(inner), mm(self._outer))
        low, high = self._low, self._high
        if not soft:
            low -= _MARGIN
            high += _MARGIN
        if not low <= z <= high:
            return "should be Z%s to Z%s%s" % (mm(low), mm(high), " (M211 S0 lifts it)" if soft else "")
        if y < 0 and abs(x) < _CUT:
            return "straight behind the shoulder; the arms turn from there to there the other way round"
        x0, y0, _ = self._seen(here)
        if (x0 < 0) != (x < 0) and (y0 * (x - x0) < x0 * (y - y0)) == (x > x0):
            return "the way passes behind the shoulder"
        # From within the inner radius, where the arms may stand after homing, ways may lead out
        nearest = root(self._nearest(x0, y0, x, y))
        if nearest < min(inner, root(x0 * x0 + y0 * y0)) - _SLACK:
            return "the way passes %s mm from the shoulder, should be at least %s" % (mm(nearest), mm(inner))
        return None

    def _nearest(self, x0, y0, x, y):
        # Square of the distance at which a straight way passes the shoulder
        dx, dy = x - x0, y - y0
        along = -(x0 * dx + y0 * dy)
        square = dx * dx + dy * dy
        if along <= 0:
            return x0 * x0 + y0 * y0
        if along >= square:
            return x * x + y * y
        return (x0 * dy - y0 * dx) ** 2 // square

    def limit(self, speeds, rates, rate):
        super().limit(speeds, rates, rate)
        # Within 30 bits at the best angle, too, where an arm turns by 57.3 degrees over its own length
        least = min(self._first, self._second)
        self._rough[6] = min(self.fastest, (0x3FFFFFFF * 5_000_000 // least) if least else 1)

    def slow(self, here, request):
        """Lower the speed of a request of the planner that begins `here` to what the arms may."""
        if not self._rough[7] or not _slow(here, request, self._rough):
            super().slow(here, request)

    def ratio(self, here, there):
        """Highest speed of an arm, degrees/s, over the speed along the path, mm/s, in 1/256 (an upper bound)."""
        if here[0] == there[0] and here[1] == there[1]:
            return 0
        x0, y0, _ = self._seen(here)
        x, y, _ = self._seen(there)
        first, second = self._first, self._second
        # An arm turns by 1 / (length * sine of the angle between both); the sine is least at an end of the range
        farthest = min(max(x0 * x0 + y0 * y0, x * x + y * y), self._outer**2)
        nearest = max(self._nearest(x0, y0, x, y), self._least**2)
        least = min(
            ((first + second) ** 2 - farthest) * (farthest - (first - second) ** 2),
            ((first + second) ** 2 - nearest) * (nearest - (first - second) ** 2),
        )
        # sine = root(least) / (2 A B); 1 radian/s per mm/s is 57.2958 degrees
        return 2 * max(first, second) * 57_295_780 * 256 // (root(least) * 10) + 1

    def home(self):
        """After homing the arms stay where they are: None."""

    def axes(self, motors):
        """Motor positions in 1/4096 step -> X Y Z of the tool, 10 nm."""
        theta_sine, theta_cosine = sine_cosine(self.motor_units(0, motors[0]))
        psi_sine, psi_cosine = sine_cosine(self.motor_units(1, motors[1]))
        x = (self._first * theta_cosine + self._second * psi_cosine >> 30) + self._shoulder[0]
        y = (self._first * theta_sine + self._second * psi_sine >> 30) + self._shoulder[1]
        place = (x, y, self.motor_units(2, motors[2]))
        return [rounded(place[i] * 10**5, self._factors[i]) for i in range(3)]
