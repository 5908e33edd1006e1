"""A print on the screen: progress while it runs, tables at its end.

On a terminal the display is live; into a file or pipe it is a line for every tenth of the print.
"""

from __future__ import annotations

import time

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from .print_job import PrintJob, PrintResult

REFRESH_S = 0.15
AXES = "xyze"


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return "%d:%02d" % divmod(int(seconds), 60)


class Display:
    """Shows a job while it runs; use it as a context and call `update` often."""

    def __init__(self, job: PrintJob, console: Console):
        self._job = job
        self._console = console
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._tenth = 0
        self._bar = Progress(
            TextColumn("[bold]Printing"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("lines   {task.percentage:>3.0f} %"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("print", total=job.total)
        self._live = Live(self._view(), console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *exc_info) -> None:
        if self._live:
            self._live.update(self._view(), refresh=True)
            self._live.__exit__(*exc_info)

    def update(self) -> None:
        """Show the state now, unless it was shown a moment ago."""
        now = time.monotonic()
        if self._live:
            if now - self._shown_at >= REFRESH_S:
                self._shown_at = now
                self._live.update(self._view(), refresh=True)
        elif self._job.done * 10 // self._job.total > self._tenth:
            self._tenth = self._job.done * 10 // self._job.total
            self._console.print(self._one_line(), highlight=False, soft_wrap=True)

    def _figures(self) -> dict[str, str]:
        job = self._job
        twin, status = job.twin, job.status
        places = twin.position_mm()
        figures = {
            "position": "  ".join("%s %7.2f" % (axis.upper(), places[axis]) for axis in "xyz") + " mm",
            "board": clock(twin.now),
        }
        for letter, name in (("T", "hotend"), ("B", "bed")):
            if name not in twin.heaters:
                continue
            reported, target = status.temperatures.get(letter, (None, None))
            figures[name] = "%5.1f \u00b0C true" % twin.heater(name).temperature
            if reported is not None:
                figures[name] += ", %5.1f reported, target %.0f" % (reported, target or 0)
        queue, buffered = status.values.get("queue"), status.number("buffer_ms")
        figures["queue"] = "%s commands" % queue if queue else "not reported"
        figures["buffer"] = "%.0f ms of steps" % buffered if buffered is not None else "not reported"
        spent = time.monotonic() - self._began
        figures["pace"] = "%.2f of real time" % ((twin.now - job.result.began) / spent if spent > 0 else 0)
        return figures

    def _one_line(self) -> str:
        figures = self._figures()
        shown = ("board", "position", "hotend", "bed", "queue", "buffer")
        return "%3d %%  " % (self._tenth * 10) + "   ".join("%s %s" % (k, figures[k]) for k in shown if k in figures)

    def _view(self):
        self._bar.update(self._task, completed=self._job.done)
        figures = self._figures()
        grid = Table.grid(padding=(0, 3), expand=False)
        grid.add_column(style="dim")
        grid.add_column(min_width=44)
        grid.add_column(style="dim")
        grid.add_column()
        pairs = [("Hotend", "hotend"), ("Bed", "bed"), ("Position", "position")]
        right = [("Queue", "queue"), ("Buffer", "buffer"), ("Time on the board", "board"), ("Pace", "pace")]
        for number in range(max(len(pairs), len(right))):
            row = []
            for side in (pairs, right):
                title, key = side[number] if number < len(side) else ("", "")
                row += [title, figures.get(key, "")]
            grid.add_row(*row)
        line = Text(self._job.text[:100], style="cyan", overflow="ellipsis", no_wrap=True)
        return Panel(Group(self._bar, grid, line), title="Printer twin", title_align="left", border_style="blue")


def _verdict(good: bool, text: str) -> str:
    return "[green]%s[/]" % text if good else "[bold red]%s[/]" % text


def motor_table(result: PrintResult) -> Table:
    """Steps of every motor beside those that the file asks for."""
    table = Table(
        title="Steps of the motors since homing", title_justify="left", box=box.SIMPLE_HEAVY, title_style="bold"
    )
    table.add_column("motor")
    for title in ("made", "expected", "wrong", "edges", "lost", "off", "bad times"):
        table.add_column(title, justify="right")
    for motor in result.motors:
        table.add_row(
            motor.name.upper(),
            "%d" % motor.made,
            "%d" % motor.expected,
            _verdict(not motor.wrong, "%+d" % (motor.made - motor.expected) if motor.made != motor.expected else "0"),
            "%d" % motor.total,
            _verdict(not motor.lost, "%d" % motor.lost),
            _verdict(not motor.ignored, "%d" % motor.ignored),
            _verdict(not motor.violations, "%d" % motor.violations),
        )
    return table


def heat_table(result: PrintResult) -> Table:
    """Peak temperatures beside the targets."""
    table = Table(title="Heaters", title_justify="left", box=box.SIMPLE_HEAVY, title_style="bold")
    table.add_column("heater")
    table.add_column("peak", justify="right")
    table.add_column("highest target", justify="right")
    for name, peak in result.peaks.items():
        table.add_row(name, "%.1f \u00b0C" % peak, "%.0f \u00b0C" % result.highest_targets[name])
    return table


def motion_table(result: PrintResult) -> Table:
    """Speeds and accelerations out of the edges beside the limits."""
    table = Table(
        title="Motion after homing, from the edges", title_justify="left", box=box.SIMPLE_HEAVY, title_style="bold"
    )
    table.add_column("axis")
    for title in ("fastest", "limit", "acceleration", "limit", "kept"):
        table.add_column(title, justify="right")
    limits = (result.limits.get("M203", {}), result.limits.get("M201", {}))
    broken = {excess.axis for excess in result.excesses}
    for axis in result.peak_speed:
        speed, acceleration = (limit.get(axis) for limit in limits)
        table.add_row(
            axis.upper(),
            "%.1f mm/s" % result.peak_speed[axis],
            "%.0f" % speed if speed else "unknown",
            "%.0f mm/s\u00b2" % result.peak_acceleration[axis],
            "%.0f" % acceleration if acceleration else "unknown",
            _verdict(axis not in broken, "no" if axis in broken else "yes" if speed and acceleration else "unknown"),
        )
    return table


def figure_table(result: PrintResult) -> Table:
    """What the firmware did in numbers."""
    values = result.values
    table = Table(title="Print", title_justify="left", box=box.SIMPLE_HEAVY, title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column()
    underruns = values.get("underruns")
    rows = [
        ("lines", "%d, resent %d" % (result.lines, result.resends)),
        ("time on the board", "%.1f s (%.1f s for this machine)" % (result.board_s, result.wall_s)),
        ("lines per second", "%.1f on average while printing, paced by the moves" % result.lines_per_s),
        ("underruns", _verdict(underruns == "0", underruns) if underruns else "not reported"),
        (
            "least motion ahead",
            "not reported" if result.least_ahead_ms is None else "%.0f ms of steps" % result.least_ahead_ms,
        ),
        (
            "tool beside the path",
            "not measured" if result.path_error_mm is None else "%.3f mm at most" % result.path_error_mm,
        ),
        ("free heap", "%s bytes" % values["heap_free"] if "heap_free" in values else "not reported"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def show_result(result: PrintResult, pictures, console: Console) -> None:
    """All tables, the pictures' paths, notes, and the verdict."""
    for table in (figure_table(result), motor_table(result), motion_table(result), heat_table(result)):
        console.print(table)
    for picture in pictures:
        console.print("  %s" % picture, style="blue", highlight=False, soft_wrap=True)
    for kind, texts, style in (
        ("note", result.notes, "yellow"),
        ("note", [str(excess) for excess in result.excesses], "yellow"),
    ):
        for text in texts[:10]:
            console.print("%s: %s" % (kind, text), style=style, highlight=False, markup=False, soft_wrap=True)
        if len(texts) > 10:
            console.print("and %d more like these" % (len(texts) - 10), style=style)
    for text in result.problems:
        console.print("wrong: %s" % text, style="bold red", highlight=False, markup=False, soft_wrap=True)
    if not result.problems:
        console.print("Steps and temperatures are right.", style="bold green")
