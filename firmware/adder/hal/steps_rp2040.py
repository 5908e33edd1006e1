"""Step streams on the RP2040: one PIO state machine and two DMA channels per motor, no CPU between refills.

Each motor has a ring of words in RAM. A word is

    bits 31..11  delay, PIO cycles
    bits 10..1   number of steps; 0 waits for the delay only
    bit  0       level of the direction pin

and means: `number` times (delay, then one step pulse). The words of one time slice are moved to the state machine's
FIFO by the motor's data channel. When it has finished a slice it chains to the motor's control channel, which copies
the next slice's number of words from the ring of counts to the data channel and thereby starts it again. A count of
zero starts nothing: the stream ends, in the same slice for every motor, and the state machines wait at `pull`. So
what was not written can never be stepped.

All motors start on one write to the PIO's CTRL register. The same register stops them at once, and the state machines'
registers then tell exactly how many steps were made.

While homing, the state machine looks at the endstop's pin itself before every step and goes no further when it is high.
Otherwise it looks at a pin that is always low then: its own step pin.
"""

from array import array

import micropython
import rp2
from machine import Pin
from micropython import const

from adder.hal import rings_rp2040
from adder.slicer import WORDS

MOTORS = 4
_WORDS_BYTES = const(4096)
_COUNTS_BYTES = const(2048)
_WORD_MASK = const(1023)
_SLICE_MASK = const(511)

# Places in the program, relative to its start
_AT_PULL = const(0)
_AT_COUNT = const(3)  # from here on Y holds the steps still to make
_AT_PULSE = const(7)  # Y is one less: the step is about to be made
_AT_LOW = const(9)
_AT_HALT = const(13)

# Addresses: PIO0 0x50200000, DMA 0x50000000. Viper has no literals above 2**30, so they are shifted up from variables.
_PIO = const(0x502)
_DMA = const(0x500)


def _program(pulse_cycles):
    # The pulse's length is the only thing that differs between drivers.
    @rp2.asm_pio(
        out_init=rp2.PIO.OUT_LOW,
        set_init=rp2.PIO.OUT_LOW,
        out_shiftdir=rp2.PIO.SHIFT_RIGHT,
        autopull=False,
    )
    def steps():
        wrap_target()
        label("top")
        pull(block)  # OSR = word
        out(pins, 1)  # direction pin = bit 0
        out(y, 10)  # Y = steps to make
        mov(isr, osr)  # ISR = delay, kept for every step of the word
        mov(x, isr)  # X = delay running down
        label("delay")
        jmp(x_dec, "delay")
        jmp(y_dec, "pulse")  # Y = steps left after this one; falls through when there was none
        wrap()
        label("pulse")
        jmp(pin, "halt")  # the endstop is closed: make no step
        set(pins, 1)[pulse_cycles - 1]  # step pin high
        set(pins, 0)
        jmp(not_y, "top")
        mov(x, isr)
        jmp("delay")
        label("halt")
        jmp("halt")  # Y + 1 steps of this word were not made

    return steps


@micropython.viper
def _poke(block: int, offset: int, value: int):
    p = ptr32((block << 20) + offset)
    p[0] = value


@micropython.viper
def _peek(block: int, offset: int) -> int:
    # Only for registers that stay below 2**30
    p = ptr32((block << 20) + offset)
    return p[0]


@micropython.viper
def _start(channels: int):
    # Trigger the control channels, wait until every FIFO holds a word, then start all state machines on one write.
    block = _DMA
    dma = ptr32((block << 20) + 0x430)
    block = _PIO
    pio = ptr32(block << 20)
    dma[0] = channels
    wait = 1000
    while (pio[1] & 0x0F000000) != 0 and wait > 0:  # FSTAT.TXEMPTY
        wait -= 1
    pio[0] = 0x0F0F  # CLKDIV_RESTART and SM_ENABLE of all four


@micropython.viper
def _stalled() -> int:
    # True when all four state machines wait at `pull` with nothing to take
    block = _PIO
    pio = ptr32(block << 20)
    pio[2] = 0x0F000000  # FDEBUG.TXSTALL, cleared by writing ones; set again at once where it still holds
    n = 0
    while n < 4:
        n += 1
    if (pio[2] & 0x0F000000) != 0x0F000000:
        return 0
    if (pio[1] & 0x0F000000) != 0x0F000000:
        return 0
    return 1


