"""A bench for the whole printer: the firmware as on the board, in a thread of its own, on the host's hal.

Time passes only when the firmware waits for input, so every test gives the same result each time. The thread runs only
while the test is in one of the bench's calls. Heaters are the twin's thermal models; endstops close when a carriage
has made the steps that lead to them.
"""

import threading

from adder.board import load
from adder.command import DONE, KEY, REFUSED, Command
from adder.hal.host import Hal
from adder.printer import Printer
from tools.twin.thermal import BED_120W, HOTEND_40W, ThermalModel

HALTED = "Error:Printer halted. kill() called!"
WARM_MS = 100
AXES = "XYZE"


class Reset(BaseException):
    """The firmware asked for a reset."""


class _End(BaseException):
    """The test is over."""


def numbered(number, text):
    """A line as a host sends it, with number and checksum."""
    data = b"N%d %s" % (number, text.encode())
    total = 0
    for byte in data:
        total ^= byte
    return data + b"*%d\n" % total


class BenchHal(Hal):
    """Every line that is there takes a while to be read, as on the board."""

    line_ms = 1

    def __init__(self):
        super().__init__()
        self.interrupts = []  # whether Ctrl-C was allowed, in order
        self.resets = 0
        self.broken = None  # raised by the next poll

    def poll(self, timeout_ms):
        if self.broken:
            broken, self.broken = self.broken, None
            raise broken
        if self._input and timeout_ms:
            self.advance_ms(self.line_ms)
            if self.on_idle:
                self.on_idle()
        return super().poll(timeout_ms)

    def waiting(self):
        """Bytes that the firmware has not read yet."""
        return len(self._input)

    def interrupt_character(self, on):
        self.interrupts.append(bool(on))

    def reset(self):
        self.resets += 1
        raise Reset


