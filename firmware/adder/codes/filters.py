"""Codes for what refines the motion: input shaping, advance, backlash. Their values: adder/filter_settings.py."""

from adder.codes.common import AXES, plain, value
from adder.errors import Refused
from adder.filter_settings import SHAPER_LOWEST

_DRIVE = 3  # M572's number of the extruder
_SHAPER_HIGHEST = 20000  # 0.01 Hz
_K_HIGHEST = 100000  # 0.1 ms


def m593(p, c):
    """M593: input shaping of the named axes, or of both; without values they are printed."""
    if c.has("Z"):
        raise Refused("M593 Z not available: input shaping acts on X and Y")
    axes = [axis for axis in "XY" if c.has(axis)] or ["X", "Y"]
    if not (c.has("F") or c.has("D") or c.has("T")):
        for axis in axes:
            p.out.line(p.settings.code_line("M593 " + axis))
        return
    if c.valued("F") and c.scaled("F", 2) and not SHAPER_LOWEST <= c.scaled("F", 2) <= _SHAPER_HIGHEST:
        raise Refused("M593 F%s is out of range, should be 0 (off) or 5 to 200 Hz" % c.show("F"))
    p.motion.drain()
    for axis in axes:
        p.settings.set_from_command("M593 " + axis, c)


def m900(p, c):
    """M900: advance; slicers write it into their start code, with letters of earlier times too."""
    unused = " ".join([letter + c.show(letter) for letter in "RWHDLS" if c.has(letter)])
    if c.has("T") and c.int("T", 0):
        unused = "T%s %s" % (c.show("T"), unused)
    if unused:
        p.out.line("echo:M900 %s not used: K alone counts, for the one extruder" % unused.strip())
    if c.has("K"):
        p.motion.drain()
        p.settings.set_from_command("M900", c)
    elif not unused:
        p.out.line("Advance K=" + p.settings.text("advance_k"))


def m572(p, c):
    """M572: advance, in the form of P and S (or D, S) that RepRapFirmware knows."""
    if c.has("P") and value(c, "P", 0, 0, 255) != _DRIVE:
        raise Refused("M572 P%s: this drive is no extruder, should be P3" % c.show("P"))
    if c.has("D") and value(c, "D", 0, 0, 255):
        raise Refused("M572 D%s: there is no such extruder, should be D0" % c.show("D"))
    if c.has("S"):
        k = value(c, "S", 4, 0, _K_HIGHEST, "s")
        p.motion.drain()
        p.settings.set("advance_k", k)
    else:
        p.out.line("Pressure advance of drive 3: %s s" % p.settings.text("advance_k"))


def m425(p, c):
    """M425: backlash of the axes (mm), the share F that is made up for (0 to 1), and the way S that this takes (mm)."""
    settings = p.settings
    for letter in "XYZEFS":
        if c.has(letter):
            p.motion.drain()
            settings.set_from_command("M425", c)
            return
    text = settings.text
    how = "active" if settings.get("backlash_correction") else "inactive"
    p.out.line("Backlash correction %s: F%s (1 all, 0 none)" % (how, text("backlash_correction")))
    p.out.line("Backlash distance (mm): " + _distances(p))
    p.out.line("Backlash smoothing (mm): S" + text("backlash_smoothing"))


def _distances(p):
    return " ".join([axis + p.settings.text("backlash_" + axis.lower()) for axis in AXES])


def m98(p, c):
    """M98: without letters the axes' hysteresis, which is their backlash; with P a macro file, which cannot be run."""
    text = plain(c.text)
    if not text:
        p.out.line("Hysteresis (mm): " + _distances(p))
    elif text[0] in "Pp":
        raise Refused("M98 P not available: macro files cannot be run; M98 alone reports the hysteresis")
    else:
        raise Refused('M98 "%s": should be M98 alone, which reports the hysteresis' % text[:40])


def m99(p, c):
    """M99: with axes their hysteresis; alone it would end a macro file."""
    row = p.settings.row
    changes = []
    for axis in AXES:
        if c.has(axis):
            name = "backlash_" + axis.lower()
            changes.append((name, value(c, axis, 3, 0, row(name)[7], "mm")))
    if not changes:
        raise Refused("M99: no macro file is running; M99 X Y Z E sets the hysteresis in mm")
    p.motion.drain()
    for name, distance in changes:
        p.settings.set(name, distance)
