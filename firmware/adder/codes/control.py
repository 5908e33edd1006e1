"""Codes that watch over the machine: endstops during moves, and what happens when nobody is there."""

from adder.codes.common import value
from adder.errors import Refused

_DAY_S = 86_400


def m85(p, c):
    """M85: everything off, as by M112, after S seconds without a line and without motion; 0 never."""
    if c.has("S"):
        p.inactivity_ms = value(c, "S", 0, 0, _DAY_S, "s") * 1000


def m120(p, c):
    """M120: stop when an axis moves into its endstop, in any move."""
    p.motion.drain()
    p.motion.watch.set(True, p.motion.watch.abort)


def m121(p, c):
    """M121: endstops mean nothing but in homing."""
    p.motion.drain()
    p.motion.watch.set(False, p.motion.watch.abort)


def m540(p, c):
    """M540: S1: as M120, and the print ends."""
    if c.has("P"):
        raise Refused("M540 P not available: this board has no network")
    if c.has("S"):
        p.motion.watch.set(p.motion.watch.on, value(c, "S", 0, 0, 1) == 1)
