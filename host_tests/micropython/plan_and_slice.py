"""Frame, planner and slicer on MicroPython: viper code makes exactly the steps that moves ask for.

Forward moves only: where ints have 64 bits, viper reads a negative number out of an array as a large one.
"""

from array import array

from adder import frame
from adder.command import OK, Command
from adder.feeder import Feeder
from adder.hal.steps_host import StepStream

STEPS_PER_MM = (80, 80, 400, 93)
state = 4711


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 8) % n


class Clock:
    """What the feeder needs of a hal."""

    us = 0

    def ticks_us(self):
        return self.us

    def ticks_ms(self):
        return self.us // 1000

    def ticks_diff(self, a, b):
        return a - b

    def ticks_add(self, a, b):
        return a + b


class Counting(StepStream):
    """Counts steps instead of keeping them."""

    made = [0, 0, 0, 0]

    def count(self):
        self.free_words([0] * 64)
        for motor in range(4):
            self.made[motor] += sum([step for _, step in self.edges[motor]])
            del self.edges[motor][:]


clock = Clock()
stream = Counting(clock)
feeder = Feeder(clock, stream)
planner = feeder.planner
for axis in range(4):
    planner.set_axis(axis, 200 * 100000, 3000, 8 * 64, STEPS_PER_MM[axis] * 1000, 1000000)
planner.set_junction(13, 0)
coordinates = frame.Frame()
numbers = coordinates.state
numbers[frame.ACCEL_PRINT] = numbers[frame.ACCEL_RETRACT] = numbers[frame.ACCEL_TRAVEL] = 2000
command = Command()


def serve():
    clock.us += 5000
    feeder.service()
    stream.count()


def drain():
    while feeder.busy():
        feeder.flush = True
        serve()


position = array("i", [0] * 4)  # hundredths of a millimetre
for n in range(150):
    line = b"G1 F%d" % (600 + rand(9000))
    for axis in range(4):
        if rand(3):
            position[axis] += rand(4000 if axis < 2 else 300)
            sign = b"-" if position[axis] < 0 else b""
            value = abs(position[axis])
            line += b" %s%s%d.%02d" % (b"XYZE"[axis : axis + 1], sign, value // 100, value % 100)
    assert command.scan(line) == OK, line
    if coordinates.resolve(command, planner.request) & frame.MOVES:
        while planner.full():
            serve()
        assert planner.add() <= 1
        coordinates.taken()
    if n % 40 == 39:
        drain()
        for axis in range(4):
            exact = position[axis] * STEPS_PER_MM[axis]
            # Half a step may be rounded either way
            assert abs(stream.made[axis] * 100 - exact) <= 50, (n, axis, stream.made[axis], exact)
            assert feeder.motor_steps(axis) == stream.made[axis]
assert feeder.underruns == 0

print("passed")
