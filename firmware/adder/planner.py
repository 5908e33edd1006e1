"""Look-ahead planner: turns moves into blocks and gives every block the highest speeds that the limits allow.

A ring of blocks waits here until the slicer takes them. Adding a block computes its length, its nominal speed and
acceleration under the limits of each axis, and the highest speed at the junction with the block before it (junction
deviation, or classic jerk). The entry speeds are settled later, by a backward and a forward pass over the ring just
before the slicer takes blocks (`look_ahead`), so that the machine can always stop at the end of what is known. A block
that the slicer has taken is sealed: the speed at its end is the fixed entry speed of the next one. Its place in the
ring stays as it is until much later, so that the slicer can hand back what it has not made of it.

The feedrate percentage acts on everything in the ring: each block keeps the speed that was asked for and the highest
speed that the limits allow. Zero per cent is a hold: the speed goes down to rest as fast as the accelerations allow.

Units, chosen so that everything fits 31 bits: length 10 nm; speed 10 nm/s; acceleration mm/s^2; squared speed
(mm/s)^2 / 256 ("v2"), so at most 1448 mm/s; unit vectors 1/32768.
"""

from array import array

import micropython
from micropython import const

from adder.fixmath import isqrt, muldiv

# Fields of a block; adder/slicer.py reads the same layout.
BLOCK_FIELDS = 16
_LENGTH = const(0)  # 10 nm
_SPEED = const(1)  # nominal, 10 nm/s
_ACCEL = const(2)  # mm/s^2
_NOMINAL_V2 = const(3)
_JUNCTION_V2 = const(4)  # what the corner at the entry allows
_ENTRY_V2 = const(5)  # planned
_GAIN_V2 = const(6)  # 2 a L: how much v2 can change over the block
_EVENTS = const(7)  # number of the last event that is due when the block begins
_STEPS = const(8)  # 4 motors, signed
_ASKED = const(12)  # speed at 100 %, 10 nm/s
_TOP = const(13)  # highest speed that the limits allow, 10 nm/s
_KINK = const(14)  # how sharply any motor's speed changes at the entry: steps/m * change of unit vector / 2**15
_DONE = const(15)  # part that has been made, 2**-29: 0 but for a block that was handed back
_STRIDE = const(16)

BLOCKS = 64
CAPACITY = 60  # blocks that may wait; the rest keeps the places of those in work
_MASK = const(63)

# Planner state
STATE_FIELDS = 16
_HEAD = const(0)  # next free block, counts up for ever
_TAIL = const(1)  # first block that the slicer has not taken
_FIXED_V2 = const(2)  # speed at the end of the last sealed block
_EVENT = const(3)
_FEED = const(4)  # percent, 0: hold
_PREV_ACCEL = const(5)
_SETTLED = const(6)  # blocks before this one have been through `look_ahead`
_DIRTY = const(7)  # `look_ahead` is due
_PREV_UNIT = const(8)  # 4 entries, signed

# A request, as `plan` reads it
REQUEST_FIELDS = 16
_R_DELTA = const(0)  # 4 axes, 10 nm
_R_MOTOR = const(4)  # the same after linear kinematics
_R_SPEED = const(8)  # 10 nm/s
_R_ACCEL = const(9)
_R_LENGTH = const(10)  # from here on filled in by the planner
_R_TOP = const(11)
_R_UNIT = const(12)  # 4 entries

# Limits
LIMIT_FIELDS = 32
_L_SPEED = const(0)  # 4 axes, 10 nm/s
_L_ACCEL = const(4)  # 4 axes, mm/s^2
_L_JERK = const(8)  # 4 axes, mm/s / 64
_L_DEVIATION = const(12)  # um; junction deviation
_L_CLASSIC = const(13)  # 1: classic jerk, 0: junction deviation
_L_FILAMENT = const(14)  # highest speed of E along a path, 10 nm/s; 0: that of E alone
_L_STEPS_MM = const(16)  # 4 motors, steps per 1000 mm
_L_REST = const(20)  # 4 motors: remainder of the conversion to steps, 0 .. 10**8 - 1
_L_STEP_RATE = const(24)  # 4 motors: highest steps/s the driver takes
_L_PLANNED = const(28)  # 4 motors: steps of all blocks ever added, signed

