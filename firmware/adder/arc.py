"""Arcs: G2 and G3 as chains of short straight moves, each queued exactly as a G1 is.

The centre is an integer point. Every point between the ends is turned out of the start by its own angle, with sine and
cosine taken anew, so that no error adds up; the last point is the end that was asked for. E and Z grow by whole units
whose sum is exact.

How long a segment may be: its middle lies off the arc by the sagitta r (1 - cos(d / 2)), at most r d^2 / 8 for a turn
of d. How fast the arc may be: v^2 / r is the acceleration towards the centre, so v <= sqrt(a r) keeps it within what a
print or travel move may use; and no corner between two segments may be slower than that: the speed is to be even.
"""

from array import array
from math import atan2, cos, pi, sin, sqrt

from adder import frame
from adder.errors import Refused
from adder.frame import AXES, MOVES, TOO_COLD, UNIT, E, X, Y, Z

TOLERANCE = UNIT // 200  # how far a chord may ever be from its arc, 0.005 mm
TURNS_MAX = 100
_SAGITTA_MM = 0.0025
_SAGITTA_MAX_MM = 0.0048  # the rest of the tolerance is for rounding
_WIDEST = 0.8  # rad in a segment, however small the arc
_RATE = 1000  # segments/s that the board can make with a margin
_MARGIN = 0.9  # by which corners are faster than the arc
_MISFIT_MM = 0.05  # radii at both ends may differ by so much, or 1/1000 of the radius, or a quarter of a tiny one
_MISFIT_MAX_MM = 0.5
_LISTEN = 31  # look for what the host sends every so many segments less one
_FURTHEST = 10_000 * UNIT
_AROUND_MM = 0.05  # between an arc and the polygon around it that has to be in reach


