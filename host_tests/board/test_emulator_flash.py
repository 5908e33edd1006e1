"""The flash of the emulated board: erases and programs take their time, and the power may go at any of them."""

import itertools

import pytest

from tools.twin.emulator import CYCLES_PER_SECOND, Board, PowerCut
from tools.twin.repl import Repl

PLACE = 0x180000
RAW_FLASH = """
import rp2, time
from array import array
class Raw(rp2.Flash): pass
flash = rp2.Flash()
n = flash.ioctl(4, 0)
block = n - 1
page = bytes(range(256)) * 16
"""
SAVE = """
def save(text):
    with open('data.new', 'w') as f:
        f.write(text)
    import os
    os.rename('data.new', 'data')
"""


def test_erase_and_program_times(micropython):
    micropython.exec(RAW_FLASH)
    operations = micropython.board.flash_chip.operations
    before = len(operations)
    took = int(micropython.exec("t = time.ticks_us(); flash.ioctl(6, block); print(time.ticks_us() - t)"))
    assert [(o["kind"], o["size"]) for o in operations[before:]] == [("erase", 4096)]
    assert took == pytest.approx(45_000, rel=0.02)
    before = len(operations)
    took = int(micropython.exec("t = time.ticks_us(); flash.writeblocks(block, page, 0); print(time.ticks_us() - t)"))
    assert [(o["kind"], o["size"]) for o in operations[before:]] == [("program", 256)] * 16
    assert 16 * 400 <= took < 16 * 400 + 8000, "the bytes go over the SPI bus as well"
    assert micropython.exec("b = bytearray(4096); flash.readblocks(block, b); print(b == page)") == "True\n"


def test_programming_only_clears_bits(micropython):
    micropython.exec(RAW_FLASH + "flash.ioctl(6, block)")
    micropython.exec("flash.writeblocks(block, b'\\xf0' * 256, 0); flash.writeblocks(block, b'\\x3f' * 256, 0)")
    out = micropython.exec("b = bytearray(256); flash.readblocks(block, b, 0); print(b == b'\\x30' * 256)")
    assert out == "True\n"


def test_pio_goes_on_while_the_flash_is_busy(micropython):
    """Step pulses from a machine during an erase: none missing, none late. Timer interrupts are late."""
    micropython.exec(
        RAW_FLASH
        + """
from machine import Pin
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def p():
    set(pins, 1) [9]
    set(pins, 0) [9]
sm = rp2.StateMachine(0, p, freq=125_000, set_base=Pin(2))
sm.active(1)
"""
    )
    board = micropython.board
    record = board.record([2])
    micropython.exec("flash.ioctl(6, block)")
    rises = record.rising(2)
    operation = board.flash_chip.operations[-1]
    within = [t for t in rises if operation["cycle"] < t < operation["cycle"] + 45 * 125_000]
    assert len(within) == pytest.approx(45 * 125 / 20, abs=1)
    assert {b - a for a, b in itertools.pairwise(within)} == {20_000}
    assert board.cycle - operation["cycle"] > 45 * 125_000


def operations_of_a_save(image, flash):
    repl = Repl(Board(image, flash=flash))
    repl.exec(SAVE)
    before = len(repl.board.flash_chip.operations)
    repl.exec("save('new' * 300)")
    return before, len(repl.board.flash_chip.operations)


def test_power_cut_at_any_operation_of_a_save(plain_image):
    """A file is replaced by rename; afterwards there is the old one or the new one, and it can be read."""
    repl = Repl(Board(plain_image))
    repl.exec(SAVE + "save('old' * 300)")
    kept = bytes(repl.board.flash)
    first, end = operations_of_a_save(plain_image, kept)
    assert end - first >= 3
    found = set()
    for number in range(first, end):
        for when in ("before", "middle", "after"):
            board = Board(plain_image, flash=kept)
            repl = Repl(board)
            repl.exec(SAVE)
            board.flash_chip.cut = (number, when)
            with pytest.raises(PowerCut) as cut:
                repl.exec("save('new' * 300)")
            assert cut.value.operation["number"] == number
            assert not board.powered
            with pytest.raises(RuntimeError, match="no power"):
                board.run(0.1)
            board.power_cycle()
            found.add(Repl(board).exec("print(open('data').read())").strip())
    assert found == {"old" * 300, "new" * 300}


@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_what_a_cut_leaves(micropython, when):
    micropython.exec(RAW_FLASH + "flash.writeblocks(block, bytes(4096))")
    board = micropython.board
    start = len(board.flash) - 4096
    assert board.flash[start:] == bytes(4096)
    board.flash_chip.cut = (len(board.flash_chip.operations), when)
    with pytest.raises(PowerCut):
        micropython.exec("flash.ioctl(6, block)")
    left = bytes(board.flash[start:])
    if when == "before":
        assert left == bytes(4096)
    elif when == "after":
        assert left == b"\xff" * 4096
    else:
        assert left[:2048] == b"\xff" * 2048
        assert left[-1536:] == bytes(1536)
        assert left[2048:-1536] not in (bytes(512), b"\xff" * 512)


def test_dma_reading_a_busy_flash_is_noted(micropython):
    micropython.exec(
        RAW_FLASH
        + """
d = rp2.DMA()
to = bytearray(4)
ctrl = d.pack_ctrl(inc_read=False, inc_write=False, treq_sel=0x3b)
import machine
machine.mem32[0x50000420] = 1 << 16 | 12500
d.config(read=0x10000000, write=to, count=2000, ctrl=ctrl, trigger=True)
"""
    )
    assert not micropython.board.chip.flash_conflicts()
    micropython.exec("flash.ioctl(6, block)")
    assert micropython.board.chip.flash_conflicts() > 100
    assert any("flash" in fault[0] for fault in micropython.board.faults)


def test_image_that_does_not_fit_is_refused(tmp_path):
    wrong = tmp_path / "image.txt"
    wrong.write_text("not an image")
    with pytest.raises(ValueError, match="neither a UF2"):
        Board(wrong)
    assert CYCLES_PER_SECOND == 125_000_000
