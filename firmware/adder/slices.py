"""Slices: walks through the phases of a block and turns what every motor moves in a slice into words for its driver.

This is the inner loop of everything that moves. On the RP2040 the same arithmetic runs as inline assembler
(adder/hal/slices_thumb.py); here it is in viper for every other chip, and in plain Python for tests and dry runs. The
tests compare the two word by word on the emulated board.

Position. With time tau = t / T within a phase (0..1), the way covered in it is

    g(tau) = tau * (a + b * tau),   a = 2 v0 / (v0 + v1),   b = 1 - a

which is exact for constant acceleration from v0 to v1 and needs only ratios, whatever the size of the block. The
fraction of the block that is done, F = F0 + (F1 - F0) * g, places every motor at base + steps * F; at F = 1 that is a
whole step.

Slices. A slice ends with its phase, or after the longest time that keeps evenly spaced steps true to the acceleration
(at most 1 ms); what is left of a phase is halved when it is less than two slices. A slice that is less than half full
at the end of its phase goes on into the next one; whether it goes on into the next block, the caller decides. On a
fixed grid (`GRID` not 0) it always goes on.

Steps. A motor steps where its position passes a half step. Per slice the words say how many steps and how far apart,
from the last step before to the last one in this slice, whose time is computed. What is left until the slice's end is
carried to the next word, so time never drifts: `CARRY` is the time from the end of the motor's last word to the end of
the slice. A slice without a step becomes a word that only waits.

Units: fractions 2**-29; motor positions 1/4096 step; durations 64 ns, then cycles of the PIO.
"""

import micropython
from micropython import const

_PHASE = const(0)  # phase being run: 0..2, 3 when a new block is due
_TIME = const(1)  # time within the phase
_CYCLES_UNIT = const(2)  # PIO cycles per 64 ns
_OVERHEAD = const(3)  # cycles of a step beyond its delay
_GUARD = const(4)  # what a waiting word leaves for the next one
_SHORTEST = const(5)  # least cycles from step to step
_DIR_SETUP = const(6)  # least cycles from a change of direction to a step
_WANT = const(7)  # how much longer this slice may become
_DT = const(8)  # its duration so far
_SLICES = const(9)  # slices made, counts up
_FRACTION = const(10)  # of the block, at the end of the slice
_ADDED = const(11)  # duration of the slices made since the caller cleared it
_BUDGET = const(12)  # end when so much was added,
_SLOTS = const(13)  # or so many slices were made
_GRID = const(14)  # duration of every slice; 0: they follow the phases
_LONGEST = const(15)  # longest slice
_CODE = const(16)
_CYCLES = const(17)  # duration of the slice, cycles
_MODE = const(18)
_WORDS_AT = const(19)  # assembler: addresses
_COUNTS_AT = const(20)

# Phases, three of them
_PHASES = const(32)
_P_TIME = const(0)  # duration; 0: there is no such phase
_P_SHIFT = const(1)  # T << shift is 2**29 or more, below 2**30
_P_INVERSE = const(2)  # 2**58 / (T << shift)
_P_A = const(3)
_P_B = const(4)
_P_START = const(5)  # F at its borders
_P_END = const(6)
_P_LONGEST = const(7)  # longest slice in it

# Motors, four of them
_MOTORS = const(80)
_M_STEPS = const(0)  # of the block, 1/4096
_M_AT = const(1)  # position at the end of the slice
_M_LAST = const(2)  # position at the end of the slice before
_M_BASE = const(3)  # position at the start of the block
_M_CARRY = const(4)
_M_DIRECTION = const(5)  # level of the last word's direction bit
_M_WRITE = const(6)  # words written, counts up
_M_INVERT = const(7)  # direction bit for positive steps is 1 - this
_M_QUIET = const(8)  # the last slice had few steps or none
_M_COUNT = const(9)  # steps handed out, signed
_M_FREE = const(10)  # words that may be written now
_STRIDE = const(16)

_WORDS = const(1024)  # per motor
_WORD_MASK = const(1023)
_SLICE_MASK = const(511)
_SLICES_RING = const(512)
_ROOM = const(80)  # words that must be free for a slice

_ONE = const(0x20000000)  # 2**29

# What `run` does, and what it says
WALK = 0  # find the position at the end of the next slice
STEP = 1  # make the words from the last slice's position to AT
BOTH = 2  # slice after slice
OPEN = 0  # the block has ended, the slice has not
FULL = 1  # the slice, or all that was asked for
CLOSED = 2  # the block has ended with the slice
HELD = 3  # the block is not to be gone on with


