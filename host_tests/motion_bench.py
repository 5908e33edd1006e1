"""A bench for planner and slicer: the firmware's own code over the decoder of step words, on a clock of its own."""

from adder import slicer as slicer_module
from adder.feeder import Feeder
from adder.hal.steps_host import StepStream

UNIT = 100_000  # 10 nm in a mm


class Clock:
    """What the feeder needs of a hal."""

    def __init__(self):
        self.us = 0

    def ticks_us(self):
        return self.us

    def ticks_ms(self):
        return self.us // 1000

    def ticks_diff(self, a, b):
        return a - b

    def ticks_add(self, a, b):
        return a + b


class Bench:
    """`limits`: four tuples (mm/s, mm/s^2, jerk mm/s, steps/mm). Every block is kept as it was sealed, in `blocks`."""

    def __init__(self, limits, deviation_um=13, classic=False):
        self.limits = limits
        self.clock = Clock()
        self.stream = StepStream(self.clock)
        self.feeder = Feeder(self.clock, self.stream)
        self.planner = self.feeder.planner
        for axis, (speed, accel, jerk, scale) in enumerate(limits):
            self.planner.set_axis(
                axis, round(speed * UNIT), accel, round(jerk * 64), round(scale * 1000), 5_000_000
            )
        self.planner.set_junction(deviation_um, classic)
        self.blocks = []
        self.start_cycles = None  # when the streams were first started
        start = self.stream.start

        def noted(first):
            if self.start_cycles is None:
                self.start_cycles = self.clock.us * 125
            start(first)

        self.stream.start = noted

    def seal_hook(self, monkeypatch):
        """Record each block when the slicer takes it: plan in numbers, and where its slices begin."""
        original = slicer_module._seal

        def seal(st, pl, blk):
            tail, head = pl[1], pl[0]
            fields = list(blk[(tail & 63) * 16 : (tail & 63) * 16 + 16])
            entry = pl[2]
            leave = blk[((tail + 1) & 63) * 16 + 5] if tail + 1 < head else 0
            self.blocks.append({"fields": fields, "entry": entry, "leave": leave, "slice": st[9]})
            original(st, pl, blk)
            self.blocks[-1]["units"] = sum(st[32 + phase * 16] for phase in range(3))

        monkeypatch.setattr(slicer_module, "_seal", seal)

    def move(self, x, y, z, e, speed, accel):
        """Queue a relative move in mm, mm/s, mm/s^2; time passes while the planner is full."""
        request = self.planner.request
        for axis, way in enumerate((x, y, z, e)):
            request[axis] = request[4 + axis] = round(way * UNIT)
        request[8] = round(speed * UNIT)
        request[9] = accel
        while self.planner.full():
            self.tick()
        parts = self.planner.add()
        if parts > 1:
            for _ in range(parts):
                self.move(x / parts, y / parts, z / parts, e / parts, speed, accel)

    def tick(self, ms=5):
        self.clock.us += ms * 1000
        self.feeder.service()

    def drain(self):
        self.feeder.flush = True
        ticks = 0
        while self.feeder.busy():
            self.feeder.flush = True
            self.tick()
            ticks += 1
            assert ticks < 200_000, "motion does not end"

    def position(self, motor):
        """Steps made by the decoder, from its edges."""
        return sum(direction for _, direction in self.stream.edges[motor])
