"""The heaters' modules on the emulated board: figures as on CPython, nothing allocated, and how long a check takes.

The modules are compiled and copied into the file system of a board that runs MicroPython alone; a small hardware of
fixed readings stands in for ADC and PWM. Sixteen conversions of the real ADC are timed as well.
"""

import random
import subprocess

import pytest

from adder import thermistor
from adder.pid import Pid
from tools import paths

MODULES = ("parts", "board", "errors", "thermistor", "pid", "heatguard", "heat")

BENCH = """
import gc, micropython, time
from adder.board import checked
from adder import heat
from boards.skr_pico import BOARD

class Pin:
    value = 0
    def duty(self, value):
        self.value = value

class Adc:
    def __init__(self, value):
        self.value = value
    def read(self):
        return self.value

class Hal:
    fed = 0
    def pwm(self, pin, hz, invert):
        return Pin()
    def adc(self, pin):
        return Adc(60000)
    def timer(self, period, callback):
        pass
    def watchdog(self, timeout):
        return self
    def feed(self):
        Hal.fed += 1

class Settings:
    def get(self, name):
        for row in heat.SETTINGS:
            if row[0] == name:
                return row[5]
    def on_change(self, prefix, function):
        pass

h = heat.Heat(checked(BOARD), Hal(), Settings())
h.start()
h.by_name('hotend').set_target(21000)
h.by_name('bed').set_target(6000)
"""


@pytest.fixture
def board(micropython, tmp_path):
    """A board at its prompt with the modules in its file system."""
    files = {f"adder/{name}.py": paths.FIRMWARE / "adder" / f"{name}.py" for name in MODULES}
    files["boards/skr_pico.py"] = paths.BOARDS / "skr_pico.py"
    micropython.exec("import os\nfor d in ('adder', 'boards'):\n os.mkdir(d)\n")
    for name, source in files.items():
        compiled = tmp_path / "module.mpy"
        subprocess.run([paths.MPY_CROSS, "-march=armv6m", "-o", compiled, "-s", name, source], check=True)
        data = compiled.read_bytes()
        micropython.exec(f"f = open({name.replace('.py', '.mpy')!r}, 'wb')")
        for at in range(0, len(data), 512):
            micropython.exec(f"f.write({data[at : at + 512]!r})")
        micropython.exec("f.close()")
    return micropython


def test_check_is_fast_and_allocates_nothing(board, record_property):
    """Both heaters on. 2 ms are allowed with the ADC's 0.9 ms, and the emulator may flatter by a third."""
    board.exec(BENCH)
    source = """
hot = h.by_name('hotend')
def measure():
    worst = 0
    micropython.heap_lock()
    try:
        for step in range(120):
            if hot._adc.value > 5796:
                hot._adc.value -= hot._adc.value >> 5
            start = time.ticks_us()
            h.check(None)
            took = time.ticks_diff(time.ticks_us(), start)
            if took > worst:
                worst = took
    finally:
        micropython.heap_unlock()
    return worst
worst = measure()
print(worst, Hal.fed, hot._pwm.value, h.fault)
"""
    worst, fed, duty, fault = board.exec(source).strip().split(" ", 3)
    print(f"heater check, two heaters: {worst} us")
    record_property("heater_check_us", int(worst))
    assert (fault, int(fed)) == ("None", 120)
    assert 0 <= int(duty) <= 65535
    assert int(worst) <= 1000


def test_curves_in_single_precision(board):
    """The board's floats have 24 bits; its tables must still be those of CPython to 0.03 degC."""
    readings = [1, 700, 1460, 4095, 4096, 5796, 20000, 40000, 61439, 61440, 64600, 65000, 65500]
    for name in thermistor.PRESETS:
        for pullup in (1000, 4700):
            here = thermistor.Thermistor(name, pullup)
            source = (
                "from adder.thermistor import Thermistor\n"
                f"t = Thermistor({name!r}, {pullup})\n"
                f"print([t.centi(r) for r in {readings}], t.adc_at(210), t.ohm(5796))\n"
            )
            expected = [here.centi(reading) for reading in readings]
            text = board.exec(source, timeout=30)
            there = eval(text[: text.index("]") + 1])
            assert max(abs(a - b) for a, b in zip(expected, there, strict=True)) <= 3, (name, there, expected)


def test_pid_agrees_to_the_bit(board):
    """Integers only, so the board and CPython must give the same duties, with the heap locked."""
    dice = random.Random(5)
    for gains in ((2220, 1080, 11400), (40000, 100000, 500000), (0, 0, 0), (6000, 400, 30000)):
        steps = []
        now = 2500
        for _ in range(120):
            change = dice.choice([0, 3, -5, 40, 300, -2500, 2500])
            now = min(50000, max(-6000, now + change))
            steps.append((dice.choice([0, 6000, 21000]), now, change))
        pid = Pid(10, 40)
        pid.gains(*gains)
        expected = [pid.update(*step) for step in steps]
        source = (
            "import micropython\nfrom array import array\nfrom adder.pid import Pid\n"
            f"p = Pid(10, 40)\np.gains{gains}\n"
            f"s = array('i', {[value for step in steps for value in step]})\n"
            f"o = array('i', s[:{len(steps)}])\n"
            "def go():\n"
            " micropython.heap_lock()\n"
            " try:\n"
            f"  for i in range({len(steps)}):\n"
            "   o[i] = p.update(s[3 * i], s[3 * i + 1], s[3 * i + 2])\n"
            " finally:\n"
            "  micropython.heap_unlock()\n"
            "go()\n"
            "print(list(o))\n"
        )
        assert eval(board.exec(source)) == expected


def test_reading_the_adc_fits_into_the_check(board, record_property):
    """Sixteen conversions of one channel, as hardware and MicroPython make them."""
    source = """
import time
from machine import ADC
a = ADC(27)
def read():
    total = 0
    for _ in range(16):
        total += a.read_u16()
    return total >> 4
read()
t = time.ticks_us()
read()
print(time.ticks_diff(time.ticks_us(), t))
"""
    micros = int(board.exec(source))
    print(f"16 ADC conversions: {micros} us")
    record_property("adc_us", micros)
    assert micros < 500
