"""The blocks of the RP2040 that need no speed: clocks, resets, watchdog, UARTs and so on.

Registers that only have to keep what was written do just that; what the SDK polls while it starts
answers as a chip does whose oscillators and PLLs are locked. The chip always runs at 125 MHz and
the timer at 1 MHz, whatever is written to clocks, PLLs and dividers.
"""

import random

XOR, SET, CLEAR = 1, 2, 3

# Bits of the RESETS registers.
RESET_ADC, RESET_DMA, RESET_PIO0, RESET_USB = 0, 2, 10, 24
ALL_BLOCKS = 0x01FFFFFF
CYCLES_PER_US = 125


class Block:
    """A block of registers. `read` and `write` take the offset of a word."""

    initial = {}

    def __init__(self, board):
        self.board = board
        self.regs = dict(self.initial)

    def reset(self):
        """Back to the values after a reset of the chip."""
        self.regs = dict(self.initial)

    def read(self, offset):
        return self.regs.get(offset, 0)

    def write(self, offset, value, raw):
        """`value` is what the register holds after an aliased write, `raw` the written bits."""
        self.regs[offset] = value

    def store(self, offset, raw, alias):
        """A write as it comes from the bus, `alias` 0 plain, 1 XOR, 2 SET, 3 CLEAR."""
        value = raw
        if alias:
            old = self.read(offset)
            value = old ^ raw if alias == XOR else old | raw if alias == SET else old & ~raw
        self.write(offset, value & 0xFFFFFFFF, raw)


class SysInfo(Block):
    initial = {0x00: 0x20002927, 0x04: 2}


class Clocks(Block):
    """Every selector says that the asked-for source is selected."""

    def read(self, offset):
        if offset == 0x38:
            return 1 << (self.regs.get(0x30, 0) & 3)
        if offset == 0x44:
            return 1 << (self.regs.get(0x3C, 0) & 1)
        if offset < 0x78 and offset % 12 == 8:
            return 1
        if offset < 0x78 and offset % 12 == 4:
            return self.regs.get(offset, 0x100)
        return self.regs.get(offset, 0)


class Resets(Block):
    initial = {0: ALL_BLOCKS}

    def read(self, offset):
        if offset == 8:
            return ~self.regs[0] & ALL_BLOCKS
        return super().read(offset)

    def write(self, offset, value, raw):
        if offset == 0:
            fresh = value & ~self.regs[0]
            for bit in range(25):
                if fresh >> bit & 1:
                    self.board.reset_block(bit)
        super().write(offset, value, raw)


class Psm(Block):
    def read(self, offset):
        if offset == 0x0C:
            return ~self.regs.get(4, 0) & 0x1FFFF
        return super().read(offset)

    def write(self, offset, value, raw):
        # core 1 coming out of its reset says so by a word in the mailbox
        if offset == 4 and self.regs.get(4, 0) & ~value & (1 << 16):
            self.board.chip.fifo_push(0)
        super().write(offset, value, raw)


class Xosc(Block):
    def read(self, offset):
        return 0x80001000 if offset == 4 else super().read(offset)


class Rosc(Block):
    initial = {0x0C: 0xAA}

    def __init__(self, board):
        super().__init__(board)
        self.random = random.Random(board.seed)

    def read(self, offset):
        if offset == 0x18:
            return 0x80001000
        if offset == 0x1C:
            return self.random.getrandbits(1)
        return super().read(offset)


class Pll(Block):
    initial = {0: 1, 4: 0x2D, 8: 0, 12: 0x77000}

    def read(self, offset):
        return self.regs[0] | 0x80000000 if offset == 0 else super().read(offset)


class Vreg(Block):
    """Regulator, and why the chip was last reset (bits 8 power-on, 16 RUN pin)."""

    initial = {0: 0xB1, 4: 0x91, 8: 0x100}

    def read(self, offset):
        return self.regs[0] | 0x1000 if offset == 0 else super().read(offset)

    def write(self, offset, value, raw):
        if offset != 8:
            super().write(offset, value, raw)


class TbMan(Block):
    initial = {0: 1}


class XipCtrl(Block):
    def read(self, offset):
        if offset == 4:
            return 0
        return 3 if offset == 8 else super().read(offset)


class QspiIo(Block):
    """IO_QSPI: only the chip select of the flash does anything."""

    def reset(self):
        super().reset()
        self.board.flash_chip.select(None)

    def write(self, offset, value, raw):
        super().write(offset, value, raw)
        if offset == 0x0C:
            force = value >> 8 & 3
            self.board.flash_chip.select({2: True, 3: False}.get(force))


class QspiPads(Block):
    initial = {4: 0x56, 8: 0x52, 12: 0x52, 16: 0x52, 20: 0x52, 24: 0x5A}


class Spi(Block):
    def read(self, offset):
        return 3 if offset == 0x0C else super().read(offset)


class I2c(Block):
    """No device answers: every transfer is aborted (address not acknowledged)."""

    initial = {0x70: 6, 0xF4: 0x003F3F2E}

    def __init__(self, board):
        super().__init__(board)
        self.abort = 0

    def read(self, offset):
        if offset == 0x34:
            return 0x40 | 0x10 | (0x200 if self.abort else 0)
        if offset == 0x54:
            self.abort = 0
        if offset == 0x80:
            return self.abort
        if offset == 0x9C:
            return self.regs.get(0x6C, 0) & 1
        return super().read(offset)

    def write(self, offset, value, raw):
        super().write(offset, value, raw)
        if offset == 0x10:
            self.abort = 1


