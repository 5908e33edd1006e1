"""python -m tools.test [pytest arguments]: builds everything that the tests use, checks the style, runs all tests."""

import os
import subprocess
import sys

from tools import lint, paths
from tools.image import build
from tools.steps import main

WORKERS = str(max(2, os.cpu_count() or 2))


def test():
    lint.lint()
    build.unix()
    for board in (paths.PLAIN, *paths.board_names()):
        build.image(board)
    command = [sys.executable, "-m", "pytest", "-n", WORKERS, *sys.argv[1:]]
    return subprocess.run(command, cwd=paths.ROOT).returncode


if __name__ == "__main__":
    main(test)
