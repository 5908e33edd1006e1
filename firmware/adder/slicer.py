"""Time slices: samples the planned trajectory and writes, for every motor, the steps that fall into each slice.

A block is run in up to three phases (accelerate, cruise, decelerate). Each phase is cut into equal slices of about a
millisecond, so every slice lies within one phase of one block: motion inside it is one uniformly accelerated piece of a
straight line, and corners are never cut. A slice costs the same whatever the step rate.

Position. With time tau = k / N within a phase (0..1), the way covered in it is

    g(tau) = tau * (a + b * tau),   a = 2 v0 / (v0 + v1),   b = 1 - a

which is exact for constant acceleration from v0 to v1 and needs only ratios, whatever the size of the block. The
fraction of the block that is done, F = F0 + dF * g, places every motor at steps * F; at F = 1 that is a whole step.

Steps. A motor steps where its position passes a half step. Per slice one word for the step driver says how many steps
and how far apart, from the last step before to the last one in this slice, whose time is computed. What is left until
the slice's end is carried to the next word, so time never drifts: `carry` is the time from the end of the motor's
last word to the end of the slice. A slice without a step becomes a word that only waits.

Units: fractions 2**-29; motor positions 1/4096 step; durations in units of 64 ns, then in cycles of the PIO.
"""

from array import array

import micropython
from micropython import const

from adder.fixmath import muldiv
from adder.planner import look_ahead
from adder.trapezoid import _seal

# Block layout, as in adder/planner.py
_EVENTS = const(7)
_STRIDE = const(16)
_MASK = const(63)
_HEAD = const(0)
_TAIL = const(1)
_DIRTY = const(7)

# Slicer state
STATE_FIELDS = 96
_PHASE = const(0)  # phase being run: 0..2, 3 when a new block is due
_SLICE = const(1)  # next slice in the phase
_CYCLES_UNIT = const(2)  # PIO cycles per 64 ns
_PULSE_OVERHEAD = const(3)  # cycles of a step beyond its delay
_GUARD = const(4)  # what a waiting word leaves for the next one
_MIN_INTERVAL = const(5)  # least cycles from step to step
_DIR_SETUP = const(6)  # least cycles from a change of direction to a step
_ADDED = const(7)  # out: 64 ns units added by the last call
_END_SPEED = const(8)  # speed at the end of the last slice, 10 nm/s; 0: at rest
_EVENT_COUNT = const(9)  # events recorded, counts up
_SLICES = const(10)  # slices made, counts up
_NSLICES = const(12)  # 3 phases
_QUOTIENT = const(15)  # 3 phases: duration of a slice
_REMAINDER = const(18)  # 3 phases: this many slices are one unit longer
_FACTOR_A = const(21)  # 3 phases
_FACTOR_B = const(24)  # 3 phases
_START = const(27)  # 4 entries: F at the phases' borders
_FINAL_SPEED = const(31)
_BLOCK_STEPS = const(32)  # 4 motors
_LAST = const(36)  # 4 motors: position at the end of the last slice, relative to the block
_CARRY = const(40)  # 4 motors
_DIRECTION = const(44)  # 4 motors: level of the last word's direction bit
_WRITE = const(48)  # 4 motors: words written, counts up
_INVERT = const(52)  # 4 motors: direction bit for positive steps is 1 - this
_QUIET = const(56)  # 4 motors: the last slice had few steps or none
_COUNT = const(60)  # 4 motors: steps handed out, signed
_FREE = const(64)  # 4 motors: words that may be written now
_AT = const(68)  # 4 motors: position at the end of this slice
_EVENT_RING = const(72)  # 8 pairs: event number, slice number
_FRACTION = const(88)  # of the block, at the end of this slice
_KEEP = const(89)  # blocks that are left to the planner,
_URGENT = const(90)  # once so many 64 ns units were added

WORDS = 2048  # per motor
_WORDS = const(2048)
_WORD_MASK = const(2047)
SLICES = 512
_SLICE_MASK = const(511)
_SLICES_RING = const(512)

_ONE = const(0x20000000)  # 2**29