_V2_MAX = const(0x1FFFFFFF)
_SPEED_MAX = const(0x0FFFFFFF)
_V2_UNIT = const(39062500)  # (10 nm/s)^2 in a unit of v2
_STEPS_MAX = const(200000)  # per block and motor: the slicer carries 12 fraction bits and a sign
_SECONDS_MAX = const(6)  # at 100 %; ten times that at 10 %
_DEN = const(100000000)  # 10 nm * steps per metre -> steps


@micropython.viper
def plan(pl: ptr32, blk: ptr32, rq: ptr32, lim: ptr32) -> int:
    """Add the move in `rq` to the ring; the caller has made sure that there is room.

    Returns 0 when the block was added, -1 when it makes no step (the fractions of steps are kept), or the number of
    equal parts (2 or more) that it must be made in because it is too long for one block; then nothing was changed.
    """
    parts = int(_measure(rq, lim))
    if parts != 1:
        return parts
    if int(_to_steps(pl, blk, rq, lim)) == 0:
        return -1
    junction = int(_junction(pl, blk, rq, lim))
    _enter(pl, blk, rq, junction)
    return 0


@micropython.viper
def _measure(rq: ptr32, lim: ptr32) -> int:
    # Length, unit vector, and the speed and acceleration that every axis allows; returns the number of parts, -1: no
    # way. Length: Euclidean over X Y Z, or E alone; scaled so that the squares fit.
    big = 0
    i = 0
    while i < 3:
        d = rq[i]
        if d < 0:
            d = 0 - d
        if d > big:
            big = d
        i += 1
    shift = 0
    while (big >> shift) > 16383:
        shift += 1
    total = 0
    i = 0
    while i < 3:
        d = rq[i]
        if d < 0:
            d = 0 - d
        d = d >> shift
        total += d * d
        i += 1
    length = int(isqrt(total)) << shift
    speed = rq[_R_SPEED]
    d = rq[3]
    if d < 0:
        d = 0 - d
    if d > length:
        # Mostly extrusion: the path is measured along E, the feedrate keeps its meaning on X Y Z where there is any.
        if length > 0:
            ratio = d // length
            if ratio > 0x0FFFFFFF // speed:
                speed = 0x0FFFFFFF
            else:
                speed = speed * ratio
        length = d
    rq[_R_SPEED] = speed
    speed = _SPEED_MAX
    if length == 0:
        return -1

    # Unit vector, and the limits of each axis
    accel = rq[_R_ACCEL]
    shift = 0
    while (length >> shift) > 32767:
        shift += 1
    i = 0
    while i < 4:
        d = rq[i]
        sign = 1
        if d < 0:
            d = 0 - d
            sign = -1
        u = ((d >> shift) << 15) // (length >> shift)
        if u > 32768:
            u = 32768
        rq[_R_UNIT + i] = u * sign
        if u > 3:
            top = lim[_L_SPEED + i]
            if i == 3 and total != 0 and lim[_L_FILAMENT] != 0 and lim[_L_FILAMENT] < top:
                top = lim[_L_FILAMENT]
            if ((speed >> 13) * u) >> 2 >= top:
                speed = int(muldiv(top, 32768, u))
            most = (lim[_L_ACCEL + i] << 13) // (u >> 2)
            if accel > most:
                accel = most
        i += 1
    if accel < 1:
        accel = 1
    if speed < 1:
        speed = 1

    # Too long for one block: in time, or in steps
    i = rq[_R_SPEED]
    if i > speed:
        i = speed
    parts = length // i // _SECONDS_MAX + 1
    i = 0
    while i < 4:
        d = rq[_R_MOTOR + i]
        if d < 0:
            d = 0 - d
        steps = int(muldiv(d, lim[_L_STEPS_MM + i], _DEN))
        u = steps // _STEPS_MAX + 1
        if u > parts:
            parts = u
        # A driver takes only so many steps a second: steps / (length / speed) <= rate
        top = lim[_L_STEP_RATE + i]
        if steps > 0 and length // steps < 0x0FFFFFFF // top:
            most = int(muldiv(length, top, steps))
            if speed > most:
                speed = most
        i += 1
    rq[_R_LENGTH] = length
    rq[_R_TOP] = speed
    rq[_R_ACCEL] = accel
    return parts