class Arcs:
    """Makes the arcs of one printer's motion."""

    def __init__(self, motion):
        self._motion = motion
        self._cx = self._cy = 0  # centre, 10 nm
        self._ax = self._ay = 0  # from the centre to the start
        self._misfit = 0.0  # radius at the end less that at the start, as a part of the latter
        self._radius_mm = 0.0  # the greater one
        self._sweep = 0.0  # rad without extra turns, above 0 to 2 pi
        self._sign = 1  # counter-clockwise
        self._cap = 0  # highest speed, 10 nm/s
        self._segment_mm = 0.0
        self.apply_settings()
        motion.settings.on_change("", self.apply_settings)

    def apply_settings(self, _=None):
        """Take over M214's values and the limits that arcs depend on."""
        get = self._motion.setting
        self._longest_mm = get("arc_segment_max", 3) / 1000
        self._shortest_mm = get("arc_segment_min", 3) / 1000
        self._fewest = get("arc_segments", 0)
        self._per_s = get("arc_segments_per_s", 0)
        self._feed_xy = min(get("max_feedrate_x", 5), get("max_feedrate_y", 5), frame.SPEED_MAX)
        self._accel = [get("max_acceleration_" + axis, 0) for axis in "xyze"]
        self._deviation_mm = 0.0
        self._jerk = 0.0  # mm/s
        if not get("junction_deviation", 3):
            self._jerk = min(get("jerk_x", 3), get("jerk_y", 3)) / 1000
        else:
            self._deviation_mm = get("junction_deviation", 3) / 1000

    def move(self, c, clockwise):
        """G2 (clockwise) or G3: queue an arc; waits (pumping) while the planner is full.

        Letters: X Y Z E F as in G1; the centre as I J (from the start) or the radius as R (below zero: the long way
        round); P extra turns, 0 to 100. Raises Refused for what is not an arc, or an arc that leaves the limits: then
        nothing moves and nothing has changed.
        """
        motion = self._motion
        state = motion.frame.state
        feedrate = state[frame.FEEDRATE]
        motion.check_cold()
        if motion.feeder.braking:
            motion.wait_for_rest()
        try:
            turns = _turns(c)
            result = frame._targets(c.record, state)
            if result < 0:
                motion.frame.explain(c)
            if abs(state[frame.TARGET + E] - state[frame.POSITION + E]) > _FURTHEST:
                motion.frame.explain(c)
            self._sign = -1 if clockwise else 1
            self._find_centre(c)
            self._measure(c)
            self._check_limits(turns)
            if not motion.kinematics.linear:
                self._check_reach(turns)
        except Refused:
            state[frame.FEEDRATE] = feedrate
            raise
        self._run(turns)

    # What the arc is

    def _find_centre(self, c):
        state = self._motion.frame.state
        inch = self._motion.inch
        x = state[frame.POSITION]
        y = state[frame.POSITION + Y]
        if c.has("R"):
            if c.has("I") or c.has("J"):
                raise Refused("I J and R together; an arc has its centre (I J) or its radius (R)")
            dx = state[frame.TARGET] - x
            dy = state[frame.TARGET + Y] - y
            self._ax, self._ay = self._by_radius(c, dx, dy, c.length("R", inch))
        elif c.has("I") or c.has("J"):
            self._ax = -c.length("I", inch) if c.has("I") else 0
            self._ay = -c.length("J", inch) if c.has("J") else 0
            if not (self._ax or self._ay):
                raise Refused("I and J are both 0; one must lead from the start to the centre")
        else:
            raise Refused("an arc needs its centre (I J, from the start) or its radius (R)")
        self._cx = x - self._ax
        self._cy = y - self._ay

    def _by_radius(self, c, dx, dy, radius):
        # The start seen from the centre that lies `radius` from both ends, on the side that makes the arc short
        square = dx * dx + dy * dy
        if not square:
            raise Refused("R%s: start and end are the same; a full circle needs I J" % c.show("R"))
        distance = sqrt(square)
        rest = 4 * radius * radius - square
        if rest < 0:
            if distance - 2 * abs(radius) > TOLERANCE:
                raise Refused(
                    "R%s cannot reach: the end is %.3f mm away, R should be at least %.3f mm (or at most %.3f)"
                    % (c.show("R"), distance / UNIT, distance / UNIT / 2, -distance / UNIT / 2)
                )
            rest = 0
        # From the middle of the chord to the centre, in half chords: to the left of the way when counter-clockwise
        share = sqrt(rest) / distance * self._sign
        if radius < 0:
            share = -share
        return -_nearest((dx - dy * share) / 2), -_nearest((dy + dx * share) / 2)

    def _measure(self, c):
        # Radii and angle
        state = self._motion.frame.state
        ax = self._ax
        ay = self._ay
        bx = state[frame.TARGET] - self._cx
        by = state[frame.TARGET + Y] - self._cy
        before = sqrt(ax * ax + ay * ay)
        after = sqrt(bx * bx + by * by)
        # By the difference of exact squares: that of two floats would be coarse
        misfit = (bx * bx + by * by - ax * ax - ay * ay) / (before + after)
        radius_mm = max(before, after) / UNIT
        allowed_mm = min(max(_MISFIT_MM, radius_mm / 1000), _MISFIT_MAX_MM, radius_mm / 4)
        if abs(misfit) > allowed_mm * UNIT:
            raise Refused(
                "the radius is %.3f mm at the start and %.3f mm at the end; the centre must fit both within %.3f mm"
                % (before / UNIT, after / UNIT, allowed_mm)
            )
        self._misfit = misfit / before
        self._radius_mm = radius_mm
        if bx == ax and by == ay:
            self._sweep = 2 * pi
        else:
            self._sweep = self._sign * atan2(ax * by - ay * bx, ax * bx + ay * by)
            if self._sweep <= 0:
                self._sweep += 2 * pi

    def _check_limits(self, turns):
        # No point may lie outside: an arc that is cut off at a limit would be another shape
        state = self._motion.frame.state
        radius = int(self._radius_mm * UNIT) + 1
        limited = state[frame.HOMED] if state[frame.MODES] & frame.SOFT_ENDSTOPS else 0
        for axis in range(3):
            low = -_FURTHEST
            high = _FURTHEST
            if limited >> axis & 1:
                low = state[frame.LOW + axis]
                high = state[frame.HIGH + axis]
            end = lowest = highest = state[frame.TARGET + axis]
            if axis < Z:
                centre = self._cy if axis else self._cx
                if low <= centre - radius and centre + radius <= high:
                    continue
                # Where the arc goes furthest, but for what is rounding
                start = atan2(self._ay, self._ax)
                for quarter in (axis, axis + 2):
                    way = (quarter * pi / 2 - start) * self._sign
                    if turns or way % (2 * pi) <= self._sweep:
                        if quarter < 2:
                            highest = max(highest, centre + radius - TOLERANCE)
                        else:
                            lowest = min(lowest, centre - radius + TOLERANCE)
            if low <= lowest and highest <= high:
                continue
            furthest = lowest if lowest < low else highest
            if furthest != end:
                furthest += TOLERANCE if furthest > end else -TOLERANCE
            what = "the arc leads to %s%.2f" % (AXES[axis], furthest / UNIT)
            if limited >> axis & 1:
                within = "%.2f to %.2f mm" % (low / UNIT, high / UNIT)
                raise Refused("%s, should stay within %s (M211 S0 lifts it)" % (what, within))
            raise Refused(what + "; a move must stay within 10 m")

    def _check_reach(self, turns):
        # Refused when the kinematics cannot follow: asked about a polygon around the arc, at the heights of both ends
        motion = self._motion
        state = motion.frame.state
        reach = motion.kinematics.reach
        soft = motion.soft_endstops
        sweep = 2 * pi if turns else self._sweep
        n = int(sweep / min(2 * sqrt(2 * _AROUND_MM / self._radius_mm), _WIDEST)) + 1
        step = sweep * self._sign / n
        ax = self._ax / cos(step / 2)
        ay = self._ay / cos(step / 2)
        here = array("i", state[frame.POSITION : frame.POSITION + 3])
        there = array("i", state[frame.TARGET : frame.TARGET + 3])
        for z in (here[Z], there[Z]):
            here[X] = state[frame.POSITION]
            here[Y] = state[frame.POSITION + Y]
            here[Z] = there[Z] = z
            for k in range(n):
                c = cos(step * (k + 0.5))
                s = sin(step * (k + 0.5))
                there[X] = self._cx + int(ax * c - ay * s)
                there[Y] = self._cy + int(ax * s + ay * c)
                why = reach(here, there, soft)
                if why:
                    raise Refused(why)
                here[X] = there[X]
                here[Y] = there[Y]
            there[X] = state[frame.TARGET]
            there[Y] = state[frame.TARGET + Y]
            why = reach(here, there, soft)
            if why:
                raise Refused(why)
            if z == state[frame.TARGET + Z]:
                break

    # How it is made

    def _cut(self, way_mm, dz, de):
        # Length of a segment and highest speed, for an arc of `way_mm` in the plane with these ways of Z and E
        motion = self._motion
        state = motion.frame.state
        radius_mm = self._radius_mm
        accel = min(state[frame.ACCEL_PRINT if de else frame.ACCEL_TRAVEL], self._accel[X], self._accel[Y])
        corner_accel = accel
        if dz or de:
            length_mm = sqrt(way_mm * way_mm + (dz / UNIT) * (dz / UNIT))
            if dz:
                corner_accel = min(corner_accel, self._accel[Z] * length_mm * UNIT / abs(dz))
            if de:
                corner_accel = min(corner_accel, self._accel[E] * length_mm * UNIT / abs(de))
        push = accel * radius_mm
        if self._jerk:
            push = min(push, self._jerk * radius_mm * _RATE)
        percent = max(motion.feed_percent, 1) / 100
        asked = state[frame.FEEDRATE] * percent / UNIT
        speed = max(min(asked, self._feed_xy / UNIT, sqrt(push)), 0.01)

        segment = min(self._longest_mm, sqrt(8 * _SAGITTA_MM * radius_mm))
        if self._per_s:
            segment = min(segment, speed / self._per_s)
        if self._fewest:
            segment = min(segment, way_mm / self._fewest)
        if self._jerk:
            segment = min(segment, radius_mm * _MARGIN * self._jerk / speed)
        elif self._deviation_mm:
            segment = min(segment, radius_mm * sqrt(8 * _MARGIN * corner_accel * self._deviation_mm) / speed)
        segment = max(segment, self._shortest_mm, speed / _RATE)
        segment = min(segment, sqrt(8 * _SAGITTA_MAX_MM * radius_mm), _WIDEST * radius_mm)
        self._segment_mm = segment

        # Whatever the segment has become: no corner slower than the arc
        turn = segment / radius_mm
        if self._jerk:
            speed = min(speed, _MARGIN * self._jerk / turn)
        elif self._deviation_mm:
            c = cos(turn / 2)
            s = sin(turn / 2)
            speed = min(speed, sqrt(_MARGIN * corner_accel * self._deviation_mm * c * (1 + c)) / s)
        self._cap = max(int(min(speed / percent, 2000) * UNIT), 1)

    def _run(self, turns):
        motion = self._motion
        state = motion.frame.state
        end_x = state[frame.TARGET]
        end_y = state[frame.TARGET + Y]
        way_z = state[frame.TARGET + Z] - state[frame.POSITION + Z]
        way_e = state[frame.TARGET + E] - state[frame.POSITION + E]
        circle = 2 * pi * self._radius_mm
        way = turns * circle + self._sweep * self._radius_mm
        self._cut(way, way_z, way_e)
        start_x = state[frame.POSITION]
        start_y = state[frame.POSITION + Y]
        z = e = 0
        for turn in range(turns):
            share = (turn + 1) * circle / way
            dz = _nearest(way_z * share) - z
            de = _nearest(way_e * share) - e
            z += dz
            e += de
            if not self._part(2 * pi, 0.0, start_x, start_y, dz, de):
                return
        self._part(self._sweep, self._misfit, end_x, end_y, way_z - z, way_e - e)

    def _part(self, sweep, misfit, end_x, end_y, dz, de):
        # At most one turn; False when everything was dropped meanwhile. Ways of Z and E for every segment alike but
        # for a unit, by counting up the remainders.
        motion = self._motion
        state = motion.frame.state
        request = motion.feeder.planner.request
        queue = motion.queue
        ask = frame._ask
        taken = motion.frame.taken
        target = frame.TARGET
        target_y = target + Y
        target_z = target + Z
        target_e = target + E
        position_e = frame.POSITION + E
        cap = self._cap
        stops = motion.stops
        cx = self._cx
        cy = self._cy
        ax = float(self._ax)
        ay = float(self._ay)
        n = int(sweep * self._radius_mm / self._segment_mm) + 1
        step = sweep * self._sign / n
        spiral = 0.0
        if abs(misfit) * self._radius_mm > 0.0005:
            spiral = misfit / n
        z = state[frame.POSITION + Z]
        z_each, z_rest = divmod(dz, n)
        e_each, e_rest = divmod(de, n)
        z_sum = e_sum = n // 2
        k = 0
        while k < n:
            k += 1
            if k < n:
                a = step * k
                c = cos(a)
                s = sin(a)
                if spiral:
                    a = 1 + spiral * k
                    c *= a
                    s *= a
                state[target] = cx + int(ax * c - ay * s)
                state[target_y] = cy + int(ax * s + ay * c)
            else:
                state[target] = end_x
                state[target_y] = end_y
            z += z_each
            z_sum += z_rest
            if z_sum >= n:
                z_sum -= n
                z += 1
            state[target_z] = z
            e_sum += e_rest
            if e_sum >= n:
                e_sum -= n
                state[target_e] = state[position_e] + e_each + 1
            else:
                state[target_e] = state[position_e] + e_each
            if not k & _LISTEN:
                motion.pump(0)
                if motion.stops != stops or motion.feeder.dead:
                    return False
            result = ask(state, request)
            if result & TOO_COLD:
                motion._explain(TOO_COLD)
            if result & MOVES:
                if request[8] > cap:
                    request[8] = cap
                if not queue():
                    return False
            taken()
        return True


def _turns(c):
    # Extra turns; Refused for these and for letters of the centre that have no number
    for letter in "IJRP":
        if c.has(letter) and not c.valued(letter):
            raise Refused("%s has no number; leave the letter out or give it one" % letter)
    if not c.has("P"):
        return 0
    turns = c.scaled("P", 3)
    if turns % 1000 or not 0 <= turns <= TURNS_MAX * 1000:
        raise Refused("P%s: extra turns should be a whole number from 0 to %d" % (c.show("P"), TURNS_MAX))
    return turns // 1000


def _nearest(value):
    # round() to even would do as well, but for its cost
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)
