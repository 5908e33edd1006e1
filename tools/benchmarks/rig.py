"""Boards to measure on, and the G-code that several measurements use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tools.twin.emulator import Board
from tools.twin.plan import PrinterPlan, plan_for
from tools.twin.printer import PrinterTwin
from tools.twin.repl import Repl
from tools.twin.status import Status

_MAIN = b".py\0main.py\0"  # as the image lists its frozen modules
FAR_MM = 1e5


class BenchError(Exception):
    """A measurement did not work out; one line that says why."""


@dataclass
class Setup:
    """What is measured: image, board, and the cost of a miss of the flash cache in cycles."""

    image: Path
    board: str
    xip_miss: int = 0

    def twin(self, latency_s: float = 0.0, plan: PrinterPlan | None = None) -> PrinterTwin:
        """A printer that has booted; its host answers after `latency_s`."""
        twin = PrinterTwin(self.image, self.board, plan=plan)
        twin.board.chip.xip_cost(self.xip_miss)
        twin.wire.__init__(twin.board, latency_s)
        twin.boot()
        return twin

    def prompt(self) -> Repl:
        """The same image at MicroPython's prompt: its main.py goes by another name, nothing else differs."""
        board = Board(self.image, xip_miss=self.xip_miss)
        flash = bytes(board.flash)
        if flash.count(_MAIN) != 1:
            raise BenchError("the image has %d lists of modules with a main.py, one was expected" % flash.count(_MAIN))
        board.flash[flash.index(_MAIN) + len(_MAIN) - 2] ^= 1
        return Repl(board)

    def wide_plan(self, steps_per_mm: float | None = None) -> PrinterPlan:
        """A printer whose axes never end and have no switches, all with the same steps per mm if given."""
        scale = None if steps_per_mm is None else dict.fromkeys("xyze", steps_per_mm)
        plan = plan_for(self.board, steps_per_mm=scale)
        plan.axes = [replace(axis, low=-FAR_MM, high=FAR_MM, switch=None, switch_pin=None) for axis in plan.axes]
        return plan


def command(twin: PrinterTwin, *lines: str) -> list[str]:
    """Send lines that must be accepted; gives the replies of the last one."""
    replies = []
    for line in lines:
        replies = twin.command(line)
        bad = [reply for reply in replies if reply.startswith(("Error", "echo:Unknown")) or "must" in reply]
        if bad:
            raise BenchError("%s was answered with %s" % (line, bad[0]))
    return replies


def diagnostics(twin: PrinterTwin) -> Status:
    """The figures of M122."""
    status = Status()
    for line in twin.command("M122"):
        status.read(line)
    return status


def underruns(twin: PrinterTwin) -> int:
    """How often steps were not ready in time since boot, as M122 tells. That moves were not there is no such case."""
    count = diagnostics(twin).number("slicer")
    if count is None:
        raise BenchError("M122 does not tell underruns of the slicer")
    return int(count)


def curve(count: int, speed: float, radius: float = 20.0, way: float = 0.2) -> Iterator[str]:
    """Moves of 0.2 mm with extrusion around a circle that begins at (radius, 0)."""
    for k in range(1, count + 1):
        angle = k * way / radius
        yield "G1 X%.3f Y%.3f E%.5f F%d" % (
            radius * math.cos(angle), radius * math.sin(angle), k * way * 0.05, speed * 60,
        )
