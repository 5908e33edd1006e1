"""Hardware that is none: a clock that tests set, inputs that they set, outputs that they read."""

from adder.hal.steps_host import StepStream

LINE_BYTES = 256
PATIENCE_MS = 60_000


class Pwm:
    """`value` 0..65535 as set last."""

    def __init__(self, pin, hz, invert):
        self.pin = pin
        self.value = 0

    def duty(self, value):
        self.value = value


class Out:
    """`on` as set last."""

    def __init__(self, pin, invert, on):
        self.pin = pin
        self.on = bool(on)

    def set(self, on):
        self.on = bool(on)


class Adc:
    """`read` gives what `hal.adc_values[pin]` says, a number or a function."""

    def __init__(self, hal, pin):
        self._hal = hal
        self.pin = pin

    def read(self):
        value = self._hal.adc_values.get(self.pin, 0)
        return value() if callable(value) else value


class Input:
    """`value` follows `hal.levels[pin]`, 1 high."""

    def __init__(self, hal, pin, pull, invert):
        self._hal = hal
        self.pin = pin
        self._invert = 1 if invert else 0
        hal.levels.setdefault(pin, 1 if pull == "up" else 0)

    def value(self):
        return self._hal.levels[self.pin] ^ self._invert


class Dog:
    """A watchdog that counts how often it was fed."""

    def __init__(self, timeout_ms):
        self.timeout_ms = timeout_ms
        self.feeds = 0

    def feed(self):
        self.feeds += 1


class Restart(Exception):
    """The firmware asked for a reset."""


class Hal:
    """The host's hal. `advance_ms` moves its clock and runs the timers that are due; so does waiting in `poll`.

    `feed(data)` is what the host sends; `sent` what the firmware has written.
    """

    def __init__(self):
        self._us = 0
        self._timers = []  # [period, next, callback]
        self._in_timer = False
        self._input = bytearray()
        self.sent = bytearray()
        self.levels = {}
        self.adc_values = {}
        self.pwms = {}
        self.outputs = {}
        self.dog = None
        self.streams = None
        self.in_line = False  # as on the board: waits for the rest of a line
        self.resting = bytearray(1)
        self.on_idle = None  # called when poll would have to wait

    # Clock

    def ticks_ms(self):
        return self._us // 1000

    def ticks_us(self):
        return self._us

    def ticks_diff(self, a, b):
        return a - b

    def ticks_add(self, a, b):
        return a + b

    def advance_ms(self, ms):
        """Let so much time pass, with its timers."""
        for _ in range(ms):
            self._us += 1000
            if self._in_timer:
                continue
            self._in_timer = True
            try:
                for timer in self._timers:
                    if self._us // 1000 >= timer[1]:
                        timer[1] += timer[0]
                        timer[2](None)
            finally:
                self._in_timer = False

    def timer(self, period_ms, callback):
        self._timers.append([period_ms, self.ticks_ms() + period_ms, callback])

    # Host

    def feed(self, data):
        """The host sends bytes."""
        self._input += data

    def take(self):
        """What the firmware has written since the last call, as lines."""
        text = bytes(self.sent).decode("ascii")
        self.sent.clear()
        return text.splitlines()

    def poll(self, timeout_ms):
        if not self._input and timeout_ms:
            self.advance_ms(timeout_ms)
            if self.on_idle:
                self.on_idle()
        return bool(self._input)

    def whole(self):
        """Whether `readline` would return at once."""
        return b"\n" in self._input or len(self._input) >= LINE_BYTES

    def read_waiting(self):
        """What has come of the next line so far, at most 256 bytes."""
        if not self.whole():
            line = bytes(self._input)
            self._input.clear()
            return line
        return self.readline()

    def readline(self):
        """As on the board: waits for the newline, or for 256 bytes, while the timers go on."""
        waited = 0
        while not self.whole():
            self.advance_ms(1)
            if self.on_idle:
                self.on_idle()
            waited += 1
            if waited > PATIENCE_MS:
                raise RuntimeError("the firmware waits for the rest of a line: %r" % bytes(self._input))
        end = self._input.find(b"\n", 0, LINE_BYTES) + 1 or LINE_BYTES
        line = bytes(self._input[:end])
        del self._input[:end]
        return line

    def receive(self, buffer, timeout_ms):
        """As on stock MicroPython: once a line has begun, it is waited for."""
        self.resting[0] = 1
        heard = self.poll(timeout_ms)
        self.resting[0] = 0
        if not heard:
            return 0
        self.in_line = True
        line = self.readline()
        self.in_line = False
        buffer[: len(line)] = line
        return len(line)

    def write(self, data):
        self.sent += data

    # Parts

    def pwm(self, pin, hz, invert):
        self.pwms[pin] = Pwm(pin, hz, invert)
        return self.pwms[pin]

    def adc(self, pin):
        return Adc(self, pin)

    def input(self, pin, pull, invert):
        return Input(self, pin, pull, invert)

    def output(self, pin, invert, on):
        self.outputs[pin] = Out(pin, invert, on)
        return self.outputs[pin]

    def pin_level(self, pin):
        return self.levels.get(pin, 0)

    def step_stream(self, axes, pulse_ns, low_ns, dir_setup_ns):
        self.streams = StepStream(
            self,
            [1 if inverted else 0 for _, _, inverted in axes],
            max(1, pulse_ns // 8),
            low_ns // 8,
            dir_setup_ns // 8,
        )
        return self.streams

    def watchdog(self, timeout_ms):
        self.dog = Dog(timeout_ms)
        return self.dog

    def interrupt_character(self, on):
        pass

    def reset(self):
        raise Restart

    def heap_free(self):
        return 0

    def collections(self):
        return 0, 0

    def forget_collections(self):
        pass

    def unique_id(self):
        return bytes(8)
