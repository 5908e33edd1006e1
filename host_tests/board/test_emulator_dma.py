"""DMA of the emulated board: rings, chains, null triggers, request pacing, as the data sheet says."""

import itertools

import pytest

from host_tests.board.bare import (
    ADDR,
    ALWAYS,
    CTRL,
    DMA,
    FLEVEL,
    ISR,
    MACHINE,
    OSR,
    PINS,
    PIO0,
    RAM,
    RXF,
    TXF,
    X_DEC,
    X,
    jmp,
    mov,
    pull,
    push,
    set_,
)

READ, WRITE, COUNT, CTRL_TRIG = 0x00, 0x04, 0x08, 0x0C
AL1_CTRL, AL1_READ, AL1_WRITE, AL1_COUNT_TRIG = 0x10, 0x14, 0x18, 0x1C
AL2_CTRL, AL2_COUNT, AL2_READ, AL2_WRITE_TRIG = 0x20, 0x24, 0x28, 0x2C
AL3_CTRL, AL3_WRITE, AL3_COUNT, AL3_READ_TRIG = 0x30, 0x34, 0x38, 0x3C
INTR, INTE0, INTS0, MULTI_TRIGGER, ABORT = 0x400, 0x404, 0x40C, 0x430, 0x444
EN, INCR_READ, INCR_WRITE, RING_WRITE, QUIET, BUSY = 1, 16, 32, 1 << 10, 1 << 21, 1 << 24
ALWAYS_ON = 0x3F
SOURCE, TARGET = RAM + 0x8000, RAM + 0x9000


def control(
    *, size=2, read=True, write=True, ring=0, ring_write=False, chain, treq=ALWAYS_ON, quiet=False, enable=True
):
    """CTRL of a channel; `size` 0, 1, 2 for bytes, halfwords, words."""
    return (
        int(enable)
        | size << 2
        | (INCR_READ if read else 0)
        | (INCR_WRITE if write else 0)
        | ring << 6
        | (RING_WRITE if ring_write else 0)
        | chain << 11
        | treq << 15
        | (QUIET if quiet else 0)
    )


def channel(index):
    return DMA + 0x40 * index


def fill(bare, words, address=SOURCE):
    for i, word in enumerate(words):
        bare[address + 4 * i] = word


def words(bare, count, address=TARGET):
    return [bare[address + 4 * i] for i in range(count)]


def set_up(bare, index, read, write, count, ctrl):
    base = channel(index)
    bare[base + READ], bare[base + WRITE], bare[base + COUNT] = read, write, count
    bare[base + AL1_CTRL] = ctrl
    return base


@pytest.mark.parametrize(
    "trigger, value",
    [
        (CTRL_TRIG, control(chain=0)),
        (AL1_COUNT_TRIG, 8),
        (AL2_WRITE_TRIG, TARGET),
        (AL3_READ_TRIG, SOURCE),
    ],
)
def test_each_alias_triggers(bare, trigger, value):
    fill(bare, range(100, 108))
    base = set_up(bare, 0, SOURCE, TARGET, 8, control(chain=0))
    bare.run(50)
    assert not bare[base + AL1_CTRL] & BUSY
    bare[base + trigger] = value
    assert bare[base + AL1_CTRL] & BUSY
    bare.run(50)
    assert words(bare, 9) == [*range(100, 108), words(bare, 9)[8]]
    assert not bare[base + AL1_CTRL] & BUSY
    assert bare[DMA + INTR] == 1
    assert (bare[base + READ], bare[base + WRITE], bare[base + COUNT]) == (SOURCE + 32, TARGET + 32, 0)
    # the count reloads with the next trigger, addresses go on
    bare[DMA + MULTI_TRIGGER] = 1
    assert bare[base + COUNT] == 8


@pytest.mark.parametrize("trigger", [AL1_COUNT_TRIG, AL2_WRITE_TRIG, AL3_READ_TRIG, CTRL_TRIG])
@pytest.mark.parametrize("quiet", [False, True])
def test_zero_written_to_a_trigger_starts_nothing(bare, trigger, quiet):
    base = set_up(bare, 3, SOURCE, TARGET, 8, control(chain=3, quiet=quiet))
    bare[base + trigger] = 0
    bare.run(50)
    assert not bare[base + AL1_CTRL] & BUSY
    assert bare[base + COUNT] == 0
    # with IRQ_QUIET the null trigger interrupts (writing 0 to CTRL clears IRQ_QUIET itself)
    assert bare[DMA + INTR] == (8 if quiet and trigger != CTRL_TRIG else 0)
    bare[DMA + INTR] = 8
    assert bare[DMA + INTR] == 0


