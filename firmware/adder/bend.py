"""What bends the path slice by slice: filters in time, corrections in space, kinematics that are not linear.

    path --filters--> shaped path --mesh--> axes --kinematics--> motors --backlash--> steps

Filters need the path at earlier times, so with any of them on, slices follow a fixed grid and the last positions are
kept in a ring:

S-curve (M205 C). Every axis is averaged over the time T. The acceleration then rises and falls over T, so the jerk is
at most a / T, and whatever was within a limit of speed or acceleration still is, for means of what is within are.

Input shaping (M593). X and Y become sums of delayed copies with weights (ZV, MZV, EI; adder/shapers.py). All other
axes are delayed by the mean delay, so that they stay together.

Pressure advance (M900). E is ahead by K times its own speed, taken as the mean over 20 ms around the moment; it acts
while X or Y moves and filament goes forward.

When the path comes to rest, slices go on until the filters have settled; they end exactly where the path ends.

Backlash (M425). Where a motor turns, its backlash is added, spread over as much time as that way takes from rest to
rest, or over the smoothing distance.

Units: positions 1/4096 step, as in adder/slices.py.
"""

import sys
from array import array

import micropython
from micropython import const

from adder.shapers import mean_delay
from adder.slicer import _next

if sys.platform == "rp2":
    from adder.hal.slices_thumb import run
else:
    from adder.slices import run

# Planner state
_HEAD = const(0)
_TAIL = const(1)
_FEED = const(4)
# Slicer state
_PHASE = const(0)
_WANT = const(7)
_DT = const(8)
_ADDED = const(11)
_BUDGET = const(12)
_SLOTS = const(13)
_GRID = const(14)
_LONGEST = const(15)
_FINAL_SPEED = const(21)
_ADVANCING = const(22)
_HELD = const(23)
_END_SPEED = const(24)
_REST = const(28)
_SHIFTED = const(29)
_MOTORS = const(80)
_M_AT = const(1)
_M_LAST = const(2)
_M_BASE = const(3)
_M_COUNT = const(9)
_M_FREE = const(10)
_STRIDE = const(16)
_SHIFT_LEFT = const(160)
_SHIFT_RATE = const(164)
_ROOM = const(80)

# State of the bending
FIELDS = 112
_KIND = const(0)  # 0 linear, 1 CoreXY whose axes are needed, 2 a function of its own
_FILTERS = const(1)
_COUNT = const(2)  # samples in the ring, counts up
_MASK = const(3)  # of the ring
_DELAY = const(4)  # samples by which everything is delayed
_SPAN = const(5)  # samples until the filters have settled
_SMOOTH = const(6)  # samples of the S-curve's mean, 0 off
_SMOOTH_AT = const(7)
_ADVANCE_W = const(8)  # samples before and after the moment
_ADVANCE_GAIN = const(9)
_ADVANCE_SHIFT = const(10)
_MESH = const(11)
_BACKLASH = const(12)
_BUSY = const(13)  # a backlash is being made up for
_ADVANCED = const(14)  # filament that goes forward with X or Y, 1/4096 step
_E_BEFORE = const(15)
_POS = const(16)  # X Y Z E, and what advance acts on
_PATH = const(21)  # 4: where the path is
_EXTRA = const(25)  # 4: what mesh and backlash add
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
_SAMPLE = const(8)  # words per sample

GRID_UNITS = 15625  # 1 ms
ADVANCE_MS = 10  # speed of E is a mean over this time before and after the moment

_transform = None  # of a kinematics that is not linear: function(positions, constants)


@micropython.viper
def _follow(st: ptr32, bd: ptr32):
    # Filament that the path has used since the last look
    e = st[_MOTORS + 3 * _STRIDE + _M_AT]
    if st[_ADVANCING] != 0:
        bd[_ADVANCED] += e - bd[_E_BEFORE]
    bd[_E_BEFORE] = e


