"""Linear delta: three carriages on vertical towers, each with a pair of rods to the effector.

The carriage of the tower at (xi, yi) stands at the height z + sqrt(L^2 - (x - xi)^2 - (y - yi)^2) when the nozzle is
at (x, y, z); L is the length of the rods. The towers X, Y, Z stand at 210, 330 and 90 degrees (Marlin's order), at the
delta radius from the middle, less what effector and carriages take off.
"""

import sys
from array import array

from adder.kinematics.bent import FLATTEST, MOST, UM, Bent, mm
from adder.kinematics.fixed import DEGREE, halves, root, rounded, sine_cosine, whole

if sys.platform == "rp2":
    from adder.hal.delta_thumb import delta
else:

    def delta(at, k):
        """Position of the nozzle -> heights of the carriages, in place. See `Delta.k`."""
        x = at[0] >> k[12]
        y = at[1] >> k[12]
        z = at[2] >> k[12]
        for i in range(3):
            at[i] = z + root(whole(k[6 + i], k[9 + i]) - (x - k[i]) ** 2 - (y - k[3 + i]) ** 2)


_TOWERS = (210 * DEGREE, 330 * DEGREE, 90 * DEGREE)
_SLACK = 1000  # 10 nm: rounding does not make a place unreachable
_MARGIN = 20 * 1000 * UM  # a machine is larger than its bed


