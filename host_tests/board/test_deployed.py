"""What `make deploy` copies, on stock MicroPython: compiled modules in the file system instead of a frozen image."""

import binascii

import pytest

from tools import deploy
from tools.twin.emulator import Board
from tools.twin.repl import Repl

pytestmark = pytest.mark.board


def copy(repl, folder):
    """All files of a folder onto the board, as mpremote would."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            repl.exec(f"import os\nos.mkdir({name!r})")
            continue
        data = binascii.b2a_base64(path.read_bytes(), newline=False)
        repl.exec(f"import binascii\nf = open({name!r}, 'wb')")
        for at in range(0, len(data), 1200):
            repl.exec(f"f.write(binascii.a2b_base64({data[at : at + 1200]!r}))")
        repl.exec("f.close()")


def test_the_firmware_runs_on_stock_micropython(plain_image, tmp_path):
    deploy.compile_all("skr_pico", tmp_path / "files")
    board = Board(plain_image)
    board.adc[0] = board.adc[1] = 3700
    motor = board.add_motor(11, 10, dir_positive=0)
    copy(Repl(board), tmp_path / "files")
    board.reset()
    board.run(3)
    assert board.read().startswith(b"start\n")
    for line in (b"G1 X5 F3000", b"M400", b"M114"):
        board.write(line + b"\n")
        board.run(0.4)
    assert b"X:5.00 Y:0.00 Z:0.00 E:0.00 Count X:400 Y:0 Z:0" in board.read()
    assert motor.pos == 400
    board.write(b"M122\n")
    board.run(0.4)
    words = dict(word.split(":", 1) for word in board.read().decode().split() if ":" in word)
    assert int(words["heap_free"]) > 16384
    assert not board.faults


def test_only_words_for_the_reader_are_left_out():
    source = deploy.paths.FIRMWARE / "adder" / "codes" / "table.py"
    rows = {}
    exec(source.read_text(), rows)
    lean = {}
    exec(deploy.without_words(source.read_text()), lean)
    assert [row[:3] for row in lean["ROWS"]] == [row[:3] for row in rows["ROWS"]]
    assert len(lean["ROWS"][0]) == len(rows["ROWS"][0])
