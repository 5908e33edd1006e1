"""What the printer around the board needs from the board: pins with emulated time.

`Pins` is all that the mechanics, the heaters and the drivers know of an emulator. `BenchPins` is a board
without a chip: tests drive its pins by hand.

Units: time in ns since power-up (int), levels 0 or 1, duty 0.0..1.0, ADC values 0..4095, pins by GPIO number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np


class Pins(Protocol):
    """The board as seen from its connectors."""

    def now_ns(self) -> int:
        """Emulated time now."""

    def level(self, pin: int) -> int:
        """Level on a pin; that of its pull while the board does not drive it."""

    def duty(self, pin: int) -> float:
        """Share of the time that an output is high: PWM duty, or the level of a plain output."""

    def record(self, pin: int) -> None:
        """Keep every edge of this pin from now on."""

    def edges(self, pin: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Kept edges from number `start` on: times (int64, ns) and the levels after them (uint8)."""

    def add_motor(
        self,
        step: int,
        direction: int,
        enable: int | None,
        positive_level: int,
        enable_level: int,
        callback: Callable[[int, int], None],
    ) -> int:
        """Count a driver's rising step edges while it is enabled; gives the motor's number, position 0.

        `callback(motor, position)` is called within the edge that reaches a watched position.
        """

    def motor_position(self, motor: int) -> int:
        """Steps made so far, signed; steps while the driver was off do not count."""

    def watch_motor(self, motor: int, low: int, high: int) -> None:
        """Call back as soon as position <= low or position >= high."""

    def watch_duty(self, pin: int, callback: Callable[[int, float], None]) -> None:
        """Call `callback(time_ns, duty)` whenever the duty of an output changes."""

    def set_input(self, pin: int, level: int | None) -> None:
        """Drive an input from outside; None lets it float to its pull."""

    def on_adc(self, pin: int, callback: Callable[[int], int]) -> None:
        """Answer each conversion on an ADC pin with `callback(time_ns)`, 0..4095."""


class _Motor:
    """A driver on the bench, with the same rules as the emulated one."""

    def __init__(self, step, direction, enable, positive_level, enable_level, callback):
        self.step, self.direction, self.enable = step, direction, enable
        self.positive_level, self.enable_level = positive_level, enable_level
        self.callback = callback
        self.position = 0
        self.low, self.high = -(1 << 62), 1 << 62


class BenchPins:
    """Pins without a chip. `drive` moves an output, `advance` lets time pass, `convert` reads an ADC pin."""

    def __init__(self):
        self._now = 0
        self._levels = {}
        self._times: dict[int, list[int]] = {}
        self._after: dict[int, list[int]] = {}
        self._motors: list[_Motor] = []
        self._by_step: dict[int, list[int]] = {}
        self._duties = {}
        self._duty_watchers = {}
        self._adc = {}
        self.inputs: dict[int, int | None] = {}
        self.input_log: list[tuple[int, int, int | None]] = []

    def now_ns(self) -> int:
        return self._now

    def level(self, pin: int) -> int:
        return self._levels.get(pin, 0)

    def duty(self, pin: int) -> float:
        return self._duties.get(pin, float(self.level(pin)))

    def record(self, pin: int) -> None:
        self._times.setdefault(pin, [])
        self._after.setdefault(pin, [])

    def edges(self, pin: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.array(self._times[pin][start:], dtype=np.int64),
            np.array(self._after[pin][start:], dtype=np.uint8),
        )

    def add_motor(self, step, direction, enable, positive_level, enable_level, callback) -> int:
        self._motors.append(_Motor(step, direction, enable, positive_level, enable_level, callback))
        self._by_step.setdefault(step, []).append(len(self._motors) - 1)
        return len(self._motors) - 1

    def motor_position(self, motor: int) -> int:
        return self._motors[motor].position

    def watch_motor(self, motor: int, low: int, high: int) -> None:
        self._motors[motor].low, self._motors[motor].high = low, high

    def watch_duty(self, pin: int, callback) -> None:
        self._duty_watchers[pin] = callback

    def set_input(self, pin: int, level: int | None) -> None:
        self.inputs[pin] = level
        self.input_log.append((self._now, pin, level))

    def on_adc(self, pin: int, callback) -> None:
        self._adc[pin] = callback

    # What the chip would do:

    def drive(self, pin: int, level: int) -> None:
        """Drive an output to a level now."""
        if self._levels.get(pin, 0) == level:
            return
        self._levels[pin] = level
        if pin in self._times:
            self._times[pin].append(self._now)
            self._after[pin].append(level)
        if level:
            for number in self._by_step.get(pin, ()):
                self._count(number)

    def _count(self, number: int) -> None:
        motor = self._motors[number]
        if motor.enable is not None and self.level(motor.enable) != motor.enable_level:
            return
        positive = self.level(motor.direction) == motor.positive_level
        motor.position += 1 if positive else -1
        if motor.position <= motor.low or motor.position >= motor.high:
            motor.callback(number, motor.position)

    def set_duty(self, pin: int, duty: float) -> None:
        """Give an output a PWM duty now."""
        self._duties[pin] = duty
        watcher = self._duty_watchers.get(pin)
        if watcher:
            watcher(self._now, duty)

    def convert(self, pin: int) -> int:
        """One ADC conversion now."""
        return self._adc[pin](self._now)

    def advance(self, ns: int) -> None:
        """Let time pass."""
        self._now += ns