@micropython.viper
def _walk(st: ptr32) -> int:
    phase = st[_PHASE]
    grid = st[_GRID]
    code = 1
    while True:
        p = _PHASES + phase * _STRIDE
        t = st[_TIME]
        left = st[p + _P_TIME] - t
        most = st[_WANT]
        if grid == 0:
            if st[p + _P_LONGEST] < most:
                most = st[p + _P_LONGEST]
        dt = most
        if left <= most:
            dt = left
        elif grid == 0:
            if left < most + most:
                dt = (left + 1) >> 1
        st[_DT] += dt
        most -= dt
        st[_WANT] = most
        if dt < left:
            t += dt
            st[_TIME] = t
            # tau, then g, then F
            x = t << st[p + _P_SHIFT]
            y = st[p + _P_INVERSE]
            xl = x & 0x7FFF
            x = x >> 15
            yl = y & 0x7FFF
            y = y >> 15
            g = ((x * y) << 1) + ((x * yl + xl * y) >> 14)
            x = st[p + _P_B]
            if x != 0:
                yl = g & 0x7FFF
                y = g >> 15
                xl = x & 0x7FFF
                x = x >> 15
                x = st[p + _P_A] + ((x * y) << 1) + ((x * yl + xl * y) >> 14)
                xl = x & 0x7FFF
                x = x >> 15
                g = ((x * y) << 1) + ((x * yl + xl * y) >> 14)
            yl = g & 0x7FFF
            y = g >> 15
            x = st[p + _P_END] - st[p + _P_START]
            xl = x & 0x7FFF
            x = x >> 15
            st[_FRACTION] = st[p + _P_START] + ((x * y) << 1) + ((x * yl + xl * y) >> 14)
            break
        st[_TIME] = 0
        st[_FRACTION] = st[p + _P_END]
        phase += 1
        while phase < 3 and st[_PHASES + phase * _STRIDE] == 0:
            phase += 1
        st[_PHASE] = phase
        if phase == 3:
            code = int(_end_block(st))
            break
        if grid != 0:
            if most == 0:
                break
        elif most <= st[_DT]:
            break
    if code & 1:
        _place(st)
    return code


@micropython.viper
def _end_block(st: ptr32) -> int:
    if st[_FRACTION] != _ONE:
        return 3
    m = _MOTORS
    while m < _MOTORS + 4 * _STRIDE:
        x = st[m + _M_BASE] + st[m + _M_STEPS]
        st[m + _M_BASE] = x
        st[m + _M_AT] = x
        m += _STRIDE
    most = st[_WANT]
    if st[_GRID] == 0:
        if most > st[_DT]:
            return 0
    elif most > 0:
        return 0
    return 2


@micropython.viper
def _place(st: ptr32):
    # Position of every motor at the end of the slice
    f = st[_FRACTION]
    y = f >> 15
    yl = f & 0x7FFF
    m = _MOTORS
    while m < _MOTORS + 4 * _STRIDE:
        x = st[m + _M_STEPS]
        xl = x & 0x7FFF
        x = x >> 15
        st[m + _M_AT] = st[m + _M_BASE] + ((x * y) << 1) + ((x * yl + xl * y) >> 14)
        m += _STRIDE


@micropython.viper
def _wait(st: ptr32, m: int, words: ptr32, w: int, carry: int):
    # A word that waits, leaving a little so that the next slice may step at once
    wait = carry - st[_GUARD]
    if wait < 7:
        wait = 7
    words[w] = ((wait - 7) << 11) | st[m + _M_DIRECTION]
    st[m + _M_CARRY] = carry - wait
    st[m + _M_QUIET] = 1