@micropython.viper
def _to_steps(pl: ptr32, blk: ptr32, rq: ptr32, lim: ptr32) -> int:
    # Steps, exactly: the remainders are carried from move to move, so nothing is ever lost. Returns 1 if there are any.
    b = (pl[_HEAD] & _MASK) * _STRIDE
    moved = 0
    i = 0
    while i < 4:
        d = rq[_R_MOTOR + i]
        scale = lim[_L_STEPS_MM + i]
        rest = lim[_L_REST + i]
        if d < 0:
            d = 0 - d
            steps = int(muldiv(d, scale, _DEN))
            rest -= d * scale - steps * _DEN
            steps = 0 - steps
            if rest < 0:
                rest += _DEN
                steps -= 1
        else:
            steps = int(muldiv(d, scale, _DEN))
            rest += d * scale - steps * _DEN
            if rest >= _DEN:
                rest -= _DEN
                steps += 1
        lim[_L_REST + i] = rest
        lim[_L_PLANNED + i] += steps
        blk[b + _STEPS + i] = steps
        if steps != 0:
            moved = 1
        i += 1
    return moved


@micropython.viper
def _junction(pl: ptr32, blk: ptr32, rq: ptr32, lim: ptr32) -> int:
    # What the corner after the block before allows, v2
    junction = _V2_MAX
    kink = 0
    s2 = 0
    classic = lim[_L_CLASSIC]
    i = 0
    while i < 4:
        d = rq[_R_UNIT + i] - pl[_PREV_UNIT + i]
        if d != 0:
            if d < 0:
                d = 0 - d
            v = d * (lim[_L_STEPS_MM + i] >> 10) >> 5
            if v > kink:
                kink = v
            if classic != 0:
                v = (lim[_L_JERK + i] << 15) // d
                if v < 32768:
                    v = v * v >> 4
                    if v < junction:
                        junction = v
            else:
                d = d >> 2
                s2 += d * d
        i += 1
    blk[(pl[_HEAD] & _MASK) * _STRIDE + _KINK] = kink
    if classic == 0:
        # v^2 = a * deviation * c (1 + c) / s^2, with s and c the sine and cosine of half the turn (Marlin's rule after
        # onehossshay, written with s so that small turns keep their precision). |difference of unit vectors| = 2 s.
        s2 = s2 >> 2
        most = rq[_R_ACCEL]
        if pl[_PREV_ACCEL] < most:
            most = pl[_PREV_ACCEL]
        if s2 >= 1 << 26:
            junction = 0
        else:
            c = int(isqrt((1 << 26) - s2))
            k = int(muldiv(most, lim[_L_DEVIATION] << 5, 125))
            if s2 > k >> 2:
                v = int(muldiv(k, c * (8192 + c), s2))
                if v < junction:
                    junction = v
    return junction


@micropython.viper
def _pace(pl: ptr32, blk: ptr32, b: int):
    # Nominal speed of the block at `b` under the feedrate percentage
    percent = pl[_FEED]
    speed = blk[b + _ASKED]
    if percent != 100:
        if percent > 100 and speed > _SPEED_MAX // percent * 100:
            speed = _SPEED_MAX
        else:
            speed = int(muldiv(speed, percent, 100))
    if speed > blk[b + _TOP]:
        speed = blk[b + _TOP]
    blk[b + _SPEED] = speed
    nominal = _V2_MAX
    if speed < 144800000:
        nominal = int(muldiv(speed, speed, _V2_UNIT))
        if nominal < 1 and percent != 0:
            nominal = 1
    blk[b + _NOMINAL_V2] = nominal


