"""The RP2040's hardware as the firmware sees it; see docs/internals.md for the calls."""

import gc
import select
import sys
import time

import machine
import micropython
import rp2
from machine import ADC, PWM, WDT, Pin, Timer, mem32

from adder.hal.steps_rp2040 import StepStream

_PULLS = {"up": Pin.PULL_UP, "down": Pin.PULL_DOWN, "none": None}
_OVERSAMPLE = 16
LINE_BYTES = 256
_SCRATCH = 0x4005800C  # the watchdog's scratch registers, where our MicroPython notes things (tools/image/patches.py)
_USUAL_BYTES = 80  # readline takes that much memory at once, however short the line


class Pwm:
    """A PWM output; `duty` 0..65535."""

    def __init__(self, pin, hz, invert):
        self._invert = invert
        self._pwm = PWM(Pin(pin), freq=hz, duty_u16=65535 if invert else 0)

    def duty(self, value):
        self._pwm.duty_u16(65535 - value if self._invert else value)


class Adc:
    """An analog input; `read` is the mean of 16 readings, 0..65535."""

    def __init__(self, pin):
        self._adc = ADC(Pin(pin))

    def read(self):
        read = self._adc.read_u16
        total = 0
        for _ in range(_OVERSAMPLE):
            total += read()
        return total // _OVERSAMPLE


class Input:
    """A digital input; `value` 1 means active."""

    def __init__(self, pin, pull, invert):
        self._pin = Pin(pin, Pin.IN, _PULLS[pull])
        self._invert = 1 if invert else 0

    def value(self):
        return self._pin.value() ^ self._invert


class Out:
    """A digital output; `set(1)` is on."""

    def __init__(self, pin, invert, on):
        self._invert = 1 if invert else 0
        self._pin = Pin(pin, Pin.OUT, value=(1 if on else 0) ^ self._invert)

    def set(self, on):
        self._pin.value((1 if on else 0) ^ self._invert)


class Hal:
    """One per board."""

    pwm = Pwm
    adc = Adc
    input = Input
    output = Out
    step_stream = StepStream

    def __init__(self):
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)
        self._timers = []
        self.ticks_ms = time.ticks_ms
        self.ticks_us = time.ticks_us
        self.ticks_diff = time.ticks_diff
        self.ticks_add = time.ticks_add
        self._readline = sys.stdin.buffer.readline
        self._read = sys.stdin.buffer.read
        # Bytes to the host, as they are
        self.write = sys.stdout.buffer.write
        self.in_line = False  # it waits for the rest of a line, perhaps for long
        # Our own image has it in C (tools/image/patches.py), stock MicroPython does not
        self.receive = getattr(rp2, "receive", self._receive)
        # For viper a pointer to a byte that is 1 while `receive` waits
        self.resting = _SCRATCH + 8 if hasattr(rp2, "receive") else bytearray(1)

    def poll(self, timeout_ms):
        """True as soon as the host has sent something, at the latest after `timeout_ms`."""
        for _ in self._poller.ipoll(timeout_ms):
            return True
        return False

    def readline(self):
        """One line, in C; blocks until its newline comes or it is 256 bytes long."""
        line = self._readline(_USUAL_BYTES)
        if len(line) == _USUAL_BYTES and line[-1] != 10:
            line += self._readline(LINE_BYTES - _USUAL_BYTES)
        return line

    def _receive(self, buffer, timeout_ms):
        self.resting[0] = 1
        heard = self.poll(timeout_ms)
        self.resting[0] = 0
        if not heard:
            return 0
        self.in_line = True
        line = self.readline()
        self.in_line = False
        size = len(line)
        buffer[:size] = line
        return size

    def read_waiting(self):
        """What has come of the next line so far, at most 256 bytes. Byte by byte, so it is slow, but never waits."""
        line = b""
        while len(line) < LINE_BYTES and line[-1:] != b"\n" and self.poll(0):
            line += self._read(1)
        return line

    def timer(self, period_ms, callback):
        """Call `callback(timer)` every `period_ms` from the scheduler, also while the main loop waits in C."""
        self._timers.append(Timer(-1, period=period_ms, mode=Timer.PERIODIC, callback=callback))

    def watchdog(self, timeout_ms):
        """A hardware watchdog; cannot be stopped again. The chip's limit is 8388 ms."""
        return WDT(timeout=timeout_ms)

    def interrupt_character(self, on):
        """Whether Ctrl-C interrupts the firmware; off while a host may send any byte."""
        micropython.kbd_intr(3 if on else -1)

    def reset(self):
        machine.reset()

    def heap_free(self):
        """Bytes free on the heap, after a collection."""
        gc.collect()
        return gc.mem_free()

    def collections(self):
        """(garbage collections, the longest in us) since `forget_collections`; (0, 0) on stock MicroPython."""
        return mem32[_SCRATCH + 4], mem32[_SCRATCH]

    def forget_collections(self):
        """Count collections anew."""
        mem32[_SCRATCH] = mem32[_SCRATCH + 4] = 0

    def unique_id(self):
        """The flash chip's serial number, 8 bytes."""
        return machine.unique_id()
