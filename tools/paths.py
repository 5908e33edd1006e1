"""Where things are: the tree's own folders and what the build makes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
BOARDS = ROOT / "boards"
EXAMPLES = ROOT / "examples"
BUILD = ROOT / "build"
OUT = ROOT / "out"

VENV = BUILD / "venv"
SOURCES = BUILD / "src"
MPY_CROSS = BUILD / "mpy-cross"
UNIX = BUILD / "unix" / "micropython"
PLAIN = "plain"


def board_names():
    """Names of the boards that have a file in boards/, sorted."""
    return sorted(p.stem for p in BOARDS.glob("*.py") if not p.stem.startswith("_"))


def image(board, suffix="uf2"):
    """Path of the image of `board` ("plain": MicroPython alone); suffix "uf2" or "bin"."""
    if board == PLAIN:
        return BUILD / PLAIN / f"micropython.{suffix}"
    return BUILD / board / f"adder-{board}.{suffix}"
