"""From a sealed block to its phases: accelerate, cruise, decelerate, each with its time and its part of the way.

Called by the slicer when it takes a block; the speeds at both ends are final then. A block that is faster than it
should be (the feedrate percentage was lowered, or the motion is held) brakes first. `_reopen` is the way back: what is
left of the block in work returns to the planner, to be sealed again under another feedrate.

Units as in adder/planner.py: length 10 nm, speed 10 nm/s, acceleration mm/s^2 / 256, squared speed (mm/s)^2 / 256;
durations in 64 ns; fractions of the block 2**-29.
"""

import micropython
from micropython import const

from adder.fixmath import muldiv, root29, speed_of

# Block, as in adder/planner.py
_LENGTH = const(0)
_SPEED = const(1)
_ACCEL = const(2)  # mm/s^2 / 256
_NOMINAL_V2 = const(3)
_ENTRY_V2 = const(5)
_GAIN_V2 = const(6)
_STEPS = const(8)
_KINK = const(14)
_DONE = const(15)
_STRIDE = const(16)
_MASK = const(63)
# Planner state
_HEAD = const(0)
_TAIL = const(1)
_FIXED_V2 = const(2)
_FEED = const(4)
# Slicer state, as in adder/slices.py and adder/slicer.py
_PHASE = const(0)
_TIME = const(1)
_FRACTION = const(10)
_FINAL_SPEED = const(21)
_ADVANCING = const(22)
_HELD = const(23)
_PHASES = const(32)
_P_TIME = const(0)
_P_SHIFT = const(1)
_P_INVERSE = const(2)
_P_A = const(3)
_P_B = const(4)
_P_START = const(5)
_P_END = const(6)
_P_LONGEST = const(7)
_P_V0 = const(8)
_P_V1 = const(9)
_MOTORS = const(80)

_ONE = const(0x20000000)  # 2**29
_SLICE_UNITS = const(15625)  # 1 ms
_UNITS_SECOND = const(15625000)
_V2_MAX = const(0x1FFFFFFF)
_V2_UNIT = const(39062500)  # (10 nm/s)^2 in a unit of v2


@micropython.viper
def _phase(st: ptr32, phase: int, way: int, v0: int, v1: int, part: int, most: int):
    # A phase over `way` from speed v0 to v1, which is `part` of the block's steps, `most` of the fastest motor
    p = _PHASES + phase * _STRIDE
    v = v0 + v1
    if v < 1:
        v = 1
    t = int(muldiv(way << 1, _UNITS_SECOND, v))
    # Rounded to nearest, so that it does not add up over a chain of blocks; the difference fits whatever wraps around
    if ((way << 1) * _UNITS_SECOND - t * v) << 1 >= v:
        t += 1
    st[p + _P_TIME] = t
    if t == 0:
        return
    shift = 0
    n = t
    while n < _ONE:
        n = n << 1
        shift += 1
    st[p + _P_SHIFT] = shift
    st[p + _P_INVERSE] = int(muldiv(_ONE, _ONE, n))
    n = int(muldiv(v0, _ONE, v)) << 1
    st[p + _P_A] = n
    n = _ONE - n
    st[p + _P_B] = n
    longest = _SLICE_UNITS
    if n != 0:
        # Steps are evenly spaced within a slice. Against constant acceleration that is wrong by a dt^2 / 8 at most,
        # which is steps * b / (4 n^2) with n slices in the phase: at most a tenth of a step.
        if n < 0:
            n = 0 - n
        n = int(muldiv(int(muldiv(most, part, _ONE)) * 5 >> 1, n, _ONE))
        if n > 0:
            n = t // ((int(root29(n)) >> 14) + 1)
            if n < longest:
                longest = n + 1
    st[p + _P_LONGEST] = longest
    st[p + _P_V0] = v0
    st[p + _P_V1] = v1


@micropython.viper
def _way(v2: int, accel: int) -> int:
    # Way over which the squared speed changes by v2. To nearest: what is rounded off goes at another speed, and were it
    # always missing, each ramp would take less time than it should.
    way = int(muldiv(v2, 50000, accel))
    if (v2 * 50000 - way * accel) << 1 >= accel:
        way += 1
    return way


@micropython.viper
def _take(st: ptr32, blk: ptr32, b: int) -> int:
    # The motors' part of the block at `b`; returns the steps of the one that makes most
    most = 0
    i = 0
    while i < 4:
        t = blk[b + _STEPS + i]
        st[_MOTORS + i * _STRIDE] = t << 12
        if t < 0:
            t = 0 - t
        if t > most:
            most = t
        i += 1
    st[_ADVANCING] = 0
    if blk[b + _STEPS + 3] > 0:
        if blk[b + _STEPS] != 0 or blk[b + _STEPS + 1] != 0:
            st[_ADVANCING] = 1
    return most


@micropython.viper
def _borders(st: ptr32, done: int, f1: int, f2: int, last: int):
    # Fractions at the borders of the phases there are; `last` at the end of the last one. What was rounded away
    # belongs to the neighbour.
    p = _PHASES
    begin = done
    i = 0
    while i < 3:
        if st[p] != 0:
            end = last
            if i == 0:
                end = f1
            elif i == 1:
                end = f2
            if i == 0 and st[p + _STRIDE] == 0:
                if st[p + _STRIDE * 2] == 0:
                    end = last
            elif i == 1 and st[p + _STRIDE] == 0:
                end = last
            st[p + _P_START] = begin
            st[p + _P_END] = end
            begin = end
        i += 1
        p += _STRIDE


