"""The USB device controller of the RP2040 and the wire to the PC.

Transactions share one full-speed bus: one at a time, each as long as its bytes need (64 bytes
about 50 us, either way). A host that has no bytes answers nothing: the armed buffer stays armed.
What the PC does on the bus is in usb_host.py.
"""

from .soc import Block

CYCLES_PER_US = 125
# Token, handshake and turn-around of a transaction, and the time of one byte (with bit stuffing).
OVERHEAD_US = 6.5
BYTE_US = 0.68
SOF_CYCLES = 125_000

AVAILABLE, STALL, DATA_PID, LAST, FULL = 1 << 10, 1 << 11, 1 << 13, 1 << 14, 1 << 15
LENGTH = 0x3FF
DOUBLE, EACH_BUFFER, EVERY_TWO = 1 << 30, 1 << 29, 1 << 28

MAIN_CTRL, SOF_RD, SIE_CTRL, SIE_STATUS = 0x40, 0x48, 0x4C, 0x50
BUFF_STATUS, SHOULD_HANDLE, EP_ABORT, ABORT_DONE = 0x58, 0x5C, 0x60, 0x64
STALL_ARM, EP_STATUS, MUXING, PWR = 0x68, 0x70, 0x74, 0x78
INTR, INTE, INTF, INTS = 0x8C, 0x90, 0x94, 0x98

SIE_BUS_RESET, SIE_SETUP, SIE_CONNECTED = 1 << 19, 1 << 17, 1 << 16
SIE_TRANSFER_DONE, SIE_ACK, SIE_VBUS = 1 << 18, 1 << 30, 1
INT_SETUP, INT_BUS_RESET, INT_CONNECTION, INT_SOF, INT_BUFFER = 1 << 16, 1 << 12, 1 << 13, 1 << 17, 1 << 4
PULL_UP = 1 << 16
CLEARABLE = 0xFF0E0800


def duration(size):
    """Cycles that a transaction with `size` bytes of data holds the bus."""
    return int((OVERHEAD_US + BYTE_US * size) * CYCLES_PER_US)


