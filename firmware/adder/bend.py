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

Backlash (M425). Where a motor turns, its backlash is added: backwards all of it is taken off, forwards it is given
back, spread over as much time as that way takes from rest to rest, or over the smoothing distance. A motor has turned
when it has come back by 1/16 step.

Where the speed of the filament jumps, at a corner, advance would make E jump by K / 20 ms as much; E's highest speed
holds all the same, and what is missing follows.

Units: positions 1/4096 step, as in adder/slices.py.
"""

import sys
from array import array

import micropython
from micropython import const

from adder.shapers import mean_delay
from adder.slicer import _next

if sys.platform == "rp2":
    from adder.hal.bending_thumb import bend
    from adder.hal.slices_thumb import run
else:
    from adder.bending import bend
    from adder.slices import run

# Planner state
_HEAD = const(0)
_TAIL = const(1)
_FEED = const(4)
# Slicer state
_PHASE = const(0)
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
_M_FREE = const(10)
_STRIDE = const(16)
_SHIFT_LEFT = const(160)
_SHIFT_RATE = const(164)
_ROOM = const(80)

# State of the bending
FIELDS = 128
_KIND = const(0)  # 0 linear, 1 CoreXY whose axes are needed, 2 a function of its own; 3: after it
_FILTERS = const(1)
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

GRID_UNITS = 15625  # 1 ms
ADVANCE_MS = 10  # speed of E is a mean over this time before and after the moment
_JUMP = const(0x20000000)  # nothing but a position that wrapped around moves so far in a slice
_FAR = const(0x3FFFF000)  # whole steps, as in adder/slicer.py

_transform = None  # of a kinematics that is not linear: function(positions, constants)


@micropython.viper
def _back(bd: ptr32, ring: ptr32, i: int, far: int):
    # One of X Y Z E and what advance acts on: all that remembers its positions counts from `far` further on
    bd[_MEANS + i] -= far
    n = bd[_MASK] + 1 + bd[_SMOOTH]
    while n > 0:
        ring[i] -= far
        i += _SAMPLE
        n -= 1


@micropython.viper
def _wrap(st: ptr32, bd: ptr32, ring: ptr32):
    # Positions that the slicer has brought back from 2**30 (`_come_back`): so does whatever is remembered of them
    i = 0
    while i < 4:
        d = bd[_PATH + i] - st[_MOTORS + i * _STRIDE + _M_BASE]
        far = 0
        if d > _JUMP:
            far = _FAR
        elif d < 0 - _JUMP:
            far = 0 - _FAR
        if far != 0:
            bd[_PATH + i] -= far
            bd[_B + i * _B_FIELDS + 3] -= far
            if i == 3:
                bd[_E_BEFORE] -= far
                bd[_E_OUT] -= far
            elif i == 2:
                d = 1
                if far < 0:
                    d = -1
                bd[_FAR_Z] += d
            if bd[_FILTERS] != 0:
                if bd[_KIND] == 1 and i < 2:
                    far = far >> 1
                    _back(bd, ring, 0, far)
                    if i == 1:
                        far = 0 - far
                    _back(bd, ring, 1, far)
                else:
                    _back(bd, ring, i, far)
        i += 1
    if bd[_ADVANCED] >= _FAR:
        bd[_ADVANCED] -= _FAR
        if bd[_FILTERS] != 0:
            _back(bd, ring, 4, _FAR)


@micropython.viper
def _path(st: ptr32, pl: ptr32, blk: ptr32, words: ptr32, counts: ptr32, bd: ptr32, ring: ptr32, code: int) -> int:
    # The block in work has ended with `code` (0: there was none). Goes on to the path's position at the end of the next
    # slice, in AT. 0: there is none
    while True:
        if code == 1:
            st[_END_SPEED] = 1
            break
        if code == 2:
            st[_END_SPEED] = st[_FINAL_SPEED]
            break
        if code == 3 and st[_GRID] == 0 and st[_DT] != 0:
            break
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
            _wrap(st, bd, ring)
        code = int(run(st, words, counts, 0))
        st[_REST] = bd[_SPAN]
        e = st[_MOTORS + 3 * _STRIDE + _M_AT]
        if st[_ADVANCING] != 0:
            bd[_ADVANCED] += e - bd[_E_BEFORE]
        bd[_E_BEFORE] = e
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
def _curve(st: ptr32, bd: ptr32, ring: ptr32, mesh: ptr32, at: ptr32, k: ptr32):
    # With a kinematics of its own: the axes' positions are in POS, the motors' are to be in AT
    i = 0
    while i < 3:
        at[i] = bd[_POS + i]
        i += 1
    _transform(at, k)
    i = 0
    while i < 3:
        bd[_POS + i] = at[i]
        i += 1
    bd[_KIND] = 3
    bend(st, bd, ring, mesh)
    bd[_KIND] = 2


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
        # Most slices lie within a block: they need no further call
        code = 0
        if st[_PHASE] != 3:
            code = int(run(st, words, counts, 0))
            st[_REST] = bd[_SPAN]
            e = st[_MOTORS + 3 * _STRIDE + _M_AT]
            if st[_ADVANCING] != 0:
                bd[_ADVANCED] += e - bd[_E_BEFORE]
            bd[_E_BEFORE] = e
            st[_END_SPEED] = 1
        if code != 1:
            if int(_path(st, pl, blk, words, counts, bd, ring, code)) == 0:
                break
        if st[_SHIFTED] != 0:
            _shift(st)
            st[_REST] = bd[_SPAN]
        bend(st, bd, ring, mesh)
        if bd[_KIND] == 2:
            _curve(st, bd, ring, mesh, at, k)
        run(st, words, counts, 1)
    return slots - st[_SLOTS]


@micropython.viper
def _still(bd: ptr32, ring: ptr32):
    # The path has been where POS is for ever.
    bd[_ADVANCED] = 0
    bd[_E_BEFORE] = bd[_PATH + 3]
    bd[_E_OUT] = bd[_PATH + 3]
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

    def filters(self, smooth_ms, shaper_x, shaper_y, advance_s, e_most=0x3FFFFFFF):
        """S-curve time in ms (0 off), impulses (times, weights) of X and Y or None, advance in s (0 off).

        `e_most`: highest speed of an E that is ahead, 1/4096 step in a slice.
        """
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
        state[_E_MOST] = e_most
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
        """Way in 1/4096 step (0 off); at most `rate` of it a slice or, if `ratio` is not 0, 2**-12 of motor's way."""
        state = self.state
        at = _B + _B_FIELDS * motor
        state[at] = way
        if way:  # else what is there goes away as it came
            state[at + 2] = max(rate, 1)
            state[at + 4] = ratio
        if state[at + 5]:
            state[at + 5] = -way
        state[_BACKLASH] = 0
        for at in range(_B, _B + 4 * _B_FIELDS, _B_FIELDS):
            if state[at] or state[at + 1]:
                state[_BACKLASH] = 1
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
        """The path stands at the slicer's BASE and has done so for ever: AT and LAST follow. No motor turns."""
        state = self.state
        base = [st[_MOTORS + i * _STRIDE + _M_BASE] for i in range(4)]
        for i in range(4):
            st[_MOTORS + i * _STRIDE + _M_AT] = base[i]
        filters, backlash = state[_FILTERS], state[_BACKLASH]
        state[_FILTERS] = 2 if filters else 0
        state[_BACKLASH] = 2 if backlash else 0
        bend(st, state, self.ring, self.mesh)
        if state[_KIND] == 2:
            _curve(st, state, self.ring, self.mesh, self.at, self.k)
        state[_FILTERS], state[_BACKLASH] = filters, backlash
        for i in range(4):
            m = _MOTORS + i * _STRIDE
            st[m + _M_LAST] = st[m + _M_AT]
        if filters:
            if state[_KIND] == 1:
                base[0], base[1] = (base[0] >> 1) + (base[1] >> 1), (base[0] >> 1) - (base[1] >> 1)
            for i in range(4):
                state[_POS + i] = base[i]
            _still(state, self.ring)

    def follow(self, st):
        """Nothing has been bent until now: the path is where the motors are."""
        for i in range(4):
            self.state[_PATH + i] = st[_MOTORS + i * _STRIDE + _M_AT]

    def curved(self):
        """The kinematics is not linear."""
        return self._bent is not None

    def extra(self, motor):
        """What mesh and backlash add to a motor's position now, whole steps.

        With a kinematics that is not linear the mesh is not in it: it is part of the axes' position, see `height`.
        """
        extra = self.state[_EXTRA + motor]
        if motor == 2 and not self._bent:
            extra += self.state[_HEIGHT]
        return (extra + 2048) >> 12

    def height(self):
        """What the mesh adds to Z now, whole steps of the blocks."""
        return (self.state[_HEIGHT] + 2048) >> 12

    def far_z(self, times):
        """The slicer's Z is so many times 0x3FFFF steps lower than it really is."""
        self.state[_FAR_Z] = times

    def fill(self, st, planner, stream):
        """See `fill`."""
        return fill(
            st, planner.state, planner.blocks, stream.words, stream.counts,
            self.state, self.ring, self.mesh, self.at, self.k,
        )
