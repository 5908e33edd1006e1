"""From the coordinates of G-code's moves to those of the machine's drives: skew of the axes (M852), and the Z hop.

The axes of a real machine are not quite at right angles. With the tangents of the three errors (XY: how far Y leans
towards +X; XZ, YZ: how far Z leans towards +X and +Y) a place is reached by (rule of Marlin's Planner::skew)

    x' = x - y * XY - z * (XZ - XY * YZ),   y' = y - z * YZ,   z' = z + hop

This is linear, so a straight move stays one, and only its end has to be corrected. The ends are corrected each by
itself from the absolute coordinates, and the way is the difference to where the drives are, so nothing adds up. Each of
the terms is rounded to a whole 10 nm, and the inverse subtracts the very same terms: it is exact.
"""

from array import array

import micropython
from micropython import const

from adder.fixmath import muldiv

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("skew_xy", "M852", "I", "", 6, 0, -100000, 100000, "skew: Y leans towards +X by this share"),
    ("skew_xz", "M852", "J", "", 6, 0, -100000, 100000, "skew: Z leans towards +X by this share"),
    ("skew_yz", "M852", "K", "", 6, 0, -100000, 100000, "skew: Z leans towards +Y by this share"),
)

SKEWED = 1  # bits of CORRECTED
HOPPED = 2

# The array of adder/frame.py
_POSITION = const(0)
_MODES = const(8)
_HOMED = const(10)
_HIGH_Z = const(16)
_TARGET = const(28)
_CORRECTED = const(45)
_END = const(46)
_NEXT = const(49)
_SKEW_XY = const(52)
_SKEW_XZ = const(53)
_SKEW_YZ = const(54)
_HOP = const(55)

_ONE = const(1000000000)
_FURTHEST = const(0x3FFFFFFF)


@micropython.viper
def share(value: int, factor: int) -> int:
    """value * factor / 10**9, rounded to nearest; both below 2**30, the factor below 0.2 * 10**9."""
    if value == 0 or factor == 0:
        return 0
    negative = 0
    if value < 0:
        value = 0 - value
        negative = 1
    if factor < 0:
        factor = 0 - factor
        negative = 1 - negative
    part = int(muldiv(value, factor, _ONE))
    # The remainder is less than 30 bits, whatever its terms lose above 32
    if (value * factor - part * _ONE) * 2 >= _ONE:
        part += 1
    if negative != 0:
        return 0 - part
    return part


@micropython.viper
def correct(fr: ptr32, rq: ptr32) -> int:
    """Ways of the drives to the corrected TARGET into rq[0:3], its place into NEXT.

    Returns 1, 0 if there is no way, -1 if it is more than 10 m.
    """
    y = fr[_TARGET + 1]
    z = fr[_TARGET + 2]
    fr[_NEXT] = fr[_TARGET] - int(share(y, fr[_SKEW_XY])) - int(share(z, fr[_SKEW_XZ]))
    fr[_NEXT + 1] = y - int(share(z, fr[_SKEW_YZ]))
    if fr[_HOP] != 0:
        z += fr[_HOP]
        # The hop ends where the axis ends
        if z > fr[_HIGH_Z] and fr[_MODES] & 4 and (fr[_HOMED] >> 2) & 1:
            z = fr[_HIGH_Z]
    fr[_NEXT + 2] = z
    far = 0
    i = 0
    while i < 3:
        d = fr[_NEXT + i]
        if d > _FURTHEST or d < 0 - _FURTHEST:
            return -1
        d -= fr[_END + i]
        if d > _FURTHEST or d < 0 - _FURTHEST:
            return -1
        rq[i] = d
        far |= d
        i += 1
    if far != 0:
        return 1
    return 0


def place_of_drives(state):
    """Where the drives of X, Y and Z are at the end of the queue, 10 nm."""
    at = _END if state[_CORRECTED] else _POSITION
    return state[at : at + 3]


def drives_at(state, places):
    """The drives are at these three places at the end of the queue: END and POSITION from there."""
    x, y, z = places
    if state[_CORRECTED]:
        for axis in range(3):
            state[_END + axis] = places[axis]
        z -= state[_HOP]
        y += share(z, state[_SKEW_YZ])
        x += share(y, state[_SKEW_XY]) + share(z, state[_SKEW_XZ])
    state[_POSITION] = x
    state[_POSITION + 1] = y
    state[_POSITION + 2] = z


def set_skew(state, xy, xz, yz):
    """Tangents of the three errors from now on, in 10**-6. The drives stay, the position is where they are."""
    factors = (xy * 1000, xz * 1000 - (2 * xy * yz + 1000) // 2000, yz * 1000)
    if factors == (state[_SKEW_XY], state[_SKEW_XZ], state[_SKEW_YZ]):
        return
    places = place_of_drives(state)
    state[_SKEW_XY], state[_SKEW_XZ], state[_SKEW_YZ] = factors
    _set(state, SKEWED, xy or xz or yz)
    drives_at(state, places)


def set_hop(state, height):
    """The nozzle is to be so much (10 nm) above where G-code believes it to be; the next `correct` brings it there."""
    places = place_of_drives(state)
    if height and not state[_CORRECTED]:
        for axis in range(3):
            state[_END + axis] = places[axis]
    state[_HOP] = height
    if height:
        _set(state, HOPPED, True)


def hopped(state):
    """The way of the hop is queued. Without a height nothing has to be corrected for it any more."""
    for axis in range(3):
        state[_END + axis] = state[_NEXT + axis]
    if not state[_HOP]:
        _set(state, HOPPED, False)


def forget_hop(state):
    """There is no hop any more, and Z is where its drive is."""
    places = place_of_drives(state)
    state[_HOP] = 0
    _set(state, HOPPED, False)
    drives_at(state, places)


def suspend(state, without_hop):
    """POSITION is where the drives are, until `resume`; `without_hop`: the hop ends for good. Gives what to resume."""
    if without_hop:
        forget_hop(state)
    kept = state[_CORRECTED], state[_SKEW_XY : _HOP + 1]
    drives = place_of_drives(state)
    state[_CORRECTED] = 0
    state[_SKEW_XY : _HOP + 1] = array("i", [0] * 4)
    drives_at(state, drives)
    return kept


def resume(state, kept):
    """What `suspend` has put aside corrects again; the drives are where POSITION was in between."""
    drives = place_of_drives(state)
    state[_CORRECTED], state[_SKEW_XY : _HOP + 1] = kept
    drives_at(state, drives)


def _set(state, bit, on):
    if on:
        state[_CORRECTED] |= bit
    else:
        state[_CORRECTED] &= ~bit