@micropython.viper
def _read_index(channel: int, base: int, mask: int) -> int:
    # Ring index where a DMA channel reads next
    block = _DMA
    p = ptr32((block << 20) + channel * 64)
    return ((p[0] - base) >> 2) & mask


@micropython.viper
def _free_words(rings: ptr32, motors: ptr32):
    # rings: DMA channel and first address per motor. The index as in `_read_index`: a call would take longer than all.
    block = _DMA
    dma = ptr32(block << 20)
    i = 0
    while i < 4:
        index = ((dma[rings[i * 2] * 16] - rings[i * 2 + 1]) >> 2) & _WORD_MASK
        motors[i * 16 + 10] = _WORD_MASK - ((motors[i * 16 + 6] - index) & _WORD_MASK)
        i += 1


@micropython.viper
def _slices_ahead(rings: ptr32, slices: int) -> int:
    block = _DMA
    dma = ptr32(block << 20)
    least = _SLICE_MASK
    i = 0
    while i < 4:
        index = ((dma[rings[i * 2] * 16] - rings[i * 2 + 1]) >> 2) & _SLICE_MASK
        ahead = (slices - index) & _SLICE_MASK
        if ahead == _SLICE_MASK:
            return -1  # the zero behind the last slice was read
        if ahead < least:
            least = ahead
        i += 1
    return least


@micropython.viper
def _mark_end(counts: ptr32, at: int):
    i = 0
    while i < 4:
        counts[i * (_SLICE_MASK + 1) + at] = 0
        i += 1


@micropython.viper
def _left_in_word(sm: int, origin: int, word: int) -> int:
    """Steps of the word in work that were not made; the state machine is stopped. -1: no word is in work."""
    block = _PIO
    pio = ptr32(block << 20)
    base = (0xC8 + sm * 0x18) >> 2
    pc = pio[base + 3] - origin
    if pc == _AT_PULL:
        return -1
    if pc < _AT_COUNT:
        return (word >> 1) & 1023
    pio[base + 4] = 0xA0C2  # mov isr, y
    pio[base + 4] = 0x8000  # push noblock
    y = pio[8 + sm]  # RXF
    if pc == _AT_PULSE or pc == _AT_PULSE + 1 or pc == _AT_HALT:
        y += 1
    return y


@micropython.viper
def _sum_words(words: ptr32, ring: int, first: int, last: int) -> int:
    # Signed steps of the words first..last-1, positive for direction bit 1
    total = 0
    while first < last:
        word = words[ring + (first & _WORD_MASK)]
        if word & 1:
            total += (word >> 1) & 1023
        else:
            total -= (word >> 1) & 1023
        first += 1
    return total