class Rtc(Block):
    def read(self, offset):
        value = super().read(offset)
        return value | (value & 1) << 1 if offset == 0x0C else value


class Uart(Block):
    """A PL011 whose bytes leave at once; `on_tx(byte)` gets them, `feed` brings some in."""

    initial = {0x30: 0x300, 0x34: 0x12}

    def __init__(self, board, irq):
        super().__init__(board)
        self.irq = irq
        self.on_tx = None
        self.incoming = bytearray()
        self.status = 0x20

    def reset(self):
        super().reset()
        self.incoming.clear()
        self.status = 0x20
        self._update()

    def feed(self, data):
        """Bytes that arrive on the RX pin, now."""
        self.incoming += data
        self._update()

    def _update(self):
        self.status = self.status & ~0x50 | (0x50 if self.incoming else 0)
        self.board.chip.irq(self.irq, int(bool(self.status & self.regs.get(0x38, 0))))

    def read(self, offset):
        if offset == 0x00:
            value = self.incoming.pop(0) if self.incoming else 0
            self._update()
            return value
        if offset == 0x18:
            return 0x80 | (0 if self.incoming else 0x10)
        if offset == 0x3C:
            return self.status
        if offset == 0x40:
            return self.status & self.regs.get(0x38, 0)
        identity = {0xFE0: 0x11, 0xFE4: 0x10, 0xFE8: 0x34, 0xFEC: 0}
        return identity.get(offset, super().read(offset))

    def write(self, offset, value, raw):
        if offset == 0x00:
            if self.on_tx:
                self.on_tx(value & 0xFF)
            self.status |= 0x20
        elif offset == 0x44:
            self.status &= ~(raw & ~0x20)
        else:
            super().write(offset, value, raw)
        self._update()


class Watchdog(Block):
    """Counts down twice a microsecond (erratum E1). A reset that it causes turns it off, but keeps
    the scratch registers and the reason."""

    def __init__(self, board):
        super().__init__(board)
        self.reason = 0
        self.scratch = [0] * 8
        self.enabled = False
        self.load = 0
        self.loaded_at = 0
        self._alarm = None

    def reset(self):
        super().reset()
        self.enabled = False
        self._plan()

    def forget(self):
        """Power-up or RUN pin: reason and scratch are lost too."""
        self.reason = 0
        self.scratch = [0] * 8
        self.reset()

    def _plan(self):
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self.enabled:
            due = self.loaded_at + self.load * CYCLES_PER_US // 2
            self._alarm = self.board.schedule(max(due, self.board.cycle + 1), self._fire)

    def _fire(self):
        self._alarm = None
        self.reason = 1
        self.board.request_reset("watchdog")

    def read(self, offset):
        if offset == 0x00:
            gone = 2 * (self.board.cycle - self.loaded_at) // CYCLES_PER_US
            left = max(self.load - gone, 0) if self.enabled else self.load
            return 0x07000000 | (0x40000000 if self.enabled else 0) | left
        if offset == 0x08:
            return self.reason
        if 0x0C <= offset < 0x2C:
            return self.scratch[(offset - 0x0C) >> 2]
        if offset == 0x2C:
            return self.regs.get(offset, 0x200) | 0x400
        return super().read(offset)

    def write(self, offset, value, raw):
        if offset == 0x00:
            enable = bool(value & 0x40000000)
            if enable and not self.enabled:
                self.loaded_at = self.board.cycle
            self.enabled = enable
            if value & 0x80000000:
                self.reason = 2
                self.board.request_reset("software")
            self._plan()
        elif offset == 0x04:
            self.load = value & 0xFFFFFF
            self.loaded_at = self.board.cycle
            self._plan()
        elif 0x0C <= offset < 0x2C:
            self.scratch[(offset - 0x0C) >> 2] = value
        else:
            super().write(offset, value, raw)


def make_blocks(board):
    """All blocks of this file by the upper bits of their address (address >> 14)."""
    return {
        0x40000000 >> 14: SysInfo(board),
        0x40004000 >> 14: Block(board),
        0x40008000 >> 14: Clocks(board),
        0x4000C000 >> 14: Resets(board),
        0x40010000 >> 14: Psm(board),
        0x40018000 >> 14: QspiIo(board),
        0x40020000 >> 14: QspiPads(board),
        0x40024000 >> 14: Xosc(board),
        0x40028000 >> 14: Pll(board),
        0x4002C000 >> 14: Pll(board),
        0x40030000 >> 14: Block(board),
        0x40034000 >> 14: Uart(board, 20),
        0x40038000 >> 14: Uart(board, 21),
        0x4003C000 >> 14: Spi(board),
        0x40040000 >> 14: Spi(board),
        0x40044000 >> 14: I2c(board),
        0x40048000 >> 14: I2c(board),
        0x40058000 >> 14: Watchdog(board),
        0x4005C000 >> 14: Rtc(board),
        0x40060000 >> 14: Rosc(board),
        0x40064000 >> 14: Vreg(board),
        0x4006C000 >> 14: TbMan(board),
        0x14000000 >> 14: XipCtrl(board),
    }
