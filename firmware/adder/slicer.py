"""The slicer: takes blocks from the planner, walks through them slice by slice, and leaves the words for the motors.

    planner --_seal--> phases --run--> positions --bend--> motors --run--> words

A plain machine takes the direct way: whole blocks are turned into words by `adder.slices.run`. Where the path has to
be bent (input shaping, pressure advance, a bed mesh, a kinematics that is not linear: adder/bend.py), every slice's
position goes through `bend` before its words are made.

Units as in adder/slices.py.
"""

import sys
from array import array

import micropython
from micropython import const

from adder.planner import look_ahead
from adder.trapezoid import _reopen, _seal

if sys.platform == "rp2":
    from adder.hal.slices_thumb import run
else:
    from adder.slices import run

WORDS = 1024  # ring of each motor: 200 ms of slices up to some 350,000 steps/s, 30 ms at any rate
SLICES = 512  # ring of numbers of words
STATE_FIELDS = 176

# Block and planner state, as in adder/planner.py
_EVENTS = const(7)
_KINK = const(14)
_B_STRIDE = const(16)
_B_MASK = const(63)
_HEAD = const(0)
_TAIL = const(1)
_FIXED_V2 = const(2)
_FEED = const(4)
_DIRTY = const(7)

_BUSY = const(13)  # in the state of adder/bend.py: something is still being made up for
# Slicer state, as in adder/slices.py
_PHASE = const(0)
_TIME = const(1)
_CYCLES_UNIT = const(2)
_OVERHEAD = const(3)
_GUARD = const(4)
_SHORTEST = const(5)
_DIR_SETUP = const(6)
_WANT = const(7)
_DT = const(8)
_SLICES = const(9)
_FRACTION = const(10)
_ADDED = const(11)
_BUDGET = const(12)
_SLOTS = const(13)
_GRID = const(14)
_LONGEST = const(15)
_FINAL_SPEED = const(21)  # at the end of the block in work, 10 nm/s
_ADVANCING = const(22)  # the block in work extrudes while it moves X or Y
_HELD = const(23)  # the block in work ends at rest before its end
_END_SPEED = const(24)  # not 0: the last slice made does not end at rest
_EVENT_COUNT = const(25)  # events recorded, counts up
_KEEP = const(26)  # blocks that are left to the planner,
_URGENT = const(27)  # once so many 64 ns units were added
_REST = const(28)  # slices that still follow after the path has come to rest
_SHIFTED = const(29)  # motors still have babysteps to make: bit per motor
_MOTORS = const(80)
_M_STEPS = const(0)
_M_AT = const(1)
_M_LAST = const(2)
_M_BASE = const(3)
_M_CARRY = const(4)
_M_WRITE = const(6)
_M_INVERT = const(7)
_M_QUIET = const(8)
_M_COUNT = const(9)
_M_FREE = const(10)
_STRIDE = const(16)
_EVENT_RING = const(144)  # 8 pairs: event number, slice number
_SHIFT_LEFT = const(160)  # 4 motors: babysteps still to make, 1/4096 step
_SHIFT_RATE = const(164)  # 4 motors: at most so many a slice

_ONE = const(0x20000000)
_FAR = const(0x3FFFF000)  # whole steps,
_FAR_STEPS = const(0x3FFFF)
_SLICE_UNITS = const(15625)  # 1 ms
_ROOM = const(80)
# A corner may lie within a slice while it puts no edge more than 0.06 step off: change of speed * time / 8, with the
# change in steps/m * 2**-15 * 10 nm/s, here for 1 ms
_SOFT_CORNER = const(480000000)


