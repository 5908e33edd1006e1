"""USB of the emulated board: an idle host costs nothing, packets take their time, nothing gets lost."""

import itertools

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
    board.usb.unplug()
    board.run(0.8)
    assert not board.usb.attached
    alone = int(Repl(Board(plain_image, flash=bytes(board.flash))).exec("print(open('n').read())"))
    assert with_host >= 0.995 * alone
    assert alone > 3000


DPRAM, BUFF_STATUS = 0x50100000, 0x50110058
AVAILABLE, FULL = 1 << 10, 1 << 15


def opened(bare):
    """The serial port as if the board had been enumerated: endpoint 2, buffers at 0x180 (in), 0x200 (out)."""
    usb = bare.board.usb
    usb.attached = usb.ready = True
    usb.bulk_in = usb.bulk_out = 2
    bare[DPRAM + 0x10], bare[DPRAM + 0x14] = 1 << 31 | 1 << 29 | 0x180, 1 << 31 | 1 << 29 | 0x200
    return usb


@pytest.mark.parametrize("size", [1, 8, 64])
def test_packets_take_their_time_either_way(bare, size):
    """64 bytes hold the bus for 50 us."""
    usb = opened(bare)
    expected = (6.5 + 0.68 * size) * 125
    for control, bit in ((0x90, 4), (0x94, 5)):
        usb.write(bytes(size) if control == 0x94 else b"")
        start = bare.board.cycle
        bare[DPRAM + control] = AVAILABLE | (FULL | size if control == 0x90 else 64)
        bare.board.run_until(lambda bit=bit: bare[BUFF_STATUS] >> bit & 1, 0.001, slice_s=8e-9)
        assert bare.board.cycle - start == pytest.approx(expected, abs=2)
        assert bare[DPRAM + control] & 0x3FF == size
        assert bool(bare[DPRAM + control] & FULL) == (control == 0x94)
        assert not bare[DPRAM + control] & AVAILABLE
        bare[BUFF_STATUS] = 1 << bit


def test_an_armed_buffer_stays_armed_until_the_host_has_bytes(bare):
    usb = opened(bare)
    bare[DPRAM + 0x94] = AVAILABLE | 64
    bare.board.run(1.0)
    assert not bare[BUFF_STATUS]
    assert bare[DPRAM + 0x94] == AVAILABLE | 64
    usb.write(b"hello")
    bare.board.run(0.001)
    assert bare[BUFF_STATUS] == 1 << 5
    assert bytes(bare.chip.view(3, 0x1000)[0x200:0x205]) == b"hello"


def test_both_buffers_of_a_double_buffered_endpoint_go_in_order(bare):
    usb = opened(bare)
    bare[DPRAM + 0x10] = 1 << 31 | 1 << 30 | 1 << 28 | 0x180
    bare.chip.view(3, 0x1000)[0x180:0x200] = b"a" * 64 + b"b" * 64
    bare[DPRAM + 0x90] = AVAILABLE | FULL | 64 | (AVAILABLE | FULL | 20) << 16
    bare.board.run(0.0000525)
    assert usb.read() == b"a" * 64
    assert not bare[BUFF_STATUS], "it interrupts after both"
    bare.board.run(0.001)
    assert usb.read() == b"b" * 20
    assert bare[BUFF_STATUS] == 1 << 4


def test_no_packet_of_a_stream_is_faster_than_the_bus(micropython):
    board = micropython.board
    came = []

    def on_rx(data):
        came.append((board.cycle, len(data)))
        board.usb.received_bytes += data

    board.usb.on_rx = on_rx
    micropython.exec("print('x' * 8000)")
    full = [cycle for cycle, size in came if size == 64]
    assert len(full) > 50
    assert min(b - a for a, b in itertools.pairwise(full)) >= 50 * 125


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


def test_cable_out_and_in_again(micropython):
    board = micropython.board
    gone = []
    board.usb.on_gone = lambda: gone.append(board.cycle)
    micropython.exec("kept = 4711")
    board.usb.unplug()
    assert len(gone) == 1 and not board.usb.ready
    board.write(b"not yet")
    board.run(1.0)
    board.usb.waiting.clear()
    board.usb.plug()
    again = Repl(board)
    assert again.exec("print(kept)") == "4711\n"
