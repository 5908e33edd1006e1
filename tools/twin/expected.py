"""What a G-code file asks for: where every motor must end, and the path that was commanded.

Reads G-code by itself and shares nothing with the firmware, so that a mistake there is not repeated here.
Double precision; lengths in mm, feedrates in mm/s, temperatures in degC. A word counts in units of 10 nm, the
resolution that the firmware promises for its input.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

AXES = ("x", "y", "z", "e")
UNITS_PER_MM = 100_000
INCH_MM = 25.4
CHORD_ERROR_MM = 0.0005
_WORD = re.compile(r"([A-Za-z])\s*([-+]?(?:\d+\.?\d*|\.\d+))?")
_COMMENT = re.compile(r"\([^()]*\)|;.*")
_LINE_NUMBER = re.compile(r"^N-?\d+\s*", re.IGNORECASE)
_TEXT_CODES = {("M", 117), ("M", 118), ("M", 0), ("M", 1)}
_UNMODELLED = {
    ("G", 5), ("G", 10), ("G", 11), ("G", 27), ("G", 29), ("G", 30), ("G", 80),
    ("M", 206), ("M", 428), ("M", 600), ("M", 701), ("M", 702), ("M", 851),
}  # fmt: skip


def strip_line(text: str) -> str:
    """A line as hosts send it: no comment, no blanks around it, no line number or checksum."""
    text = _COMMENT.sub("", text).strip()
    if _LINE_NUMBER.match(text):
        text = _LINE_NUMBER.sub("", text).rsplit("*", 1)[0].strip()
    return text


@dataclass
class Machine:
    """What the model has to know of a printer."""

    steps_per_mm: dict[str, float]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    home: dict[str, float] = field(default_factory=lambda: {"x": 0.0, "y": 0.0, "z": 0.0})
    kinematics: str = "cartesian"
    min_extrude: float | None = 170.0  # degC; None: cold extrusion is allowed
    e_follows_g90: bool = True


@dataclass
class Segment:
    """One commanded move, in machine coordinates; `line` counts the file's lines from 1."""

    line: int
    start: tuple[float, float, float, float]
    end: tuple[float, float, float, float]
    feedrate: float

    @property
    def extrudes(self) -> bool:
        return self.end[3] > self.start[3] and self.end[:2] != self.start[:2]


