"""A slice's position bent: filters in time, the bed's mesh, backlash. What, why and in which units: adder/bend.py.

On the RP2040 the same arithmetic runs as inline assembler (adder/hal/bending_thumb.py); here it is in viper for every
other chip, and in plain Python for tests and dry runs. The tests compare the two word by word on the emulated board.
"""

import micropython
from micropython import const

_MOTORS = const(80)
_M_AT = const(1)
_STRIDE = const(16)
_KIND = const(0)  # 0 linear, 1 CoreXY whose axes are needed, 2 a function of its own; 3: after it
_FILTERS = const(1)
_COUNT = const(2)  # samples in the ring, counts up
_MASK = const(3)  # of the ring
_DELAY = const(4)  # samples by which everything is delayed
_SMOOTH = const(6)  # samples of the S-curve's mean, 0 off
_SMOOTH_AT = const(7)
_ADVANCE_W = const(8)  # samples before and after the moment
_ADVANCE_GAIN = const(9)
_ADVANCE_SHIFT = const(10)
_MESH = const(11)
_BACKLASH = const(12)
_BUSY = const(13)  # a backlash is being made up for
_ADVANCED = const(14)  # filament that goes forward with X or Y, 1/4096 step
_POS = const(16)  # X Y Z E, and what advance acts on
_PATH = const(21)  # 4: where the path is
_EXTRA = const(25)  # 4: what backlash adds
_X_SHAPER = const(29)  # number of impulses, then for each: whole and 1/4096 samples of delay, weight 2**-15
_Y_SHAPER = const(45)
_SUMS = const(61)  # 5: rests of the S-curve's sums
_MEANS = const(66)  # 5
_B = const(71)  # backlash, 6 for each motor: way, offset now, at most a slice, position before, 2**-12 of the way, aim
_B_FIELDS = const(6)
_G_X0 = const(96)  # mesh: first point,
_G_Y0 = const(97)
_G_DX = const(98)  # spacing / 4096,
_G_DY = const(99)
_G_NX = const(100)  # points
_G_NY = const(101)
_G_FADE = const(102)  # height at which it has faded out, 0 never
_FAR_Z = const(103)  # Z is so many times _FAR further up than its position says
_E_OUT = const(104)  # E after advance,
_E_MOST = const(105)  # and the most that it may go in a slice
_HEIGHT = const(106)  # what the mesh adds
_SAMPLE = const(8)  # words per sample
_FAR = const(0x3FFFF000)  # whole steps, as in adder/slicer.py
_TURN = const(256)  # a motor that comes back by so much has turned; filters end with a rounding or two


@micropython.viper
def _average(bd: ptr32, ring: ptr32):
    # S-curve: the mean of the last samples. The ring of raw samples lies behind that of the smooth ones.
    n = bd[_SMOOTH]
    at = bd[_SMOOTH_AT] + 1
    if at >= n:
        at = 0
    bd[_SMOOTH_AT] = at
    at = (bd[_MASK] + 1 + at) * _SAMPLE
    i = 0
    while i < 5:
        x = bd[_POS + i]
        d = x - ring[at + i] + bd[_SUMS + i]
        ring[at + i] = x
        x = d // n
        bd[_SUMS + i] = d - x * n
        x += bd[_MEANS + i]
        bd[_MEANS + i] = x
        bd[_POS + i] = x
        i += 1


@micropython.viper
def _shaped(bd: ptr32, ring: ptr32, shaper: int, axis: int) -> int:
    # Sum of delayed copies; all of them equal at rest, so it ends exactly
    mask = bd[_MASK]
    k = bd[_COUNT]
    n = bd[shaper]
    first = 0
    total = 0
    at = shaper + 1
    while n > 0:
        i = k - bd[at]
        x = ring[(i & mask) * _SAMPLE + axis]
        d = ring[((i - 1) & mask) * _SAMPLE + axis] - x
        m = bd[at + 1]
        x += ((d >> 10) * m >> 2) + ((d & 1023) * m >> 12)
        if at == shaper + 1:
            first = x
            total = x
        else:
            d = x - first
            x = bd[at + 2]
            total += (d >> 15) * x + ((d & 32767) * x >> 15)
        at += 3
        n -= 1
    return total


@micropython.viper
def _times(d: int, x: int, shift: int) -> int:
    # d * x / 2**shift, x below 2**11
    low = (d & 2047) * x >> shift
    d = (d >> 11) * x
    if shift > 11:
        return (d >> (shift - 11)) + low
    return (d << (11 - shift)) + low


