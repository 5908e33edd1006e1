"""Bent paths at random, from moves to words, with feedrates, holds and babysteps; runs on CPython and on the board."""

import gc
from array import array
from binascii import crc32

from adder import kinematics
from adder.bend import Bend
from adder.planner import Planner
from adder.slicer import SLICES, WORDS, Slicer

seed = 4242


def rand(n):
    global seed
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    return (seed >> 7) % n


def pick(*values):
    return values[rand(len(values))]


class Stream:
    """A step driver that takes everything at once."""

    cycles_unit = 8
    invert = (0, 1, 0, 1)
    pulse_overhead = 20
    min_interval = 26
    dir_setup = 8

    def __init__(self):
        self.words = array("i", [0] * (4 * WORDS))
        self.counts = array("i", [0] * (4 * SLICES))

    def free_words(self, motors):
        for motor in range(4):
            motors[motor * 16 + 10] = WORDS - 1


stream = Stream()
planner = Planner()
slicer = Slicer(planner, stream)
slicer.bend = bend = Bend()
kinds = (kinematics.select(0), kinematics.select(1))
mesh = array("i", [rand(600000) - 300000 for _ in range(30)])
# Times and weights that single precision holds exactly
SHAPERS = (
    None,
    None,
    ((0, 1 / 128), (0.5, 0.5)),
    ((0, 1 / 64, 1 / 32), (0.25, 0.5, 0.25)),
    ((0, 1 / 256, 1 / 128), (0.375, 0.5, 0.125)),
)


def show(name, turn):
    state = slicer.state
    for i in (16, 17, 18, 19, 20, 30):
        state[i] = 0
    for motor in range(4):
        for i in range(11, 16):
            state[80 + motor * 16 + i] = 0
    print(
        name, turn, crc32(state), crc32(planner.state), crc32(bend.state), crc32(bend.ring), crc32(stream.words),
        crc32(stream.counts), [slicer.steps(motor) for motor in range(4)],
    )  # fmt: skip


def make(turn, times):
    for _ in range(times):
        slots = pick(1, 8, 8, 60, 300)
        made = slicer.fill(pick(15625, 3125000), slots, pick(0, 0, 3), 100000)
        show("fill %d %d" % (made, slicer.added()), turn)
        if made == 0:
            return


for turn in range(24):
    scales = [pick(80000, 100000, 400000, 1600000) for _ in range(4)]
    for axis in range(4):
        planner.set_axis(axis, pick(3000000, 30000000), pick(200, 3000, 20000), 640, scales[axis], 1000000)
    planner.set_junction(13, turn & 1)
    gc.collect()
    bend.filters(
        pick(0, 0, 3, 20), pick(*SHAPERS), pick(*SHAPERS), pick(0, 0, 0.0625, 0.5), pick(0x3FFFFFFF, 200000)
    )
    kind = rand(2)
    bend.kinematics(kinds[kind])
    for motor in range(4):
        bend.backlash(motor, pick(0, 0, 20000, 400000), pick(500, 3000, 90000), pick(0, 0, 50, 5000))
    if rand(2):
        bend.bed(mesh, -2000000, -1000000, pick(409600, 9000000), 12000000, 6, 5, pick(0, 3000000, 300000000))
    else:
        bend.bed(None, 0, 0, 0, 0, 0, 0, 0)
    slicer.bent()
    places = [pick(0, rand(20000), 262143 - rand(3000), rand(3000) - 262143, rand(900000)) for _ in range(4)]
    if rand(3):
        slicer.place(places)
    show("at rest", turn)
    sizes = pick((3000, 20000), (20000, 400000), (100000, 4000000))
    for _ in range(10):
        request = planner.request
        for axis in range(4):
            size = pick(*sizes)
            request[axis] = rand(2 * size + 1) - size if rand(3) else 0
        if rand(3):
            request[3] = abs(request[3])
        for axis in range(4):
            request[4 + axis] = request[axis]
        if kind:
            request[4], request[5] = request[0] + request[1], request[0] - request[1]
        request[8] = pick(100000, 3000000, 30000000)
        request[9] = pick(500, 3000, 20000)
        if planner.full():
            break
        planner.add()
        if rand(4) == 0:
            make(turn, 2)
        if rand(6) == 0:
            slicer.set_feed(pick(0, 10, 100, 250, 999))
        if rand(8) == 0:
            slicer.shift(rand(3), rand(100) - 50, pick(400, 1600, 40000))
    slicer.set_feed(100)
    for _ in range(600):
        if slicer.idle():
            break
        made = slicer.fill(3125000, 300)
    show("end", turn)
    print(turn, slicer.idle(), slicer.moving(), [bend.extra(motor) for motor in range(4)])
    if turn & 3 == 3:
        slicer.clear()
        planner.clear()
