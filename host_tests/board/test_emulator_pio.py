"""PIO of the emulated board against counted cycles: every instruction runs at its cycle, whatever the CPU does."""

import itertools

import pytest

from host_tests.board.bare import (
    ADDR,
    ALWAYS,
    CLKDIV,
    CTRL,
    EXECCTRL,
    FDEBUG,
    FLEVEL,
    FSTAT,
    INSTR,
    ISR,
    NOT_OSRE,
    NULL,
    OSR,
    PIN,
    PINCTRL,
    PINDIRS,
    PINS,
    PIO0,
    PIO1,
    RXF,
    SHIFTCTRL,
    TXF,
    X_DEC,
    Y_DEC,
    Bare,
    X,
    Y,
    in_,
    irq,
    jmp,
    mov,
    out,
    pull,
    push,
    set_,
    wait,
)
from host_tests.board.bare import IRQ as IRQ_FLAGS

SQUARE = [set_(PINS, 1, 4), set_(PINS, 0, 4)]


def edges_of(bare, gpio, cycles, start=1, pio=PIO0):
    """All edge cycles of a pin within a run, machines of `start` enabled at its beginning."""
    record = bare.board.record([gpio])
    bare.start(start, pio)
    bare.run(cycles)
    return record.edges(gpio)


@pytest.mark.parametrize("divider", [1, 10, 125, 2.5, 3 + 77 / 256])
def test_period_is_the_counted_one_at_any_divider(any_cpu, divider):
    any_cpu.program(SQUARE)
    any_cpu.machine(0, end=1, pins=[2], divider=divider)
    edges = edges_of(any_cpu, 2, 100_000)
    assert len(edges) >= 100_000 / (5 * divider) - 2
    first = edges[0]
    for n, edge in enumerate(edges):
        assert (edge > 0) == (n % 2 == 0)
        # the divider's phase is zero at the first tick, so tick k comes at floor(k * divider)
        assert abs(edge) == first + int(5 * n * divider)


@pytest.mark.parametrize(
    "count, divider", [(n, d) for n in (0, 1, 2, 3, 100) for d in (1, 2.5, 10)] + [((1 << 21) - 1, 1)]
)
@pytest.mark.parametrize("register", [X, Y])
def test_counted_loops_last_as_long_as_they_should(any_cpu, count, divider, register):
    condition = X_DEC if register == X else Y_DEC
    any_cpu.program([pull(), mov(register, OSR), set_(PINS, 1), jmp(condition, 3, 2), set_(PINS, 0), jmp(ALWAYS, 5)])
    any_cpu.machine(0, pins=[2], divider=divider)
    any_cpu[PIO0 + TXF] = count
    rise, fall = edges_of(any_cpu, 2, int((count + 4) * 3 * divider) + 200)
    # high for the set itself and count + 1 runs of the jump with its delay of 2
    assert -fall - rise == int((1 + (count + 1) * 3) * divider + (rise_phase(divider, 2)))


def rise_phase(divider, tick):
    """What the fraction of an earlier tick adds to a difference of two floors: 0 or almost 1."""
    return divider * tick % 1


def test_a_skipped_loop_is_undone_before_anybody_looks(bare):
    bare.program([pull(), mov(X, OSR), set_(PINS, 1), jmp(X_DEC, 3), set_(PINS, 0), jmp(ALWAYS, 5)])
    machine = bare.machine(0, pins=[2])
    bare[PIO0 + TXF] = 1000
    bare.start(1)
    bare.run(204)
    bare[PIO0 + CTRL] = 0
    bare[machine + INSTR] = mov(ISR, X)
    bare[machine + INSTR] = push()
    seen = bare[PIO0 + RXF]
    # cycle 1 pull, 2 mov, 3 set, from 4 on one jump a cycle
    assert seen == 1000 - (204 - 3)
    assert bare[machine + ADDR] == 3
    # going on: the rest takes its time
    record = bare.board.record([2])
    now = bare.board.cycle
    bare[PIO0 + CTRL] = 1
    bare.run(2000)
    assert list(record.edges(2)) == [-(now + 1 + seen + 1)]


