"""Life of an emulated board object: what it keeps after `close`, and the model of the flash cache."""

import pytest

from host_tests.board.bare import Bare
from tools.twin.emulator import Board
from tools.twin.repl import Repl

LOOP = """
import time
def work():
    t = time.ticks_us()
    for i in range(300):
        str(i) + repr([i, {i: i}])
    return time.ticks_us() - t
print(work())
"""


def test_records_motors_and_flash_outlive_the_chip():
    bare = Bare()
    record, motor = bare.board.record([2]), bare.board.add_motor(2, 3)
    bare.function(2, 5)
    bare[0xD0000024] = 4
    for _ in range(5):
        bare.run(10)
        bare[0xD000001C] = 4
    flash = bytes(bare.board.flash[:4])
    bare.board.close()
    bare.board.close()
    assert len(record.edges(2)) == 5
    assert motor.steps == 3
    assert bytes(bare.board.flash[:4]) == flash
    with pytest.raises(RuntimeError, match="no power"):
        bare.board.run(1)


def test_two_recorders_of_a_pin_get_the_same_edges(bare):
    bare.function(2, 5)
    bare[0xD0000024] = 4
    first = bare.board.record([2])
    bare[0xD000001C] = 4
    second = bare.board.record([2, 3])
    bare.run(10)
    bare[0xD000001C] = 4
    assert len(second.edges(2)) == 1
    assert len(first.edges(2)) == 2
    first.clear()
    assert not first.edges(2)
    assert len(second.edges(2)) == 1


def test_cache_model_makes_code_in_flash_slower_and_nothing_else(plain_image):
    took = []
    for cost in (0, 40):
        with Board(plain_image, xip_miss=cost) as board:
            took.append(int(Repl(board).exec(LOOP)))
            assert bool(board.chip.xip_misses()) == bool(cost)
    assert 1.02 < took[1] / took[0] < 2
