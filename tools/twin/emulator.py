"""An emulated RP2040 board: boots a UF2, runs in slices of emulated time, exact to the cycle.

The unit of time is the system clock cycle, 8 ns at 125 MHz. See README.md beside this file for
the interface and what is modelled.
"""

import heapq
import struct
from array import array
from ctypes import string_at
from pathlib import Path

from . import bootrom, native, soc
from .flash import FlashChip, PowerCut, Ssi
from .usb import UsbController
from .usb_host import UsbHost

CYCLES_PER_SECOND = 125_000_000
NS_PER_CYCLE = 8
FLASH_BASE = 0x10000000
BOOT_STACK = 0x20041F00
LOG_KINDS = {
    1: "read from nowhere",
    2: "write to nowhere",
    3: "undefined instruction",
    4: "hard fault",
    5: "breakpoint",
    6: "DMA read the flash while it was busy",
}
STOP_TIME, STOP_ASKED, STOP_LOCKUP, STOP_RESET = range(4)
NEVER = 2**64 - 1

__all__ = ["Board", "Lockup", "PowerCut", "Timeout"]


class Lockup(Exception):
    """The CPU faulted within its fault handler."""


class Timeout(Exception):
    """`run_until` reached its limit of emulated time."""


class Event:
    """Something planned; `cancel()` takes it back."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def cancel(self):
        self.function = None


class Recorder:
    """Edges of some pins: `edges(gpio)` is an array of cycles, negative where the pin fell."""

    def __init__(self, board, pins):
        self.board = board
        self.pins = tuple(pins)
        self._arrays = {pin: array("q") for pin in self.pins}

    def edges(self, gpio):
        self.board.collect(gpio)
        return self._arrays[gpio]

    def append(self, gpio, data):
        """Edges as they come from the chip (64-bit integers as bytes)."""
        self._arrays[gpio].frombytes(data)

    def rising(self, gpio):
        """Cycles of the rising edges."""
        return [t for t in self.edges(gpio) if t > 0]

    def clear(self):
        for pin in self.pins:
            self.edges(pin)
            self._arrays[pin] = array("q")


class Motor:
    """Counts step edges by the level of the direction pin, inside the chip (fast).

    `pos` in steps can be set; `on_watch(motor)` is called at once when `pos` is at or beyond
    `low` or `high`, at every step there.
    """

    def __init__(self, chip, state, on_watch):
        self._chip = chip  # its memory holds the state
        self._state = state
        self.on_watch = on_watch

    def detach(self):
        """Keeps the last values, apart from the chip."""
        self._state = native.MotorState.from_buffer_copy(self._state)

    pos = property(lambda self: self._state.pos, lambda self, v: setattr(self._state, "pos", v))
    low = property(lambda self: self._state.low, lambda self, v: setattr(self._state, "low", v))
    high = property(lambda self: self._state.high, lambda self, v: setattr(self._state, "high", v))
    steps = property(lambda self: self._state.steps, doc="Edges counted, either direction.")
    ignored = property(lambda self: self._state.ignored, doc="Edges while it was not enabled.")


class Board:
    """`image`: path of a UF2 or .bin; `flash`: content that was there before (bytes).

    `seed` makes what is random on a board (RAM after power-up, partly done flash) repeatable.
    `xip_miss` is what a miss of the flash cache costs in cycles; 0: as if the cache never missed.
    """

    def __init__(self, image=None, flash=None, flash_size=2 * 1024 * 1024, seed=1, xip_miss=0):
        self.seed = seed
        self._queue, self._order = [], 0
        self._error = self._reset = self._cut = None
        self._stopped = self._running = self.powered = False
        self.faults = []
        self.on_reset = []
        self.adc = {4: 876}
        self._edge, self._duty, self._motors = {}, {}, []
        self._recorders = {}
        # Bound to locals here: `native` keeps the callbacks alive as long as the chip.
        callbacks = native.Callbacks(
            read=native.READ(self._guard(self._read)),
            write=native.WRITE(self._guard(self._write)),
            dpram=native.PAIR(self._guard(self._dpram)),
            event=native.PLAIN(self._guard(self._events)),
            edge=native.PAIR(self._guard(self._on_edge)),
            motor=native.ONE(self._guard(self._on_motor)),
            duty=native.TRIPLE(self._guard(self._on_duty)),
            adc=native.READ(self._guard(self._sample)),
            log=native.TRIPLE(self._guard(self._log)),
        )
        self.chip = native.Native(callbacks, flash_size)
        self.chip.xip_cost(xip_miss)
        self.chip.view(0, 0x4000)[:] = bootrom.load()
        self.ram = self.chip.view(1, 0x42000)
        self.flash = self.chip.view(2, flash_size)
        self.flash_chip = FlashChip(self, self.flash)
        self.blocks = soc.make_blocks(self)
        self.ssi = Ssi(self)
        self.usb_controller = UsbController(self, self.chip.view(3, 0x1000))
        self.usb = UsbHost(self, self.usb_controller)
        self.blocks[0x18000000 >> 14] = self.ssi
        self.blocks[0x50110000 >> 14] = self.usb_controller
        self.uarts = [self.blocks[a >> 14] for a in (0x40034000, 0x40038000)]
        self.watchdog = self.blocks[0x40058000 >> 14]
        if flash is not None:
            self.flash[: len(flash)] = flash
        if image is not None:
            self.load(image)
        self.power_cycle()

    def close(self):
        """Frees the chip's memory. What was recorded, motors and `flash` can still be read."""
        if self.chip is None:
            return
        for pin in self._recorders:
            self.collect(pin)
        for motor in self._motors:
            motor.detach()
        self.powered = False
        self.flash = self.flash_chip.content = memoryview(bytes(self.flash))
        self.ram = None
        chip, self.chip = self.chip, None
        chip.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    # ---- callbacks of the chip ----
    def _guard(self, function):
        def call(*args):
            try:
                return function(*args) or 0
            except BaseException as error:
                if self._error is None:
                    self._error = error
                self.chip.stop()
                return 0

        return call

    def _read(self, address):
        block = self.blocks.get(address >> 14)
        return block.read(address & 0xFFC) if block else 0

    def _write(self, address, raw, alias):
        block = self.blocks.get(address >> 14)
        if block:
            block.store(address & 0xFFC, raw, alias)

    def _dpram(self, offset, value):
        self.usb_controller.buffer_control(offset, value)

    def _events(self):
        now, queue = self.cycle, self._queue
        while queue and queue[0][0] <= now:
            function = heapq.heappop(queue)[2].function
            if function:
                function()
        self.chip.outside_due(queue[0][0] if queue else NEVER)

    def _on_edge(self, gpio, level):
        for function in self._edge.get(gpio, ()):
            function(level, self.cycle)

    def _on_motor(self, index):
        motor = self._motors[index]
        if motor.on_watch:
            motor.on_watch(motor)

    def _on_duty(self, gpio, high, period):
        for function in self._duty.get(gpio, ()):
            function(high / period, self.cycle)

    def _sample(self, channel):
        value = self.adc.get(channel, 0)
        if callable(value):
            value = value(self.seconds)
        return min(max(int(value), 0), 4095)

    def _log(self, kind, a, b):
        if len(self.faults) < 1000:
            self.faults.append((LOG_KINDS.get(kind, kind), a, b))

    # ---- image, power, reset ----
    def load(self, image):
        """Writes a .uf2 or .bin into the flash. ValueError if it is neither or does not fit."""
        data = Path(image).read_bytes()
        if data[:4] != b"UF2\n":
            if not str(image).endswith(".bin") or len(data) > len(self.flash):
                raise ValueError(f"{image}: neither a UF2 nor a .bin that fits the flash")
            self.flash[: len(data)] = data
            return
        for at in range(0, len(data) - 511, 512):
            head = struct.unpack_from("<8I", data, at)
            if head[:2] != (0x0A324655, 0x9E5D5157) or head[2] & 1:
                continue
            start = head[3] - FLASH_BASE
            if not 0 <= start <= len(self.flash) - head[4]:
                raise ValueError(f"{image}: block for address {head[3]:#x} is outside the flash")
            self.flash[start : start + head[4]] = data[at + 32 : at + 32 + head[4]]

    def _restart(self):
        for block in self.blocks.values():
            if block is not self.watchdog:
                block.reset()
        self.watchdog.reset()
        self.chip.reset(FLASH_BASE, BOOT_STACK)
        for function in self.on_reset:
            function()

    def reset(self):
        """The RUN pin (reset button): everything but the flash and RAM content is lost. Within a
        callback it acts after the present instruction."""
        if self._running:
            self.request_reset("button")
            return
        self._reset = None
        self.watchdog.forget()
        self._restart()
        self.blocks[0x40064000 >> 14].regs[8] = 0x10000

    def power_cycle(self):
        """Off and on again; flash stays, RAM is random. Emulated time goes on."""
        noise = soc.random.Random(self.seed)
        self.ram[:] = noise.randbytes(len(self.ram))
        self._cut = None
        self.powered = True
        self.reset()
        self.blocks[0x40064000 >> 14].regs[8] = 0x100

    def cut_power(self, error):
        """The power goes now; `run` raises `error` as soon as the present instruction ends."""
        self._cut = error
        self.chip.stop()

    def request_reset(self, why):
        """The chip resets itself after the present instruction (watchdog, machine.reset)."""
        self._reset = why
        self.chip.stop()

    def reset_block(self, bit):
        """One block into reset, by its bit in the RESETS registers."""
        self.chip.reset_block(bit)
        by_bit = {soc.RESET_USB: 0x50110000, 22: 0x40034000, 23: 0x40038000}
        if bit in by_bit:
            self.blocks[by_bit[bit] >> 14].reset()

    # ---- time ----
    @property
    def cycle(self):
        """Cycles since the board was made; within a callback the cycle of what is happening."""
        return self.chip.cycle()

    @property
    def time_ns(self):
        return self.chip.cycle() * NS_PER_CYCLE

    @property
    def seconds(self):
        return self.chip.cycle() / CYCLES_PER_SECOND

    def schedule(self, cycle, function):
        """Calls `function()` at `cycle`; the result can be cancelled."""
        event = Event(function)
        self._order += 1
        heapq.heappush(self._queue, (cycle, self._order, event))
        self.chip.outside_due(self._queue[0][0])
        return event

    def stop(self):
        """Ends the present `run` after the present instruction; for callbacks."""
        self._stopped = True
        self.chip.stop()

    def run_cycles(self, cycles):
        """Runs for so many cycles, or until `stop()`. PowerCut, Lockup, or a callback's error."""
        if not self.powered:
            raise RuntimeError("the board has no power; power_cycle() first")
        self._stopped = False
        until = self.cycle + cycles
        while self.cycle < until and not self._stopped:
            self._running = True
            try:
                reason = self.chip.run(until)
            finally:
                self._running = False
            if self._error:
                error, self._error = self._error, None
                raise error
            if self._cut:
                error, self._cut = self._cut, None
                self._restart()  # everything lets go
                self.powered = False
                raise error
            if self._reset == "button":
                self.reset()
            elif self._reset or reason == STOP_RESET:
                self._reset = None
                self._restart()
            elif reason == STOP_LOCKUP:
                raise Lockup(self.state())

    def run(self, seconds):
        """Runs for `seconds` of emulated time."""
        self.run_cycles(round(seconds * CYCLES_PER_SECOND))

    def run_until(self, done, timeout, slice_s=0.0005):
        """Runs until `done()` is true, looked at every `slice_s`; Timeout after `timeout` s."""
        end = self.cycle + round(timeout * CYCLES_PER_SECOND)
        step = max(1, round(slice_s * CYCLES_PER_SECOND))
        while not done():
            if self.cycle >= end:
                raise Timeout(f"not within {timeout} s of emulated time")
            self.run_cycles(min(step, end - self.cycle))

    def state(self):
        """Registers and the last faults as text, for messages."""
        registers = " ".join(f"r{i}={self.chip.register(i):08x}" for i in range(16))
        return f"{registers} ipsr={self.chip.register(16)} faults={self.faults[-3:]}"

    # ---- serial port ----
    def write(self, data):
        """Queues bytes for the board's serial port; sent as the board takes them."""
        self.usb.write(data)

    def read(self):
        """Bytes that the board sent since the last call."""
        return self.usb.read()

    def boot(self, timeout=5.0):
        """Runs until the board's serial port is open."""
        self.run_until(lambda: self.usb.ready, timeout)

    # ---- pins ----
    def level(self, gpio):
        """0 or 1 as measured at the pad."""
        return self.chip.pads() >> gpio & 1

    def driven(self, gpio):
        """Whether the chip drives the pad."""
        return bool(self.chip.driven() >> gpio & 1)

    def set_input(self, gpio, level):
        """What is wired to a pad: 0, 1, or None for nothing. The chip's own drive is stronger."""
        self.chip.set_input(gpio, -1 if level is None else int(bool(level)))

    def _watch(self):
        record = sum(1 << pin for pin in self._recorders)
        listen = sum(1 << pin for pin in self._edge)
        duty = sum(1 << pin for pin in self._duty)
        self.chip.watch(record, listen, duty)

    def record(self, pins):
        """Starts to record the edges of `pins`; a Recorder."""
        recorder = Recorder(self, pins)
        for pin in recorder.pins:
            self.collect(pin)  # what came before belongs to others
            self._recorders.setdefault(pin, []).append(recorder)
        self._watch()
        return recorder

    def collect(self, gpio):
        """Hands the edges that came since the last call to all recorders of the pin."""
        count = self.chip.edges_len(gpio) if self.chip else 0
        if count:
            data = string_at(self.chip.edges(gpio), 8 * count)
            self.chip.edges_clear(gpio)
            for recorder in self._recorders.get(gpio, ()):
                recorder.append(gpio, data)

    def on_edge(self, gpio, function):
        """`function(level, cycle)` at every change of the pad, before anything else happens."""
        self._edge.setdefault(gpio, []).append(function)
        self._watch()

    def on_duty(self, gpio, function):
        """`function(duty, cycle)` now and when the mean level (0.0 .. 1.0) of an output changes:
        PWM settings, or the plain level where the pin is no PWM output."""
        self._duty.setdefault(gpio, []).append(function)
        self._watch()

    def pwm_duty(self, gpio):
        """Mean level of a pad, 0.0 .. 1.0, by its PWM settings or its plain level."""
        if not self.driven(gpio) or self.chip.function(gpio) != 4:
            return float(self.level(gpio))
        out = (native.c_uint32 * 2)()
        self.chip.pwm_duty(gpio, out)
        return out[0] / out[1]

    def add_motor(self, step, dir, enable=None, dir_positive=1, enable_level=0, both_edges=False, on_watch=None):
        """A Motor on these pins (at most 8). It counts rising step edges, or both."""
        index = len(self._motors)
        if index == 8:
            raise ValueError("no more than 8 motors")
        state = self.chip.motor(index).contents
        state.step, state.dir = step, dir
        state.enable = -1 if enable is None else enable
        state.dir_positive, state.enable_level = dir_positive, enable_level
        state.both_edges = int(both_edges)
        state.low, state.high = -(2**62), 2**62
        self._motors.append(Motor(self.chip, state, on_watch))
        self.chip.motors(index + 1)
        return self._motors[-1]