class UsbController(Block):
    """Registers at 0x50110000; endpoint control and buffers in the 4 KB of `ram`."""

    def __init__(self, board, ram):
        super().__init__(board)
        self.ram = ram
        self.host = None  # usb_host.UsbHost
        self.sie_status = 0
        self.buff_status = 0
        self.abort_done = 0
        self.interrupts = 0  # latched ones: connection, SOF
        self.bus_free = 0  # cycle at which the bus is free again
        self._moving = set()  # (endpoint, out) whose transaction is on the bus
        self._epoch = 0
        self._sof = None

    def reset(self):
        super().reset()
        self.sie_status = 0
        self.buff_status = 0
        self.abort_done = 0
        self.interrupts = 0
        self._moving.clear()
        self._epoch += 1
        if self._sof:
            self._sof.cancel()
            self._sof = None
        self._update()
        if self.host:
            self.host.unplugged()

    # ---- registers ----
    def _raw(self):
        return (
            self.interrupts
            | (INT_BUFFER if self.buff_status else 0)
            | (INT_BUS_RESET if self.sie_status & SIE_BUS_RESET else 0)
            | (INT_SETUP if self.sie_status & SIE_SETUP else 0)
        )

    def _update(self):
        active = self._raw() & self.regs.get(INTE, 0) | self.regs.get(INTF, 0)
        self.board.chip.irq(5, int(bool(active)))

    def read(self, offset):
        if offset == SIE_STATUS:
            vbus = SIE_VBUS if self.regs.get(PWR, 0) & 4 else 0
            return self.sie_status | vbus
        if offset == BUFF_STATUS:
            return self.buff_status
        if offset == ABORT_DONE:
            return self.abort_done
        if offset == SOF_RD:
            self.interrupts &= ~INT_SOF
            self._update()
            return self.board.cycle // SOF_CYCLES & 0x7FF
        if offset == INTR:
            return self._raw()
        if offset == INTS:
            return self._raw() & self.regs.get(INTE, 0) | self.regs.get(INTF, 0)
        return super().read(offset)

    def write(self, offset, value, raw):
        if offset == SIE_STATUS:
            self.sie_status &= ~(raw & CLEARABLE)
            if raw & SIE_CONNECTED:
                self.interrupts &= ~INT_CONNECTION
        elif offset == BUFF_STATUS:
            self.buff_status &= ~raw
        elif offset == ABORT_DONE:
            self.abort_done &= ~raw
        elif offset == EP_ABORT:
            super().write(offset, value, raw)
            self.abort_done |= value
        elif offset == SIE_CTRL:
            before = self.regs.get(SIE_CTRL, 0)
            super().write(offset, value, raw)
            if (value & ~before) & PULL_UP and self.host:
                self.host.plugged()
            elif (before & ~value) & PULL_UP and self.host:
                self.host.unplugged()
        else:
            super().write(offset, value, raw)
            if offset == INTE:
                self._plan_sof()
        self._update()

    def _plan_sof(self):
        wanted = self.regs.get(INTE, 0) & INT_SOF and self.host and self.host.attached
        if wanted and self._sof is None:
            due = (self.board.cycle // SOF_CYCLES + 1) * SOF_CYCLES
            self._sof = self.board.schedule(due, self._frame)

    def _frame(self):
        self._sof = None
        self.interrupts |= INT_SOF
        self._plan_sof()
        self._update()

    # ---- what happens on the bus ----
    def wants_host(self):
        """Whether the device shows itself on the bus (pull-up on)."""
        return bool(self.regs.get(SIE_CTRL, 0) & PULL_UP)

    def _word(self, offset):
        return int.from_bytes(self.ram[offset : offset + 4], "little")

    def _set_word(self, offset, value):
        self.ram[offset : offset + 4] = value.to_bytes(4, "little")

    @staticmethod
    def _control_offset(endpoint, out):
        return 0x80 + 8 * endpoint + (4 if out else 0)

    def bus_reset(self):
        """The host resets the bus."""
        self._moving.clear()
        self._epoch += 1
        self.bus_free = self.board.cycle
        self.sie_status |= SIE_BUS_RESET | SIE_CONNECTED
        self.regs[0] = 0
        self._update()
        self._plan_sof()

    def setup(self, packet):
        """The host sends a SETUP packet of 8 bytes to endpoint 0."""
        self._reserve(8, self._setup_done, packet)

    def _setup_done(self, packet):
        self.ram[0:8] = packet
        for out in (False, True):
            offset = self._control_offset(0, out)
            self._set_word(offset, self._word(offset) & ~(AVAILABLE | STALL))
            self._moving.discard((0, out))
        self.sie_status |= SIE_SETUP
        self._update()
        self.host.setup_sent()

    def _reserve(self, size, function, *args):
        """Calls `function(*args)` when a transaction of `size` bytes has passed the bus."""
        start = max(self.board.cycle, self.bus_free)
        self.bus_free = start + duration(size)
        epoch = self._epoch

        def done():
            if epoch == self._epoch:
                function(*args)

        self.board.schedule(self.bus_free, done)

    def buffer_control(self, offset, value):
        """The firmware wrote a buffer control word."""
        endpoint, out = (offset - 0x80) >> 3, bool(offset & 4)
        if endpoint == 0 and value & STALL and not value & AVAILABLE:
            if self.host and self.regs.get(STALL_ARM, 0) & (2 if out else 1):
                self.host.stalled()
            return
        if value & (AVAILABLE | AVAILABLE << 16):
            self.poll(endpoint, out)

    def poll(self, endpoint, out):
        """Starts a transaction if the device has an armed buffer and the host takes or has data."""
        if (endpoint, out) in self._moving or not self.host or not self.host.attached:
            return
        offset = self._control_offset(endpoint, out)
        value = self._word(offset)
        half = 0 if value & AVAILABLE else 16
        if not value >> half & AVAILABLE:
            return
        if value >> half & STALL:
            if endpoint == 0:
                self.host.stalled()
            return
        limit = value >> half & LENGTH
        if out:
            data = self.host.data_for(endpoint, min(limit, 64))
            if data is None:
                return
            self._moving.add((endpoint, out))
            self._reserve(len(data), self._out_done, endpoint, half, data)
        elif self.host.takes(endpoint):
            self._moving.add((endpoint, out))
            self._reserve(limit, self._in_done, endpoint, half)

    def _buffer(self, endpoint, out, half):
        if endpoint == 0:
            return 0x100
        control = self._word(8 * endpoint + (4 if out else 0))
        return (control & 0xFFC0) + (64 if half else 0)

    def _finish(self, endpoint, out, half, clear, put):
        """Hands the buffer back to the firmware and goes on with the other one, if armed."""
        self._moving.discard((endpoint, out))
        offset = self._control_offset(endpoint, out)
        value = self._word(offset) & ~(clear << half) | put << half
        self._set_word(offset, value)
        control = self._word(8 * endpoint + (4 if out else 0)) if endpoint else EACH_BUFFER
        other = value >> (16 - half) & AVAILABLE
        two = control & DOUBLE and control & EVERY_TWO and not control & EACH_BUFFER
        if not (two and other):
            self.buff_status |= 1 << (2 * endpoint + int(out))
            self._update()
        self.poll(endpoint, out)

    def _in_done(self, endpoint, half):
        value = self._word(self._control_offset(endpoint, False)) >> half
        start = self._buffer(endpoint, False, half)
        data = bytes(self.ram[start : start + (value & LENGTH)])
        self._finish(endpoint, False, half, AVAILABLE | FULL, 0)
        self.host.received(endpoint, data)

    def _out_done(self, endpoint, half, data):
        start = self._buffer(endpoint, True, half)
        self.ram[start : start + len(data)] = data
        self.host.delivered(endpoint, data)
        self._finish(endpoint, True, half, AVAILABLE | LENGTH, FULL | len(data))
