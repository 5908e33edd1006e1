"""python -m tools.bench: measures the image on the emulated board, writes build/bench.json and prints a table.

Exit code 0 if every figure reaches its bar, 1 if one does not, 2 if a measurement did not work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools import paths

BENCH = paths.BUILD / "bench.json"
BAR_MISSED, FAILED = 1, 2
XIP_MISS = 40


def measurements() -> dict[str, tuple[str, Callable]]:
    """Name: what it measures, and its function."""
    from tools.benchmarks import (
        at_prompt,
        dry_run,
        edge_error,
        gc_pause,
        limits,
        step_rate,
        stops,
        way_in,
        whole_print,
    )

    return {
        "boot": ("Boot, free heap", whole_print.boot),
        "lines": ("Lines a second", way_in.lines_per_s),
        "functions": ("Times of single functions", at_prompt.function_times),
        "steps": ("Highest step rate of four motors", step_rate.step_rate),
        "edges": ("Every edge of a mixed job beside the plan", edge_error.edge_error),
        "limits": ("Speeds and accelerations", limits.limits),
        "override": ("Feedrate percentage", limits.override),
        "gc": ("Garbage collections", gc_pause.gc_pause),
        "stop": ("Emergency stops", stops.emergency_stop),
        "endstops": ("Homing", stops.overshoot),
        "print": ("The example, printed", whole_print.example),
        "dryrun": ("Dry run", dry_run.lines_per_s),
    }


def _arguments(argv, names):
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="skr_pico", help="board file's name (default: skr_pico)")
    parser.add_argument("--image", help="a UF2 to measure instead of the one that is built; its .bin lies beside it")
    parser.add_argument("--xip", action="store_true", help="count misses of the flash cache, rather too many")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="only these: " + ", ".join(names))
    parser.add_argument("--out", default=str(BENCH), help="where the figures go (default: build/bench.json)")
    return parser.parse_args(argv)


def _measure(chosen, setup, console) -> tuple[dict, dict]:
    """Runs measurements one after the other; (figures, what went wrong by name)."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    figures: dict = {}
    failed: dict = {}
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for name, (title, function) in chosen.items():
            task = progress.add_task(title, total=1)
            began = time.monotonic()
            try:
                figures |= function(setup)
            except Exception as error:  # one that fails must not take the others with it
                failed[name] = "%s: %s" % (type(error).__name__, error)
            progress.update(task, completed=1, description=title + (" [red]failed" if name in failed else ""))
            if not console.is_terminal:
                outcome = "failed" if name in failed else "%.1f s" % (time.monotonic() - began)
                print("  %s  %s" % (title, outcome), flush=True)
    return figures, failed


def _show(figures: dict, failed: dict, console) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from tools.benchmarks.figures import FIGURES

    words = {True: "[green]yes", False: "[red]no", None: ""}
    table = Table(box=box.SIMPLE_HEAD, title="Measured on the emulated board", title_justify="left")
    for heading in ("figure", "what", "value", "unit", "bar", "met"):
        justify = "right" if heading in ("value", "bar") else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != "what")
    for figure in FIGURES:
        if figure.name in figures:
            value = figures[figure.name]
            bar = "" if figure.bar is None else "%s %s" % (figure.sense, "{:,}".format(figure.bar))
            text = "{:,.{}f}".format(value, figure.decimals)
            table.add_row(figure.name, figure.title, text, figure.unit, bar, words[figure.met(value)])
    console.print(table)
    for name, value in figures.items():
        if isinstance(value, str):
            console.print("%s: %s" % (name, value), markup=False)
    for name, text in failed.items():
        console.print("[red]failed:[/] %s: %s" % (name, escape(text)))


def _missed(figures: dict) -> list[str]:
    from tools.benchmarks.figures import FIGURES

    return [figure.name for figure in FIGURES if figure.met(figures.get(figure.name)) is False]


def _rounded(value):
    return float("%.6g" % value) if isinstance(value, float) else value


def run(argv=None) -> int:
    """The command; gives the exit code."""
    known = measurements()
    options = _arguments(argv, list(known))
    from rich.console import Console

    from tools.benchmarks.rig import Setup
    from tools.image import build

    image = Path(options.image) if options.image else build.image(options.board)
    if not image.is_file():
        print("error: there is no image %s" % image, file=sys.stderr)
        return FAILED
    setup = Setup(image, options.board, XIP_MISS if options.xip else 0)
    console = Console(width=None if sys.stdout.isatty() else 140)
    chosen = {name: known[name] for name in options.only or known}
    figures, failed = _measure(chosen, setup, console)
    missed = _missed(figures)
    written = {name: _rounded(value) for name, value in figures.items()}
    written |= {"board": options.board, "xip_miss": setup.xip_miss, "missed": missed, "failed": failed}
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(written, indent=2) + "\n")
    _show(figures, failed, console)
    if failed:
        return FAILED
    return BAR_MISSED if missed else 0


if __name__ == "__main__":
    from tools.steps import main

    main(run)
