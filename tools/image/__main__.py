"""python -m tools.image [WHAT ...]: builds; see --help."""

import argparse

from tools import paths
from tools.image import build
from tools.steps import main


def run():
    boards = paths.board_names()
    description = "Builds MicroPython and the firmware's images."
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=description)
    parser.add_argument(
        "what", nargs="*", default=["all"],
        help="all, plain (MicroPython alone), unix (MicroPython for this machine), mpy-cross,"
        f" or a board: {', '.join(boards)}",
    )
    made = {"plain": lambda: build.image("plain"), "unix": build.unix, "mpy-cross": build.mpy_cross}
    wanted = parser.parse_args().what
    if "all" in wanted:
        wanted = [*made, *boards]
    for name in wanted:
        print(made[name]() if name in made else build.image(name))


main(run)
