"""Step streams without hardware: decodes the words as the state machines would and records every step's time.

The same calls as `adder.hal.steps_rp2040`; time is the hal's clock. Used by tests and dry runs.
"""

from array import array

from adder.slicer import SLICES, WORDS

MOTORS = 4
CYCLE_NS = 8


class StepStream:
    """`edges[motor]` holds (time in PIO cycles since time zero, +1 or -1) for every step that was made."""

    def __init__(self, hal, invert=(0, 0, 0, 0), pulse=13, low=13, dir_setup=8):
        self._hal = hal
        self.cycles_unit = 8
        self.pulse_overhead = pulse + 7
        self.min_interval = pulse + max(low, 7)
        # Two per cent less than the pulses would allow: room to catch up what rounding leaves behind
        self.max_step_rate = 980_000_000 // (self.min_interval * CYCLE_NS)
        self.dir_setup = dir_setup
        self.cycle_ns = CYCLE_NS
        self.invert = bytearray(invert)
        self.words = array("i", [0] * (MOTORS * WORDS))
        self.counts = array("i", [0] * (MOTORS * SLICES))
        self.edges = [[], [], [], []]
        self.on_step = None  # on_step(motor, direction) after every step; may close an endstop
        self._pulse = pulse
        self._running = False
        self._ended = [False] * MOTORS  # has read a number of words of zero
        self._slice = [0] * MOTORS  # next slice to read
        self._word = [0] * MOTORS  # next word to run, counts up
        self._end = [0] * MOTORS  # words that may be run
        self._time = [0] * MOTORS  # end of the last word run, cycles
        self._steps = [[], [], [], []]  # steps of the words in work: (time, +-1), newest last
        self._pins = [None] * MOTORS
        self._watched = 0
        self._halted = 0

    def _now(self):
        return self._hal.ticks_us() * 1000 // CYCLE_NS

    def _run(self):
        # Merge the motors' words in time order up to now.
        now = self._now()
        while self._running:
            best = -1
            for motor in range(MOTORS):
                if self._halted >> motor & 1:
                    continue
                if not self._steps[motor] and not self._load(motor):
                    continue
                if best < 0 or self._steps[motor][0][0] < self._steps[best][0][0]:
                    best = motor
            if best < 0 or self._steps[best][0][0] > now:
                return
            time, direction = self._steps[best][0]
            if direction:
                if self._watched >> best & 1 and self._pins[best]():
                    self._halted |= 1 << best
                    continue
                self.edges[best].append((time, direction))
                if self.on_step:
                    self.on_step(best, direction)
            self._steps[best].pop(0)

    def _load(self, motor):
        # Next word of a motor as a list of steps; a wait is a step of 0.
        if self._word[motor] == self._end[motor]:
            count = 0 if self._ended[motor] else self.counts[motor * SLICES + self._slice[motor] % SLICES]
            if count == 0:
                # As the DMA: nothing more until `start`, whatever is written there later
                self._ended[motor] = True
                return False
            self._slice[motor] += 1
            self._end[motor] += count
        word = self.words[motor * WORDS + self._word[motor] % WORDS]
        self._word[motor] += 1
        delay = word >> 11
        count = word >> 1 & 1023
        start = self._time[motor]
        steps = self._steps[motor]
        if count == 0:
            self._time[motor] = start + delay + 7
            steps.append((self._time[motor], 0))
            return True
        direction = 1 if (word & 1) != self.invert[motor] else -1
        interval = delay + self.pulse_overhead
        for n in range(count):
            steps.append((start + delay + 8 + n * interval, direction))
        self._time[motor] = start + 3 + count * interval
        return True

    def free_words(self, motors):
        self._run()
        for motor in range(MOTORS):
            motors[motor * 16 + 10] = WORDS - 1 - (motors[motor * 16 + 6] - self._end[motor])

    def slices_ahead(self, slices):
        self._run()
        ahead = slices - max(self._slice)
        return ahead if ahead or not self.stopped() else -1

    def end(self, slices):
        for motor in range(MOTORS):
            self.counts[motor * SLICES + slices % SLICES] = 0

    def start(self, first):
        now = self._now()
        for motor in range(MOTORS):
            self._slice[motor] = first
            self._time[motor] = now
            self._ended[motor] = False
        self._running = True

    def stopped(self):
        self._run()
        for motor in range(MOTORS):
            if self._halted >> motor & 1 or self._steps[motor]:
                return False
            if self._word[motor] != self._end[motor]:
                return False
            if self._running and not self._ended[motor] and self.counts[motor * SLICES + self._slice[motor] % SLICES]:
                return False
        return True

    def kill(self):
        self._run()
        self._running = False

    def pending(self, motor, written):
        self._run()
        return self.left(motor, written)

    def left(self, motor, written):
        total = sum(direction for _, direction in self._steps[motor])
        for w in range(self._word[motor], written):
            word = self.words[motor * WORDS + w % WORDS]
            count = word >> 1 & 1023
            total += count if (word & 1) != self.invert[motor] else -count
        return total

    def recover(self, slices, written):
        for motor in range(MOTORS):
            self._steps[motor].clear()
            self._word[motor] = self._end[motor] = written(motor)
            self._slice[motor] = slices
        self._halted = 0
        self.end(slices)

    def watch(self, mask, pin=None, low=False):
        """`pin` is a GPIO number, as on the board; its level is the hal's."""
        self._run()
        if not mask:
            self._watched = 0
        for motor in range(MOTORS):
            if mask >> motor & 1:
                self._watched |= 1 << motor
                self._pins[motor] = lambda: self._hal.pin_level(pin) != low

    def halted(self):
        self._run()
        return self._halted
