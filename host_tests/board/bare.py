"""A board with a program of two instructions, driven by register writes, and a small PIO assembler."""

from tools.twin.emulator import Board

# Thumb: wfi, branch back; branch to itself; push and pop of eight registers (9 cycles each), branch back.
CPU = {
    "sleeping": bytes.fromhex("30bffde7"),
    "busy": bytes.fromhex("fee7"),
    "long instructions": bytes.fromhex("ffb4ffbcfce7"),
}

PIO0, PIO1, DMA, SIO, IO_BANK0, PADS = 0x50200000, 0x50300000, 0x50000000, 0xD0000000, 0x40014000, 0x4001C004
CTRL, FSTAT, FDEBUG, FLEVEL, TXF, RXF, IRQ = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x30
MEMORY, MACHINE = 0x48, 0xC8
CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, INSTR, PINCTRL = range(0, 24, 4)
RAM = 0x20000000

# ---- PIO instructions; `delay` may hold side-set bits too ----
PINS, X, Y, NULL, PINDIRS, ISR, OSR = 0, 1, 2, 3, 4, 6, 7
ALWAYS, NOT_X, X_DEC, NOT_Y, Y_DEC, X_NOT_Y, PIN, NOT_OSRE = range(8)


def jmp(condition, target, delay=0):
    return condition << 5 | target | delay << 8


def wait(polarity, source, index, delay=0):
    """`source`: 0 GPIO, 1 pin, 2 irq."""
    return 0x2000 | polarity << 7 | source << 5 | index | delay << 8


def in_(source, count, delay=0):
    return 0x4000 | source << 5 | count & 31 | delay << 8


def out(target, count, delay=0):
    return 0x6000 | target << 5 | count & 31 | delay << 8


def push(block=True, delay=0):
    return 0x8000 | int(block) << 5 | delay << 8


def pull(block=True, delay=0):
    return 0x8080 | int(block) << 5 | delay << 8


def mov(target, source, delay=0, invert=False):
    return 0xA000 | target << 5 | int(invert) << 3 | source | delay << 8


def irq(index, wait_for=False, clear=False, delay=0):
    return 0xC000 | int(clear) << 6 | int(wait_for) << 5 | index | delay << 8


def set_(target, value, delay=0):
    return 0xE000 | target << 5 | value | delay << 8


class Bare:
    """`cpu` is one of CPU. Registers by `[address]`."""

    def __init__(self, cpu="sleeping"):
        self.board = Board(flash=CPU[cpu])
        self.chip = self.board.chip
        self.run = self.board.run_cycles

    def __getitem__(self, address):
        return self.chip.read(address)

    def __setitem__(self, address, value):
        self.chip.write(address, value & 0xFFFFFFFF)

    def function(self, gpio, number):
        """IO function of a pin: 4 PWM, 5 SIO, 6 PIO0, 7 PIO1."""
        self[IO_BANK0 + 8 * gpio + 4] = number

    def program(self, code, start=0, pio=PIO0):
        for i, word in enumerate(code):
            self[pio + MEMORY + 4 * (start + i)] = word

    def machine(self, index, *, start=0, end=31, pins=(), divider=1.0, sideset=0, shift=0xC0000, jmp_pin=0, pio=PIO0):
        """Sets a state machine up as an SDK would; `pins`: set, out, side and in base are the first of
        them, set and out count their number. It is left disabled at `start`."""
        base = pio + MACHINE + 0x18 * index
        first = pins[0] if pins else 0
        self[base + CLKDIV] = round(divider * 256) << 8
        self[base + EXECCTRL] = start << 7 | end << 12 | jmp_pin << 24
        self[base + SHIFTCTRL] = shift
        self[base + PINCTRL] = (
            first | first << 5 | first << 10 | first << 15 | len(pins) << 20 | min(len(pins), 5) << 26 | sideset << 29
        )
        for pin in pins:
            self.function(pin, 6 if pio == PIO0 else 7)
        if pins:
            self[base + INSTR] = set_(PINDIRS, 31)
        self[base + INSTR] = jmp(ALWAYS, start)
        return base

    def start(self, mask, pio=PIO0):
        """Starts machines with their dividers in phase, by one write."""
        self[pio + CTRL] = mask | mask << 4 | mask << 8
