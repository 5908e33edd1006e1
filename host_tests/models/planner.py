"""A look-ahead planner in double precision, written from the textbook; it shares nothing with the firmware.

A block goes along a straight line with constant acceleration, cruise and constant deceleration. Its speed is the
highest that the feedrate, the limits of every axis, the driver and both corners allow, such that the machine can always
come to rest at the end of the last block.

Lengths are mm, speeds mm/s, accelerations mm/s^2, times s. Axes are in the order X Y Z E.

Rules that the firmware promises, and their sources:
 * The length of a block is that of its way in X Y Z; the feedrate is the speed along it. Where the filament goes
   further than the tool the block is measured along E; the feedrate still is the speed of the tool, if that moves.
 * Corners by junction deviation: the speed at which a circle that passes the corner at a distance of `deviation`, with
   both lines as tangents, needs the lower one of the two accelerations: v^2 = a d sin(h) / (1 - sin(h)), h being half
   the angle between the lines. It is S. Jeon's rule (Grbl, "Improving Grbl: Cornering Algorithm"), with E as a fourth
   coordinate as Marlin has it.
 * Corners by classic jerk: no axis changes its speed by more than its jerk (Marlin, "Jerk").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

KINDS = ("print", "retract", "travel")
NO_CORNER = 1e-9  # turns below that are none


@dataclass
class Move:
    """A straight way (mm per axis) with the feedrate that was asked for, mm/s.

    `acceleration`: mm/s^2; None takes that of the move's kind from the limits.
    """

    way: tuple[float, float, float, float]
    feedrate: float
    acceleration: float | None = None

    @property
    def kind(self) -> str:
        """`travel` without filament, `retract` with nothing else, `print`."""
        if not any(self.way[:3]):
            return "retract"
        return "print" if self.way[3] else "travel"


@dataclass
class Limits:
    """Of a machine: tuples by axis."""

    speed: tuple[float, ...]
    acceleration: tuple[float, ...]
    steps_per_mm: tuple[float, ...] = (80.0, 80.0, 400.0, 93.0)
    jerk: tuple[float, ...] = (10.0, 10.0, 0.4, 5.0)
    deviation: float = 0.013
    classic: bool = False
    step_rate: float = math.inf  # steps/s that a driver takes
    kinds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, math.inf))  # acceleration of each kind
    min_feedrate: dict[str, float] = field(default_factory=dict)  # of each kind
    corexy: bool = False

    def motors(self, way) -> tuple[float, ...]:
        """Ways of the motors, steps."""
        x, y, z, e = way
        if self.corexy:
            x, y = x + y, x - y
        return tuple(d * scale for d, scale in zip((x, y, z, e), self.steps_per_mm, strict=True))


@dataclass
class Block:
    """One move as planned. `corner` is the highest speed that the rule allows where it begins."""

    way: tuple[float, ...]
    length: float
    unit: tuple[float, ...]  # way / length
    nominal: float
    acceleration: float
    corner: float = 0.0
    entry: float = 0.0
    exit: float = 0.0

    @property
    def peak(self) -> float:
        """Highest speed that is reached."""
        return min(self.nominal, math.sqrt((self.entry**2 + self.exit**2) / 2 + self.acceleration * self.length))

    @property
    def phases(self) -> tuple[tuple[float, float, float], ...]:
        """(duration, speed at the beginning, acceleration) of the three phases; none lasts less than nothing."""
        a, peak = self.acceleration, self.peak
        ramps = (2 * peak**2 - self.entry**2 - self.exit**2) / (2 * a)
        return (
            (max(0.0, (peak - self.entry) / a), self.entry, a),
            (max(0.0, (self.length - ramps) / peak), peak, 0.0),
            (max(0.0, (peak - self.exit) / a), peak, -a),
        )

    @property
    def duration(self) -> float:
        return sum(phase[0] for phase in self.phases)


def measure(move: Move, limits: Limits) -> Block | None:
    """The block of a move without its neighbours: length, speed and acceleration under all limits; None: no way."""
    tool = math.hypot(*move.way[:3])
    filament = abs(move.way[3])
    length = max(tool, filament)
    if length == 0:
        return None
    speed = max(move.feedrate, limits.min_feedrate.get(move.kind, 0.0))
    if filament > tool > 0:
        speed *= filament / tool
    acceleration = limits.kinds[move.kind] if move.acceleration is None else move.acceleration
    unit = tuple(d / length for d in move.way)
    for share, most_speed, most_acceleration in zip(unit, limits.speed, limits.acceleration, strict=True):
        if share:
            speed = min(speed, most_speed / abs(share))
            acceleration = min(acceleration, most_acceleration / abs(share))
    for steps in limits.motors(move.way):
        if steps:
            speed = min(speed, limits.step_rate * length / abs(steps))
    return Block(tuple(move.way), length, unit, speed, acceleration)


def corner(before: Block, after: Block, limits: Limits) -> float:
    """Highest speed at which one block may pass into the next, by the rule alone (no feedrate)."""
    turn = [q - p for p, q in zip(before.unit, after.unit, strict=True)]
    if limits.classic:
        return min(
            (jerk / abs(d) for d, jerk in zip(turn, limits.jerk, strict=True) if abs(d) > NO_CORNER), default=math.inf
        )
    # The half of the turn between two unit vectors has the sine |q - p| / 2, and is 90 degrees less h
    sine = math.hypot(*turn) / 2
    if sine >= 1:
        return 0.0
    if sine < NO_CORNER:
        return math.inf
    sin_h = math.sqrt(1 - sine * sine)
    # 1 - sin(h), written so that it keeps its digits where the turn is small
    rest = sine * sine / (1 + sin_h)
    return math.sqrt(min(before.acceleration, after.acceleration) * limits.deviation * sin_h / rest)


def plan(moves, limits) -> list[Block]:
    """All moves as blocks, from rest to rest, everything known beforehand. Moves without a way are left out.

    `limits`: of all moves, or a list with those of each; a corner has those of the move behind it.
    """
    each = limits if isinstance(limits, list) else [limits] * len(moves)
    known = [(measure(move, of), of) for move, of in zip(moves, each, strict=True)]
    known = [(block, of) for block, of in known if block]
    blocks = [block for block, _ in known]
    for (before, _), (after, of) in pairwise(known):
        after.corner = corner(before, after, of)
        after.entry = min(before.nominal, after.nominal, after.corner)
    speed = 0.0
    for block in reversed(blocks):
        block.exit = speed
        speed = block.entry = min(block.entry, math.sqrt(speed**2 + 2 * block.acceleration * block.length))
    speed = 0.0
    for block in blocks:
        block.entry = min(block.entry, speed)
        speed = block.exit = min(block.exit, math.sqrt(block.entry**2 + 2 * block.acceleration * block.length))
    return blocks
