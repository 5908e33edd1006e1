"""Planner and slicer on random and extreme moves; runs on CPython and on the board, prints all that they wrote."""

from array import array
from binascii import crc32

from adder.planner import Planner
from adder.slicer import SLICES, WORDS, Slicer

state = 99


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def pick(*values):
    return values[rand(len(values))]


class Stream:
    """A step driver that takes everything at once."""

    cycles_unit = 8
    invert = (0, 1, 0, 1)

    def __init__(self, pulse, dir_setup, words, counts):
        self.pulse_overhead = pulse + 7
        self.min_interval = 2 * pulse
        self.dir_setup = dir_setup
        self.words = words
        self.counts = counts

    def free_words(self, motors):
        for motor in range(4):
            motors[motor * 16 + 10] = WORDS - 1


# One ring of each, used by all turns: there is no room for two
words = array("i", [0] * (4 * WORDS))
counts = array("i", [0] * (4 * SLICES))


def fresh():
    pulse = pick(13, 125, 240)
    planner = Planner()
    for axis in range(4):
        planner.set_axis(
            axis,
            pick(10000, 1200000, 30000000, 100000000, 0x0FFFFFFF),
            pick(1, 50, 1500, 9000, 50000),
            pick(0, 26, 640, 6400),
            pick(100, 80000, 93270, 400000, 3200001, 10000000),
            pick(20000, 250000, 480000, 4800000),
        )
    planner.set_junction(pick(0, 5, 13, 500), rand(2))
    planner.set_filament_speed(pick(0, 0, 500000))
    planner.set_advance(pick(0, 3, 500, 100000))
    return planner, Slicer(planner, Stream(pulse, pick(5, 25, 100), words, counts))


def way(size):
    return (rand(2 * size + 1) - size) if rand(3) else 0


def show(name, turn, *arrays):
    print(name, turn, *[crc32(a) for a in arrays])


def state_of(slicer):
    """The slicer's state without the places where the assembler keeps what it has no register for."""
    state = slicer.state
    for i in (16, 17, 18, 19, 20, 30):
        state[i] = 0
    for motor in range(4):
        for i in range(11, 16):
            state[80 + motor * 16 + i] = 0
    return state


for turn in range(36):
    planner, slicer = fresh()
    planner.set_shortest(pick(0, 0, 20000, 1000000))
    planner.set_low(pick(0, 1, 100, 256))
    sizes = pick((1000, 3000), (20000, 80000), (500000, 4000000), (30000000, 1000000000))
    for number in range(24):
        if planner.full():
            break
        request = planner.request
        for axis in range(4):
            request[axis] = way(sizes[rand(2)])
        if turn & 1:  # CoreXY
            for axis in range(2):
                request[axis] >>= 1
            request[4], request[5] = request[0] + request[1], request[0] - request[1]
        else:
            request[4], request[5] = request[0], request[1]
        request[6], request[7] = request[2], request[3]
        request[8] = pick(1, 1666, 500000, 10000000, 30000000, 0x0FFFFFFF)
        request[9] = pick(1, 100, 1500, 50000)
        planner.next_event(number)
        result = planner.add()
        print(turn, number, result, crc32(memoryview(planner.request)[0:18]), crc32(planner.state))
        if rand(9) == 0:
            made = slicer.fill(pick(1, 15625, 3125000), pick(1, 30, 200), rand(3), 100000)
            print("fill", made, slicer.added(), crc32(state_of(slicer)))
            if rand(2) == 0:
                slicer.set_feed(pick(0, 10, 100, 100, 250, 999))
    show("plan", turn, planner.blocks, planner.state, planner.limits)
    for _ in range(12):
        made = slicer.fill(3125000, 300)
        if not made:
            if planner.held():
                slicer.set_feed(100)
                continue
            break
        print("fill", made, slicer.added(), slicer.moving(), crc32(state_of(slicer)), crc32(words), crc32(counts))
    show("slice", turn, state_of(slicer), planner.state)
    print([slicer.written(motor) for motor in range(4)], [slicer.steps(motor) for motor in range(4)])