def test_disabled_channel_does_not_start(bare):
    base = set_up(bare, 0, SOURCE, TARGET, 8, control(chain=0, enable=False))
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(50)
    assert not bare[base + AL1_CTRL] & BUSY


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("ring_write", [False, True])
def test_rings_wrap(bare, size, ring_write):
    """A ring of 16 bytes that starts in its middle."""
    data = bytes(range(1, 65))
    bare.board.ram[0x8000:0x8040] = data
    bare.board.ram[0x9000:0x9040] = bytes(64)
    count = (16 >> size) * 2
    read, write = (SOURCE, TARGET + 8) if ring_write else (SOURCE + 8, TARGET)
    base = set_up(bare, 1, read, write, count, control(size=size, ring=4, ring_write=ring_write, chain=1))
    bare[DMA + MULTI_TRIGGER] = 2
    bare.run(200)
    made = bytes(bare.board.ram[0x9000:0x9040])
    if ring_write:
        expected = data[24:32] + data[16:24] + bytes(48)
        assert bare[base + WRITE] == TARGET + 8
    else:
        expected = (data[8:16] + data[0:8]) * 2 + bytes(32)
        assert bare[base + READ] == SOURCE + 8
    assert made == expected


def test_byte_swap_and_fixed_addresses(bare):
    fill(bare, [0x11223344, 0x55667788])
    base = set_up(bare, 0, SOURCE, TARGET, 2, control(write=False, chain=0) | 1 << 22)
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(20)
    assert bare[TARGET] == 0x88776655
    assert bare[base + WRITE] == TARGET


def test_chain_in_order_and_quiet_interrupts(bare):
    fill(bare, range(1, 9))
    set_up(bare, 0, SOURCE, TARGET, 4, control(chain=5, quiet=True))
    set_up(bare, 5, SOURCE + 16, TARGET + 64, 4, control(chain=5))
    bare[DMA + INTE0] = 0xFFF
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(60)
    assert words(bare, 4) == [1, 2, 3, 4]
    assert words(bare, 4, TARGET + 64) == [5, 6, 7, 8]
    assert bare[DMA + INTS0] == 1 << 5


def test_one_transfer_a_cycle(any_cpu):
    base = set_up(any_cpu, 0, SOURCE, TARGET, 0x800, control(chain=0))
    any_cpu[DMA + MULTI_TRIGGER] = 1
    any_cpu.run(0x800 - 100)
    left = any_cpu[base + COUNT]
    assert 90 < left < 110
    any_cpu.run(120)
    assert any_cpu[base + COUNT] == 0


def test_abort_stops_at_once_and_does_not_chain(bare):
    set_up(bare, 0, SOURCE, TARGET, 1000, control(chain=1))
    other = set_up(bare, 1, SOURCE, TARGET, 10, control(chain=1))
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(100)
    bare[DMA + ABORT] = 1
    left = bare[channel(0) + COUNT]
    assert 890 < left < 920
    bare.run(2000)
    assert bare[channel(0) + COUNT] == left
    assert not bare[channel(0) + AL1_CTRL] & BUSY
    assert bare[other + READ] == SOURCE
    assert bare[DMA + ABORT] == 0


def test_tx_requests_pace_the_channel_and_counts_can_be_read(any_cpu):
    """A machine takes a word every 100 cycles; the FIFO is kept full, no word is lost or doubled."""
    any_cpu.program([pull(), mov(ISR, OSR), push(block=False), set_(X, 23), jmp(X_DEC, 4, 3)])
    any_cpu.machine(0, end=4)
    fill(any_cpu, range(1000, 1100))
    base = set_up(any_cpu, 0, SOURCE, PIO0 + TXF, 100, control(write=False, chain=0, treq=0))
    any_cpu[DMA + MULTI_TRIGGER] = 1
    any_cpu.run(50)
    assert any_cpu[PIO0 + FLEVEL] & 15 == 4
    assert any_cpu[base + COUNT] == 96
    any_cpu.start(1)
    seen = []
    while len(seen) < 100:
        any_cpu.run(20)
        while any_cpu[PIO0 + FLEVEL] >> 4 & 15:
            seen.append(any_cpu[PIO0 + RXF])
        taken = 100 - any_cpu[base + COUNT]
        assert any_cpu[base + READ] == SOURCE + 4 * taken
        assert len(seen) <= taken <= len(seen) + 5
    assert seen == list(range(1000, 1100))


