"""From a sealed block to its phases: accelerate, cruise, decelerate, each in so many slices.

Called by the slicer when it takes a block; the speeds at both ends are final then. Units as in adder/planner.py:
length 10 nm, speed 10 nm/s, acceleration mm/s^2, squared speed (mm/s)^2 / 256; durations in 64 ns; fractions of the
block 2**-29.
"""

import micropython
from micropython import const

from adder.fixmath import isqrt, muldiv

# Block, as in adder/planner.py
_LENGTH = const(0)
_SPEED = const(1)
_ACCEL = const(2)
_NOMINAL_V2 = const(3)
_ENTRY_V2 = const(5)
_GAIN_V2 = const(6)
_STEPS = const(8)
_STRIDE = const(16)
_MASK = const(63)
# Planner state
_HEAD = const(0)
_TAIL = const(1)
_FIXED_V2 = const(2)
# Slicer state, as in adder/slicer.py
_PHASE = const(0)
_SLICE = const(1)
_NSLICES = const(12)
_QUOTIENT = const(15)
_REMAINDER = const(18)
_FACTOR_A = const(21)
_FACTOR_B = const(24)
_START = const(27)
_FINAL_SPEED = const(31)
_BLOCK_STEPS = const(32)
_LAST = const(36)

_ONE = const(0x20000000)  # 2**29
_SLICE_UNITS = const(15625)  # 1 ms
_UNITS_SECOND = const(15625000)


@micropython.viper
def _phase(st: ptr32, phase: int, units: int, v0: int, v1: int, steps: int):
    # One phase of `units` * 64 ns from speed v0 to v1, in which the fastest motor makes `steps`
    a = int(muldiv(v0, _ONE, v0 + v1)) << 1
    b = _ONE - a
    st[_FACTOR_A + phase] = a
    st[_FACTOR_B + phase] = b
    n = (units + _SLICE_UNITS - 1) // _SLICE_UNITS
    if b != 0:
        # Steps are evenly spaced within a slice. Against constant acceleration that is wrong by a dt^2 / 8 at most,
        # which is steps * b / (4 n^2): at most a tenth of a step.
        if b < 0:
            b = 0 - b
        k = int(isqrt(int(muldiv(steps * 5 >> 1, b, _ONE)))) + 1
        if k > n and k < units:
            n = k
    st[_NSLICES + phase] = n
    st[_QUOTIENT + phase] = units // n
    st[_REMAINDER + phase] = units % n


@micropython.viper
def _speed(v2: int) -> int:
    # Square root of v2, as 10 nm/s: (mm/s)^2 / 256 -> mm/s / 16 * 6250
    if v2 < 1:
        return 0
    up = 0
    while v2 < 0x4000000:
        v2 = v2 << 2
        up += 1
    return (int(isqrt(v2)) * 6250) >> up


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
    pl[_FIXED_V2] = leave
    pl[_TAIL] = tail + 1
    nominal = blk[b + _NOMINAL_V2]
    peak = (entry + leave + blk[b + _GAIN_V2]) >> 1
    v0 = int(_speed(entry))
    v2 = int(_speed(leave))
    if peak >= nominal:
        peak = nominal
        v1 = blk[b + _SPEED]
    else:
        if peak < 1:
            peak = 1
        v1 = int(_speed(peak))
    # Ways: s = (v^2 - v0^2) / 2a, in 10 nm
    up = 0
    if peak > entry:
        up = int(muldiv(peak - entry, 3125, accel << 4))
    down = 0
    if peak > leave:
        down = int(muldiv(peak - leave, 3125, accel << 4))
    if up > length:
        up = length
    if up + down > length:
        down = length - up
    cruise = length - up - down
    i = 0
    while i < 3:
        st[_NSLICES + i] = 0
        i += 1
    most = 0
    i = 0
    while i < 4:
        t = blk[b + _STEPS + i]
        st[_BLOCK_STEPS + i] = t
        st[_LAST + i] = 0
        if t < 0:
            t = 0 - t
        if t > most:
            most = t
        i += 1
    st[_START] = 0
    f1 = 0
    if up > 0:
        t = int(muldiv(up << 1, _UNITS_SECOND, v0 + v1))
        if t > 0:
            f1 = int(muldiv(up, _ONE, length))
            _phase(st, 0, t, v0, v1, int(muldiv(most, f1, _ONE)))
    f2 = _ONE
    t = 0
    if down > 0:
        t = int(muldiv(down << 1, _UNITS_SECOND, v2 + v1))
        if t > 0:
            f2 = int(muldiv(down, _ONE, length))
            _phase(st, 2, t, v1, v2, int(muldiv(most, f2, _ONE)))
            f2 = _ONE - f2
    if cruise > 0:
        units = int(muldiv(cruise, _UNITS_SECOND, v1))
        if units > 0:
            _phase(st, 1, units, v1, v1, 0)
        elif st[_NSLICES + 0] != 0:
            f1 = f2
        elif t > 0:
            f2 = f1
    elif st[_NSLICES + 0] != 0:
        f1 = f2
    else:
        f2 = f1
    if st[_NSLICES] == 0 and st[_NSLICES + 1] == 0 and st[_NSLICES + 2] == 0:
        _phase(st, 1, 1, 1, 1, 0)
        f1 = 0
        f2 = _ONE
    st[_START + 1] = f1
    st[_START + 2] = f2
    st[_START + 3] = _ONE
    if st[_NSLICES + 2] == 0:
        st[_START + 2] = _ONE
        if st[_NSLICES + 1] == 0:
            st[_START + 1] = _ONE
    st[_FINAL_SPEED] = v2
    st[_PHASE] = 0
    st[_SLICE] = 0
