"""Codes that set, save and print settings. Their letters and ranges are the rows of adder/settings.py."""

from adder.codes import machine, table
from adder.codes.common import check_tool
from adder.errors import Refused

_SLOW = 100  # 1 mm/s in the scale of the highest feedrates
_S_IS_P_AND_T = (("S", "PT"),)


def m92(p, c):
    """M92: steps per mm; queued moves keep theirs, the machine stays where it is."""
    check_tool(c, "T")
    p.motion.drain()
    if p.settings.set_from_command("M92", c):
        p.motion.rescale()
    else:
        p.out.line(p.settings.code_line("M92"))


def m201(p, c):
    """M201: highest acceleration of each axis."""
    _set_or_print(p, c, "M201")


def m203(p, c):
    """M203: highest feedrate of each axis, with a warning about values that look like the wrong unit."""
    for name in _set_or_print(p, c, "M203"):
        if p.settings.get(name) < _SLOW:
            letter = p.settings.row(name)[2]
            text = p.settings.text(name)
            p.out.line("echo:Warning: M203 %s%s is below 1 mm/s; the unit is mm/s, not mm/min" % (letter, text))


def m204(p, c):
    """M204: accelerations of kinds of moves; S sets P and T."""
    _set_or_print(p, c, "M204", _S_IS_P_AND_T)


def m205(p, c):
    """M205: lowest feedrates, segment time, corners: J by junction deviation, J0 by the jerk of X Y Z E."""
    _set_or_print(p, c, "M205")


def _set_or_print(p, c, code, aliases=()):
    # Names that were set; without letters the present values go to the host
    names = p.settings.set_from_command(code, c, aliases)
    if not names:
        p.out.line(p.settings.code_line(code))
    return names


def m211(p, c):
    """M211: limits of the axes on or off."""
    for letter in "XYZ":
        if c.has(letter):
            raise Refused("M211 %s not available: limits are switched all together, should be S0 or S1 only" % letter)
    settings = p.settings
    if not settings.set_from_command("M211", c):
        text = settings.text
        lowest = " ".join([axis.upper() + text(axis + "_min") for axis in "xyz"])
        highest = " ".join([axis.upper() + text(axis + "_max") for axis in "xyz"])
        on = "On" if settings.get("soft_endstops") else "Off"
        p.out.line("Soft endstops: %s  Min: %s  Max: %s" % (on, lowest, highest))


def m500(p, c):
    """M500: save; writing flash stops everything else, so the moves come to an end first."""
    p.motion.drain()
    p.out.line(p.settings.save())


def m501(p, c):
    """M501: back to what was saved."""
    p.motion.drain()
    lines = p.settings.load()
    p.motion.rescale()
    for line in lines:
        p.out.line(line)
    _print_all(p, True)


def m502(p, c):
    """M502: defaults; only M500 keeps them."""
    p.motion.drain()
    line = p.settings.reset()
    p.motion.rescale()
    p.out.line(line)


def m503(p, c):
    """M503: the settings as commands that would set them; S0 without remarks."""
    _print_all(p, c.int("S", 1) != 0)


def _print_all(p, remarks):
    for line in p.settings.gcode_lines(remarks, lambda code: table.exists(code) and machine.fits(p, code)):
        p.out.line(line)


