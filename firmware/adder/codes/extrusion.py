"""Codes for filament and nozzle: volumetric extrusion, retraction, the tool's offset."""

from adder.codes.common import AXES, check_tool, value
from adder.errors import Refused

_UNIT_AREA_UM = 1128  # a filament of 1 mm^2: mm^3 are mm
_LEAST_UM = 1000
_MOST_UM = 30000
_HOTTEST_C = 500
_FURTHEST_UM = 500_000


def m200(p, c):
    """M200: E counts mm^3 of a filament with diameter D (0: mm again); S off and on; L limits the flow."""
    check_tool(c, "T")
    changes = []
    on = None
    if c.has("D"):
        diameter_um = value(c, "D", 3, 0, _MOST_UM, "mm")
        on = diameter_um not in (0, _UNIT_AREA_UM)
        if 0 < diameter_um < _LEAST_UM:
            raise Refused("D%s is out of range, should be 0 (off) or 1 to 30 mm" % c.show("D"))
        if on:
            changes.append(("filament_diameter", diameter_um))
    if c.has("L"):
        changes.append(("volumetric_limit", value(c, "L", 2, 0, 100_000, "mm^3/s")))
    if c.has("S"):
        on = value(c, "S", 0, 0, 1)
    if on is not None:
        changes.append(("volumetric", 1 if on else 0))
    if not changes:
        p.out.line(p.settings.code_line("M200"))
    for name, number in changes:
        p.settings.set(name, number)


def m207(p, c):
    """M207: what G10 does."""
    _set_or_print(p, c, "M207")


def m208(p, c):
    """M208: what G11 does; with X, Y or Z the ends of the axes: highest, with S1 lowest places."""
    named = [letter for letter in "XYZ" if c.has(letter)]
    if not named:
        _set_or_print(p, c, "M208")
        return
    end = "_min" if c.has("S") and value(c, "S", 0, 0, 1) else "_max"
    settings = p.settings
    changes = []
    for letter in named:
        name = letter.lower() + end
        row = settings.row(name)
        if c.valued(letter) and not row[6] <= c.scaled(letter, row[4]) <= row[7]:
            raise Refused(
                "M208 %s%s is out of range, should be %d to %d mm"
                % (letter, c.show(letter), row[6] // 100, row[7] // 100)
            )
        changes.append((name, value(c, letter, row[4], row[6], row[7], "mm")))
    for name, number in changes:
        settings.set(name, number)


def m209(p, c):
    """M209: moves of E alone become retractions and recoveries."""
    _set_or_print(p, c, "M209")


def _set_or_print(p, c, code):
    if not p.settings.set_from_command(code, c):
        p.out.line(p.settings.code_line(code))


def g10(p, c):
    """G10: retract, S1 by the length of a swap; with P the offset and the temperatures of a tool."""
    if c.has("P"):
        _set_tool(p, c)
        return
    for letter in "XYZR":
        if c.has(letter):
            word = letter + c.show(letter)
            raise Refused("G10 %s: a tool's offset needs the tool, such as G10 P0 %s" % (word, word))
    p.motion.retraction.retract(bool(c.has("S") and value(c, "S", 0, 0, 1)))


def g11(p, c):
    """G11: recover what G10 has retracted."""
    if c.has("S"):
        value(c, "S", 0, 0, 1)
    p.motion.retraction.recover()


def _set_tool(p, c):
    # G10 P0: the active temperature is the hotend's target at once, for the tool is always the current one
    check_tool(c, "P")
    settings = p.settings
    changes = []
    for letter in "XYZ":
        if c.has(letter):
            changes.append(("tool_offset_" + letter.lower(), value(c, letter, 3, -_FURTHEST_UM, _FURTHEST_UM, "mm")))
    if c.has("R"):
        changes.append(("tool_standby_c", value(c, "R", 0, 0, _HOTTEST_C, "C")))
    if c.has("S"):
        if not c.valued("S"):
            raise Refused("S has no value, should be the tool's temperature, 0 off")
        p.motion.drain()
        p.heat.by_name("hotend").set_target(c.scaled("S", 2))
        changes.append(("tool_active_c", c.scaled("S", 0)))
    if not changes:
        text = settings.text
        p.out.line("echo:Tool 0: offset X%s Y%s Z%s mm, active %s C, standby %s C" % (
            text("tool_offset_x"), text("tool_offset_y"), text("tool_offset_z"),
            text("tool_active_c"), text("tool_standby_c"),
        ))  # fmt: skip
        return
    p.motion.drain()
    for name, number in changes:
        settings.set(name, number)


def m218(p, c):
    """M218: offsets of the nozzles; that of the first one is 0, and there is no other."""
    check_tool(c, "T")
    for axis in range(3):
        letter = AXES[axis]
        if c.has(letter) and (not c.valued(letter) or c.scaled(letter, 5)):
            raise Refused(
                "M218 T0 %s%s: the first nozzle's offset must stay 0; G10 P0 %s sets its place at the head"
                % (letter, c.show(letter), letter)
            )
    if not (c.has("X") or c.has("Y") or c.has("Z")):
        p.out.line("echo:Hotend offsets: 0.00,0.00,0.000")
