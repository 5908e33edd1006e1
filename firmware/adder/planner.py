"""Look-ahead planner: turns moves into blocks and gives every block the highest speeds that the limits allow.

A ring of blocks waits here until the slicer takes them. Adding a block computes its length, its nominal speed and
acceleration under the limits of each axis, and the highest speed at the junction with the block before it (junction
deviation, or classic jerk). The entry speeds are settled later, by a backward and a forward pass over the ring just
before the slicer takes blocks (`look_ahead`), so that the machine can always stop at the end of what is known. A block
that the slicer has taken is sealed: the speed at its end is the fixed entry speed of the next one. Its place in the
ring stays as it is until much later, so that the slicer can hand back what it has not made of it.

The feedrate percentage acts on everything in the ring: each block keeps the speed that was asked for and the highest
speed that the limits allow. Zero per cent is a hold: the speed goes down to rest as fast as the accelerations allow.

`plan` adds a block: in adder/plan.py as plain Python, for the RP2040 in inline assembler (adder/hal/plan_thumb.py).

Units, chosen so that everything fits 31 bits: length 10 nm; speed 10 nm/s; acceleration mm/s^2 / 256; squared speed
(mm/s)^2 / 256 ("v2"), so at most 1448 mm/s; unit vectors 1/32768.
"""

import sys
from array import array

import micropython
from micropython import const

from adder.fixmath import muldiv

if sys.platform == "rp2":
    from adder.hal.plan_thumb import plan
else:
    from adder.plan import plan

# Fields of a block; adder/slicer.py reads the same layout.
BLOCK_FIELDS = 16
_LENGTH = const(0)  # 10 nm
_SPEED = const(1)  # nominal, 10 nm/s
_ACCEL = const(2)  # mm/s^2 / 256
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
_SLOWED = const(12)  # 1..4: the motor whose driver was too slow for a move; whoever tells it clears it
_WANTED = const(13)  # steps/s that the move asked of it
_LOW = const(14)  # how far the motion that is ready has run down: 0 enough, 256 nothing left
_SHORTEST = const(15)  # shortest time of a move then, us

# A request, as `plan` reads it
REQUEST_FIELDS = 32
_R_DELTA = const(0)  # 4 axes, 10 nm
_R_MOTOR = const(4)  # the same after linear kinematics
_R_SPEED = const(8)  # 10 nm/s
_R_ACCEL = const(9)  # mm/s^2
_R_LENGTH = const(10)  # from here on filled in by the planner
_R_TOP = const(11)  # 10 nm/s
_R_UNIT = const(12)  # 4 entries
_R_ASKED = const(16)  # speed along the path, 10 nm/s
_R_ALLOWED = const(17)  # acceleration, mm/s^2 / 256
_R_DEN = const(31)  # 100,000,000, a constant for the assembler

# Limits
LIMIT_FIELDS = 32
_L_SPEED = const(0)  # 4 axes, 10 nm/s
_L_ACCEL = const(4)  # 4 axes, mm/s^2
_L_JERK = const(8)  # 4 axes, mm/s / 64
_L_DEVIATION = const(12)  # um; junction deviation
_L_CLASSIC = const(13)  # 1: classic jerk, 0: junction deviation
_L_FILAMENT = const(14)  # highest speed of E along a path, 10 nm/s; 0: that of E alone
_L_ADVANCE = const(15)  # highest acceleration of an E that is ahead (M900), mm/s^2 / 256; 0: that of E alone
_L_STEPS_MM = const(16)  # 4 motors, steps per 1000 mm
_L_REST = const(20)  # 4 motors: remainder of the conversion to steps, 0 .. 10**8 - 1
_L_STEP_RATE = const(24)  # 4 motors: highest steps/s the driver takes
_L_PLANNED = const(28)  # 4 motors: steps of all blocks ever added, signed

_V2_MAX = const(0x1FFFFFFF)
_SPEED_MAX = const(0x0FFFFFFF)
_V2_UNIT = const(39062500)  # (10 nm/s)^2 in a unit of v2
_DEN = const(100000000)  # 10 nm * steps per metre -> steps


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
    if speed < 200000000:
        nominal = int(muldiv(speed, speed, _V2_UNIT))
        if nominal > _V2_MAX:
            nominal = _V2_MAX
        if nominal < 1 and percent != 0:
            nominal = 1
    blk[b + _NOMINAL_V2] = nominal


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
        self.request[_R_DEN] = _DEN
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
        """Plan the move in `request`; see `plan` in adder/plan.py."""
        return plan(self.state, self.blocks, self.request, self.limits)

    def set_feed(self, percent):
        """Feedrate percentage of everything that waits and comes, 0 (hold) to 999."""
        self.state[_FEED] = percent
        _rescale(self.state, self.blocks)

    def set_filament_speed(self, speed):
        """Highest speed of the filament while X, Y or Z moves too, 10 nm/s; 0: no such limit."""
        self.limits[_L_FILAMENT] = speed

    def set_advance(self, k):
        """M900, 0.1 ms: E is ahead by K times its own speed, so its own limits have to hold for both together.

        While filament goes forward with X or Y, K * acceleration may take half of E's highest speed, and the way keeps
        the rest. E's acceleration, when it turns within the 20 ms of adder/bend.py, is that of the way and
        2 K / 20 ms as much again. After `set_axis` and `set_filament_speed`.
        """
        limits = self.limits
        limits[_L_ADVANCE] = 0
        if k:
            fastest = limits[_L_SPEED + 3]
            accel = min(fastest * 64 // (5 * k), (limits[_L_ACCEL + 3] << 8) * 100 // (100 + k))
            limits[_L_ADVANCE] = max(accel, 1)
            fastest = max(fastest - accel * k * 10 // 256, 1)
            if not 0 < limits[_L_FILAMENT] < fastest:
                limits[_L_FILAMENT] = fastest

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

    def set_shortest(self, us):
        """Time that short moves are stretched to as the motion that is ready runs low (M205 B), us; 0: never."""
        self.state[_SHORTEST] = us

    def set_low(self, share):
        """How far the motion that is ready has run down while it runs: 0 (enough) to 256 (nothing is left)."""
        self.state[_LOW] = share

    def take_slowed(self):
        """Motor, steps/s asked of it, and steps/s that its driver takes, if a move since the last call was slowed."""
        motor = self.state[_SLOWED] - 1
        if motor < 0:
            return None
        self.state[_SLOWED] = 0
        return motor, self.state[_WANTED], self.limits[_L_STEP_RATE + motor]

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
