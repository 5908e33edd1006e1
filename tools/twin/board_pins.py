"""The emulated board as `Pins` for the printer around it and as a `Wire` for its host."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .emulator import NS_PER_CYCLE, Board

SHORTEST_S = 1e-6
FLASH_SIZE = 2 * 1024 * 1024


class BoardPins:
    """`pins.Pins` on an emulated board. Times in ns; one cycle of the chip is 8 ns."""

    def __init__(self, board: Board):
        self._board = board
        self._records = {}
        self._motors = []

    def now_ns(self) -> int:
        return self._board.time_ns

    def level(self, pin: int) -> int:
        return self._board.level(pin)

    def duty(self, pin: int) -> float:
        return self._board.pwm_duty(pin)

    def record(self, pin: int) -> None:
        if pin not in self._records:
            self._records[pin] = self._board.record((pin,))

    def edges(self, pin: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        cycles = np.array(self._records[pin].edges(pin)[start:], dtype=np.int64)  # negative: the pin fell
        return np.abs(cycles) * NS_PER_CYCLE, (cycles > 0).astype(np.uint8)

    def add_motor(self, step, direction, enable, positive_level, enable_level, callback) -> int:
        number = len(self._motors)
        motor = self._board.add_motor(
            step,
            direction,
            enable,
            dir_positive=positive_level,
            enable_level=enable_level,
            on_watch=lambda motor: callback(number, motor.pos),
        )
        self._motors.append(motor)
        return number

    def motor_position(self, motor: int) -> int:
        return self._motors[motor].pos

    def watch_motor(self, motor: int, low: int, high: int) -> None:
        self._motors[motor].low, self._motors[motor].high = low, high

    def watch_duty(self, pin: int, callback) -> None:
        self._board.on_duty(pin, lambda duty, cycle: callback(cycle * NS_PER_CYCLE, duty))

    def set_input(self, pin: int, level: int | None) -> None:
        self._board.set_input(pin, level)

    def on_adc(self, pin: int, callback) -> None:
        self._board.adc[pin - 26] = lambda seconds: callback(self._board.time_ns)


class BoardWire:
    """`host.Wire` on the USB serial port of an emulated board.

    The PC's program takes `latency_s` to answer, which a real one does as well.
    """

    def __init__(self, board: Board, latency_s: float = 0.0002):
        self.board = board
        self._latency = latency_s
        self._received = bytearray()
        self._in_line = False
        board.usb.on_rx = self._on_rx
        board.on_reset.append(self._on_reset)

    def _on_rx(self, data: bytes) -> None:
        self._received += data
        self._in_line = not data.endswith(b"\n")
        if b"\n" in data:
            self.board.stop()

    def _on_reset(self) -> None:
        # A reset pulls the board off the bus: half a line stays half a line.
        if self._in_line:
            self._received += b"\n"
            self._in_line = False

    def write(self, data: bytes) -> None:
        if self._latency:
            self.board.run(self._latency)
        self.board.write(data)

    def wait(self, seconds: float) -> bytes:
        if not self._received:
            # What is left of a timeout may be less than a cycle; time must go on all the same.
            self.board.run(max(seconds, SHORTEST_S))
        data = bytes(self._received)
        self._received.clear()
        return data

    def now(self) -> float:
        return self.board.seconds


def load_flash(path) -> bytes | None:
    """Content of the file that keeps a flash between runs; None if it is not there yet."""
    path = Path(path)
    if not path.exists():
        return None
    content = path.read_bytes()
    if len(content) != FLASH_SIZE:
        raise ValueError("%s has %d bytes, a flash has %d: not a flash of the twin" % (path, len(content), FLASH_SIZE))
    return content


def save_flash(path, board: Board) -> None:
    """Keep the flash of a board in a file; the file is whole at any time."""
    path = Path(path)
    fresh = path.with_name(path.name + ".%d.new" % os.getpid())
    fresh.write_bytes(bytes(board.flash))
    fresh.replace(path)
