"""python -m tools.dryrun [FILE]: what a G-code file will do, by the firmware's own code, without a board.

Exit code 0; 2 for a FILE that cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tools import paths

EXAMPLE = paths.EXAMPLES / "ring.gcode"
BAD_INPUT = 2


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.dryrun", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=str(EXAMPLE), help="G-code file (default: %s)" % EXAMPLE.name)
    parser.add_argument("--board", default="skr_pico", help="board file's name (default: skr_pico)")
    parser.add_argument("--out", default=str(paths.OUT), help="where pictures and JSON go (default: out/)")
    parser.add_argument("--json", action="store_true", help="write all figures into dryrun.json there")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    parser.add_argument("--settings", metavar="FILE", help="what M503 printed on the printer, in a file")
    parser.add_argument("--hot", action="store_true", help="heaters reach every target at once")
    parser.add_argument("--diameter", type=float, default=0.0, help="filament, mm (default: the file's, or 1.75)")
    parser.add_argument("--density", type=float, default=0.0, help="filament, g/cm3 (default: the file's, or 1.24)")
    return parser.parse_args(argv)


def run(argv=None) -> int:
    """The command; gives the exit code."""
    options = _arguments(argv)
    from . import source

    if options.board not in paths.board_names():
        print("error: no board %r; there are: %s" % (options.board, ", ".join(paths.board_names())), file=sys.stderr)
        return BAD_INPUT
    try:
        data = source.read(options.file)
        settings = "" if options.settings is None else source.read_settings(options.settings)
    except source.Unreadable as error:
        print("error: %s" % error, file=sys.stderr)
        return BAD_INPUT
    from rich.console import Console

    from .figures import Moves, collect
    from .run import DryRun
    from .show import show, with_progress

    console = Console()
    job = DryRun(data, options.board, settings, hot=options.hot)
    with_progress(job, console)
    moves = Moves(job)
    figures = collect(job, moves, Path(options.file).name, options.diameter, options.density)
    out = Path(options.out)
    drawn = []
    if not options.no_pictures:
        from . import pictures

        drawn = [
            pictures.draw_path(moves, figures, out / "dryrun_path.png"),
            pictures.draw_speed(moves, figures, out / "dryrun_speed.png"),
        ]
    if options.json:
        out.mkdir(parents=True, exist_ok=True)
        target = out / "dryrun.json"
        target.write_text(json.dumps(figures.as_json(), indent=1, ensure_ascii=False) + "\n")
        drawn.append(target)
    show(figures, [_short(path) for path in drawn], console)
    return 0


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    from tools.steps import main

    main(run)