@micropython.viper
def _filter(bd: ptr32, ring: ptr32):
    # POS: the newest sample of the path -> what the filters make of it
    bd[_POS + 4] = bd[_ADVANCED]
    if bd[_SMOOTH] != 0:
        _average(bd, ring)
    k = bd[_COUNT] + 1
    bd[_COUNT] = k
    mask = bd[_MASK]
    at = (k & mask) * _SAMPLE
    i = 0
    while i < 5:
        ring[at + i] = bd[_POS + i]
        i += 1
    k -= bd[_DELAY]
    at = (k & mask) * _SAMPLE
    bd[_POS + 2] = ring[at + 2]
    e = ring[at + 3]
    x = bd[_ADVANCE_GAIN]
    if x != 0:
        i = bd[_ADVANCE_W]
        d = ring[((k + i) & mask) * _SAMPLE + 4] - ring[((k - i) & mask) * _SAMPLE + 4]
        e += int(_times(d, x, bd[_ADVANCE_SHIFT])) - bd[_E_OUT]
        # A corner's jump of speed may ask for more than the extruder can do: it gets there later
        i = bd[_E_MOST]
        if e > i:
            e = i
            bd[_BUSY] = 1
        elif e < 0 - i:
            e = 0 - i
            bd[_BUSY] = 1
        e += bd[_E_OUT]
        bd[_E_OUT] = e
    bd[_POS + 3] = e
    if bd[_X_SHAPER] != 0:
        bd[_POS] = int(_shaped(bd, ring, _X_SHAPER, 0))
    else:
        bd[_POS] = ring[at]
    if bd[_Y_SHAPER] != 0:
        bd[_POS + 1] = int(_shaped(bd, ring, _Y_SHAPER, 1))
    else:
        bd[_POS + 1] = ring[at + 1]


@micropython.viper
def _mesh(bd: ptr32, mesh: ptr32) -> int:
    # Height of the bed under X Y, bilinear between the points, the edge's beyond them; faded out with height
    x = (bd[_POS] - bd[_G_X0]) // bd[_G_DX]
    y = (bd[_POS + 1] - bd[_G_Y0]) // bd[_G_DY]
    n = bd[_G_NX]
    if x < 0:
        x = 0
    if x >= (n - 1) << 12:
        x = ((n - 1) << 12) - 1
    if y < 0:
        y = 0
    if y >= (bd[_G_NY] - 1) << 12:
        y = ((bd[_G_NY] - 1) << 12) - 1
    at = (y >> 12) * n + (x >> 12)
    x = x & 4095
    y = y & 4095
    z = mesh[at]
    z += ((mesh[at + 1] - z) >> 6) * x >> 6
    at += n
    z2 = mesh[at]
    z2 += ((mesh[at + 1] - z2) >> 6) * x >> 6
    z += ((z2 - z) >> 6) * y >> 6
    n = bd[_G_FADE]
    if n != 0:
        x = bd[_POS + 2]
        y = bd[_FAR_Z]
        if y == 1 and x < 0:
            x += _FAR
        elif y > 0:
            return 0
        elif y < 0:
            x = 0
        x = n - x
        if x <= 0:
            return 0
        if x < n:
            z = (z >> 6) * (x // ((n >> 12) + 1)) >> 6
    return z


@micropython.viper
def _turns(bd: ptr32):
    # Backlash of every motor. Forwards nothing is added, backwards all of it is taken off.
    b = _B
    i = 0
    while i < 4:
        x = bd[_POS + i]
        way = bd[b]
        off = bd[b + 1]
        if bd[_BACKLASH] == 2:
            bd[b + 3] = x
        elif way != 0 or off != 0:
            d = x - bd[b + 3]
            if bd[b + 5] < 0:
                d = 0 - d
            if d >= 0:
                bd[b + 3] = x
            elif d < 0 - _TURN:
                bd[b + 3] = x
                d = 0 - d
                if bd[b + 5] < 0:
                    bd[b + 5] = 0
                else:
                    bd[b + 5] = 0 - way
            else:
                d = 0
            left = bd[b + 5] - off
            if left != 0:
                most = bd[b + 2]
                if bd[b + 4] != 0:
                    most = 0
                    if d > 0:
                        most = ((d >> 8) * bd[b + 4] >> 4) + ((d & 255) * bd[b + 4] >> 12) + 1
                else:
                    bd[_BUSY] = 1
                if left > most:
                    left = most
                elif left < 0 - most:
                    left = 0 - most
                off += left
                bd[b + 1] = off
        bd[_POS + i] = x + off
        bd[_EXTRA + i] += off
        b += _B_FIELDS
        i += 1


@micropython.viper
def bend(st: ptr32, bd: ptr32, ring: ptr32, mesh: ptr32):
    """AT, the path's position -> AT, the motors' position; see adder/bend.py.

    With a kinematics of its own (kind 2) only as far as the axes, in POS; kind 3 goes on from there.
    """
    kind = bd[_KIND]
    m = _MOTORS + _M_AT
    if kind != 3:
        bd[_BUSY] = 0
        bd[_HEIGHT] = 0
        i = 0
        while i < 4:
            x = st[m]
            bd[_PATH + i] = x
            bd[_POS + i] = x
            bd[_EXTRA + i] = 0
            m += _STRIDE
            i += 1
        if kind == 1:
            x = bd[_POS] >> 1
            i = bd[_POS + 1] >> 1
            bd[_POS] = x + i
            bd[_POS + 1] = x - i
        if bd[_FILTERS] == 1:
            _filter(bd, ring)
        if bd[_MESH] != 0:
            x = int(_mesh(bd, mesh))
            bd[_POS + 2] += x
            bd[_HEIGHT] = x
        if kind == 1:
            x = bd[_POS]
            i = bd[_POS + 1]
            bd[_POS] = x + i
            bd[_POS + 1] = x - i
        if kind == 2:
            return
        m = _MOTORS + _M_AT
    if bd[_BACKLASH] != 0:
        _turns(bd)
    i = 0
    while i < 4:
        st[m] = bd[_POS + i]
        m += _STRIDE
        i += 1
