"""python -m tools.run [FILE]: prints a G-code file on the printer twin and shows what became of it.

Exit code 0 if steps and temperatures are right, 1 if not, 2 for a FILE that cannot be printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools import paths

EXAMPLE = paths.EXAMPLES / "ring.gcode"
BAD_INPUT = 2


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.run", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=str(EXAMPLE), help="G-code file (default: %s)" % EXAMPLE.name)
    parser.add_argument("--board", default="skr_pico", help="board file's name (default: skr_pico)")
    parser.add_argument("--image", help="a UF2 to run instead of the one that is built")
    parser.add_argument("--out", default=str(paths.OUT), help="where pictures go (default: out/)")
    parser.add_argument("--thermal-speed", type=float, default=1.0, help="heat runs so many times faster")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    return parser.parse_args(argv)


def _pictures(job, out: Path, limits) -> list[Path]:
    from tools.twin import pictures
    from tools.twin.print_job import path_of

    track, path = path_of(job)
    histories = {name: heater.history.arrays() for name, heater in job.twin.heaters.items()}
    return [
        pictures.draw_path(path, out / "path.png"),
        pictures.draw_speed(track, out / "speed.png", limits),
        pictures.draw_temperatures(histories, out / "temperatures.png", job.targets, job.reported),
    ]


def _print(job, console):
    """Run a job with its display; gives the error that ended it early, or None."""
    from tools.twin.emulator import Lockup
    from tools.twin.host import HostError
    from tools.twin.show import Display

    try:
        job.prepare()
        with Display(job, console) as display:
            for _ in job.progress():
                display.update()
    except (HostError, Lockup) as error:
        return error
    return None


def run(argv=None) -> int:
    """The command; gives the exit code."""
    options = _arguments(argv)
    from tools.twin.print_job import PrintJob, read_gcode

    try:
        lines = read_gcode(options.file)
    except ValueError as error:
        print("error: %s" % error, file=sys.stderr)
        return BAD_INPUT
    if options.thermal_speed <= 0:
        print("error: --thermal-speed is %g, should be above 0" % options.thermal_speed, file=sys.stderr)
        return BAD_INPUT
    from rich.console import Console

    from tools.image import build
    from tools.twin.printer import PrinterTwin
    from tools.twin.show import show_result

    image = Path(options.image) if options.image else build.image(options.board)
    console = Console()
    with PrinterTwin(image, options.board, thermal_speed=options.thermal_speed) as twin:
        job = PrintJob(twin, lines)
        result = job.finish(_print(job, console))
        drawn = [] if options.no_pictures else _pictures(job, Path(options.out), result.limits.get("M203"))
    show_result(result, [_short(path) for path in drawn], console)
    return 1 if result.problems else 0


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    from tools.steps import main

    main(run)
