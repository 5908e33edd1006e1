"""Times of single functions, taken with the board's clock at the prompt of the same image (frozen code and all)."""

from __future__ import annotations

import ast

from .rig import Setup

_FEEDER = """
import gc, math, time
from _board import BOARD
from adder.board import load
from adder.feeder import Feeder
from adder.hal.rp2040 import Hal
hal = Hal()
stream = hal.step_stream([(a.step, a.dir, a.invert_dir) for a in load(BOARD).axes], 100, 100, 20)
feeder = Feeder(hal, stream)
planner = feeder.planner
for axis in range(4):
    planner.set_axis(axis, 50000000, 5000, 640, 400000, 5000000)
planner.set_junction(13, False)
us, diff = time.ticks_us, time.ticks_diff
def empty():
    pass
def spent(function):
    t = us()
    function()
    return diff(us(), t)
def move(x, y, z, e, speed, accel):
    request = planner.request
    for i, way in enumerate((x, y, z, e)):
        request[i] = request[4 + i] = round(way * 100000)
    request[8] = round(speed * 100000)
    request[9] = accel
def fill(units, slots):
    t = us()
    made = feeder.slicer.fill(units, slots)
    t = diff(us(), t)
    return made, t
def slices(units, slots):
    made, t = fill(units, slots)
    return t / made
gc.collect()
overhead = min([spent(empty) for _ in range(20)])
"""
# 32 moves of 0.2 mm along a curve; the ring is half full in the mean
_PLAN = """
took = []
for turn in range(6):
    planner.clear()
    for k in range(32):
        a = k / 100
        move(-0.2 * math.sin(a), 0.2 * math.cos(a), 0, 0.01, 200, 3000)
        took.append(spent(planner.add) - overhead)
planner.clear()
print(sum(took) / len(took), max(took))
"""
# Ways at 100 mm/s: 400 steps/mm make 20,000 steps/s and more on each motor
_WAYS = """
def cruise():
    move(100, 90, 80, 70, 100, 5000)
    planner.add()
    fill(15625 * 60, 200)  # 20 ms of acceleration are over
    result = slices(15625 * 100, 100)
    feeder.abandon()
    return result
def ramp():
    move(100, 90, 80, 70, 400, 1000)
    planner.add()
    fill(15625 * 10, 200)
    result = slices(15625 * 60, 100)
    feeder.abandon()
    return result
def short_blocks():
    for k in range(30):
        a = k / 100
        move(0.1 * math.cos(a), 0.1 * math.sin(a), 0.08, 0.07, 100, 5000)
        planner.add()
    fill(15625 * 10, 8)
    before = planner.waiting()
    made, t = fill(15625 * 100, 40)
    result = t / made
    feeder.abandon()
    return result
def figures():
    feeder.place([0, 0, 5000000, 0])
    return [cruise(), ramp(), short_blocks()]
"""
# Everything on that bends a slice of a machine with straight axes; skew is a matter of the blocks
_ALL = """
from array import array
from adder import shapers
bend = feeder.bend
x, y = shapers.impulses(shapers.EI, 45.0, 0.1), shapers.impulses(shapers.EI, 38.0, 0.1)
step = 400 * 4096  # 1 mm
heights = array("i", [k * 37 %% 11 * step // 100 for k in range(49)])
bend.filters(%d, x, y, 0.05)
bend.bed(heights, 0, 0, 20 * step, 20 * step, 7, 7, 0)
for motor in range(4):
    bend.backlash(motor, step // 10, step // 200, 0)
feeder.slicer.bent()
"""
_DELTA = """
from adder import kinematics
rows = {row[0]: row for row in kinematics.SETTINGS}
def setting(name, decimals):
    row = rows.get(name)
    value, have = (row[5], row[4]) if row else (0, 0)
    if name[:12] == "steps_per_mm":
        value, have = 100, 0
    return value * 10 ** decimals // 10 ** have
kin = kinematics.select(2)
kin.configure(setting)
assert not kin.problem, kin.problem
for axis in range(3):
    planner.set_axis(axis, 50000000, 5000, 640, kin.scale(axis, 100000), 5000000)
feeder.bend.kinematics(kin)
feeder.slicer.bent()
"""
_PARSE = """
import gc, time
from adder.command import Command
us, diff = time.ticks_us, time.ticks_diff
command = Command()
lines = [b"N12%02d G1 X102.345 Y98.765 E1.2345*97\\n" % k for k in range(50)]
assert len(lines[0]) == 37 and lines[0][33] == 42
def scan(line):
    return command.scan(line, 33)
def nothing(line):
    return 0
def spent(function):
    t = us()
    for line in lines:
        function(line)
    return diff(us(), t) / len(lines)
gc.collect()
assert scan(lines[0]) == 0, command.error
print(min([spent(scan) for _ in range(5)]) - min([spent(nothing) for _ in range(5)]))
"""


def _slices(setup: Setup, configure: str = "") -> list[float]:
    """us of a slice at constant speed, while the speed changes, and that is a block of its own."""
    repl = setup.prompt()
    repl.exec(_FEEDER)
    repl.exec(configure + _WAYS)
    return ast.literal_eval(repl.exec("print(figures())"))


def function_times(setup: Setup) -> dict:
    """Scanning a line, planning a move, making a slice: plain, with all that bends it, and of a delta."""
    repl = setup.prompt()
    parse = float(repl.exec(_PARSE))
    repl.exec(_FEEDER)
    plan, _most = map(float, repl.exec(_PLAN).split())
    plain, everything, smooth, delta = (
        _slices(setup, configure) for configure in ("", _ALL % 0, _ALL % 20, _DELTA)
    )
    return {
        "parse_us": parse,
        "plan_us": plan,
        "slice_us": max(plain[:2]),
        "slice_us_cruising": plain[0],
        "slice_us_short_blocks": plain[2],
        "slice_us_all": max(everything[:2]),
        "slice_us_all_s_curve": max(smooth[:2]),
        "slice_us_delta": max(delta[:2]),
    }