def test_an_instruction_injected_into_a_running_loop_costs_one_round(bare):
    bare.program([pull(), mov(X, OSR), set_(PINS, 1), jmp(X_DEC, 3), set_(PINS, 0), jmp(ALWAYS, 5)])
    machine = bare.machine(0, pins=[2])
    bare[PIO0 + TXF] = 1000
    record = bare.board.record([2])
    bare.start(1)
    bare.run(100)
    bare[machine + INSTR] = mov(Y, X)
    bare.run(2000)
    rise, fall = record.edges(2)
    assert -fall - rise == 1 + 1001


def test_machines_of_one_write_run_in_the_same_cycles(any_cpu):
    any_cpu.program(SQUARE)
    for i in range(4):
        any_cpu.machine(i, end=1, pins=[2 + i], divider=2.5)
    record = any_cpu.board.record(range(2, 6))
    any_cpu.start(15)
    any_cpu.run(10_000)
    first = record.edges(2)
    assert len(first) > 700
    assert all(record.edges(2 + i) == first for i in range(4))


def test_pin_jump_sees_an_input_two_cycles_later(any_cpu):
    # a loop of one jump while the pin is high, then a mark
    any_cpu.program([jmp(PIN, 0), set_(PINS, 1), jmp(ALWAYS, 2)])
    any_cpu.machine(0, pins=[2], jmp_pin=9)
    any_cpu.function(9, 5)
    any_cpu[0x4001C004 + 4 * 9] = 0x40
    any_cpu.board.set_input(9, 1)
    record = any_cpu.board.record([2])
    any_cpu.start(1)
    any_cpu.run(1000)
    assert not record.edges(2)
    change = any_cpu.board.cycle + 777
    any_cpu.board.schedule(change, lambda: any_cpu.board.set_input(9, 0))
    any_cpu.run(2000)
    # two cycles of synchroniser, the jump that is not taken, the set
    assert list(record.edges(2)) == [change + 3]


@pytest.mark.parametrize("bypass, cycles", [(0, 2), (1 << 9, 1)])
def test_wait_for_a_pin(bare, bypass, cycles):
    bare.program([wait(0, 0, 9), wait(1, 0, 9), set_(PINS, 1), jmp(ALWAYS, 3)])
    bare.machine(0, pins=[2])
    bare[PIO0 + 0x38] = bypass
    bare.function(9, 5)
    record = bare.board.record([2])
    bare.start(1)
    bare.run(500)
    change = bare.board.cycle
    bare.board.set_input(9, 1)
    bare.run(500)
    assert list(record.edges(2)) == [change + cycles + 1]


def test_a_switch_set_within_a_step_stops_the_machine_in_its_next_turn(bare):
    """A homing loop: step, then leave if the switch is closed; the switch closes within step 7."""
    bare.program(
        [
            set_(PINS, 1, 3),
            set_(PINS, 0, 3),
            jmp(PIN, 4),
            jmp(Y_DEC, 0),
            mov(ISR, Y),
            push(),
            jmp(ALWAYS, 6),
        ]
    )
    machine = bare.machine(0, pins=[2], jmp_pin=9)
    bare[PIO0 + TXF] = 100
    bare[machine + INSTR] = pull()
    bare[machine + INSTR] = mov(Y, OSR)
    bare.function(9, 5)
    bare.board.set_input(9, 0)
    seen = []

    def on_step(level, cycle):
        if level:
            seen.append(cycle)
            if len(seen) == 7:
                bare.board.set_input(9, 1)

    bare.board.on_edge(2, on_step)
    bare.start(1)
    bare.run(1000)
    assert len(seen) == 7
    assert bare[PIO0 + RXF] == 100 - 6
    assert {b - a for a, b in itertools.pairwise(seen)} == {10}


def test_tx_stall_is_remembered_until_it_is_cleared(bare):
    bare.program([pull(), jmp(ALWAYS, 0)])
    bare.machine(0)
    bare[PIO0 + TXF] = 1
    bare.start(1)
    bare.run(1)
    assert not bare[PIO0 + FDEBUG]
    bare.run(10)
    assert bare[PIO0 + FDEBUG] == 1 << 24
    bare[PIO0 + FDEBUG] = 1 << 24
    assert bare[PIO0 + FDEBUG] == 1 << 24, "it still stalls"
    bare[PIO0 + CTRL] = 0
    bare[PIO0 + FDEBUG] = 1 << 24
    assert not bare[PIO0 + FDEBUG]


