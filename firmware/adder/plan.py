"""From a request to a block: length, steps, the limits of axes and drivers, and what the corner allows.

This is what adder/hal/plan_thumb.py does in inline assembler, with the same results to the last bit: the tests compare
both on the emulated board. Products and squares have up to 60 bits, so no speed or acceleration is off by more than the
rounding of its unit, and lengths are right to the nearest 10 nm.

Units and layouts: adder/planner.py.
"""

from micropython import const

# Request
_R_MOTOR = const(4)
_R_SPEED = const(8)
_R_ACCEL = const(9)
_R_LENGTH = const(10)
_R_TOP = const(11)
_R_UNIT = const(12)
_R_ASKED = const(16)
_R_ALLOWED = const(17)

# Limits
_L_ACCEL = const(4)
_L_JERK = const(8)
_L_DEVIATION = const(12)
_L_CLASSIC = const(13)
_L_FILAMENT = const(14)
_L_ADVANCE = const(15)
_L_STEPS_MM = const(16)
_L_REST = const(20)
_L_STEP_RATE = const(24)
_L_PLANNED = const(28)

# State
_EVENT = const(3)
_FEED = const(4)
_PREV_ACCEL = const(5)
_DIRTY = const(7)
_PREV_UNIT = const(8)
_SLOWED = const(12)
_WANTED = const(13)
_LOW = const(14)
_SHORTEST = const(15)

_V2_MAX = const(0x1FFFFFFF)
_SPEED_MAX = const(0x0FFFFFFF)
_ACCEL_MAX = const(1 << 21)
_V2_UNIT = const(39062500)  # (10 nm/s)^2 in a unit of v2
_SECOND = const(1000000)  # us
_GAIN = const(50000)  # 10 nm * mm/s^2 / 256, twice, in a unit of v2
_LONG = const(1 << 29)  # 5.4 m: longer ways are parted, so that squares and products fit
_LONG_PARTS = const(8)
_STEPS_MAX = const(200000)  # per block and motor: the slicer carries 12 fraction bits and a sign
_SECONDS_MAX = const(6)  # at 100 %; ten times that at 10 %
_DEN = const(100000000)  # 10 nm * steps per metre -> steps


