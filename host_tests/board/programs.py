"""G-code programs for tests, from a seed."""

import math
import random

ROOM = {"x": (1.0, 60.0), "y": (1.0, 60.0), "z": (0.5, 6.0)}  # mm in which random programs stay


def random_program(seed, count, clipped=0.03):
    """Moves of all lengths and kinds with changes of modes, units, offsets, percentages and scales between them.

    A share `clipped` of the absolute moves goes out of the limits.
    """
    return _Writer(random.Random(seed), clipped).write(count)


class _Writer:
    def __init__(self, dice, clipped):
        self.dice = dice
        self.clipped = clipped
        self.at = dict.fromkeys("xyz", 0.0)  # machine position, mm, near enough
        self.offset = dict.fromkeys("xyz", 0.0)
        self.absolute = True
        self.unit = 1.0
        self.lines = []

    def write(self, count):
        self.lines = ["M302 P1", "G28", "G1 X10 Y10 Z1 F9000"]
        self.at = {"x": 10.0, "y": 10.0, "z": 1.0}
        for _ in range(count):
            self.dice.choices((self._move, self._mode), (12, 1))[0]()
        return self.lines

    def _number(self, mm):
        return ("%.*f" % (self.dice.choice((2, 3, 5)), mm / self.unit)).rstrip("0").rstrip(".")

    def _move(self):
        dice = self.dice
        words = []
        size = 10 ** dice.uniform(-2, 1.3)
        for axis in "xyz":
            if dice.random() < (0.6 if axis != "z" else 0.15):
                low, high = ROOM[axis]
                if self.absolute and dice.random() < self.clipped:
                    target = dice.choice((-3.0, 250.0)) if axis != "z" else -1.0
                else:
                    target = min(max(self.at[axis] + dice.uniform(-size, size), low), high)
                value = target - self.offset[axis] if self.absolute else target - self.at[axis]
                words.append(axis.upper() + self._number(value))
                self.at[axis] = min(max(target, 0.0), 200.0)
        if dice.random() < 0.5:
            words.append("E" + self._number(dice.uniform(-0.5, 1.5)))
        if dice.random() < 0.5:
            words.append("F" + self._number(dice.choice((900, 1800, 3000, 6000, 12000))))
        if words:
            self.lines.append(" ".join([dice.choice(("G0", "G1")), *words]))

    def _mode(self):
        dice = self.dice
        kind = dice.randrange(9)
        if kind == 0:
            self.absolute = dice.random() < 0.5
            self.lines += ["G90" if self.absolute else "G91", dice.choice(("M82", "M83"))]
        elif kind == 1:
            self.unit = dice.choice((1.0, 25.4))
            self.lines.append("G21" if self.unit == 1.0 else "G20")
        elif kind == 2:
            axis = dice.choice("xyz")
            value = round(dice.uniform(-30, 30) / self.unit, 3)
            self.offset[axis] = self.at[axis] - value * self.unit
            self.lines.append("G92 %s%s E0" % (axis.upper(), value))
        elif kind == 3:
            self.lines.append("M220 S%d" % dice.choice((60, 100, 250)))
        elif kind == 4:
            self.lines.append("M221 S%d" % dice.choice((80, 100, 130)))
        elif kind == 5:
            self.lines.append("M204 P%d T%d R%d" % tuple(dice.choice((200, 1500, 6000)) for _ in range(3)))
        elif kind == 6:
            limits = (dice.choice((300, 3000)), dice.choice((300, 9000)), dice.choice((50, 300)))
            self.lines.append("M201 X%d Y%d Z%d" % limits)
        elif kind == 7:
            self.lines.append("M205 J0.0%d" % dice.choice((1, 4)))
        else:
            self.lines.append("M203 X%d Z%d" % (dice.choice((40, 300)), dice.choice((4, 12))))


def wave(count, length=0.2, feedrate=4800, extrude=0.01):
    """Short moves along a curve, each about `length` mm, with filament."""
    lines = ["M302 P1", "M83", "G92 X0 Y0", "G90", "G1 F%d" % feedrate]
    x = y = direction = 0.0
    for number in range(count):
        direction += 0.15 * math.sin(number / 17)
        size = length * (0.6 + 0.8 * (number * 7919 % 97) / 97)
        x, y = x + size * math.cos(direction), y + size * math.sin(direction)
        lines.append("G1 X%.3f Y%.3f E%.5f" % (x, y, extrude))
    return lines
