"""Codes for heaters and fans."""

from adder.codes.common import check_tool, value
from adder.errors import Refused
from adder.heat import degrees

_LINE_MS = 1000


def m104(p, c):
    """M104: hotend target, at once."""
    check_tool(c, "T")
    _set_target(_heater(p, c, "hotend"), c, "S")


def m140(p, c):
    """M140: bed target, at once."""
    _set_target(_heater(p, c, "bed"), c, "S")


def m109(p, c):
    """M109: hotend target, then wait for it."""
    check_tool(c, "T" if c.has("T") else "P")
    _set_and_wait(p, c, _heater(p, c, "hotend"))


def m190(p, c):
    """M190: bed target, then wait for it."""
    _set_and_wait(p, c, _heater(p, c, "bed"))


def _heater(p, c, name):
    heater = p.heat.by_name(name)
    if heater is None:
        raise Refused("M%d not available: this board has no heater '%s'" % (c.number, name))
    return heater


def _set_target(heater, c, letter):
    # Whether the letter was there
    if not c.has(letter):
        return False
    if not c.valued(letter):
        raise Refused("%s has no value, should be 0 (off) to %s C" % (letter, degrees(heater.highest_cc)))
    heater.set_target(c.scaled(letter, 2, 0))
    return True


def _set_and_wait(p, c, heater):
    # S waits only while heating; R, and the target of before, both ways
    if _set_target(heater, c, "S"):
        if heater.wants_cooling():
            return
    else:
        _set_target(heater, c, "R")
    p.cancelled = False
    ticks_ms, ticks_diff = p.hal.ticks_ms, p.hal.ticks_diff
    told = ticks_ms()
    while not (heater.settled() or p.cancelled or p.halted):
        p.pump()
        p.motion.last_activity_ms = ticks_ms()  # the motors hold, or what follows would need homing
        if ticks_diff(ticks_ms(), told) >= _LINE_MS and not p.halted:
            told = ticks_ms()
            p.out.line(" " + p.report.temperatures() + " W:?")


def m106(p, c):
    """M106: part fan, in step with the moves; full speed without S."""
    p.fans.request(_fan(c), c.int("S", 255))


def m107(p, c):
    """M107: part fan off, in step with the moves."""
    p.fans.request(_fan(c), 0)


def _fan(c):
    return value(c, "P", 0, 0, 99) if c.has("P") else 0


def m302(p, c):
    """M302: below which temperature the extruder does not turn; P1 lets it turn at any until P0 or a restart."""
    motion = p.motion
    name = "extrude_min_c"
    allow = value(c, "P", 0, 0, 1) if c.has("P") else -1
    if p.settings.set_from_command("M302", c):
        allow = max(allow, 0)
    elif allow < 0:
        cold = motion.hotend is None or not p.settings.get(name)
        p.out.line(
            "echo:Cold extrudes are %s (min temp %sC)" % ("enabled" if cold else "disabled", p.settings.text(name))
        )
        return
    motion.hotend = None if allow else p.heat.by_name("hotend")
