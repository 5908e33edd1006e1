"""PIO of the emulated board: random programs run the same with skipped loops and waits as tick by tick.

The emulator does not run a tick of a machine that waits or counts in place. Here it is told to run every
tick, and must give the same edges, FIFO contents and registers, with words pushed, instructions injected,
machines stopped and inputs changed at random times.
"""

import random

import pytest

from host_tests.board.bare import (
    ADDR,
    CTRL,
    FLEVEL,
    INSTR,
    IRQ,
    ISR,
    MACHINE,
    OSR,
    PIN,
    PINS,
    PIO0,
    RXF,
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

OUTPUTS, INPUTS = range(2, 6), range(8, 12)


def random_program(dice):
    """32 instructions in which loops in place and waits are frequent."""

    def one(here):
        delay = dice.choice((0, 0, 0, 1, 3))
        kinds = (
            (4, lambda: jmp(dice.choice((X_DEC, Y_DEC)), here, delay)),
            (2, lambda: jmp(PIN, here, delay)),
            (2, lambda: jmp(dice.randrange(1, 8), dice.randrange(32), delay)),
            (1, lambda: wait(dice.randrange(2), 0, dice.choice(INPUTS), delay)),
            (1, lambda: wait(dice.randrange(2), 2, dice.choice((0, 1, 0x10, 0x11)), delay)),
            (1, lambda: in_(dice.choice((0, 1, 2, 3, 6, 7)), dice.randrange(32), delay)),
            (2, lambda: out(dice.choice((0, 1, 2, 3, 6)), dice.randrange(32), delay)),
            (1, lambda: push(dice.random() < 0.2, delay)),
            (1, lambda: pull(dice.random() < 0.2, delay)),
            (2, lambda: mov(dice.choice((PINS, X, Y, ISR, OSR)), dice.choice((0, 1, 2, 3, 5, 6, 7)), delay)),
            (1, lambda: irq(dice.choice((0, 1, 0x10, 0x11)), dice.random() < 0.1, dice.random() < 0.4, delay)),
            (5, lambda: set_(PINS, dice.randrange(2), delay)),
            (3, lambda: set_(dice.choice((X, Y)), dice.randrange(32), delay)),
        )
        return dice.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    return [one(i) for i in range(32)]


def run(seed, eager):
    """Everything that can be seen of a random run."""
    dice = random.Random(seed)
    bare = Bare("busy")
    bare.chip.eager(int(eager))
    for pin in INPUTS:
        bare.function(pin, 5)
    bare.program(random_program(dice))
    for i in range(4):
        automatic = dice.choice((0, 0, 1 << 16, 1 << 17, 3 << 16))
        shift = automatic | dice.randrange(4) << 18 | dice.randrange(32) << 20 | dice.randrange(32) << 25
        divider = dice.choice((1, 1, 2, 3.5, 10, 1 + 1 / 256))
        pins, look_at = [OUTPUTS[i]], dice.choice(INPUTS)
        bare.machine(i, start=dice.randrange(4), pins=pins, divider=divider, shift=shift, jmp_pin=look_at)
    record = bare.board.record(OUTPUTS)
    bare.start(15)
    seen = []
    for _ in range(150):
        bare.run(dice.choice((1, 2, 3, 10, 30, 200, 1000)))
        i = dice.randrange(4)
        action = dice.randrange(9)
        if action < 2:
            bare[PIO0 + TXF + 4 * i] = dice.choice((dice.getrandbits(32), dice.randrange(100)))
        elif action == 2:
            seen.append(bare[PIO0 + RXF + 4 * i])
        elif action < 5:
            bare.board.set_input(dice.choice(INPUTS), dice.randrange(2))
        elif action == 5:
            bare[PIO0 + MACHINE + 0x18 * i + INSTR] = dice.choice((mov(ISR, X), push(False), set_(Y, 9)))
        elif action == 6:
            bare[PIO0 + CTRL] = dice.choice((15, 15, 14, 7, 15 | 0x20, 15 | 0x400))
        elif action == 7:
            bare[PIO0 + IRQ] = dice.randrange(16)
        else:
            seen.append(bare[PIO0 + FLEVEL])
    seen += [bare[PIO0 + MACHINE + 0x18 * i + ADDR] for i in range(4)]
    edges = [list(record.edges(pin)) for pin in OUTPUTS]
    bare.board.close()
    return seen, edges


@pytest.mark.parametrize("block", range(8))
def test_skipping_changes_nothing(block):
    moved = 0
    for seed in range(block * 40, block * 40 + 40):
        lazy, eager = run(seed, False), run(seed, True)
        assert lazy == eager, seed
        moved += sum(len(edges) > 3 for edges in lazy[1])
    assert moved > 10