@pytest.mark.parametrize("join, tx, rx", [(0, 4, 4), (1, 8, 0), (2, 0, 8)])
def test_fifo_depths(bare, join, tx, rx):
    bare.program([push(block=False), jmp(ALWAYS, 0)])
    machine = bare.machine(1, shift=0xC0000 | join << 30)
    for i in range(10):
        bare[PIO0 + TXF + 4] = i
    assert bare[PIO0 + FLEVEL] == tx << 8
    assert bare[PIO0 + FDEBUG] & 0xFFFFFF == 1 << 17
    assert bare[PIO0 + FSTAT] >> 17 & 1
    for _ in range(10):
        bare[machine + INSTR] = push(block=False)
    assert bare[PIO0 + FLEVEL] == tx << 8 | rx << 12
    assert bare[PIO0 + FDEBUG] >> 1 & 1, "a push into a full FIFO is noted"
    for i in range(rx):
        assert bare[PIO0 + RXF + 4] == 0, i
    assert bare[PIO0 + FSTAT] >> 9 & 1


@pytest.mark.parametrize("right", [False, True])
def test_out_shifts_bits_and_autopull_refills(bare, right):
    bare.program([out(PINS, 1), jmp(ALWAYS, 0)])
    bare.machine(0, pins=[2], end=0, shift=1 << 17 | int(right) << 19)
    words = [0x80000001, 0xF0F0AA55]
    for word in words:
        bare[PIO0 + TXF] = word
    levels = []
    record = bare.board.record([2])
    start = bare.board.cycle
    bare.start(1)
    bare.run(200)
    edges = record.edges(2)
    level, at = 0, 0
    # the first cycle only fills the empty register; then a bit a cycle without a gap
    for cycle in range(start + 2, start + 2 + 64):
        while at < len(edges) and abs(edges[at]) <= cycle:
            level, at = int(edges[at] > 0), at + 1
        levels.append(level)
    order = range(32) if right else range(31, -1, -1)
    assert levels == [word >> i & 1 for word in words for i in order]


def test_in_and_autopush(bare):
    bare.program([in_(X, 8), in_(Y, 8), jmp(ALWAYS, 0)])
    machine = bare.machine(0, end=1, shift=1 << 16 | 16 << 20)
    bare[machine + INSTR] = set_(X, 0x15)
    bare[machine + INSTR] = set_(Y, 0x0A)
    bare.start(1)
    bare.run(100)
    assert bare[PIO0 + FLEVEL] >> 4 & 15 == 4
    assert [bare[PIO0 + RXF] for _ in range(4)] == [0x150A] * 4
    bare[PIO0 + CTRL] = 0
    bare[machine + SHIFTCTRL] = 1 << 18
    bare[machine + INSTR] = in_(NULL, 32)
    bare[machine + INSTR] = in_(X, 8)
    bare[machine + INSTR] = push()
    assert bare[PIO0 + RXF] == 0x15 << 24


def test_side_set_takes_bits_of_the_delay(bare):
    # two side-set bits, one of them says whether to set: pin 3 follows, delays are three bits
    side = 1 << 30
    bare.program([set_(PINS, 1, 0x18 | 2), set_(PINS, 0, 2), jmp(ALWAYS, 0, 0x10 | 1)])
    machine = bare.machine(0, pins=[2])
    bare.machine(1, pins=[3])
    bare[machine + PINCTRL] = 2 | 2 << 5 | 3 << 10 | 1 << 20 | 1 << 26 | 2 << 29
    bare[machine + EXECCTRL] = side | 31 << 12
    record = bare.board.record([2, 3])
    bare.start(1)
    bare.run(100)
    data, side_edges = record.edges(2), record.edges(3)
    assert [abs(b) - abs(a) for a, b in itertools.pairwise(data)][:4] == [3, 5, 3, 5]
    assert side_edges[0] == data[0]
    assert -side_edges[1] - side_edges[0] == 6
    assert side_edges[2] - -side_edges[1] == 2


def test_flags_pass_between_machines(bare):
    bare.program([set_(PINS, 1, 9), irq(4), set_(PINS, 0), jmp(ALWAYS, 3)])
    bare.program([wait(1, 2, 4), set_(PINS, 1), irq(1, wait_for=True), set_(PINS, 0), jmp(ALWAYS, 12)], start=8)
    bare.machine(0, pins=[2])
    bare.machine(1, start=8, pins=[3])
    record = bare.board.record([2, 3])
    bare.start(3)
    bare.run(200)
    raised = record.edges(2)[0] + 10
    # seen in the next cycle, the pin in the one after it
    assert list(record.edges(3)) == [raised + 2]
    assert bare[PIO0 + IRQ_FLAGS] == 2, "flag 4 was taken, flag 1 is up"
    now = bare.board.cycle
    bare[PIO0 + IRQ_FLAGS] = 2
    bare.run(50)
    assert record.edges(3)[1] == -(now + 2)


