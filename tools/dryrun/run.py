"""A file through the dry printer, line by line; what it asks for that the printer does not do is counted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from .machine import DryPrinter
from .source import Comments, split

FEW_LINES = 8  # line numbers that are kept for each kind of remark
LINES_AT_ONCE = 500
AXES = "XYZE"
_CODES = {"speed": "M203", "acceleration": "M201", "step rate": "the driver"}
_DECIMAL, _NUMBER = re.compile(r"-?\d+\.\d+"), re.compile(r"-?\d+(?:\.\d+)?")
_UNITS = {"speed": "mm/s", "acceleration": "mm/s\u00b2", "step rate": "steps/s"}


@dataclass
class Hit:
    """Something that happened on some lines: how often, where first, and how far off the worst of it was."""

    what: str  # speed, acceleration, step rate, remark, refused, halt
    text: str
    count: int = 0
    lines: list[int] = field(default_factory=list)
    axis: str = ""
    asked: float = 0.0
    allowed: float = 0.0

    def add(self, line: int) -> None:
        """Once more, on this line."""
        self.count += 1
        if len(self.lines) < FEW_LINES and line not in self.lines:
            self.lines.append(line)

    def __str__(self) -> str:
        if self.axis:
            unit = _UNITS[self.what]
            return "%s: %s of up to %.0f %s asked for, %s allows %.0f" % (
                self.axis, self.what, self.asked, unit, _CODES[self.what], self.allowed,
            )  # fmt: skip
        return self.text

    def where(self) -> str:
        """`line 3`, `lines 3, 7, 12 and 40 more`; line 0 stands for the settings."""
        if self.lines[-1] == 0:
            return "settings"
        shown = self.lines[:5]
        more = self.count - len(shown)
        text = ("line " if self.count == 1 else "lines ") + ", ".join("%d" % line for line in shown)
        return text + (" and %d more" % more if more > 0 else "")


class DryRun:
    """Runs `data`, the bytes of a file. `progress()` does it piece by piece; then `hits` and `printer` have the rest.

    `settings`: what M503 printed, to be taken over first; `options` go to the DryPrinter.
    """

    def __init__(self, data: bytes, board: str = "skr_pico", settings: str = "", **options):
        self.lines = split(data)
        self.printer = DryPrinter(board, **options)
        self.comments = Comments()
        self.hits: dict[tuple, Hit] = {}
        self.done = 0
        self.commands = 0
        self.halted_at: int | None = None
        self.spent_s = 0.0
        self._line = 0
        self.printer.on_note = self._noted
        self.printer.feeder.on_limit = self._limited
        self.printer.take_settings(settings)

    def run(self) -> DryRun:
        """All of it at once."""
        for _ in self.progress():
            pass
        return self

    def progress(self) -> Iterator[None]:
        """Gives control back after every few hundred lines; `done` tells how far it is."""
        begin = time.process_time()
        run_line, feeder, printer, look = (
            self.printer.run_line, self.printer.feeder, self.printer, self.comments.look,
        )  # fmt: skip
        for number, line in enumerate(self.lines, 1):
            if number % LINES_AT_ONCE == 0:
                self.done = number
                yield
            at = line.find(b";")
            if at >= 0:
                look(line[at:], number)
                line = line[:at]
            line = line.strip()
            if not line:
                continue
            self._line = feeder.line = printer.line = number
            self.commands += 1
            if not run_line(line):
                self.halted_at = number
                break
        printer.end()
        self.done = len(self.lines)
        self.spent_s = time.process_time() - begin
        yield

    def _hit(self, key, what, text) -> Hit:
        hit = self.hits.get(key)
        if hit is None:
            hit = self.hits[key] = Hit(what, text)
        hit.add(self._line)
        return hit

    def _noted(self, what: str, text: str) -> None:
        # The same with other values is the same; codes count
        self._hit((what, (_DECIMAL if what == "refused" else _NUMBER).sub("#", text)), what, text)

    def _limited(self, what: str, axis: int, asked: float, allowed: float) -> None:
        hit = self._hit((what, axis, allowed), what, "")
        hit.axis = AXES[axis]
        hit.asked = max(hit.asked, asked)
        hit.allowed = allowed

    def layers(self) -> list[int]:
        """Lines at which layers begin, by the slicer's marks."""
        return self.comments.layers()
