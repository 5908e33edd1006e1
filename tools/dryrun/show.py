"""A dry run on the screen: progress while it takes long, tables at its end."""

from __future__ import annotations

import time

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .figures import Figures
from .run import DryRun

PATIENCE_S = 2.0
MANY_LAYERS = 12
MANY_HITS = 20
SHADES = {"halt": "bold red", "refused": "red", "remark": "yellow"}


def clock(seconds: float) -> str:
    """`8.4 s`, `2:03 min`, `1:02:03 h`."""
    if seconds < 60:
        return "%.1f s" % seconds
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return "%d:%02d min" % (minutes, rest)
    return "%d:%02d:%02d h" % (*divmod(minutes, 60), rest)


def with_progress(run: DryRun, console: Console, patience_s: float = PATIENCE_S) -> None:
    """Do the run; what takes longer than `patience_s` gets a bar, or lines where there is no terminal."""
    total, began, tenth = len(run.lines), time.monotonic(), 0
    bar = Progress(
        TextColumn("[bold]Dry run"), BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("lines"),
        TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
    task, shown = bar.add_task("run", total=total), False
    try:
        for _ in run.progress():
            if not shown and (time.monotonic() - began < patience_s or run.done >= total):
                continue
            if not shown and console.is_terminal:
                bar.start()
            shown = True
            if console.is_terminal:
                bar.update(task, completed=run.done)
            elif run.done * 10 // total > tenth:
                tenth = run.done * 10 // total
                console.print("%3d %%  line %d of %d" % (tenth * 10, run.done, total), highlight=False)
    finally:
        if shown and console.is_terminal:
            bar.stop()


def _table(title: str, header: bool = True) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAVY, show_header=header, pad_edge=False
    )


def summary_table(figures: Figures) -> Table:
    """Times, ways and filament."""
    table = _table("%s on %s" % (figures.file, figures.board), header=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("print time", "[bold green]%s[/]  [dim]%d moves, %d starts from rest[/]" % (
        clock(figures.print_s), figures.moves, figures.starts))  # fmt: skip
    extra = (
        ("heating", figures.heating_s, "by a model of heaters with the board's watts, from 22 \u00b0C"),
        ("homing", figures.homing_s, "an estimate: where the carriages stand before is not known"),
        ("dwells (G4)", figures.dwell_s, ""),
        ("other waits", figures.waiting_s, ""),
    )
    for name, seconds, remark in extra:
        if seconds:
            table.add_row("+ " + name, "%s  [dim]%s[/]" % (clock(seconds), remark))
    if figures.total_s > figures.print_s:
        table.add_row("= all", "[bold]%s[/]" % clock(figures.total_s))
    table.add_row("lines", "%d, at most %d moves in a second" % (figures.lines, figures.moves_in_a_second))
    table.add_row("way", "%.2f m extruding, %.2f m not" % (figures.extruding_mm / 1000, figures.travel_mm / 1000))
    table.add_row("filament", "%.1f mm, %.1f mm\u00b3, %.2f g  [dim]%g mm thick, %g g/cm\u00b3[/]" % (
        figures.filament_mm, figures.filament_mm3, figures.filament_g,
        figures.filament_diameter_mm, figures.filament_density))  # fmt: skip
    if figures.flow_mm3_s:
        table.add_row("highest flow", "%.2f mm\u00b3/s  [dim]line %d[/]" % (figures.flow_mm3_s, figures.flow_line))
    if figures.tool_speed_line:
        table.add_row(
            "tool's highest speed", "%.1f mm/s  [dim]line %d[/]" % (figures.tool_speed, figures.tool_speed_line)
        )
    return table


def axes_table(figures: Figures) -> Table:
    """What each axis does, beside its limits and the boxes."""
    table = _table("Axes")
    table.add_column("")
    for title in ("mm/s", "limit", "line", "mm/s\u00b2", "limit", "line", "steps/s", "driver", "line"):
        table.add_column(title, justify="right", style="dim" if title == "line" else "")
    for axis in figures.axes:
        row = [axis.name]
        for value, limit, line, places in (
            (axis.speed, axis.limit_speed, axis.speed_line, 1),
            (axis.acceleration, axis.limit_acceleration, axis.acceleration_line, 0),
            (axis.step_rate, axis.limit_step_rate, axis.step_rate_line, 0),
        ):
            text = "%.*f" % (places, value)
            if value > 0.999 * limit:
                text = "[yellow]%s[/]" % text
            row += [text, "%d" % limit, "%d" % line if line else ""]
        table.add_row(*row)
    return table


def box_table(figures: Figures) -> Table:
    """Where the tool goes."""
    table = _table("Box (mm)")
    for title in ("", "lowest", "highest", "extruding", ""):
        table.add_column(title, justify="right" if title else "")
    for axis in "XYZ":
        row = [axis]
        for ends in (figures.box, figures.box_extruding):
            row += ["%.2f" % end for end in ends[axis]] if ends else ["none", ""]
        table.add_row(*row)
    return table


def layer_table(figures: Figures) -> Table:
    """Time per layer: all of them, or the ends and the extremes."""
    layers = figures.layers
    shown, title = layers, "%d layer%s" % (len(layers), "" if len(layers) == 1 else "s")
    if len(layers) > MANY_LAYERS:
        order = sorted(layers, key=lambda layer: layer.seconds)
        shown = sorted(
            {layer.number: layer for layer in layers[:3] + order[:2] + order[-3:] + layers[-1:]}.values(),
            key=lambda layer: layer.number,
        )
        title += ", %s each on average; the first, the last, the shortest and the longest" % clock(
            sum(layer.seconds for layer in layers) / len(layers)
        )
    if figures.layers_by == "height":
        title += " (no marks in the file: by the height of extrusion)"
    table = _table(title)
    table.add_column("layer", justify="right")
    for column in ("line", "Z", "time", "filament"):
        table.add_column(column, justify="right")
    if figures.before_layers_s and layers:
        table.add_row("before", "1", "", clock(figures.before_layers_s), "")
    for layer in shown:
        height = "" if layer.z_mm is None else "%.2f mm" % layer.z_mm
        table.add_row(
            "%d" % layer.number, "%d" % layer.line, height, clock(layer.seconds), "%.1f mm" % layer.filament_mm
        )
    return table


def show(figures: Figures, pictures, console: Console) -> None:
    """All tables, what was not done as asked, and the pictures' paths."""
    tables = [summary_table(figures), axes_table(figures), box_table(figures)]
    if figures.layers:
        tables.append(layer_table(figures))
    for table in tables:
        console.print(table)
    for hit in figures.hits[:MANY_HITS]:
        console.print(
            "%s: %s" % (hit.where(), hit), style=SHADES.get(hit.what, ""),
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    if len(figures.hits) > MANY_HITS:
        console.print("and %d more kinds of remarks, all in the JSON" % (len(figures.hits) - MANY_HITS))
    if figures.halted_at:
        console.print("The run ended at line %d of %d." % (figures.halted_at, figures.lines), style="bold red")
    if not figures.hits:
        console.print("No limit was hit, no line refused.", style="green")
    for picture in pictures:
        console.print("  %s" % picture, style="blue", highlight=False, soft_wrap=True)
    console.print(
        "%d lines in %.2f s: %.0f lines/s" % (figures.lines, figures.spent_s, figures.lines_per_s),
        style="dim", highlight=False,
    )  # fmt: skip