def test_exec_restart_and_address(bare):
    bare.program([jmp(ALWAYS, 0)])
    machine = bare.machine(0, pins=[2])
    bare[machine + INSTR] = jmp(ALWAYS, 17)
    assert bare[machine + ADDR] == 17
    bare[machine + INSTR] = set_(PINS, 1)
    assert bare.board.level(2) == 1
    assert bare[machine + ADDR] == 17
    # an injected instruction that waits stays pending and shows as such
    bare[machine + INSTR] = pull()
    assert bare[machine + EXECCTRL] >> 31
    bare[PIO0 + TXF] = 0xE000  # set(pins, 0)
    bare.run(5)
    assert not bare[machine + EXECCTRL] >> 31
    bare[machine + INSTR] = out(7, 32)
    bare.run(5)
    assert bare.board.level(2) == 0, "out(exec) ran what was pulled"
    bare[machine + INSTR] = pull()
    bare[PIO0 + CTRL] = 0x10
    assert not bare[machine + EXECCTRL] >> 31, "restart drops it"


def test_osr_count_and_mov(bare):
    bare.program([jmp(NOT_OSRE, 4), jmp(ALWAYS, 1)])
    machine = bare.machine(0)
    bare[machine + INSTR] = jmp(NOT_OSRE, 9)
    assert bare[machine + ADDR] == 0, "empty after restart"
    bare[machine + INSTR] = set_(X, 21)
    bare[machine + INSTR] = mov(OSR, X)
    bare[machine + INSTR] = jmp(NOT_OSRE, 9)
    assert bare[machine + ADDR] == 9
    bare[machine + INSTR] = mov(ISR, OSR, invert=True)
    bare[machine + INSTR] = push()
    assert bare[PIO0 + RXF] == 0xFFFFFFFF - 21


def test_pin_overrides_act_on_what_pio_drives(bare):
    bare.program([jmp(ALWAYS, 0)])
    machine = bare.machine(0, pins=[2])
    record = bare.board.record([2])
    bare[machine + INSTR] = set_(PINS, 1)
    now = bare.board.cycle
    bare.run(10)
    bare[0x40014000 + 8 * 2 + 4] = 6 | 1 << 8
    assert bare.board.level(2) == 0
    bare[0x40014000 + 8 * 2 + 4] = 6 | 3 << 8
    assert bare.board.level(2) == 1
    bare[0x40014000 + 8 * 2 + 4] = 6 | 2 << 8
    assert bare.board.level(2) == 0
    assert [abs(e) for e in record.edges(2)] == [now, now + 10, now + 10, now + 10]


def test_second_block_is_its_own(bare):
    bare.program(SQUARE, pio=PIO1)
    bare.machine(2, end=1, pins=[5], pio=PIO1)
    edges = edges_of(bare, 5, 1000, start=4, pio=PIO1)
    assert len(edges) == 200
    assert not bare[PIO0 + CTRL]


def test_divider_change_while_running(bare):
    bare.program(SQUARE)
    machine = bare.machine(0, end=1, pins=[2])
    bare.start(1)
    bare.run(1000)
    bare[machine + CLKDIV] = 4 << 16
    record = bare.board.record([2])
    bare.run(2000)
    edges = record.edges(2)[1:]
    assert {abs(b) - abs(a) for a, b in itertools.pairwise(edges)} == {20}


def test_pindirs_and_letting_go(bare):
    bare.program([set_(PINDIRS, 0)])
    machine = bare.machine(0, pins=[2])
    bare[machine + INSTR] = set_(PINS, 1)
    assert bare.board.driven(2)
    bare[machine + INSTR] = set_(PINDIRS, 0)
    assert not bare.board.driven(2)
    assert bare.board.level(2) == 0, "the reset state's pull-down"
    bare.board.set_input(2, 1)
    assert bare.board.level(2) == 1


def test_two_boards_do_not_touch_each_other():
    one, other = Bare(), Bare()
    one.function(2, 5)
    one[0xD0000024] = one[0xD0000014] = 4
    assert one.board.level(2) == 1
    assert other.board.level(2) == 0