@micropython.viper
def _path(st: ptr32, pl: ptr32, blk: ptr32, words: ptr32, counts: ptr32, bd: ptr32) -> int:
    # The path's position at the end of the next slice, in AT. 0: there is none
    while True:
        if st[_PHASE] == 3:
            code = 0
            if st[_HELD] == 0:
                code = int(_next(st, pl, blk))
            if code == 2:
                break
            if code == 0:
                if st[_HELD] == 0 and pl[_HEAD] != pl[_TAIL] and pl[_FEED] != 0:
                    return 0
                st[_END_SPEED] = 0
                if st[_DT] == 0:
                    if st[_REST] == 0 and bd[_BUSY] == 0 and st[_SHIFTED] == 0:
                        return 0
                    st[_DT] = st[_LONGEST]
                    i = 0
                    while i < 4:
                        st[_MOTORS + i * _STRIDE + _M_AT] = bd[_PATH + i]
                        i += 1
                if st[_GRID] != 0:
                    st[_DT] = st[_GRID]
                if st[_REST] > 0:
                    st[_REST] -= 1
                return 1
        code = int(run(st, words, counts, 0))
        st[_REST] = bd[_SPAN]
        if bd[_ADVANCE_GAIN] != 0:
            _follow(st, bd)
        if code == 1:
            st[_END_SPEED] = 1
            break
        if code == 2:
            st[_END_SPEED] = st[_FINAL_SPEED]
            break
        if code == 3 and st[_GRID] == 0 and st[_DT] != 0:
            break
    return 1