@micropython.viper
def _advance(st: ptr32, pl: ptr32, blk: ptr32) -> int:
    # One slice further: st[_FRACTION] is where the block is at its end. Returns its duration, 0 when no block is left.
    phase = st[_PHASE]
    while True:
        while phase < 3 and st[_SLICE] >= st[_NSLICES + phase]:
            phase += 1
            st[_SLICE] = 0
        if phase < 3:
            break
        st[_PHASE] = 3
        tail = pl[_TAIL]
        waiting = pl[_HEAD] - tail
        if waiting == 0 or (waiting <= st[_KEEP] and st[_ADDED] >= st[_URGENT]):
            return 0
        event = blk[(tail & _MASK) * _STRIDE + _EVENTS]
        e = st[_EVENT_COUNT]
        if event != st[_EVENT_RING + ((e - 1) & 7) * 2]:
            st[_EVENT_RING + (e & 7) * 2] = event
            st[_EVENT_RING + (e & 7) * 2 + 1] = st[_SLICES]
            st[_EVENT_COUNT] = e + 1
        if pl[_DIRTY] != 0:
            look_ahead(pl, blk)
        _seal(st, pl, blk)
        phase = 0
    st[_PHASE] = phase
    n = st[_NSLICES + phase]
    k = st[_SLICE] + 1
    st[_SLICE] = k
    dt = st[_QUOTIENT + phase]
    if k <= st[_REMAINDER + phase]:
        dt += 1
    st[_END_SPEED] = 1
    if k == n:
        f = st[_START + phase + 1]
        if f == _ONE:
            st[_END_SPEED] = st[_FINAL_SPEED]
    else:
        # tau, then g, then F
        if n < 16384:
            tau = (k << 15) // n
            tau = (tau << 14) + ((((k << 15) - tau * n) << 14) // n)
        else:
            tau = int(muldiv(k, _ONE, n))
        x = st[_FACTOR_B + phase]
        g = tau
        if x != 0:
            yh = tau >> 15
            yl = tau & 0x7FFF
            xh = x >> 15
            x = x & 0x7FFF
            x = st[_FACTOR_A + phase] + ((xh * yh) << 1) + ((xh * yl + x * yh) >> 14)
            xh = x >> 15
            x = x & 0x7FFF
            g = ((xh * yh) << 1) + ((xh * yl + x * yh) >> 14)
        f = st[_START + phase]
        x = st[_START + phase + 1] - f
        yh = g >> 15
        yl = g & 0x7FFF
        xh = x >> 15
        x = x & 0x7FFF
        f += ((xh * yh) << 1) + ((xh * yl + x * yh) >> 14)
    st[_FRACTION] = f
    return dt


@micropython.viper
def _motors(st: ptr32):
    # Position of every motor at the end of the slice, 1/4096 step
    f = st[_FRACTION]
    yh = f >> 15
    yl = f & 0x7FFF
    i = 0
    while i < 4:
        x = st[_BLOCK_STEPS + i] << 12
        if f != _ONE:
            xh = x >> 15
            x = x & 0x7FFF
            x = ((xh * yh) << 1) + ((xh * yl + x * yh) >> 14)
        st[_AT + i] = x
        i += 1


@micropython.viper
def _step(st: ptr32, words: ptr32, i: int, dt: int, n: int) -> int:
    # Words for the n (not 0, signed) steps of motor i in this slice of dt cycles; returns where to write next.
    overhead = st[_PULSE_OVERHEAD]
    shortest = st[_MIN_INTERVAL]
    x = st[_AT + i]
    last = st[_LAST + i]
    d = x - last
    carry = st[_CARRY + i]
    w = st[_WRITE + i]
    ring = i * _WORDS
    bit = 1 - st[_INVERT + i]
    if d < 0:
        d = 0 - d
        n = 0 - n
        bit = 1 - bit
        behind = 4096 - ((x + 2048) & 4095)
        first = 1 + ((last + 2048) & 4095)
    else:
        behind = (x + 2048) & 4095
        first = 4096 - ((last + 2048) & 4095)
    # From the end of the last word to the last step, which is behind / 4096 step before the slice's end
    span = carry - behind * dt // d
    least = shortest + 3
    if bit != st[_DIRECTION + i]:
        st[_DIRECTION + i] = bit
        least += st[_DIR_SETUP]
        st[_QUIET + i] = 1
    quiet = st[_QUIET + i]
    st[_QUIET + i] = 0
    if n < 4:
        st[_QUIET + i] = 1
    if quiet != 0:
        # After a slice with few steps, or a turn, the first step has a time of its own.
        if n > 1:
            wait = carry - dt + first * dt // d
            if wait < least:
                wait = least
            words[ring + (w & _WORD_MASK)] = ((wait - overhead - 3) << 11) | 2 | bit
            w += 1
            n -= 1
            span -= wait
            carry -= wait
            least = shortest + 3
    if n == 1:
        if span < least:
            span = least
        words[ring + (w & _WORD_MASK)] = ((span - overhead - 3) << 11) | 2 | bit
        w += 1
        carry -= span
    else:
        # At most some 35 words, so that a slice always finds room
        run = n >> 5
        while n > 0:
            # Whole cycles between steps: runs so short that rounding stays below a tenth of a step
            wait = (span - 3 + (n >> 1)) // n
            if wait < shortest:
                wait = shortest
            k = (wait * 11) >> 6
            if k < run:
                k = run
            if k > 1000:
                k = 1000
            if k > n:
                k = n
            words[ring + (w & _WORD_MASK)] = ((wait - overhead) << 11) | (k << 1) | bit
            w += 1
            wait = wait * k + 3
            span -= wait
            carry -= wait
            n -= k
    st[_CARRY + i] = carry
    return w


@micropython.viper
def fill(st: ptr32, pl: ptr32, blk: ptr32, words: ptr32, counts: ptr32, budget: int, slots: int) -> int:
    """Make slices until `budget` * 64 ns are added, `slots` slices are made, words run short, or no block is left.

    `words` holds a ring of 2048 words per motor, one after the other; `counts` a ring of 512 numbers of words per
    motor. `st[_FREE + i]` says how many words of motor i may be written. Returns the number of slices made;
    `st[_ADDED]` their duration.
    """
    made = 0
    added = 0
    while added < budget and made < slots:
        st[_ADDED] = added
        if st[_FREE] < 80 or st[_FREE + 1] < 80 or st[_FREE + 2] < 80 or st[_FREE + 3] < 80:
            break
        dt = int(_advance(st, pl, blk))
        if dt == 0:
            break
        _motors(st)
        added += dt
        dt = dt * st[_CYCLES_UNIT]
        at = st[_SLICES]
        st[_SLICES] = at + 1
        at = at & _SLICE_MASK
        i = 0
        while i < 4:
            x = st[_AT + i]
            n = ((x + 2048) >> 12) - ((st[_LAST + i] + 2048) >> 12)
            w = st[_WRITE + i]
            st[_CARRY + i] += dt
            if n == 0:
                # Wait, leaving a little so that the next slice may step at once
                wait = st[_CARRY + i] - st[_GUARD]
                if wait < 7:
                    wait = 7
                words[i * _WORDS + (w & _WORD_MASK)] = ((wait - 7) << 11) | st[_DIRECTION + i]
                st[_CARRY + i] -= wait
                st[_QUIET + i] = 1
                n = 1
            else:
                st[_COUNT + i] += n
                n = int(_step(st, words, i, dt, n)) - w
            st[_LAST + i] = x
            st[_WRITE + i] = w + n
            st[_FREE + i] -= n
            counts[i * _SLICES_RING + at] = n
            i += 1
        # The next block counts from its own start
        if st[_FRACTION] == _ONE:
            i = 0
            while i < 4:
                st[_LAST + i] = 0
                i += 1
        made += 1
    st[_ADDED] = added
    return made


class Slicer:
    """State of the slicer; `timing` comes from the step driver (see adder/hal)."""

    def __init__(self, planner, stream):
        self._planner = planner
        self._stream = stream
        self.state = array("i", [0] * STATE_FIELDS)
        state = self.state
        self._written = memoryview(state)[_WRITE : _WRITE + 4]
        self._free = memoryview(state)[_FREE : _FREE + 4]
        state[_PHASE] = 3
        state[_CYCLES_UNIT] = stream.cycles_unit
        state[_PULSE_OVERHEAD] = stream.pulse_overhead
        state[_MIN_INTERVAL] = stream.min_interval
        state[_DIR_SETUP] = stream.dir_setup
        state[_GUARD] = stream.min_interval + stream.dir_setup + 3
        for motor in range(4):
            state[_QUIET + motor] = 1
        self.set_invert(stream.invert)

    def set_invert(self, invert):
        """1 for each motor whose direction pin is low for positive steps."""
        for motor in range(4):
            self.state[_INVERT + motor] = invert[motor]

    def fill(self, budget, slots, keep=0, urgent=0):
        """Add up to `budget` * 64 ns of motion in at most `slots` slices; returns the number of slices.

        `keep` blocks are left in the planner, so that what comes behind them can still make them faster, once
        `urgent` * 64 ns are added.
        """
        stream = self._stream
        state = self.state
        state[_KEEP] = keep
        state[_URGENT] = urgent
        stream.free_words(self._written, self._free)
        planner = self._planner
        return fill(
            state, planner.state, planner.blocks, stream.words, stream.counts, budget, slots
        )

    def added(self):
        """Duration of what the last `fill` made, 64 ns units."""
        return self.state[_ADDED]

    def moving(self):
        """The last slice made does not end at rest."""
        return self.state[_END_SPEED] != 0

    def idle(self):
        """No block is in work and none is waiting."""
        state = self.state
        phase = state[_PHASE]
        while phase < 3:
            if phase == state[_PHASE]:
                if state[_SLICE] < state[_NSLICES + phase]:
                    return False
            elif state[_NSLICES + phase]:
                return False
            phase += 1
        return self._planner.waiting() == 0

    def restart(self):
        """The motors stand still and the next slice begins now: no time is carried over."""
        state = self.state
        for motor in range(4):
            state[_CARRY + motor] = 0
            state[_QUIET + motor] = 1

    def clear(self):
        """Drop the block in work; positions handed out stay counted."""
        state = self.state
        state[_PHASE] = 3
        state[_END_SPEED] = 0
        for motor in range(4):
            state[_LAST + motor] = 0
        self.restart()

    def slices(self):
        """Slices made since the beginning."""
        return self.state[_SLICES]

    def written(self, motor):
        """Words written for a motor since the beginning."""
        return self.state[_WRITE + motor]

    def steps(self, motor):
        """Steps handed out for a motor, signed."""
        return self.state[_COUNT + motor]

    def set_steps(self, motor, steps):
        self.state[_COUNT + motor] = steps

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
