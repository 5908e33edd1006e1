"""USB of the emulated board: an idle host costs nothing, packets take their time, nothing gets lost."""

import pytest

from tools.twin.emulator import CYCLES_PER_SECOND, Board
from tools.twin.repl import RemoteError, Repl

COUNT_LOOP = """
import time
def count(ms):
    n, end = 0, time.ticks_add(time.ticks_us(), ms * 1000)
    while time.ticks_diff(end, time.ticks_us()) > 0:
        n += 1
    return n
print(count(200))
"""


def test_strings_and_ids_are_read(micropython):
    usb = micropython.board.usb
    assert usb.ids == (0x2E8A, 5)
    assert usb.strings["manufacturer"] == "MicroPython"
    assert usb.strings["serial"] == "e661410403a5b2c7"


def test_an_idle_host_takes_no_cpu_time(micropython, plain_image):
    """The same loop with the cable in and with the cable pulled."""
    with_host = int(micropython.exec(COUNT_LOOP))
    board = Board(plain_image)
    lonely = COUNT_LOOP.replace("print(count(200))", "n = count(200)\nf = open('n', 'w'); f.write(str(n)); f.close()")
    Repl(board).start("import time\ntime.sleep_ms(50)\n" + lonely)
    board.usb.enabled = False
    board.usb_controller.reset()
    board.run(0.8)
    assert not board.usb.attached
    alone = int(Repl(Board(plain_image, flash=bytes(board.flash))).exec("print(open('n').read())"))
    assert with_host >= 0.995 * alone
    assert alone > 3000


def test_packets_take_their_time(micropython):
    """4 kB out: 64 bytes in about 50 us, so at most 1.28 MB/s; the board reads slower than that."""
    board = micropython.board
    micropython.start("import sys\nfor _ in range(64): sys.stdin.buffer.read(64)\nprint('done')")
    board.run(0.01)
    start = board.cycle
    board.write(b"x" * 4096)
    board.run_until(lambda: not board.usb.waiting, 5)
    sent = board.usb.last_out - start
    micropython.finish()
    seconds = sent / CYCLES_PER_SECOND
    assert 4096 / seconds < 1.3e6
    assert 4096 / seconds > 50e3


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 1000, 5000])
def test_output_of_any_size_arrives_in_order(micropython, size):
    text = micropython.exec(f"print(''.join(chr(97 + i % 26) for i in range({size})), end='')")
    assert text == "".join(chr(97 + i % 26) for i in range(size))


def test_input_waits_while_the_board_does_not_read(micropython):
    board = micropython.board
    micropython.start("import time, sys\ntime.sleep(1)\nprint(sys.stdin.readline())\nprint(sys.stdin.readline())")
    board.write(b"a" * 3000 + b"\n" + b"b\n")
    board.run(0.5)
    assert 2000 < len(board.usb.waiting) < 3002, "the device's buffers are full and it says NAK"
    assert micropython.finish() == "a" * 3000 + "\n\nb\n\n"


def test_exec_reports_errors(micropython):
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        micropython.exec("1 // 0")
    assert micropython.exec("print('still there')") == "still there\n"


def test_times_of_first_and_last_byte(micropython):
    board = micropython.board
    board.read()
    micropython.start("import time\nprint('one')\ntime.sleep(0.25)\nprint('two')")
    board.run(0.5)
    gap = (board.usb.last_in - board.usb.first_in) / CYCLES_PER_SECOND
    assert gap == pytest.approx(0.25, abs=0.01)
    micropython.finish()
