"""The ADC of the emulated board: each channel its own value, at the time of sampling; round robin; speed."""

import pytest

from host_tests.board.bare import DMA, RAM

ADC = 0x4004C000
CS, RESULT, FCS, FIFO, DIV = 0, 4, 8, 12, 16
EN, START_ONCE, START_MANY, READY = 1, 4, 8, 256


def test_every_channel_through_micropython(micropython):
    board = micropython.board
    board.adc.update({0: 100, 1: 1500, 2: 4095, 3: 0})
    out = micropython.exec("from machine import ADC\nprint([ADC(26 + i).read_u16() >> 4 for i in range(4)])")
    assert out == "[100, 1500, 4095, 0]\n"
    assert micropython.exec("print(ADC(4).read_u16() >> 4)") == "876\n"


def test_a_function_is_asked_at_the_time_of_sampling(micropython):
    board = micropython.board
    asked = []

    def value(seconds):
        asked.append(seconds)
        return int(seconds * 1000) % 4096

    board.adc[1] = value
    first, second = eval(
        micropython.exec(
            "from machine import ADC\nimport time\na = ADC(27)\nx = a.read_u16() >> 4\ntime.sleep_ms(500)\n"
            "print((x, a.read_u16() >> 4))"
        )
    )
    assert second - first == pytest.approx(500, abs=3)
    assert len(asked) == 2


def test_a_conversion_takes_two_microseconds(bare):
    bare.board.adc[2] = 1234
    bare[ADC + CS] = EN | 2 << 12
    assert bare[ADC + CS] & READY
    bare[ADC + CS] = EN | 2 << 12 | START_ONCE
    bare.run(249)
    assert not bare[ADC + CS] & READY
    bare.run(1)
    assert bare[ADC + CS] & READY
    assert bare[ADC + RESULT] == 1234


@pytest.mark.parametrize("mask, order", [(0b10110, (1, 2, 4)), (0b11111, (0, 1, 2, 3, 4)), (0b01000, (3,))])
def test_round_robin_visits_the_chosen_channels_in_order(bare, mask, order):
    bare.board.adc.update({i: 1000 + i for i in range(5)})
    bare[ADC + FCS] = 1
    bare[ADC + CS] = EN | order[0] << 12 | mask << 16 | START_MANY
    seen = []
    for _ in range(7):
        bare.run(250)
        assert bare[ADC + FCS] >> 16 & 15 == 1
        seen.append(bare[ADC + FIFO] - 1000)
    assert seen == [order[i % len(order)] for i in range(7)]


def test_paced_sampling_by_dma(bare):
    """One sample per 100 us into memory, without the CPU."""
    values = iter(range(2000))
    bare.board.adc[0] = lambda seconds: next(values)
    bare[DMA + 0x00], bare[DMA + 0x04], bare[DMA + 0x08] = ADC + FIFO, RAM + 0x8000, 50
    bare[ADC + FCS] = 1 | 8 | 1 << 24
    bare[ADC + DIV] = (48 * 100 - 1) << 8
    bare[DMA + 0x0C] = 1 | 1 << 2 | 32 | 36 << 15
    bare[ADC + CS] = EN | START_MANY
    bare.run(125 * 100 * 10 + 400)
    got = [bare[RAM + 0x8000 + 4 * i] for i in range(5)]
    assert got == [2 * i | (2 * i + 1) << 16 for i in range(5)]
    assert bare[DMA + 0x08] == 50 - 11