@micropython.viper
def _shift(st: ptr32):
    # Babysteps: a little in every slice
    left = 0
    i = 0
    while i < 4:
        d = st[_SHIFT_LEFT + i]
        if d != 0:
            most = st[_SHIFT_RATE + i]
            if d > most:
                d = most
            elif d < 0 - most:
                d = 0 - most
            st[_SHIFT_LEFT + i] -= d
            st[_MOTORS + i * _STRIDE + _M_BASE] += d
            st[_MOTORS + i * _STRIDE + _M_AT] += d
            if st[_SHIFT_LEFT + i] != 0:
                left |= 1 << i
        i += 1
    st[_SHIFTED] = left


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
        x += ((d >> 2) * bd[at + 1]) >> 10
        if at == shaper + 1:
            first = x
            total = x
        else:
            d = x - first
            x = bd[at + 2]
            total += ((d >> 10) * x >> 5) + ((d & 1023) * x >> 15)
        at += 3
        n -= 1
    return total


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
        e += (d * x) >> bd[_ADVANCE_SHIFT]
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
    z += ((mesh[at + 1] - z) >> 3) * x >> 9
    at += n
    z2 = mesh[at]
    z2 += ((mesh[at + 1] - z2) >> 3) * x >> 9
    z += ((z2 - z) >> 3) * y >> 9
    n = bd[_G_FADE]
    if n != 0:
        x = n - bd[_POS + 2]
        if x <= 0:
            return 0
        if x < n:
            z = (z >> 3) * (x // ((n >> 12) + 1)) >> 9
    return z


@micropython.viper
def _turns(bd: ptr32):
    # Backlash of every motor
    bd[_BUSY] = 0
    b = _B
    i = 0
    while i < 4:
        way = bd[b]
        if way != 0:
            x = bd[_POS + i]
            d = x - bd[b + 3]
            bd[b + 3] = x
            if d > 0:
                bd[b + 5] = 0
            elif d < 0:
                bd[b + 5] = 0 - way
                d = 0 - d
            off = bd[b + 1]
            left = bd[b + 5] - off
            if left != 0:
                most = bd[b + 2]
                if bd[b + 4] != 0:
                    most = ((d >> 4) * bd[b + 4] >> 8) + 1
                    if d == 0:
                        most = 0
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
def _bend(st: ptr32, bd: ptr32, ring: ptr32, mesh: ptr32, at: ptr32, k: ptr32):
    # AT, the path's position -> AT, the motors' position
    i = 0
    m = _MOTORS + _M_AT
    while i < 4:
        x = st[m]
        bd[_PATH + i] = x
        bd[_POS + i] = x
        bd[_EXTRA + i] = 0
        m += _STRIDE
        i += 1
    kind = bd[_KIND]
    if kind == 1:
        x = bd[_POS]
        i = bd[_POS + 1]
        bd[_POS] = (x + i) >> 1
        bd[_POS + 1] = (x - i) >> 1
    if bd[_FILTERS] == 1:
        _filter(bd, ring)
    if bd[_MESH] != 0:
        x = int(_mesh(bd, mesh))
        bd[_POS + 2] += x
        bd[_EXTRA + 2] = x
    if kind == 1:
        x = bd[_POS]
        i = bd[_POS + 1]
        bd[_POS] = x + i
        bd[_POS + 1] = x - i
    m = _MOTORS + _M_AT
    if kind == 2:
        i = 0
        while i < 3:
            at[i] = bd[_POS + i]
            i += 1
        _transform(at, k)
        i = 0
        while i < 3:
            bd[_POS + i] = at[i]
            i += 1
    if bd[_BACKLASH] != 0:
        _turns(bd)
    i = 0
    while i < 4:
        st[m] = bd[_POS + i]
        m += _STRIDE
        i += 1


@micropython.viper
def fill(
    st: ptr32, pl: ptr32, blk: ptr32, words: ptr32, counts: ptr32,
    bd: ptr32, ring: ptr32, mesh: ptr32, at: ptr32, k: ptr32,
) -> int:
    """As adder.slicer.fill, with every slice's position bent before its words are made."""
    slots = st[_SLOTS]
    st[_ADDED] = 0
    while st[_ADDED] < st[_BUDGET] and st[_SLOTS] > 0:
        m = _MOTORS + _M_FREE
        while m < _MOTORS + 4 * _STRIDE:
            if st[m] < _ROOM:
                return slots - st[_SLOTS]
            m += _STRIDE
        if int(_path(st, pl, blk, words, counts, bd)) == 0:
            break
        if st[_SHIFTED] != 0:
            _shift(st)
        _bend(st, bd, ring, mesh, at, k)
        run(st, words, counts, 1)
    return slots - st[_SLOTS]


@micropython.viper
def _still(bd: ptr32, ring: ptr32):
    # The path has been where POS is for ever.
    bd[_ADVANCED] = 0
    bd[_E_BEFORE] = bd[_PATH + 3]
    bd[_POS + 4] = 0
    i = 0
    while i < 5:
        bd[_SUMS + i] = 0
        bd[_MEANS + i] = bd[_POS + i]
        at = i
        n = bd[_MASK] + 1 + bd[_SMOOTH]
        while n > 0:
            ring[at] = bd[_POS + i]
            at += _SAMPLE
            n -= 1
        i += 1


class Bend:
    """What is bent, and how; all is set at rest.

    active   slices have to be bent at all
    """

    def __init__(self):
        self.state = array("i", [0] * FIELDS)
        self.ring = self.mesh = self.k = self.at = array("i", [0] * 4)
        self.active = False
        self.grid = 0  # duration of a slice on the grid, 64 ns units; 0: none is needed

    def filters(self, smooth_ms, shaper_x, shaper_y, advance_s):
        """S-curve time in ms (0 off), impulses (times, weights) of X and Y or None, advance in s (0 off)."""
        state = self.state
        means = [0, 0]
        lasts = [0, 0]
        for i, shaper in enumerate((shaper_x, shaper_y)):
            if shaper:
                times, weights = shaper
                means[i] = mean_delay(times, weights)
                lasts[i] = times[-1]
        window = ADVANCE_MS if advance_s else 0
        delay = max(int(max(means) * 1000 + 0.999), window)
        span = delay + window
        for i, shaper in enumerate((shaper_x, shaper_y)):
            field = _Y_SHAPER if i else _X_SHAPER
            state[field] = 0
            if shaper:
                times, weights = shaper
                state[field] = len(times)
                rest = 32768
                for n in range(len(times)):
                    ticks = round((delay / 1000 - means[i] + times[n]) * 4096000)
                    weight = round(weights[n] * 32768)
                    at = field + 1 + 3 * n
                    state[at] = ticks >> 12
                    state[at + 1] = ticks & 4095
                    state[at + 2] = weight
                    span = max(span, (ticks >> 12) + 2)
        on = bool(smooth_ms or shaper_x or shaper_y or advance_s)
        state[_FILTERS] = 1 if on else 0
        state[_SMOOTH] = smooth_ms
        state[_SMOOTH_AT] = 0
        state[_DELAY] = delay
        state[_SPAN] = span + smooth_ms + 1 if on else 0
        state[_ADVANCE_W] = window
        shift = 0
        gain = advance_s * 1000 / (2 * window) if window else 0
        while gain and gain < 1024 and shift < 16:
            gain *= 2
            shift += 1
        state[_ADVANCE_GAIN] = round(gain)
        state[_ADVANCE_SHIFT] = shift
        self.grid = GRID_UNITS if on else 0
        size = 64
        while size < span + 4:
            size *= 2
        state[_MASK] = size - 1
        words = (size + smooth_ms) * _SAMPLE if on else 4
        if len(self.ring) != words:
            self.ring = array("i", [0] * words)
        self._decide()

    def backlash(self, motor, way, rate, ratio):
        """Way in 1/4096 step (0 off); at most `rate` of it a slice or, if `ratio` is not 0, 2**-12 of the motor's way."""
        state = self.state
        at = _B + _B_FIELDS * motor
        state[at] = way
        state[at + 2] = max(rate, 1)
        state[at + 4] = ratio
        if state[at + 5]:
            state[at + 5] = -way
        state[_BACKLASH] = 1 if any([state[_B + _B_FIELDS * m] or state[_B + _B_FIELDS * m + 1] for m in range(4)]) else 0
        self._decide()

    def kinematics(self, kinematics):
        """One of adder/kinematics."""
        global _transform
        self._corexy = kinematics.number == 1
        self._bent = None
        if not kinematics.linear:
            self._bent = kinematics
            _transform = kinematics.bend
            self.k = kinematics.k
            self.at = array("i", [0] * 4)
        self._decide()

    def bed(self, mesh, x0, y0, dx, dy, nx, ny, fade):
        """A grid of heights, `nx` times `ny` from (x0, y0) on, `dx` and `dy` apart, all in 1/4096 step; None: off."""
        state = self.state
        state[_MESH] = 1 if mesh else 0
        if mesh:
            self.mesh = mesh
            state[_G_X0] = x0
            state[_G_Y0] = y0
            state[_G_DX] = dx >> 12
            state[_G_DY] = dy >> 12
            state[_G_NX] = nx
            state[_G_NY] = ny
            state[_G_FADE] = fade
        self._decide()

    def _decide(self):
        state = self.state
        state[_KIND] = 0
        if self._bent:
            state[_KIND] = 2
        elif self._corexy and (state[_FILTERS] or state[_MESH]):
            state[_KIND] = 1
        self.active = bool(state[_FILTERS] or state[_MESH] or state[_BACKLASH] or self._bent)

    _bent = None
    _corexy = False

    def settle(self, st):
        """The path stands at the slicer's BASE and has done so for ever: AT and LAST follow."""
        state = self.state
        for i in range(4):
            base = st[_MOTORS + i * _STRIDE + _M_BASE]
            st[_MOTORS + i * _STRIDE + _M_AT] = base
        filters = state[_FILTERS]
        state[_FILTERS] = 2 if filters else 0
        for i in range(4):
            state[_B + _B_FIELDS * i + 3] = st[_MOTORS + i * _STRIDE + _M_AT]
        kind = state[_KIND]
        if kind == 1:
            x, y = st[_MOTORS + _M_AT], st[_MOTORS + _STRIDE + _M_AT]
            at = ((x + y) >> 1, (x - y) >> 1)
        else:
            at = (st[_MOTORS + _M_AT], st[_MOTORS + _STRIDE + _M_AT])
        ring = (at[0], at[1], st[_MOTORS + 2 * _STRIDE + _M_AT], st[_MOTORS + 3 * _STRIDE + _M_AT])
        _bend(st, state, self.ring, self.mesh, self.at, self.k)
        for i in range(4):
            m = _MOTORS + i * _STRIDE
            st[m + _M_LAST] = st[m + _M_AT]
        state[_FILTERS] = filters
        if filters:
            for i in range(4):
                state[_POS + i] = ring[i]
            _still(state, self.ring)

    def follow(self, st):
        """Nothing has been bent until now: the path is where the motors are."""
        for i in range(4):
            self.state[_PATH + i] = st[_MOTORS + i * _STRIDE + _M_AT]

    def curved(self):
        """The kinematics is not linear."""
        return self._bent is not None

    def extra(self, motor):
        """What mesh and backlash add to a motor's position now, whole steps."""
        return (self.state[_EXTRA + motor] + 2048) >> 12

    def fill(self, st, planner, stream):
        """See `fill`."""
        return fill(
            st, planner.state, planner.blocks, stream.words, stream.counts,
            self.state, self.ring, self.mesh, self.at, self.k,
        )