@micropython.viper
def _enter(pl: ptr32, blk: ptr32, rq: ptr32, junction: int):
    # The block's other fields
    length = rq[_R_LENGTH]
    accel = rq[_R_ACCEL]
    if length // 3125 + 1 > (1 << 25) // accel:
        gain = _V2_MAX
    else:
        gain = int(muldiv(accel << 4, length, 3125))
        if gain < 1:
            gain = 1
    head = pl[_HEAD]
    b = (head & _MASK) * _STRIDE
    blk[b + _LENGTH] = length
    blk[b + _ACCEL] = accel
    blk[b + _JUNCTION_V2] = junction
    blk[b + _ENTRY_V2] = 0
    blk[b + _GAIN_V2] = gain
    blk[b + _EVENTS] = pl[_EVENT]
    blk[b + _ASKED] = rq[_R_SPEED]
    blk[b + _TOP] = rq[_R_TOP]
    blk[b + _DONE] = 0
    _pace(pl, blk, b)
    i = 0
    while i < 4:
        pl[_PREV_UNIT + i] = rq[_R_UNIT + i]
        i += 1
    pl[_PREV_ACCEL] = accel
    pl[_HEAD] = head + 1
    pl[_DIRTY] = 1


@micropython.viper
def look_ahead(pl: ptr32, blk: ptr32):
    """Settle the entry speeds of all waiting blocks.

    Backward: from rest at the end of the newest block, no faster than each block can still brake, than its corner and
    than both neighbours' nominal speeds. Forward: no block gains, or loses, more than its length allows; what is
    faster than it should be (after a hold, or with a lower percentage) goes down as fast as it may.
    """
    head = pl[_HEAD]
    tail = pl[_TAIL]
    settled = pl[_SETTLED]
    pl[_SETTLED] = head
    pl[_DIRTY] = 0
    if head == tail:
        return
    leave = 0
    i = head - 1
    b = (i & _MASK) * _STRIDE
    while i > tail:
        v = leave + blk[b + _GAIN_V2]
        if v > blk[b + _JUNCTION_V2]:
            v = blk[b + _JUNCTION_V2]
        if v > blk[b + _NOMINAL_V2]:
            v = blk[b + _NOMINAL_V2]
        old = blk[b + _ENTRY_V2]
        here = b
        b = ((i - 1) & _MASK) * _STRIDE
        if v > blk[b + _NOMINAL_V2]:
            v = blk[b + _NOMINAL_V2]
        if v == old and i < settled:
            b = here
            break
        blk[here + _ENTRY_V2] = v
        leave = v
        i -= 1
    v = blk[b + _ENTRY_V2]
    if i == tail:
        v = pl[_FIXED_V2]
        blk[b + _ENTRY_V2] = v
    while i < head - 1:
        most = v + blk[b + _GAIN_V2]
        least = v - blk[b + _GAIN_V2]
        i += 1
        b = (i & _MASK) * _STRIDE
        v = blk[b + _ENTRY_V2]
        if v > most:
            v = most
            blk[b + _ENTRY_V2] = v
        elif v < least:
            v = least
            blk[b + _ENTRY_V2] = v


@micropython.viper
def _rescale(pl: ptr32, blk: ptr32):
    # The percentage has changed: nominal speeds of all waiting blocks anew
    i = pl[_TAIL]
    while i < pl[_HEAD]:
        _pace(pl, blk, (i & _MASK) * _STRIDE)
        i += 1
    pl[_SETTLED] = 0
    pl[_DIRTY] = 1


