"""Codes that move, or say how to: G0 to G92, motors, percentages."""

from adder.codes.common import AXES, axes, check_tool, value
from adder.errors import Refused

_DAY_MS = 86_400_000
_PERCENT_MIN = 10
_PERCENT_MAX = 999


def g0(p, c):
    """G0: the same as G1."""
    p.motion.move(c)


def g1(p, c):
    """G1: straight move."""
    p.motion.move(c)


def g4(p, c):
    """G4: wait for the moves, then for the time."""
    left = 0
    if c.has("S"):
        left = value(c, "S", 3, 0, _DAY_MS, "s")
    elif c.has("P"):
        left = value(c, "P", 0, 0, _DAY_MS, "ms")
    p.cancelled = False
    p.motion.drain()
    ticks_ms, ticks_diff = p.hal.ticks_ms, p.hal.ticks_diff
    begin = ticks_ms()
    while ticks_diff(ticks_ms(), begin) < left and not (p.cancelled or p.halted):
        p.pump()
        p.motion.last_activity_ms = ticks_ms()  # the motors hold, or what follows would need homing


def g20(p, c):
    """G20: inches from now on."""
    p.motion.inch = True


def g21(p, c):
    """G21: millimetres from now on."""
    p.motion.inch = False


def g28(p, c):
    """G28: home the named axes, or all; O leaves out those that are homed."""
    motion = p.motion
    mask = axes(c, "XYZ") or 7
    if c.has("O"):
        mask &= ~motion.homed
        if not mask:
            return
    motion.home(mask)


def g90(p, c):
    """G90: absolute coordinates."""
    _set_absolute(p, True)


def g91(p, c):
    """G91: relative coordinates."""
    _set_absolute(p, False)


def _set_absolute(p, absolute):
    p.motion.absolute = absolute
    if p.settings.get("e_follows_g90"):
        p.motion.absolute_e = absolute


def m82(p, c):
    """M82: absolute E."""
    p.motion.absolute_e = True


def m83(p, c):
    """M83: relative E."""
    p.motion.absolute_e = False


def g92(p, c):
    """G92: the present position gets these values. Without letters nothing changes."""
    motion = p.motion
    values = []
    for axis in range(4):
        letter = AXES[axis]
        if c.has(letter):
            if not c.valued(letter):
                raise Refused("G92 %s has no value, should be a position such as %s0" % (letter, letter))
            values.append((axis, c.length(letter, motion.inch)))
    for axis, units in values:
        motion.frame.check_declared(axis, units)
    for axis, units in values:
        motion.set_position(axis, units)


def g92_1(p, c):
    """G92.1: X, Y and Z count from the machine's origin again."""
    for axis in range(3):
        p.motion.frame.origin(axis)


def m17(p, c):
    """M17: switch the named motors on, or all."""
    p.motion.drain()
    p.motion.enable(axes(c, AXES) or 15, True)


def m84(p, c):
    """M84, M18: let the named motors go, or all; with S only set the idle time after which they are."""
    if p.settings.set_from_command("M84", c):
        return
    p.motion.drain()
    p.motion.enable(axes(c, AXES) or 15, False)


def m220(p, c):
    """M220: feedrate percentage for moves from now on; B keeps it, R brings it back."""
    motion = p.motion
    percent = value(c, "S", 0, _PERCENT_MIN, _PERCENT_MAX, "%") if c.has("S") else 0
    if c.has("B"):
        p.feed_kept = motion.feed_percent
    if c.has("R"):
        motion.feed_percent = getattr(p, "feed_kept", 100)
    if percent:
        motion.feed_percent = percent
    if not (c.has("S") or c.has("B") or c.has("R")):
        p.out.line("FR:%d%%" % motion.feed_percent)


def m221(p, c):
    """M221: flow percentage for moves from now on."""
    check_tool(c, "T")
    if c.has("S"):
        p.motion.flow_percent = value(c, "S", 0, _PERCENT_MIN, _PERCENT_MAX, "%")
    else:
        p.out.line("echo:E0 Flow: %d%%" % p.motion.flow_percent)


def m400(p, c):
    """M400: wait until every move has been made."""
    p.motion.drain()