class PrinterBench:
    """`settings`: scaled values by name. `start_mm`: where X, Y and Z stand before homing."""

    def __init__(self, store=None, start_mm=(3.0, 2.0, 1.0), ambient=22.0, board="skr_pico", **settings):
        self.hal = hal = BenchHal()
        self.board = load(board)
        self.models = {"hotend": ThermalModel(HOTEND_40W, ambient), "bed": ThermalModel(BED_120W, ambient, seed=2)}
        for part in self.board.heaters:
            hal.adc_values[part.sensor_pin] = lambda model=self.models[part.name]: model.adc_mean(4)
        hal.timer(WARM_MS, self._warm)
        self.printer = Printer(self.board, hal, store)
        for name, value in settings.items():
            self.printer.settings.set(name, value)
        self.ran = []  # (line number, text) of every command that was executed
        self._record()
        self.heaters = {part.name: hal.pwms[part.pin] for part in self.board.heaters}
        self._set_up_axes(start_mm)
        self.lines = []  # all that was ever written
        self.error = None  # what ended the firmware
        self._until = 0
        self._firmware = threading.Semaphore(0)
        self._test = threading.Semaphore(0)
        self._over = False
        hal.on_idle = self._wait_for_time
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # The firmware's side

    def _run(self):
        self._firmware.acquire()
        try:
            if not self._over:
                self.printer.run()
        except BaseException as error:
            self.error = error
        self._test.release()

    def _wait_for_time(self):
        if self._over:
            raise _End
        if self.hal.ticks_ms() >= self._until:
            self._test.release()
            self._firmware.acquire()
            if self._over:
                raise _End

    def _warm(self, _):
        for name, model in self.models.items():
            model.step(WARM_MS / 1000, self.heaters[name].value / 65535)

    def _record(self):
        printer, scanned = self.printer, Command()
        run, lane = printer.codes.run, printer._lane

        def note(command):
            if command.record[KEY] not in (REFUSED, DONE):
                self.ran.append((command.line_number(), command.shown()))

        def run_and_note(command):
            note(command)
            run(command)

        def lane_and_note(*arguments):
            taken = lane(*arguments)
            if taken:
                line, size = arguments[-2:]
                scanned.scan(bytes(line[:size]))
                note(scanned)
            return taken

        printer.codes.run, printer._lane = run_and_note, lane_and_note

    def _set_up_axes(self, start_mm):
        printer = self.printer
        self.scale = [printer.settings.get("steps_per_mm_" + axis) / 1000 for axis in "xyze"]
        self.corexy = printer.settings.get("kinematics") == 1
        self.made = [0, 0, 0, 0]  # steps of each motor
        self.start = [round(mm * scale) for mm, scale in zip(start_mm, self.scale[:3], strict=True)]
        self.end = [0, 0, 0]  # where the switches close, steps from the axes' lower ends
        self.to_max = [bool(printer.settings.get("home_to_max_" + axis)) for axis in "xyz"]
        for axis in range(3):
            if self.to_max[axis]:
                self.end[axis] = round(printer.settings.get("xyz"[axis] + "_max") / 100 * self.scale[axis])
        self.stuck = {}  # axis: level that its switch keeps
        self.furthest = [0, 0, 0]  # steps that carriages went beyond their switches; CoreXY: half steps
        self.hal.streams.on_step = self._on_step
        self.look_at_switches()

    def _on_step(self, motor, direction):
        self.made[motor] += direction
        self.look_at_switches()

    def carriage(self, axis):
        """Steps of an axis from its switch, whatever the firmware believes; CoreXY: twice as many, for halves."""
        made = self.made
        if not self.corexy or axis > 1:
            return self.start[axis] + made[axis]
        return 2 * self.start[axis] + (made[0] + made[1] if axis == 0 else made[0] - made[1])

    def look_at_switches(self):
        """Set the pins of the endstops by where the carriages are."""
        for axis in range(3):
            beyond = self.end[axis] * (2 if self.corexy and axis < 2 else 1) - self.carriage(axis)
            if self.to_max[axis]:
                beyond = -beyond
            self.furthest[axis] = max(self.furthest[axis], beyond)
            closed = self.stuck.get(axis, int(beyond >= 0))
            part = self.board.axes[axis]
            self.hal.levels[part.endstop] = closed ^ bool(part.endstop_invert)

    # The test's side

    def run(self, ms):
        """Let so much time pass; less if the firmware ends."""
        self._until = self.hal.ticks_ms() + ms
        if self.error is None:
            self._firmware.release()
            assert self._test.acquire(timeout=60), "the firmware is busy and never waits"

    def send(self, data):
        """The host sends; nothing happens yet."""
        self.hal.feed(data if isinstance(data, bytes) else data.encode())

    def take(self):
        """What was written since the last call. Nothing may begin with a word that means something else to a host."""
        lines = self.hal.take()
        for before, line in zip([*self.lines[-1:], "", *lines], lines, strict=False):
            assert len(line) < 400 and line.isprintable()
            assert line == line.rstrip() and line
            word = line.lower()
            assert not word.startswith(("rs", "wait", "!!", "fatal", "okay")), line
            assert not word.startswith("start") or not self.lines, line
            assert not word.startswith("resend") or line.startswith("Resend: "), (before, line)
        self.lines += lines
        return lines

    def settle(self, limit_ms=60_000):
        """Run until everything sent has been dealt with; motion may go on."""
        printer = self.printer
        end = self.hal.ticks_ms() + limit_ms
        while True:
            self.run(21)
            if not self.hal.waiting() and not printer.queue.count and not printer.link.odd:
                return
            assert self.hal.ticks_ms() < end or self.error, "commands do not end: %r" % self.take()
            if self.error:
                return

    def say(self, data, limit_ms=60_000):
        """Send lines, wait until they have been dealt with, and give the answer."""
        self.send(data)
        self.settle(limit_ms)
        return self.take()

    def drain(self):
        """Wait for the motion's end without asking for it."""
        for _ in range(5000):
            if not self.printer.motion.busy():
                return
            self.run(20)
        raise AssertionError("motion does not end")

    def hot(self, celsius=210.0):
        """The hotend is that hot at once."""
        model = self.models["hotend"]
        model.block = model.sensor = celsius
        self.run(600)

    def still(self):
        """Whether nothing moves, nothing heats, and no motor is on."""
        before = list(self.made)
        self.run(300)
        return before == self.made and self.cold() and not any(self.motors())

    def cold(self):
        return not any(heater.value for heater in self.heaters.values())

    def motors(self):
        """Which motors are on."""
        return [self.hal.outputs[part.enable].on for part in self.board.axes]

    def total_steps(self):
        return [len(edges) for edges in self.hal.streams.edges]

    def close(self):
        self._over = True
        if self.error is None:
            self._firmware.release()
            self._thread.join(20)