class Planner:
    """The ring of blocks and what `plan` needs around it; all arrays are made once."""

    def __init__(self):
        self.blocks = array("i", [0] * (BLOCKS * BLOCK_FIELDS))
        self.state = array("i", [0] * STATE_FIELDS)
        self.request = array("i", [0] * REQUEST_FIELDS)
        self.limits = array("i", [0] * LIMIT_FIELDS)
        for i in range(4):
            self.limits[_L_REST + i] = _DEN // 2  # so that steps round to nearest
            self.limits[_L_STEP_RATE + i] = 1000000
        self.state[_FEED] = 100

    def waiting(self):
        """Blocks that the slicer has not taken, 0..60."""
        return self.state[_HEAD] - self.state[_TAIL]

    def full(self):
        return self.state[_HEAD] - self.state[_TAIL] >= CAPACITY

    def clear(self):
        """Forget all waiting blocks; the machine is at rest."""
        state = self.state
        state[_HEAD] = 0
        state[_TAIL] = 0
        state[_FIXED_V2] = 0
        state[_SETTLED] = 0
        state[_DIRTY] = 0

    def add(self):
        """Plan the move in `request`; see `plan`."""
        return plan(self.state, self.blocks, self.request, self.limits)

    def set_feed(self, percent):
        """Feedrate percentage of everything that waits and comes, 0 (hold) to 999."""
        self.state[_FEED] = percent
        _rescale(self.state, self.blocks)

    def set_filament_speed(self, speed):
        """Highest speed of the filament while X, Y or Z moves too, 10 nm/s; 0: no such limit."""
        self.limits[_L_FILAMENT] = speed

    def held(self):
        """At 0 %, and at rest."""
        return self.state[_FEED] == 0 and self.state[_FIXED_V2] == 0

    def look_ahead(self):
        """Settle the entry speeds now; the slicer does it by itself."""
        look_ahead(self.state, self.blocks)

    def next_event(self, number):
        """Blocks added from now on begin after event `number`."""
        self.state[_EVENT] = number

    def set_axis(self, axis, speed, accel, jerk_64, steps_per_m, step_rate):
        """Limits of one axis: 10 nm/s, mm/s^2, mm/s / 64, steps per 1000 mm, steps/s."""
        limits = self.limits
        limits[_L_SPEED + axis] = speed
        limits[_L_ACCEL + axis] = accel
        limits[_L_JERK + axis] = jerk_64
        limits[_L_STEPS_MM + axis] = steps_per_m
        limits[_L_STEP_RATE + axis] = step_rate

    def set_scale(self, axis, steps_per_m):
        """Steps per 1000 mm of one axis, by itself."""
        self.limits[_L_STEPS_MM + axis] = steps_per_m

    def set_junction(self, deviation_um, classic):
        """Junction deviation in um; `classic` selects the jerk limits instead."""
        self.limits[_L_DEVIATION] = deviation_um
        self.limits[_L_CLASSIC] = 1 if classic else 0

    def planned(self, motor):
        """Where the motor will be after all blocks, steps."""
        return self.limits[_L_PLANNED + motor]

    def set_planned(self, motor, steps):
        self.limits[_L_PLANNED + motor] = steps

    def place(self, motor, units):
        """Declare that the motor stands where `units` (10 nm) says; returns its position in steps."""
        limits = self.limits
        steps, rest = divmod(units * limits[_L_STEPS_MM + motor] + _DEN // 2, _DEN)
        limits[_L_REST + motor] = rest
        limits[_L_PLANNED + motor] = steps
        return steps

    def shift(self, motor, steps):
        """The motor is `steps` further than the moves say (babysteps)."""
        self.limits[_L_PLANNED + motor] += steps

    def steps(self, motor, units):
        """A way of `units` (10 nm) in whole steps, rounded to nearest."""
        return (units * self.limits[_L_STEPS_MM + motor] + _DEN // 2) // _DEN

    def units(self, motor, steps):
        """A way of `steps` in 10 nm, rounded."""
        scale = self.limits[_L_STEPS_MM + motor]
        return (steps * _DEN + scale // 2) // scale
