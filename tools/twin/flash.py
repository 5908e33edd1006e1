"""The flash chip (SPI NOR) behind the SSI controller: real commands, real times, power cuts.

While an erase or a page program runs the CPU is busy (the SDK has interrupts off and polls the
chip); PIO, DMA and timers go on. Times are typical ones of the W25Q16: 45 ms for a 4 KB sector,
150 ms for a 64 KB block, 0.4 ms for a page of 256 bytes.
"""

import random

from .soc import Block

PAGE = 256
CYCLES_PER_MS = 125_000
ERASE_SIZES = {0x20: 4096, 0x52: 32768, 0xD8: 65536}
ERASE_MS = {4096: 45.0, 32768: 120.0, 65536: 150.0}
PROGRAM_MS = 0.4
UNIQUE_ID = bytes.fromhex("e661410403a5b2c7")
# What the SSI answers when nobody drives the bus.
IDLE = 0xFF


class PowerCut(Exception):
    """The power went away at a flash operation; `operation` is the record of it."""

    def __init__(self, operation):
        super().__init__(f"power cut {operation['cut']} flash operation {operation['number']}")
        self.operation = operation


class FlashChip:
    """Content, command state and the record of operations.

    `operations` lists every erase and program: number, kind, address, size, cycle. `cut` asks for
    a power cut: `(number, when)`, when = "before", "middle" or "after"; "middle" leaves the sector
    partly erased or the page partly programmed.
    """

    def __init__(self, board, content):
        self.board = board
        self.content = content  # a writable view of the chip's memory
        self.operations = []
        self.cut = None
        self.on_operation = None
        self.selected = None  # True, False, None: left to the controller
        self.enabled = False
        self.frame = bytearray()

    def select(self, low):
        """Chip select as the QSPI pads force it; None leaves it to the SSI."""
        if low == self.selected:
            return
        if self.selected is not False:
            self._end_of_frame()
        self.selected = low
        self.frame.clear()

    def drained(self):
        """The controller ran dry: it lets chip select go, unless the pads force it."""
        if self.selected is None:
            self._end_of_frame()

    def exchange(self, byte):
        """One byte out, one byte in."""
        if self.selected is False:
            return IDLE
        frame = self.frame
        frame.append(byte)
        at, command = len(frame) - 1, frame[0]
        if at == 0:
            return IDLE
        if command == 0x05:
            return 2 if self.enabled else 0
        if command == 0x35:
            return 2  # quad mode is on
        if command == 0x9F:
            return (0xEF, 0x40, len(self.content).bit_length() - 1)[(at - 1) % 3]
        if command == 0x4B and at >= 5:
            return UNIQUE_ID[(at - 5) % 8]
        if command == 0x03 and at >= 4:
            return self.content[(self._address() + at - 4) % len(self.content)]
        return IDLE

    def _address(self):
        return int.from_bytes(self.frame[1:4], "big")

    def _end_of_frame(self):
        frame = bytes(self.frame)
        self.frame.clear()
        if not frame:
            return
        command = frame[0]
        if command == 0x06:
            self.enabled = True
            return
        if command == 0x04:
            self.enabled = False
            return
        if command in ERASE_SIZES and len(frame) >= 4 and self.enabled:
            size = ERASE_SIZES[command]
            address = int.from_bytes(frame[1:4], "big") % len(self.content) // size * size
            self._operate("erase", address, b"\xff" * size, ERASE_MS[size])
        elif command == 0x02 and len(frame) > 4 and self.enabled:
            address = int.from_bytes(frame[1:4], "big") % len(self.content)
            self._operate("program", address, frame[4:][-PAGE:], PROGRAM_MS)
        if command in ERASE_SIZES or command in (0x01, 0x02):
            self.enabled = False

    def _operate(self, kind, address, data, ms):
        number = len(self.operations)
        operation = {"number": number, "kind": kind, "address": address, "size": len(data)}
        operation["cycle"] = self.board.cycle
        self.operations.append(operation)
        if self.on_operation:
            self.on_operation(operation)
        when = self.cut[1] if self.cut and self.cut[0] == number else None
        if when is not None:
            operation["cut"] = when
            self.cut = None
        if when == "middle":
            self._partly(kind, address, data)
        elif when != "before":
            self._apply(kind, address, data)
        if when is not None:
            self.board.cut_power(PowerCut(operation))
            return
        cycles = int(ms * CYCLES_PER_MS)
        self.board.chip.stall(cycles)
        self.board.chip.flash_busy(1)
        self.board.schedule(self.board.cycle + cycles, self._ready)

    def _ready(self):
        self.board.chip.flash_busy(0)

    def _apply(self, kind, address, data):
        content = self.content
        if kind == "erase":
            content[address : address + len(data)] = data
            return
        # programming clears bits only, and wraps within its page
        page = address // PAGE * PAGE
        for i, byte in enumerate(data):
            content[page + (address + i) % PAGE] &= byte

    def _partly(self, kind, address, data):
        """Half of the bytes are done, the next eighth in some state between, the rest not."""
        dice = random.Random(f"{self.board.seed} {address} {len(self.operations)}")
        half, end = len(data) // 2, len(data) * 5 // 8
        self._apply(kind, address, data[:half])
        for i in range(half, end):
            at = address + i if kind == "erase" else address // PAGE * PAGE + (address + i) % PAGE
            some = dice.getrandbits(8)
            if kind == "erase":
                self.content[at] |= some
            else:
                self.content[at] &= data[i] | some


class Ssi(Block):
    """The controller in its software-driven mode; execute-in-place reads do not come here."""

    def __init__(self, board):
        super().__init__(board)
        self.incoming = bytearray()

    def reset(self):
        super().reset()
        self.incoming.clear()

    def read(self, offset):
        if offset == 0x60:
            value = self.incoming.pop(0) if self.incoming else 0
            if not self.incoming:
                self.board.flash_chip.drained()
            return value
        if offset == 0x20:
            return 0
        if offset == 0x24:
            return len(self.incoming)
        if offset == 0x28:
            return 6 | (8 if self.incoming else 0)
        if offset == 0x58:
            return 0x51535049
        if offset == 0x5C:
            return 0x3430312A
        return super().read(offset)

    def write(self, offset, value, raw):
        if 0x60 <= offset < 0xF0:
            if self.regs.get(8, 0) & 1:
                self.incoming.append(self.board.flash_chip.exchange(value & 0xFF))
            return
        if offset == 8 and not value & 1:
            self.incoming.clear()
            self.board.flash_chip.drained()
        super().write(offset, value, raw)