@micropython.viper
def _next(st: ptr32, pl: ptr32, blk: ptr32) -> int:
    # Seal the next block. 0: there is none to take; 2: its corner is too sharp for the open slice
    tail = pl[_TAIL]
    waiting = pl[_HEAD] - tail
    if waiting == 0:
        return 0
    if waiting <= st[_KEEP] and st[_ADDED] >= st[_URGENT]:
        return 0
    if pl[_FEED] == 0 and pl[_FIXED_V2] == 0:
        return 0
    b = (tail & _B_MASK) * _B_STRIDE
    if st[_DT] != 0 and st[_GRID] == 0:
        if blk[b + _KINK] > _SOFT_CORNER // (st[_FINAL_SPEED] // 100 + 1):
            return 2
    event = blk[b + _EVENTS]
    e = st[_EVENT_COUNT]
    if event != st[_EVENT_RING + ((e - 1) & 7) * 2]:
        st[_EVENT_RING + (e & 7) * 2] = event
        st[_EVENT_RING + (e & 7) * 2 + 1] = st[_SLICES]
        st[_EVENT_COUNT] = e + 1
    if pl[_DIRTY] != 0:
        look_ahead(pl, blk)
    _seal(st, pl, blk)
    m = _MOTORS + _M_BASE
    while m < _MOTORS + 4 * _STRIDE:
        if st[m] >= _FAR or st[m] <= 0 - _FAR:
            _come_back(st, m - _M_BASE)
        m += _STRIDE
    return 1


@micropython.viper
def _come_back(st: ptr32, m: int):
    # Positions wrap around at 2**31: count from further on. Whole steps, so nothing moves.
    far = _FAR
    if st[m + _M_BASE] < 0:
        far = 0 - far
    st[m + _M_BASE] -= far
    st[m + _M_AT] -= far
    st[m + _M_LAST] -= far


@micropython.viper
def fill(st: ptr32, pl: ptr32, blk: ptr32, words: ptr32, counts: ptr32) -> int:
    """Make slices until the budget, the slots or the room for words are used up, or no block is left.

    Returns the number of slices made; `st[_ADDED]` is their duration.
    """
    slots = st[_SLOTS]
    st[_ADDED] = 0
    while True:
        if st[_PHASE] == 3:
            code = 0
            if st[_HELD] == 0:
                code = int(_next(st, pl, blk))
            if code != 1 and st[_DT] != 0:
                run(st, words, counts, 1)
            if code == 0:
                break
            if code == 2:
                continue
        code = int(run(st, words, counts, 2))
        st[_END_SPEED] = 1
        if code == 3:
            if st[_DT] != 0:
                run(st, words, counts, 1)
            st[_END_SPEED] = 0
        elif code != 1:
            st[_END_SPEED] = st[_FINAL_SPEED]
        else:
            break
    return slots - st[_SLOTS]