class StepStream:
    """The step streams of up to four motors.

    `axes`: for each motor (step pin, direction pin, direction inverted); `pulse_ns`, `low_ns`, `dir_setup_ns`: what the
    slowest driver needs, from its data sheet.
    """

    def __init__(self, axes, pulse_ns, low_ns, dir_setup_ns):
        # One PIO cycle is 8 ns times the divider; a pulse is at most 32 cycles long.
        divider = 1
        while divider < 8 and -(-pulse_ns // (8 * divider)) > 32:
            divider *= 2
        cycle_ns = 8 * divider
        pulse = -(-pulse_ns // cycle_ns)
        if pulse > 32:
            raise ValueError("step pulse of %d ns: at most 2048 ns can be made" % pulse_ns)
        if pulse < 1:
            pulse = 1
        low = -(-low_ns // cycle_ns)
        self.cycles_unit = 8 // divider
        self.pulse_overhead = pulse + 7
        self.min_interval = pulse + (low if low > 7 else 7)
        # Two per cent less than the pulses would allow: room to catch up what rounding leaves behind
        self.max_step_rate = 980_000_000 // (self.min_interval * cycle_ns)
        self.dir_setup = -(-dir_setup_ns // cycle_ns)
        self.cycle_ns = cycle_ns
        self.invert = bytearray(MOTORS)

        self.words = rings_rp2040.words
        self.counts = rings_rp2040.counts
        self._words_base = rings_rp2040.words_base
        self._counts_base = rings_rp2040.counts_base

        self._program = _program(pulse)
        self._machines = []
        self._data = []
        self._control = []
        self._data_channel = bytearray(MOTORS)
        self._control_channel = bytearray(MOTORS)
        self._step_pins = bytearray(MOTORS)
        self._trigger = 0
        self._watched = 0
        self._inverted = []  # pins that are watched for low
        for motor in range(MOTORS):
            step, direction, inverted = axes[motor]
            self.invert[motor] = 1 if inverted else 0
            self._step_pins[motor] = step
            Pin(step, Pin.OUT, value=0)
            Pin(direction, Pin.OUT, value=0)
            self._machines.append(
                rp2.StateMachine(
                    motor,
                    self._program,
                    freq=125_000_000 // divider,
                    set_base=Pin(step),
                    out_base=Pin(direction),
                    jmp_pin=Pin(step),
                )
            )
            data = rp2.DMA()
            control = rp2.DMA()
            self._data.append(data)
            self._control.append(control)
            self._data_channel[motor] = data.channel
            self._control_channel[motor] = control.channel
            data.config(
                read=self._words_base + motor * _WORDS_BYTES,
                write=(_PIO << 20) + 0x10 + motor * 4,
                count=0,
                ctrl=data.pack_ctrl(
                    size=2,
                    inc_read=True,
                    inc_write=False,
                    ring_size=12,
                    ring_sel=False,
                    treq_sel=motor,
                    chain_to=control.channel,
                    irq_quiet=True,
                    high_pri=True,
                ),
            )
            control.config(
                read=self._counts_base + motor * _COUNTS_BYTES,
                write=(_DMA << 20) + data.channel * 64 + 0x1C,
                count=1,
                ctrl=control.pack_ctrl(
                    size=2,
                    inc_read=True,
                    inc_write=False,
                    ring_size=11,
                    ring_sel=False,
                    treq_sel=0x3F,
                    chain_to=control.channel,
                    irq_quiet=True,
                    high_pri=True,
                ),
            )
            self._trigger |= 1 << control.channel
        self._data_rings = array("i")
        self._control_rings = array("i")
        for motor in range(MOTORS):
            self._data_rings.append(self._data_channel[motor])
            self._data_rings.append(self._words_base + motor * _WORDS_BYTES)
            self._control_rings.append(self._control_channel[motor])
            self._control_rings.append(self._counts_base + motor * _COUNTS_BYTES)
        self._origin = self._find_origin()

    def _find_origin(self):
        # Not started yet, a state machine stands at its program's first instruction.
        return _peek(_PIO, 0xC8 + 12)

    def free_words(self, motors):
        """Words of each motor that may be written without touching one that was not read yet.

        `motors` is the slicer's array of motors: words written and free words are entries 6 and 10 of every sixteen.
        """
        _free_words(self._data_rings, motors)

    def slices_ahead(self, slices):
        """Slices that no motor's DMA has begun, of `slices` made since the beginning; -1 when the stream has ended."""
        return _slices_ahead(self._control_rings, slices)

    def end(self, slices):
        """Mark the end of the stream behind slice `slices` - 1."""
        _mark_end(self.counts, slices & _SLICE_MASK)

    def start(self, first):
        """Start all motors together with slice number `first`; they stand still now."""
        _poke(_PIO, 0, 0)
        at = (first & _SLICE_MASK) * 4
        for motor in range(MOTORS):
            self._control[motor].read = self._counts_base + motor * _COUNTS_BYTES + at
        _start(self._trigger)

    def stopped(self):
        """True when every word has been stepped."""
        return bool(_stalled())

    def kill(self):
        """Stop all step pulses now. Nothing else is tidied up; `recover` does that."""
        _poke(_PIO, 0, 0)

    def pending(self, motor, written):
        """Signed motor steps that are still in the ring; while running, good to a slice or two."""
        base = self._words_base + motor * _WORDS_BYTES
        index = _read_index(self._data_channel[motor], base, _WORD_MASK)
        level = (_peek(_PIO, 12) >> (motor * 8)) & 15
        unread = (written - index) & _WORD_MASK
        total = _sum_words(self.words, motor * WORDS, written - unread - level, written)
        return -total if self.invert[motor] else total

    def left(self, motor, written):
        """After `kill`: signed motor steps that were handed out but not made (in the sense of positive motor steps)."""
        ring = motor * WORDS
        base = self._words_base + motor * _WORDS_BYTES
        index = _read_index(self._data_channel[motor], base, _WORD_MASK)
        level = (_peek(_PIO, 12) >> (motor * 8)) & 15
        unread = (written - index) & _WORD_MASK
        first = written - unread - level
        total = _sum_words(self.words, ring, first, written)
        word = _word_at(self.words, ring + ((first - 1) & _WORD_MASK))
        rest = _left_in_word(motor, self._origin, word)
        if rest > 0:
            total += rest if word & 1 else -rest
        return -total if self.invert[motor] else total

    def recover(self, slices, written):
        """After `kill`: empty FIFOs and make ready for `start`. `written`: function(motor) -> words written."""
        abort = 0
        for motor in range(MOTORS):
            abort |= 1 << self._data_channel[motor] | 1 << self._control_channel[motor]
        _poke(_DMA, 0x444, abort)
        while _peek(_DMA, 0x444) & 0xFFFF:
            pass
        for motor in range(MOTORS):
            _reset_machine(motor, self._origin)
            self._data[motor].read = (
                self._words_base + motor * _WORDS_BYTES + (written(motor) & _WORD_MASK) * 4
            )
        self.end(slices)

    def watch(self, mask, pin=None, low=False):
        """Motors in `mask` (bit per motor) stop before their next step when `pin` is high (`low`: is low).

        What other motors watch stays, so each may have a pin of its own; mask 0 ends it for all. A pin that is watched
        for low is inverted on its way into the chip (GPIO_CTRL.INOVER) meanwhile.
        """
        if not mask:
            self._watched = 0
            while self._inverted:
                _invert_input(self._inverted.pop(), 0)
            for motor in range(MOTORS):
                _watch_pin(motor, self._step_pins[motor])
            return
        if low:
            _invert_input(pin, 1)
            self._inverted.append(pin)
        self._watched |= mask
        for motor in range(MOTORS):
            if mask >> motor & 1:
                _watch_pin(motor, pin)

    def halted(self):
        """Bit per watched motor that the endstop has stopped."""
        result = 0
        for motor in range(MOTORS):
            if self._watched >> motor & 1:
                if _peek(_PIO, 0xD4 + motor * 0x18) - self._origin == _AT_HALT:
                    result |= 1 << motor
        return result


@micropython.viper
def _word_at(words: ptr32, index: int) -> int:
    # Bit 0 and the count only, so that it stays a small int
    return words[index] & 0x7FF


@micropython.viper
def _reset_machine(sm: int, origin: int):
    # State machine `sm` is disabled: step pin low, FIFOs emptied by flipping FJOIN_TX twice, back to the first
    # instruction
    block = _PIO
    pio = ptr32(block << 20)
    base = (0xC8 + sm * 0x18) >> 2
    pio[base + 4] = 0xE000  # set pins, 0
    shiftctrl = pio[base + 2]
    join = 30
    pio[base + 2] = shiftctrl ^ (1 << join)
    pio[base + 2] = shiftctrl
    pio[0] = 0x10 << sm  # SM_RESTART
    pio[base + 4] = origin  # jmp origin


@micropython.viper
def _watch_pin(sm: int, pin: int):
    # EXECCTRL.JMP_PIN
    block = _PIO
    pio = ptr32((block << 20) + 0xCC + sm * 0x18)
    pio[0] = (pio[0] & (0 - 0x1F000001)) | (pin << 24)


@micropython.viper
def _invert_input(pin: int, invert: int):
    # IO_BANK0 GPIOx_CTRL.INOVER: 0 as it is, 1 inverted
    block = 0x400
    io = ptr32((block << 20) + 0x14004 + pin * 8)
    io[0] = (io[0] & (0 - 0x30001)) | (invert << 16)
