"""From E to filament: flow percentage and volumetric extrusion (M221, M200), without a rounding that adds up.

E in mm of filament is taken times percent / 100. With M200 E counts mm^3 instead, and is divided by the filament's
area, pi / 4 * D^2, too. Both are ratios of whole numbers; what a division leaves over is kept and takes part in the
next move, so however many moves there are, no more than 10 nm is missing at either division. The area itself is rounded
once, to 29 bits.
"""

import micropython
from micropython import const

from adder.fixmath import muldiv

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("filament_diameter", "M200", "D", "mm", 3, 1750, 1000, 30000, "filament's diameter"),
    ("volumetric", "M200", "S", "", 0, 0, 0, 1, "E counts: 0 mm of filament, 1 mm^3"),
    ("volumetric_limit", "M200", "L", "mm^3/s", 2, 0, 0, 100000, "highest flow along a path, 0 any"),
)

TOO_MUCH = 0x3FFFFFFF

# The array of adder/frame.py
_FLOW_PERCENT = const(18)
_FLOW_REST = const(19)
_VOLUME = const(40)
_AREA = const(41)
_VOLUME_REST = const(42)
_FLOW_NEXT = const(43)
_VOLUME_NEXT = const(44)

_TOO_MUCH = const(0x3FFFFFFF)
_FURTHEST_VOLUME = const(800000000)
_BITS = const(29)
_QUARTER_PI = 785398163397448309616  # 1e-21


@micropython.viper
def filament(fr: ptr32, d: int) -> int:
    """Way of the filament (10 nm) for a way `d` of E (10 nm, 31 bits), TOO_MUCH beyond 10 m.

    The remainders are left in FLOW_NEXT and VOLUME_NEXT; they count when the move is queued.
    """
    percent = fr[_FLOW_PERCENT]
    sign = 1
    if d < 0:
        sign = -1
        d = 0 - d
    if d // 100 > _TOO_MUCH // percent - 100:
        return _TOO_MUCH
    rest = d % 100 * percent + fr[_FLOW_REST] * sign
    d = (d // 100 * percent + rest // 100) * sign
    fr[_FLOW_NEXT] = rest % 100 * sign
    volume = fr[_VOLUME]
    if volume == 0:
        return d
    area = fr[_AREA]
    rest = fr[_VOLUME_REST]
    sign = d
    if d < 0:
        d = 0 - d
    if d > _FURTHEST_VOLUME:
        return _TOO_MUCH
    q = int(muldiv(d, volume, area))
    # The remainder is less than 30 bits, whatever its terms lose above 32
    if sign < 0:
        rest -= d * volume - q * area
        q = 0 - q
        if rest < 0:
            rest += area
            q -= 1
    else:
        rest += d * volume - q * area
        if rest >= area:
            rest -= area
            q += 1
    fr[_VOLUME_NEXT] = rest
    return q


def area(diameter_um, bits):
    """A filament's area, mm^2 * 2**bits, rounded; the diameter in um."""
    scale = 10**27
    return ((diameter_um * diameter_um * _QUARTER_PI << bits) + scale // 2) // scale


def set_volumetric(state, diameter_um):
    """E counts mm^3 of a filament with this diameter (1 to 30 mm, in um) from now on; 0: mm of filament."""
    old = state[_AREA]
    if not diameter_um:
        state[_VOLUME] = 0
        return
    bits = _BITS
    while area(diameter_um, bits) >> 30:
        bits -= 1
    new = area(diameter_um, bits)
    if new != old:
        state[_AREA] = new
        state[_VOLUME_REST] = state[_VOLUME_REST] * new // old if old else new // 2
        state[_VOLUME_NEXT] = state[_VOLUME_REST]
    state[_VOLUME] = 1 << bits


def to_gcode(state, way):
    """Way of E (10 nm) that a way of the filament (10 nm) stands for; rounded."""
    top, bottom = way * 100, state[_FLOW_PERCENT]
    if state[_VOLUME]:
        top *= state[_AREA]
        bottom *= state[_VOLUME]
    return (2 * top + bottom) // (2 * bottom)