@micropython.viper
def _pulses(st: ptr32, m: int, words: ptr32, ring: int, d: int, n: int) -> int:
    # Words for the n (not 0, signed) steps of the way d from LAST to AT; returns the number of words.
    overhead = st[_OVERHEAD]
    shortest = st[_SHORTEST]
    dt = st[_CYCLES]
    carry = st[m + _M_CARRY]
    w = st[m + _M_WRITE]
    bit = 1 - st[m + _M_INVERT]
    behind = (st[m + _M_AT] + 2048) & 4095
    first = (st[m + _M_LAST] + 2048) & 4095
    if d < 0:
        d = 0 - d
        n = 0 - n
        bit = 1 - bit
        behind = 4096 - behind
        first = 1 + first
    else:
        first = 4096 - first
    # From the end of the last word to the last step, which is behind / 4096 step before the slice's end
    span = carry - behind * dt // d
    least = shortest + 3
    if bit != st[m + _M_DIRECTION]:
        st[m + _M_DIRECTION] = bit
        least += st[_DIR_SETUP]
        st[m + _M_QUIET] = 1
    if st[m + _M_QUIET] != 0 and n > 1:
        # After a slice with few steps, or a turn, the first step has a time of its own.
        wait = carry - dt + first * dt // d
        if wait < least:
            wait = least
        words[ring + (w & _WORD_MASK)] = ((wait - overhead - 3) << 11) | 2 | bit
        w += 1
        span -= wait
        carry -= wait
        least = shortest + 3
        st[m + _M_QUIET] = 0
        if n < 4:
            st[m + _M_QUIET] = 1
        n -= 1
    else:
        st[m + _M_QUIET] = 0
        if n < 4:
            st[m + _M_QUIET] = 1
    if n == 1:
        if span < least:
            span = least
        words[ring + (w & _WORD_MASK)] = ((span - overhead - 3) << 11) | 2 | bit
        w += 1
        carry -= span
        n = 0
    if n != 0:
        # Whole cycles between steps, in turn too few and too many: no edge is off by more than a twelfth of a step. At
        # most some 35 words, so that a slice always finds room.
        span -= 3
        if span < 0:
            span = 0
        span = (span << 12) // n
        wait = span >> 12
        part = span & 4095
        if wait < shortest:
            wait = shortest
            part = 0
        most = wait * 352
        run = n >> 5
        late = 0
        while n > 0:
            # In 2**-12 cycles
            span = wait
            if late < 0 or (late == 0 and part > 2048):
                span += 1
                drift = 4096 - part
                k = (most - late) // (drift + 1)
            else:
                drift = 0 - part
                k = (most + late) // (part + 1)
            if k < run:
                k = run
            if k > 1000:
                k = 1000
            if k > n:
                k = n
            words[ring + (w & _WORD_MASK)] = ((span - overhead) << 11) | (k << 1) | bit
            w += 1
            late += k * drift + 12288
            carry -= span * k + 3
            n -= k
    st[m + _M_CARRY] = carry
    return w - st[m + _M_WRITE]


@micropython.viper
def _step(st: ptr32, words: ptr32, counts: ptr32):
    # The words of all motors for the slice that ends at AT
    dt = st[_DT]
    st[_ADDED] += dt
    st[_SLOTS] -= 1
    st[_DT] = 0
    st[_WANT] = st[_LONGEST]
    dt = dt * st[_CYCLES_UNIT]
    st[_CYCLES] = dt
    at = st[_SLICES]
    st[_SLICES] = at + 1
    at = at & _SLICE_MASK
    ring = 0
    m = _MOTORS
    while m < _MOTORS + 4 * _STRIDE:
        d = st[m + _M_AT] - st[m + _M_LAST]
        n = (((st[m + _M_LAST] + 2048) & 4095) + d) >> 12
        carry = st[m + _M_CARRY] + dt
        if n == 0:
            _wait(st, m, words, ring + (st[m + _M_WRITE] & _WORD_MASK), carry)
            n = 1
        else:
            st[m + _M_COUNT] += n
            st[m + _M_CARRY] = carry
            n = int(_pulses(st, m, words, ring, d, n))
        st[m + _M_LAST] = st[m + _M_AT]
        st[m + _M_WRITE] += n
        st[m + _M_FREE] -= n
        counts[at] = n
        at += _SLICES_RING
        ring += _WORDS
        m += _STRIDE


@micropython.viper
def run(st: ptr32, words: ptr32, counts: ptr32, mode: int) -> int:
    """One slice's position (WALK), its words (STEP), or both, slice after slice (BOTH).

    BOTH ends with FULL when the budget, the slots or the room for words are used up. `words` holds a ring of 1024
    words per motor, one after the other; `counts` a ring of 512 numbers of words per motor.
    """
    if mode == 0:
        return int(_walk(st))
    if mode == 1:
        _step(st, words, counts)
        return 1
    while True:
        if st[_ADDED] >= st[_BUDGET] or st[_SLOTS] < 1:
            return 1
        m = _MOTORS + _M_FREE
        while m < _MOTORS + 4 * _STRIDE:
            if st[m] < _ROOM:
                return 1
            m += _STRIDE
        code = int(_walk(st))
        if code == 0 or code == 3:
            return code
        _step(st, words, counts)
        if code == 2:
            return 2