@micropython.viper
def _seal(st: ptr32, pl: ptr32, blk: ptr32):
    # Take the first waiting block out of the planner's ring: its entry and exit speeds are final now.
    tail = pl[_TAIL]
    b = (tail & _MASK) * _STRIDE
    length = blk[b + _LENGTH]
    accel = blk[b + _ACCEL]
    entry = pl[_FIXED_V2]
    leave = 0
    if tail + 1 < pl[_HEAD]:
        leave = blk[((tail + 1) & _MASK) * _STRIDE + _ENTRY_V2]
    pl[_TAIL] = tail + 1
    nominal = blk[b + _NOMINAL_V2]
    v0 = int(speed_of(entry))
    v1 = blk[b + _SPEED]
    up = 0
    if entry > nominal:
        # Too fast: brake first
        peak = nominal
        if leave > peak:
            peak = leave
            v1 = int(speed_of(peak))
        up = length
        if entry - peak < blk[b + _GAIN_V2]:
            up = int(_way(entry - peak, accel))
    else:
        peak = (entry + leave + blk[b + _GAIN_V2]) >> 1
        if peak >= nominal:
            peak = nominal
        else:
            if peak < 1:
                peak = 1
            v1 = int(speed_of(peak))
        if peak > entry:
            up = int(_way(peak - entry, accel))
    down = 0
    if peak > leave:
        down = int(_way(peak - leave, accel))
    held = 0
    if pl[_FEED] == 0:
        # A hold: rest within this block, or no further than its end
        down = 0
        if leave == 0:
            v1 = 0
            if up < length:
                held = 1
                length = up
        else:
            up = length
    if up > length:
        up = length
    if up + down > length:
        down = length - up
    pl[_FIXED_V2] = leave
    v2 = v0
    if leave != entry:
        v2 = int(speed_of(leave))
    most = int(_take(st, blk, b))
    done = blk[b + _DONE]
    rest = _ONE - done
    whole = blk[b + _LENGTH]
    f1 = int(muldiv(up, rest, whole))
    f2 = rest - int(muldiv(down, rest, whole))
    # Calls cost more than what they do for a phase that is not there
    st[_PHASES] = 0
    if up != 0:
        _phase(st, 0, up, v0, v1, f1, most)
    st[_PHASES + _STRIDE] = 0
    if up + down != length:
        _phase(st, 1, length - up - down, v1, v1, 0, most)
    st[_PHASES + _STRIDE * 2] = 0
    if down != 0:
        _phase(st, 2, down, v1, v2, rest - f2, most)
    last = _ONE
    if held != 0:
        last = done + f1
    if st[_PHASES] == 0 and st[_PHASES + _STRIDE] == 0 and st[_PHASES + _STRIDE * 2] == 0:
        # Too short for any time: one unit
        st[_PHASES + _STRIDE] = 1
        st[_PHASES + _STRIDE + _P_LONGEST] = 1
        f1 = 0
        if held != 0:
            last = done
    _borders(st, done, done + f1, done + f2, last)
    st[_FINAL_SPEED] = v2
    st[_HELD] = held
    st[_TIME] = 0
    i = 0
    while st[_PHASES + i * _STRIDE] == 0:
        i += 1
    st[_PHASE] = i


@micropython.viper
def _reopen(st: ptr32, pl: ptr32, blk: ptr32):
    # Hand what is not made yet of the block in work back to the planner; its speed now is where the planner goes on.
    phase = st[_PHASE]
    f = st[_FRACTION]
    v = 0
    if phase == 3:
        if st[_HELD] == 0:
            return
    else:
        p = _PHASES + phase * _STRIDE
        v = st[p + _P_V0]
        if st[_TIME] == 0:
            f = st[p + _P_START]
        else:
            tau = int(muldiv(st[_TIME], _ONE, st[p + _P_TIME]))
            if st[p + _P_V1] < v:
                v -= int(muldiv(v - st[p + _P_V1], tau, _ONE))
            else:
                v += int(muldiv(st[p + _P_V1] - v, tau, _ONE))
    tail = pl[_TAIL] - 1
    pl[_TAIL] = tail
    b = (tail & _MASK) * _STRIDE
    done = blk[b + _DONE]
    length = int(muldiv(blk[b + _LENGTH], _ONE - f, _ONE - done))
    if length < 1:
        length = 1
    blk[b + _DONE] = f
    blk[b + _LENGTH] = length
    accel = blk[b + _ACCEL]
    gain = _V2_MAX
    if length // 50000 + 1 <= (1 << 29) // accel:
        gain = int(muldiv(accel, length, 50000))
        if gain < 1:
            gain = 1
    blk[b + _GAIN_V2] = gain
    pl[_FIXED_V2] = int(muldiv(v, v, _V2_UNIT))
    st[_PHASE] = 3
    st[_HELD] = 0