class Delta(Bent):
    """A delta whose towers all have the same steps per mm.

    `k`, as `bend` reads it, lengths in 1/4096 motor step: x and y of the towers (0-2, 3-5), square of the rods' length
    for each (6-8 low, 9-11 high), shift from virtual to motor steps (12).
    """

    name = "delta"
    number = 2
    bend = staticmethod(delta)

    def __init__(self):
        super().__init__(13)
        self.shift = 0

    def motors(self, axis):
        """Every axis but E moves all towers."""
        return 7 if axis < 3 else 8

    def groups(self, axes):
        """All carriages are homed together, whatever axes are named."""
        return [(0, 1, 2)]

    def configure(self, get):
        """Take the geometry from the settings: get(name, decimals) gives scaled integers. Sets `problem`."""
        scales = [get("steps_per_mm_" + axis, 3) for axis in "xyz"]
        scale = scales[0]
        rod = get("delta_rod", 5)
        radius = get("delta_radius", 5)
        bed = get("delta_print_radius", 5)
        height = get("delta_height", 5)
        low = get("z_min", 5)
        # The flattest rods are those to the far side of the bed
        farthest = rod * root((FLATTEST**2 - 1) << 40) // FLATTEST >> 20
        around = max(radius, bed)
        size = max(around, height, -low) + _MARGIN
        shift = 4
        while shift and size * (scale << shift) >= MOST:
            shift -= 1
        self.problem = self._problem(scales, rod, radius, bed, farthest, size, height)
        self._level = self._steepest = 256
        if self.problem:
            return
        self.shift = shift
        self.scales = array("i", [scale << shift] * 3)
        self.motor_scales = array("i", [scale] * 3)
        self._rod = rod
        self._bed = bed
        self._outer = around
        self._low = low
        self._towers = []
        k = self.k
        length = rounded(rod * scale * 4096, 10**8)
        for i in range(3):
            sine, cosine = sine_cosine(_TOWERS[i] + get("delta_angle_" + "xyz"[i], 5))
            x = radius * cosine
            y = radius * sine
            self._towers.append((x >> 30, y >> 30))
            k[i] = rounded(x * scale * 4096, 10**8 << 30)
            k[3 + i] = rounded(y * scale * 4096, 10**8 << 30)
            k[6 + i], k[9 + i] = halves(length * length)
        k[12] = shift
        # With the nozzle in the middle at `height` the carriages are at `top`; their switches are higher by -trim
        self.height = height
        self.top = height + root(rod * rod - radius * radius)
        self.switches = [self.top - get("endstop_trim_" + axis, 5) for axis in "xyz"]
        self.travels = [height + rod] * 3
        # Below `_clip` no carriage gets to its switch, wherever on the bed the nozzle is
        near = radius - bed if radius > bed else 0
        self._clip = min(self.switches) - root(rod * rod - near * near)
        self.easy(0, 0, bed, -bed, low, self._clip)
        # Carriage speed over path speed: level moves, and all others
        steep = root(rod * rod - (radius + bed) * (radius + bed))
        self._level = (radius + bed) * 256 // steep + 1
        self._steepest = rod * 256 // steep + 1

    def _problem(self, scales, rod, radius, bed, farthest, size, height):
        if min(scales) != max(scales):
            return "M92 X%s Y%s Z%s: a delta needs the same steps per mm on its towers" % tuple(
                [mm(scale * 100) for scale in scales]
            )
        if radius + bed > farthest:
            return "M665 L%s R%s B%s: rods too short, L should be at least %s for this R and B" % (
                mm(rod),
                mm(radius),
                mm(bed),
                mm((radius + bed) * rod // farthest + 1000),
            )
        most = MOST // max(size, rod)
        if scales[0] > most:
            return "M92 X%s: should be at most %s for a delta with rods of %s mm and a height of %s mm" % (
                mm(scales[0] * 100),
                mm(most * 100),
                mm(rod),
                mm(height),
            )
        return None

    def home(self):
        """Where the nozzle goes after homing, X Y Z in 10 nm: in the middle, no carriage above its switch."""
        return [0, 0, min(self.top, min(self.switches)) - self.top + self.height]

    def slow(self, here, request):
        """Lower the speed of a request of the planner to what the carriages may."""
        if request[0] or request[1]:
            most = self.fastest * 256 // (self._steepest if request[2] else self._level)
        elif request[2]:
            most = self.fastest
        else:
            return
        if request[8] > most:
            request[8] = max(most, 1)

    def ratio(self, here, there):
        """Highest speed of a carriage over the speed along the path, in 1/256 (an upper bound)."""
        if there[2] == here[2]:
            return self._level
        if there[0] == here[0] and there[1] == here[1]:
            return 256
        return self._steepest

    def _heights(self, x, y):
        # Of the three carriages above the nozzle, 10 nm; None where a rod is too short
        heights = []
        for tower_x, tower_y in self._towers:
            square = self._rod**2 - (x - tower_x) ** 2 - (y - tower_y) ** 2
            if square * FLATTEST**2 < self._rod**2:
                return None
            heights.append(root(square))
        return heights

    def check(self, here, there, soft):
        """None, or why the straight way from `here` to `there` cannot be made. `soft`: within the limits of the bed."""
        x, y, z = there[0], there[1], there[2]
        away = root(x * x + y * y)
        if away > (self._bed if soft else self._outer) + _SLACK:
            if soft:
                return "%s mm from the middle, should be at most %s (M665 B)" % (mm(away), mm(self._bed))
            return "%s mm from the middle, should be at most %s" % (mm(away), mm(self._outer))
        if z < (self._low if soft else self._low - _MARGIN):
            return "should be at least Z%s%s" % (
                mm(self._low if soft else self._low - _MARGIN), " (M211 S0 lifts it)" if soft else "")
        heights = self._heights(x, y)
        if heights is None:
            return "rods of %s mm are too short for it (M665 L)" % mm(self._rod)
        over = max([z + heights[i] - self.switches[i] for i in range(3)])
        if over > _SLACK:
            return "a carriage would pass its switch, should be at most Z%s there (M665 H)" % mm(z - over)
        if z < self._clip and here[2] < self._clip:
            return None
        # Carriages go up and down again on a level way: the highest place of each, by ternary search
        for i in range(3):
            if self._highest(here, there, i) > self.switches[i] + _SLACK:
                return "a carriage would pass its switch on the way, go lower first"
        return None

    def _highest(self, here, there, i):
        # Of one carriage on a straight way. Its height over the way is a concave function.
        tower_x, tower_y = self._towers[i]

        def height(t):
            x, y, z = [here[n] + ((there[n] - here[n]) * t >> 20) for n in range(3)]
            return z + root(self._rod**2 - (x - tower_x) ** 2 - (y - tower_y) ** 2)

        low = 0
        high = 1 << 20
        while high - low > 256:
            third = (high - low) // 3
            if height(low + third) < height(high - third):
                low += third
            else:
                high -= third
        return height((low + high) >> 1)

    def axes(self, motors):
        """Positions of the carriages in 1/4096 step -> where the nozzle is, 10 nm.

        It lies on three spheres around the carriages. Seen from the first carriage, with p and q the ways to the other
        two, n = p x q and c the point of their plane at equal distances, it is c - n t, so that its distance is the
        rods' length. All in exact integers.
        """
        k = self.k
        ax, ay, az = k[0], k[3], motors[0]
        px, py, pz = k[1] - ax, k[4] - ay, motors[1] - az
        qx, qy, qz = k[2] - ax, k[5] - ay, motors[2] - az
        nx, ny, nz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
        n = nx * nx + ny * ny + nz * nz
        p = px * px + py * py + pz * pz
        q = qx * qx + qy * qy + qz * qz
        # c = (p (q x n) + q (n x p)) / 2n
        cx = p * (qy * nz - qz * ny) + q * (ny * pz - nz * py)
        cy = p * (qz * nx - qx * nz) + q * (nz * px - nx * pz)
        cz = p * (qx * ny - qy * nx) + q * (nx * py - ny * px)
        length = whole(k[6], k[9])
        t = root((length * 4 * n * n - cx * cx - cy * cy - cz * cz) // n)
        scale = self.motor_scales[0] * 4096
        return [
            rounded((2 * n * from_a + c - direction * t) * 10**8, 2 * n * scale)
            for from_a, c, direction in ((ax, cx, nx), (ay, cy, ny), (az, cz, nz))
        ]
