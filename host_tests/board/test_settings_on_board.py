"""Settings on the emulated board: how long loading takes, what it keeps in RAM, and saves that a power cut ends.

The modules are compiled into the file system of a board that runs MicroPython alone; frozen into an image they run from
flash, which is no slower. The rows of all modules are there, without the modules' code.
"""

import subprocess

import pytest

from adder.settings import groups
from host_tests.settings_bench import make
from tools import paths
from tools.twin.emulator import Board
from tools.twin.flash import PowerCut
from tools.twin.repl import Repl

MODULES = ("thermistor", "board", "errors", "settings", "store")

START = """
import gc, time
from adder.settings import Settings
from adder.store import Store
import adder_rows
gc.collect()
"""


def install(repl, tmp_path):
    """Put the modules, compiled, into the board's file system."""
    rows = tmp_path / "adder_rows.py"
    rows.write_text(f"GROUPS = {groups()!r}\n")
    files = {f"adder/{name}.py": paths.FIRMWARE / "adder" / f"{name}.py" for name in MODULES}
    files["adder_rows.py"] = rows
    repl.exec("import os\nos.mkdir('adder')")
    for name, source in files.items():
        compiled = tmp_path / "module.mpy"
        subprocess.run([paths.MPY_CROSS, "-march=armv6m", "-o", compiled, "-s", name, source], check=True)
        data = compiled.read_bytes()
        repl.exec(f"f = open({name.replace('.py', '.mpy')!r}, 'wb')")
        for at in range(0, len(data), 512):
            repl.exec(f"f.write({data[at : at + 512]!r})")
        repl.exec("f.close()")


@pytest.fixture
def board(micropython, tmp_path):
    install(micropython, tmp_path)
    micropython.exec(START)
    return micropython


def numbers(text):
    return [int(word) for word in text.split()]


def test_loading_is_fast_and_keeps_little(board, record_property):
    """100 ms are allowed at boot; a third is kept for what the emulator flatters."""
    board.exec("s = Settings(adder_rows.GROUPS, {'x_max': 210}, Store())")
    board.exec("for n in s.names():\n s.set(n, s.row(n)[7])\ns.save()")
    source = """
del s
gc.collect()
free = gc.mem_free()
start = time.ticks_us()
s = Settings(adder_rows.GROUPS, {'x_max': 210}, Store())
made = time.ticks_us()
lines = s.load()
loaded = time.ticks_us()
count = len(lines)
del lines
gc.collect()
kept = free - gc.mem_free()
again = time.ticks_us()
s.set('x_max', 12345)
s.save()
saved = time.ticks_us()
for line in s.gcode_lines():
    pass
print(made - start, loaded - made, kept, saved - again, time.ticks_us() - saved, count, s.get('y_max'))
"""
    make_us, load_us, kept, save_us, print_us, lines, y_max = numbers(board.exec(source))
    print(f"settings: made in {make_us} us, loaded in {load_us} us, {kept} bytes; M500 {save_us}, M503 {print_us} us")
    record_property("settings_load_us", make_us + load_us)
    assert (lines, y_max) == (1, 200000)
    assert make_us + load_us <= 66_000
    assert kept <= 6000


def test_get_allocates_nothing(board):
    board.exec("s = Settings(adder_rows.GROUPS)")
    source = """
def alloc():
    before = gc.mem_alloc()
    for _ in range(100):
        s.get('steps_per_mm_x')
        s.decimals('pid_bed_p')
    return gc.mem_alloc() - before
gc.collect()
gc.disable()
alloc()
print(alloc())
"""
    assert numbers(board.exec(source)) == [0]


def test_power_cut_at_every_flash_operation_of_a_save(plain_image, tmp_path):
    """MicroPython's own littlefs: the settings before or the new ones, and the next save works."""
    repl = Repl(Board(plain_image))
    install(repl, tmp_path)
    change = "s.load()\nfor n in s.names():\n s.set(n, s.row(n)[%d])\n"
    begin = START + "s = Settings(adder_rows.GROUPS, None, Store())\n"
    repl.exec(begin + change % 6 + "s.save()\n" + change % 7 + "s.save()\n")
    kept = bytes(repl.board.flash)
    operations = repl.board.flash_chip.operations
    new = change % 6
    first = len(operations)
    repl.exec(new)
    repl.exec("s.save()")
    end = len(operations)
    assert end - first >= 2
    show = begin + "print(*s.load()[1:], sep='|')\nprint(*[s.get(n) for n in s.names()])"
    table = make()
    lowest = [table.row(name)[6] for name in table.names()]
    highest = [table.row(name)[7] for name in table.names()]
    found = []
    for number in range(end - first):
        for when in ("before", "middle", "after"):
            board = Board(plain_image, flash=kept)
            repl = Repl(board)
            repl.exec(begin + new)
            board.flash_chip.cut = (len(board.flash_chip.operations) + number, when)
            with pytest.raises(PowerCut):
                repl.exec("s.save()")
            board.power_cycle()
            repl = Repl(board)
            notes, values = repl.exec(show).splitlines()
            found.append(numbers(values))
            assert found[-1] in (lowest, highest), (number, when, notes)
            repl.exec("s.set('x_max', 4711)\ns.save()")
            assert repl.exec(begin + "s.load()\nprint(s.get('x_max'))").strip() == "4711"
    assert lowest in found and highest in found