def plan(pl, blk, rq, lim):
    """Add the move in `rq` to the ring; the caller has made sure that there is room.

    Returns 0 when the block was added, -1 when it makes no step (the fractions of steps are kept), or the number of
    equal parts (2 or more) that it must be made in because it is too long for one block; then nothing was changed.
    """
    # Length: Euclidean over X Y Z, or E if that is longer
    ways = (abs(rq[0]), abs(rq[1]), abs(rq[2]), abs(rq[3]))
    if max(ways) >= _LONG:
        return _LONG_PARTS
    length = root(ways[0] * ways[0] + ways[1] * ways[1] + ways[2] * ways[2])
    across = length
    asked = rq[_R_SPEED]
    if ways[3] > length:
        # Mostly extrusion: the path is measured along E, the feedrate keeps its meaning on X Y Z where there is any.
        if length:
            asked = min(asked * ways[3] // length, _SPEED_MAX)
        length = ways[3]
    rq[_R_LENGTH] = length
    rq[_R_ASKED] = asked
    if not length:
        return -1
    if pl[_LOW]:
        # Moves come too slowly: short ones take longer the less there is to do, so that motion slows down and goes on
        us = length * _SECOND // asked
        if us < pl[_SHORTEST]:
            us += (pl[_SHORTEST] - us) * pl[_LOW] >> 8
            if us:
                asked = min(asked, max(length * _SECOND // us, 1))
                rq[_R_ASKED] = asked

    # Unit vector, and what every axis allows
    accel = min(rq[_R_ACCEL], _ACCEL_MAX) << 8
    top = _SPEED_MAX
    shift = 0
    while length >> shift > 65535:
        shift += 1
    whole = length >> shift
    for axis in range(4):
        way = ways[axis]
        u = 0
        if way:
            u = (((way >> shift) << 15) + (whole >> 1)) // whole
            if rq[axis] < 0:
                u = -u
            most = lim[axis]
            if axis == 3 and across and 0 < lim[_L_FILAMENT] < most:
                most = lim[_L_FILAMENT]
            top = _limit(most, top, length, way)
            most = lim[_L_ACCEL + axis] << 8
            if axis == 3 and 0 < lim[_L_ADVANCE] < most and rq[3] > 0 and (rq[0] or rq[1]):
                most = lim[_L_ADVANCE]
            accel = _limit(most, accel, length, way)
        rq[_R_UNIT + axis] = u

    # Too long for one block, in time or in steps; and a driver takes only so many steps a second
    parts = length // min(asked, top) // _SECONDS_MAX + 1
    slowed = 0
    free = top
    made = []
    for motor in range(4):
        steps, rest = divmod(abs(rq[_R_MOTOR + motor]) * lim[_L_STEPS_MM + motor], _DEN)
        made.append((steps, rest))
        if steps:
            limited = _limit(lim[_L_STEP_RATE + motor], top, length, steps)
            if limited < top:
                top = limited
                slowed = motor + 1
            if steps >= _STEPS_MAX:
                parts = max(parts, steps // _STEPS_MAX + 1)
    rq[_R_TOP] = top
    rq[_R_ALLOWED] = accel
    if parts != 1:
        return parts

    # Steps, exactly: the remainders are carried from move to move, so nothing is ever lost
    b = (pl[0] & 63) * 16
    moved = 0
    for motor in range(4):
        steps, rest = made[motor]
        if rq[_R_MOTOR + motor] < 0:
            steps = -steps
            rest = -rest
        rest += lim[_L_REST + motor]
        if rest >= _DEN:
            rest -= _DEN
            steps += 1
        elif rest < 0:
            rest += _DEN
            steps -= 1
        lim[_L_REST + motor] = rest
        lim[_L_PLANNED + motor] += steps
        blk[b + 8 + motor] = steps
        moved |= steps
    if not moved:
        return -1
    if slowed and asked > top and not pl[_SLOWED]:
        pl[_SLOWED] = slowed
        pl[_WANTED] = min(asked, free) * made[slowed - 1][0] // length

    kink, junction = _corner(pl, rq, lim)
    for axis in range(4):
        pl[_PREV_UNIT + axis] = rq[_R_UNIT + axis]
    pl[_PREV_ACCEL] = accel

    # The block, in the order of its fields
    speed = asked
    percent = pl[_FEED]
    if percent != 100:
        if percent > 100 and speed > _SPEED_MAX // percent * 100:
            speed = _SPEED_MAX
        else:
            speed = speed * percent // 100
    speed = min(speed, top)
    nominal = min(speed * speed // _V2_UNIT, _V2_MAX)
    if not nominal and percent:
        nominal = 1
    blk[b] = length
    blk[b + 1] = speed
    blk[b + 2] = accel
    blk[b + 3] = nominal
    blk[b + 4] = junction
    blk[b + 5] = 0
    blk[b + 6] = max(1, min(accel * length // _GAIN, _V2_MAX))
    blk[b + 7] = pl[_EVENT]
    blk[b + 12] = asked
    blk[b + 13] = top
    blk[b + 14] = kink
    blk[b + 15] = 0
    pl[0] += 1
    pl[_DIRTY] = 1
    return 0


def _limit(limit, now, length, way):
    # What is `now` along the path is now * way / length along the axis, and that no more than `limit`
    if limit * length >= now * way:
        return now
    return limit * length // way


def _corner(pl, rq, lim):
    # How sharp the corner after the block before is for the motors, and the v2 that it allows
    junction = _V2_MAX
    kink = 0
    s2 = 0
    classic = lim[_L_CLASSIC]
    for axis in range(4):
        d = abs(rq[_R_UNIT + axis] - pl[_PREV_UNIT + axis])
        if d:
            kink = max(kink, d * (lim[_L_STEPS_MM + axis] >> 10) >> 5)
            if classic:
                v = (lim[_L_JERK + axis] << 15) // d
                if v < 32768:
                    junction = min(junction, v * v >> 4)
            else:
                d = (d + 1) >> 1
                s2 += d * d
    if not classic:
        # v^2 = a * deviation * c (1 + c) / s^2, with s and c the sine and cosine of half the turn (Marlin's rule after
        # onehossshay, written with s so that small turns keep their precision). |difference of unit vectors| = 2 s.
        # A little more, so that a reversal is one in spite of rounding.
        s2 >>= 2
        s2 += s2 >> 14
        if s2 >= 1 << 28:
            return kink, 0
        k = min(min(rq[_R_ALLOWED], pl[_PREV_ACCEL]) * lim[_L_DEVIATION] // 1000, _V2_MAX)
        if s2 > k:
            c = root((1 << 28) - s2, False)
            junction = min(k * (c * (16384 + c)) // s2, _V2_MAX)
    return kink, junction


def root(n, nearest=True):
    """Square root of n < 2**60, rounded to nearest or down."""
    r = 0
    bit = 1 << 58
    while bit > n:
        bit >>= 2
    while bit:
        if n >= r + bit:
            n -= r + bit
            r = (r >> 1) + bit
        else:
            r >>= 1
        bit >>= 2
    return r + 1 if nearest and n > r else r
