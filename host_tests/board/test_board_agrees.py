"""Viper and assembler on the board against the same code as plain Python: scripts run on both, every line compared."""

import contextlib
import io

import pytest

from host_tests.board.printers import FLASH_SIZE, flash_with, image
from tools import paths
from tools.twin.emulator import Board
from tools.twin.repl import Repl

SCRIPTS = sorted((paths.ROOT / "host_tests" / "board" / "twice").glob("*.py"))


@pytest.fixture
def prompt():
    """The firmware's image at the prompt: a file stops it before it starts."""
    flash = flash_with({"/_board.py": "raise KeyboardInterrupt\n"})
    with Board(image("skr_pico"), flash, FLASH_SIZE) as board:
        yield Repl(board)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_same_on_both(script, prompt):
    source = script.read_text()
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(compile(source, str(script), "exec"), {"__name__": "twice"})
    there = prompt.exec("import gc\ngc.collect()\n" + source, timeout=120).splitlines()
    here = here.getvalue().splitlines()
    print("%s: %d lines" % (script.stem, len(here)))
    assert len(here) > 50
    for number, (ours, theirs) in enumerate(zip(here, there, strict=True)):
        assert ours == theirs, "line %d" % number