def test_rx_requests_empty_the_fifo(bare):
    bare.program([mov(ISR, X), push(), jmp(X_DEC, 0)])
    machine = bare.machine(2, end=2)
    bare[machine + 0x10] = set_(X, 20)
    set_up(bare, 4, PIO0 + RXF + 8, TARGET, 21, control(read=False, chain=4, treq=6))
    bare[DMA + MULTI_TRIGGER] = 16
    bare.start(4)
    bare.run(500)
    assert words(bare, 21) == list(range(20, -1, -1))


def counted_blocks(bare, counts, ring_bits):
    """The firmware's way: channel 0 feeds the machine from a ring, then chains to channel 1, which writes
    the next count of another ring into channel 0's count trigger. A count of 0 ends it."""
    fill(bare, counts + [0] * (16 - len(counts)), TARGET)
    set_up(bare, 0, SOURCE, PIO0 + TXF, 0, control(write=False, chain=1, treq=0, ring=ring_bits, quiet=True))
    set_up(bare, 1, TARGET, channel(0) + AL1_COUNT_TRIG, 1, control(write=False, chain=1, ring=6, quiet=True))
    bare[DMA + MULTI_TRIGGER] = 2


def test_chained_counts_until_a_null_trigger(any_cpu):
    any_cpu.program([pull(), mov(ISR, OSR), push(block=False)])
    any_cpu.machine(0, end=2, divider=10)
    fill(any_cpu, range(500, 532))
    any_cpu.start(1)
    counted_blocks(any_cpu, [3, 1, 20, 16, 0, 7], ring_bits=7)
    seen = []
    for _ in range(400):
        any_cpu.run(10)
        while any_cpu[PIO0 + FLEVEL] >> 4 & 15:
            seen.append(any_cpu[PIO0 + RXF])
    ring = list(range(500, 532))
    assert seen == (ring + ring)[:40]
    assert not any_cpu[channel(0) + AL1_CTRL] & BUSY
    assert any_cpu[channel(1) + READ] == TARGET + 4 * 5, "the zero was read, the 7 was not"
    # with IRQ_QUIET the null trigger is what interrupts: the end of all blocks
    assert any_cpu[DMA + INTR] == 1
    # a new start goes on with the next count
    any_cpu[DMA + MULTI_TRIGGER] = 2
    any_cpu.run(1000)
    assert any_cpu[channel(0) + READ] == SOURCE + 4 * ((40 + 7) % 32)


def test_a_word_lands_before_the_machine_runs_dry_at_full_rate(bare):
    """One word every four cycles, the most a PIO step program could ask for, without a stall."""
    bare.program([set_(PINS, 1), pull(), set_(PINS, 0), jmp(ALWAYS, 0)])
    bare.machine(0, pins=[2])
    fill(bare, range(200))
    set_up(bare, 0, SOURCE, PIO0 + TXF, 200, control(write=False, chain=0, treq=0))
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(20)
    record = bare.board.record([2])
    bare.start(1)
    bare.run(199 * 4)
    rises = record.rising(2)
    assert {b - a for a, b in itertools.pairwise(rises)} == {4}
    assert bare[PIO0 + MACHINE + ADDR] < 4
    assert bare[PIO0 + CTRL] == 1


def test_pacing_timer(bare):
    bare[DMA + 0x420] = 1 << 16 | 50
    base = set_up(bare, 0, SOURCE, TARGET, 100, control(chain=0, treq=0x3B))
    bare[DMA + MULTI_TRIGGER] = 1
    bare.run(50 * 40)
    assert abs(100 - bare[base + COUNT] - 40) <= 1