class Expected:
    """Follows G-code line by line. `position` is the machine position of X, Y, Z and of the filament."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.position = dict.fromkeys(AXES, 0.0)
        self.path: list[Segment] = []
        self.notes: list[str] = []  # what the model left out, one line each
        self.homings: list[tuple[int, tuple[str, ...]]] = []
        self.targets: dict[str, float] = {"hotend": 0.0, "bed": 0.0}
        self.waited: dict[str, float] = {"hotend": 0.0, "bed": 0.0}  # highest target waited for
        self.lines = 0
        self.commands = 0
        self._steps_per_mm = dict(machine.steps_per_mm)
        self._min_extrude = machine.min_extrude
        self._offset = dict.fromkeys(AXES, 0.0)  # machine = logical + offset
        self._homed: set[str] = set()
        self._absolute = dict.fromkeys(AXES, True)
        self._unit = 1.0
        self._feedrate = 0.0
        self._speed_factor = self._flow = 1.0
        self._inexact = dict.fromkeys(AXES, 0.0)
        self._reference = self._exact()

    # Reading

    def feed(self, text: str) -> None:
        """Follow one line of a file."""
        self.lines += 1
        text = strip_line(text)
        if not text:
            return
        self.commands += 1
        words = self._words(text)
        if words is None:
            self._note("is not G-code that can be read; nothing of it counts: %s" % text[:40])
            return
        letter, number = words.pop(0)
        code = (letter, int(number) if number is not None and number == int(number) else number)
        handler = getattr(self, "_%s%s" % (letter.lower(), code[1]), None)
        if handler:
            handler(dict(words))
        elif code in _UNMODELLED:
            self._note("%s%s is not modelled; what it moves is not counted" % code)

    def _words(self, text: str):
        head = _WORD.match(text)
        if not head:
            return None
        if (head[1].upper(), _number(head[2])) in _TEXT_CODES:
            return [(head[1].upper(), _number(head[2]))]
        words, at = [], 0
        while at < len(text):
            word = _WORD.match(text, at)
            if not word:
                return None
            words.append((word[1].upper(), _number(word[2])))
            at = word.end()
            while at < len(text) and text[at].isspace():
                at += 1
        return words

    def _note(self, text: str) -> None:
        self.notes.append("line %d: %s" % (self.lines, text))

    def _length(self, value: float) -> float:
        return round(value * self._unit * UNITS_PER_MM) / UNITS_PER_MM

    # Motion

    def _g0(self, words) -> None:
        target, flow_used = self._target_of(words)
        for axis in AXES:
            if words.get(axis.upper()) is not None:
                self._clamp(axis, target, words)
        if flow_used:
            self._inexact["e"] += 1 / UNITS_PER_MM
        if target == self.position:
            return
        speed = self._feedrate * self._speed_factor
        self.path.append(Segment(self.lines, self._point(), tuple(target.values()), speed))
        self.position = target

    _g1 = _g0

    def _target_of(self, words) -> tuple[dict[str, float], bool]:
        """Where a move's letters lead, and whether its filament was scaled. Takes over F."""
        if words.get("F"):
            self._feedrate = words["F"] * self._unit / 60
        target = dict(self.position)
        flow_used = False
        for axis in AXES:
            value = words.get(axis.upper())
            if value is None:
                continue
            length = self._length(value)
            if self._absolute[axis]:
                length += self._offset[axis] - self.position[axis]
            if axis == "e":
                # The offset keeps the coordinate that the file sees apart from what the motor made.
                made = length * self._flow
                if self._cold() and length:
                    made = 0.0
                self._offset[axis] += made - length
                flow_used = made != length and made != 0.0
                length = made
            target[axis] = self.position[axis] + length
        return target, flow_used

    # Arcs: a move that is refused as a whole leaves everything as it was

    def _g2(self, words) -> None:
        self._arc(words, -1)

    def _g3(self, words) -> None:
        self._arc(words, 1)

    def _arc(self, words, sense: int) -> None:
        before = self._feedrate, dict(self._offset)
        target, flow_used = self._target_of(words)
        start = (self.position["x"], self.position["y"])
        end = (target["x"], target["y"])
        centre = self._centre(words, start, end, sense)
        points = centre and self._arc_points(start, end, centre, sense, int(words.get("P") or 0))
        if not points or not self._inside(points, target):
            self._feedrate, self._offset = before
            self._note("G%d is not an arc within the limits; it moves nothing" % (2 if sense < 0 else 3))
            return
        if flow_used:
            self._inexact["e"] += 1 / UNITS_PER_MM
        speed = self._feedrate * self._speed_factor
        first, last, here = self._point(), tuple(target.values()), self._point()
        for number, point in enumerate(points, 1):
            share = number / len(points)
            there = (*point, *(first[axis] + (last[axis] - first[axis]) * share for axis in (2, 3)))
            self.path.append(Segment(self.lines, here, there, speed))
            here = there
        self.position = target

    def _centre(self, words, start, end, sense: int):
        """The arc's centre, or None."""
        if words.get("R") is not None:
            radius = self._length(words["R"])
            chord = math.dist(start, end)
            if not chord or abs(radius) < chord / 2 - 0.0025:
                return None
            left = math.sqrt(max(radius**2 - chord**2 / 4, 0.0)) * sense * math.copysign(1, radius) / chord
            dx, dy = end[0] - start[0], end[1] - start[1]
            return start[0] + dx / 2 - dy * left, start[1] + dy / 2 + dx * left
        i, j = (self._length(words.get(letter) or 0.0) for letter in "IJ")
        return (start[0] + i, start[1] + j) if i or j else None

    @staticmethod
    def _arc_points(start, end, centre, sense: int, turns: int):
        """Points along the arc up to its end, so dense that straight lines between them are as good; or None."""
        before, after = math.dist(start, centre), math.dist(end, centre)
        radius = max(before, after)
        if abs(before - after) > min(max(0.05, radius / 1000), 0.5, radius / 4):
            return None
        first = math.atan2(start[1] - centre[1], start[0] - centre[0])
        sweep = (math.atan2(end[1] - centre[1], end[0] - centre[0]) - first) * sense % (2 * math.pi)
        if start == end or sweep == 0:
            sweep = 2 * math.pi
        sweep += turns * 2 * math.pi
        count = math.ceil(sweep / min(math.sqrt(8 * CHORD_ERROR_MM / radius), 0.5))
        points = []
        for number in range(1, count):
            share = number / count
            angle, far = first + sense * sweep * share, before + (after - before) * share
            points.append((centre[0] + far * math.cos(angle), centre[1] + far * math.sin(angle)))
        return [*points, end]

    def _inside(self, points, target) -> bool:
        places = {"x": [x for x, _ in points], "y": [y for _, y in points], "z": [target["z"]]}
        for axis in self._homed & set(self.machine.limits):
            lowest, highest = self.machine.limits[axis]
            if min(places[axis]) < lowest - 0.005 or max(places[axis]) > highest + 0.005:
                return False
        return True

    def _clamp(self, axis: str, target, words) -> None:
        limits = self.machine.limits.get(axis)
        if limits is None or axis not in self._homed:
            return
        wanted = target[axis]
        target[axis] = min(max(wanted, limits[0]), limits[1])
        if target[axis] != wanted:
            self._note("%s%g is outside %g..%g mm and was clipped" % (axis.upper(), wanted, *limits))

    def _cold(self) -> bool:
        return self._min_extrude is not None and self.targets["hotend"] < self._min_extrude

    def _point(self):
        return tuple(self.position[axis] for axis in AXES)

    def _g20(self, words) -> None:
        self._unit = INCH_MM

    def _g21(self, words) -> None:
        self._unit = 1.0

    def _g28(self, words) -> None:
        axes = tuple(axis for axis in "xyz" if axis.upper() in words) or ("x", "y", "z")
        exact = self._exact()
        for axis in axes:
            self.position[axis] = self.machine.home.get(axis, 0.0)
            self._offset[axis] = 0.0
            self._homed.add(axis)
        self.homings.append((self.lines, axes))
        for motor in self._motors_of(axes):
            exact[motor] = self._exact()[motor]
            self._reference[motor] = exact[motor]

    def _g90(self, words) -> None:
        self._set_absolute(True)

    def _g91(self, words) -> None:
        self._set_absolute(False)

    def _set_absolute(self, absolute: bool) -> None:
        for axis in "xyz":
            self._absolute[axis] = absolute
        if self.machine.e_follows_g90:
            self._absolute["e"] = absolute

    def _g92(self, words) -> None:
        for axis in AXES:
            if words.get(axis.upper()) is not None:
                self._offset[axis] = self.position[axis] - self._length(words[axis.upper()])

    def _m82(self, words) -> None:
        self._absolute["e"] = True

    def _m83(self, words) -> None:
        self._absolute["e"] = False

    def _m92(self, words) -> None:
        before = self._rounded(self._exact())
        for axis in AXES:
            if words.get(axis.upper()):
                self._steps_per_mm[axis] = words[axis.upper()]
        # The motors do not move: what they made so far stays, counted in the new scale from here on.
        after = self._exact()
        for motor in AXES:
            made = before[motor] - _nearest(self._reference[motor])
            self._reference[motor] = _nearest(after[motor]) - made
        # Where within a step it counts from is the firmware's affair: a position may hold what was refused to be made.
        for axis in AXES:
            if words.get(axis.upper()):
                for motor in self._motors_of(axis):
                    self._inexact[motor] += 1 / self._steps_per_mm[motor]

    def _m220(self, words) -> None:
        if words.get("S"):
            self._speed_factor = words["S"] / 100

    def _m221(self, words) -> None:
        if words.get("S") is not None:
            self._flow = words["S"] / 100

    def _m302(self, words) -> None:
        if words.get("P") is not None:
            self._min_extrude = None if words["P"] else self.machine.min_extrude
        elif words.get("S") is not None:
            self._min_extrude = words["S"] or None

    # Heat

    def _m104(self, words) -> None:
        self._target("hotend", words, wait=False)

    def _m109(self, words) -> None:
        self._target("hotend", words, wait=True)

    def _m140(self, words) -> None:
        self._target("bed", words, wait=False)

    def _m190(self, words) -> None:
        self._target("bed", words, wait=True)

    def _target(self, heater: str, words, wait: bool) -> None:
        target = words.get("S", words.get("R") if wait else None)
        if target is None:
            return
        self.targets[heater] = target
        if wait:
            self.waited[heater] = max(self.waited[heater], target)

    # Results

    def _motors_of(self, axes):
        if self.machine.kinematics == "corexy" and {"x", "y"} & set(axes):
            return tuple({"x", "y"} | set(axes))
        return tuple(axes)

    def _exact(self) -> dict[str, float]:
        """Position of every motor in steps, unrounded."""
        p = dict(self.position)
        if self.machine.kinematics == "corexy":
            p["x"], p["y"] = p["x"] + p["y"], p["x"] - p["y"]
        return {axis: p[axis] * self._steps_per_mm[axis] for axis in AXES}

    @staticmethod
    def _rounded(exact) -> dict[str, int]:
        return {motor: _nearest(value) for motor, value in exact.items()}

    def net_steps(self) -> dict[str, int]:
        """Steps that each motor must have made since its axis was last homed (E: since the beginning)."""
        exact = self._exact()
        return {motor: _nearest(exact[motor]) - _nearest(self._reference[motor]) for motor in AXES}

    def wrong_motors(self, made: dict[str, int]) -> dict[str, int]:
        """Motors whose steps since their reference are not those expected, with the difference.

        A position that lies exactly between two steps may be rounded either way.
        """
        exact, wrong = self._exact(), {}
        for motor, steps in made.items():
            want = exact[motor] - _nearest(self._reference[motor])
            if abs(steps - want) > 0.5 + 1e-6 + self.slack_steps(motor):
                wrong[motor] = steps - _nearest(want)
        return wrong

    def slack_steps(self, motor: str) -> float:
        """How far rounding of flow-scaled extrusions to 10 nm can have moved the end, in steps."""
        return self._inexact[motor] * self._steps_per_mm[motor]


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _nearest(value: float) -> int:
    return math.floor(value + 0.5 + 1e-9)  # lengths like 1.005 lie just below their half


def read_file(lines, machine: Machine) -> Expected:
    """The model after a whole file, given as lines of text."""
    expected = Expected(machine)
    for line in lines:
        expected.feed(line)
    return expected
