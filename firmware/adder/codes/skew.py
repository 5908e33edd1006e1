"""Codes for axes that are not at right angles; see adder/correction.py."""

from adder.codes.common import value
from adder.errors import Refused

_MILLION = 1_000_000
_MOST = 100_000  # 0.1
_LONGEST_UM = 2_000_000


def m852(p, c):
    """M852: skew factors, I (or S) XY, J XZ, K YZ; without letters they are printed."""
    p.motion.drain()
    if not p.settings.set_from_command("M852", c, () if c.has("I") else (("S", "I"),)):
        text = p.settings.text
        p.out.line("echo:Skew Factor: XY: %s XZ: %s YZ: %s" % (
            _six(text("skew_xy")), _six(text("skew_xz")), _six(text("skew_yz"))))  # fmt: skip


def _six(text):
    # All decimals, as Marlin prints them
    return text + "0" * (6 - len(text.partition(".")[2]))


def m556(p, c):
    """M556: skew by the errors X (XY), Y (YZ), Z (ZX) measured over a length S; above 0 the angle is obtuse."""
    if not c.has("S"):
        raise Refused("M556 needs S, the length in mm over which X, Y and Z were measured")
    length_um = value(c, "S", 3, 1000, _LONGEST_UM, "mm")
    changes = []
    for letter, name in (("X", "skew_xy"), ("Y", "skew_yz"), ("Z", "skew_xz")):
        if c.has(letter):
            error_um = value(c, letter, 3, -_LONGEST_UM, _LONGEST_UM, "mm")
            # An axis that leans away from the other makes the angle obtuse
            factor = (2 * abs(error_um) * _MILLION + length_um) // (2 * length_um)
            if factor > _MOST:
                words = (letter, c.show(letter), c.show("S"))
                raise Refused("M556 %s%s is too much for S%s, should be within a tenth of it" % words)
            changes.append((name, -factor if error_um > 0 else factor))
    if not changes:
        raise Refused("M556 S%s needs X, Y or Z, the errors in mm over that length" % c.show("S"))
    p.motion.drain()
    for name, factor in changes:
        p.settings.set(name, factor)


def m44(p, c):
    """M44: no skew."""
    p.motion.drain()
    for name in ("skew_xy", "skew_xz", "skew_yz"):
        p.settings.set(name, 0)