class Slicer:
    """State of the slicer; timing comes from the step driver (see adder/hal)."""

    def __init__(self, planner, stream):
        self._planner = planner
        self._stream = stream
        self.state = array("i", [0] * STATE_FIELDS)
        state = self.state
        self.motors = memoryview(state)[_MOTORS : _MOTORS + 4 * _STRIDE]
        self.bend = None  # see adder/bend.py
        state[_PHASE] = 3
        state[_CYCLES_UNIT] = stream.cycles_unit
        state[_OVERHEAD] = stream.pulse_overhead
        state[_SHORTEST] = stream.min_interval
        state[_DIR_SETUP] = stream.dir_setup
        state[_GUARD] = stream.min_interval + stream.dir_setup + 3
        state[_LONGEST] = state[_WANT] = _SLICE_UNITS
        for motor in range(4):
            self.motors[motor * 16 + _M_QUIET] = 1
        self.set_invert(stream.invert)

    def set_invert(self, invert):
        """1 for each motor whose direction pin is low for positive steps."""
        for motor in range(4):
            self.motors[motor * 16 + _M_INVERT] = invert[motor]

    def fill(self, budget, slots, keep=0, urgent=0):
        """Add up to `budget` * 64 ns of motion in at most `slots` slices; returns the number of slices.

        `keep` blocks are left in the planner, so that what comes behind them can still make them faster, once
        `urgent` * 64 ns are added.
        """
        stream = self._stream
        state = self.state
        state[_BUDGET] = budget
        state[_SLOTS] = slots
        state[_KEEP] = keep
        state[_URGENT] = urgent
        stream.free_words(self.motors)
        planner = self._planner
        bend = self.bend
        if bend and (bend.active or state[_SHIFTED]):
            if not bend.active:
                bend.follow(state)
            return bend.fill(state, planner, stream)
        return fill(state, planner.state, planner.blocks, stream.words, stream.counts)

    def bent(self):
        """What is bent has changed; at rest."""
        state = self.state
        grid = self.bend.grid
        state[_GRID] = grid
        state[_LONGEST] = state[_WANT] = grid or _SLICE_UNITS
        state[_REST] = 0
        self._settle()

    def _settle(self):
        bend = self.bend
        if bend:
            bend.settle(self.state)

    def shift(self, motor, steps, rate):
        """Babysteps: move the motor by `steps` over and above the path, `rate` / 4096 of a step in a slice at most."""
        state = self.state
        state[_SHIFT_LEFT + motor] += steps << 12
        state[_SHIFT_RATE + motor] = max(rate, 1)
        state[_SHIFTED] |= 1 << motor

    def set_feed(self, percent):
        """Feedrate percentage from the next slice on, 0 (hold) to 999; the rest of the block in work is replanned."""
        planner = self._planner
        _reopen(self.state, planner.state, planner.blocks)
        planner.set_feed(percent)

    def added(self):
        """Duration of what the last `fill` made, 64 ns units."""
        return self.state[_ADDED]

    def moving(self):
        """The last slice made does not end at rest."""
        return self.state[_END_SPEED] != 0

    def idle(self):
        """Nothing is in work and nothing is waiting."""
        state = self.state
        if state[_PHASE] != 3 or state[_DT] or state[_HELD] or state[_REST] or state[_SHIFTED]:
            return False
        if self.bend and self.bend.state[_BUSY]:
            return False
        return self._planner.waiting() == 0

    def restart(self):
        """The motors stand still and the next slice begins now: no time is carried over."""
        for motor in range(4):
            self.motors[motor * 16 + _M_CARRY] = 0
            self.motors[motor * 16 + _M_QUIET] = 1

    def clear(self):
        """Drop what is in work; `place` has to follow."""
        state = self.state
        state[_PHASE] = 3
        state[_HELD] = 0
        state[_DT] = 0
        state[_TIME] = 0
        state[_WANT] = state[_LONGEST]
        state[_END_SPEED] = 0
        state[_REST] = 0
        state[_SHIFTED] = 0
        for motor in range(4):
            state[_SHIFT_LEFT + motor] = 0
        self.restart()

    def slices(self):
        """Slices made since the beginning."""
        return self.state[_SLICES]

    def written(self, motor):
        """Words written for a motor since the beginning."""
        return self.motors[motor * 16 + _M_WRITE]

    def steps(self, motor):
        """Steps handed out for a motor, signed."""
        return self.motors[motor * 16 + _M_COUNT]

    def place(self, steps):
        """The path stands at these steps of the blocks (4); nothing is in work.

        The motors' counts follow, with what is added slice by slice.
        """
        motors = self.motors
        for i in range(4):
            m = i * 16
            place = _wrapped(steps[i])
            if i < 3 and self.bend and self.bend.curved() and abs(steps[i]) < 0x40000:
                place = steps[i] << 12  # where it really is: that counts
            motors[m + _M_BASE] = motors[m + _M_AT] = motors[m + _M_LAST] = place
            if i == 2 and self.bend:
                self.bend.far_z((steps[i] - (place >> 12)) // _FAR_STEPS)
        self._settle()
        for i in range(4):
            m = i * 16
            count = (motors[m + _M_AT] - motors[m + _M_BASE] + 2048) >> 12
            if i < 3 and self.bend and self.bend.curved():
                count = (motors[m + _M_AT] + 2048) >> 12  # the blocks' steps are not the motor's
            else:
                count += steps[i]
            motors[m + _M_COUNT] = count

    def extra(self, motor):
        """Steps that the motor is ahead of its path by what is added slice by slice."""
        bend = self.bend
        return bend.extra(motor) if bend and bend.active else 0

    def due_events(self, slice_number):
        """Number of the last event whose slice is not after `slice_number`; -1 when none is recorded."""
        state = self.state
        count = state[_EVENT_COUNT]
        i = count - 1
        while i >= 0 and i > count - 8:
            at = _EVENT_RING + (i & 7) * 2
            if state[at + 1] <= slice_number:
                return state[at]
            i -= 1
        return -1


def _wrapped(steps):
    # Steps as a position in 1/4096 within 2**30, as `_come_back` would have left it
    if steps < 0:
        return -(-steps % _FAR_STEPS << 12)
    return steps % _FAR_STEPS << 12
