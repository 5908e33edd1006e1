"""The assembler's scanner beside the full one, on the emulated board: what it takes, the full one reads the same."""

import ast

from host_tests.board.printers import FLASH_SIZE, flash_with, image
from tools.twin.emulator import Board
from tools.twin.repl import Repl

SCRIPT = """
import gc
from array import array
from adder.command import RECORD, scan_line
from adder.hal.scan_thumb import scan_next
full = array("i", [0] * RECORD)
short = array("i", [0] * RECORD)
buffer = bytearray(256)
state = 5
def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n
def read(line, due):
    for i in range(RECORD):
        full[i] = short[i] = 0
    buffer[:len(line)] = line
    buffer[len(line)] = 49 + rand(3)
    ours = scan_next(buffer, len(line), short, due)
    if ours:
        return ours
    same = scan_line(buffer, len(line), full, due) == 0 and full[61] == short[61] and full[3] == short[3]
    same = same and full[4] == short[4]
    for i in range(26):
        if full[4] >> i & 1:
            same = same and full[9 + i] == short[9 + i] and full[35 + i] == short[35 + i]
    return 0 if same else 1
def framed(text):
    xor = 0
    for byte in text:
        xor ^= byte
    return text + b"*%d\\n" % xor
"""

PLAIN = (
    b"N7 G1 X10.123 Y-20.5 Z.2 E1234.56789 F7800", b"N7 G0 X5", b"N7 G1 F1200.000", b"N7 G1  X1   Y2 ",
    b"N7 G1 X-0 E-.8",
    b"N7 G1 X00012.50 Y5.", b"N7 G1 E134217727", b"N7 G1 A1 B2 C3 S4 P5",
)
OTHER = (
    b"N8 G1 X1", b"N7 G1", b"N7 G2 X1", b"N7 G10 X1", b"N7 M1 X1", b"N7 G1 X", b"N7 G1 X-", b"N7 G1 X.",
    b"N7 G1 X1.2.3", b"N7 G1 X1e5", b"N7 G1 X1 X2", b"N7 G1 X1 G1", b"N7 G1 X1 M3", b"N7 G1 X99999999999",
    b"N7 G1 X0.0000000001", b"N7 G1 X1\x00 Y2", b"N7 G1 X1 ;Y2", b"N7 G1 (a) X1", b"G1 X1", b"N G1 X1",
    b"N07.5 G1 X1", b"N-7 G1 X1", b"n7 G1 X1",
)


def prompt():
    board = Board(image("skr_pico"), flash_with({"/_board.py": "raise KeyboardInterrupt\n"}), FLASH_SIZE)
    repl = Repl(board)
    repl.exec(SCRIPT)
    return repl


def test_what_hosts_write_is_taken_and_nothing_else():
    repl = prompt()
    assert ast.literal_eval(repl.exec(f"print([read(framed(t), 7) for t in {PLAIN}])")) == [0] * len(PLAIN)
    assert 1 not in (found := ast.literal_eval(repl.exec(f"print([read(framed(t), 7) for t in {OTHER}])")))
    assert found == [2] * len(OTHER)
    damaged = (
        b"*\n", b"*83", b"*999\n", b"*083 1\n", b"*83*83\n", b"\n", b"*-83\n", b"*83\nG1 X5*83\n",
    )
    found = repl.exec(f"print([read(b'N7 G1 X1' + end, 7) for end in {damaged}])")
    assert ast.literal_eval(found) == [2] * len(damaged)


def test_any_single_damage_reads_as_the_full_scanner_does():
    repl = prompt()
    repl.exec("""
line = framed(b"N123 G1 X102.345 Y98.765 E1.23451 F9000")
seen = [0, 0, 0]
for at in range(len(line)):
    for bit in range(8):
        text = bytearray(line)
        text[at] ^= 1 << bit
        seen[read(text, 123)] += 1
    seen[read(line[:at] + line[at + 1:], 123)] += 1
    seen[read(line[:at] + line[at:at + 1] + line[at:], 123)] += 1
    for byte in b" .-0*\\n\\0":
        text = bytearray(line)
        text[at] = byte
        seen[read(framed(bytes(text[:line.index(b"*")])), 123)] += 1
""")
    taken, wrong, left = ast.literal_eval(repl.exec("print(seen)"))
    assert wrong == 0
    assert taken > 50 and left > 400


def test_random_fields_read_as_the_full_scanner_does():
    repl = prompt()
    repl.exec("""
seen = [0, 0, 0]
for turn in range(600):
    text = b"N%d G%d" % (turn, rand(3))
    for _ in range(rand(7)):
        text += b" " * (1 + rand(8) // 7) + bytes([65 + rand(26)])
        if rand(3) == 0:
            text += b"-"
        text += b"%d" % rand((10, 1000, 100000000)[rand(3)])
        if rand(2):
            text += b"." + (b"%d" % (1000000000 + rand(100000000)))[1:1 + rand(10)]
    seen[read(framed(text), turn)] += 1
    if turn % 50 == 0:
        gc.collect()
""")
    taken, wrong, left = ast.literal_eval(repl.exec("print(seen)"))
    assert wrong == 0
    assert taken > 100 and left > 100
