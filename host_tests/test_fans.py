"""Fans: part fan in step with moves, heat-break fan by temperature, board fan by activity."""

import pytest
from heat_bench import Bench, settings_of

from adder.board import checked
from adder.errors import Refused
from adder.fans import SETTINGS, Fans


class Pin:
    def __init__(self):
        self.value = None

    def duty(self, value):
        assert 0 <= value <= 65535
        self.value = value

    def set(self, value):
        assert value in (0, 1)
        self.value = value


class Motion:
    """Keeps what M106 asked for until `arrive` is called."""

    def __init__(self):
        self.waiting = []
        self.on = 0

    def at_move(self, function, value):
        self.waiting.append((function, value))

    def arrive(self):
        for function, value in self.waiting:
            function(value)
        self.waiting = []

    @property
    def enabled(self):
        return self.on


class FanBench:
    def __init__(self, board=None, **settings):
        self.heat_bench = Bench()
        self.pins = {}
        self.motion = Motion()
        self.settings = settings_of(SETTINGS, settings)
        self.fans = Fans(board or self.heat_bench.board, self, self.settings, self.heat_bench.heat)
        self.fans.start(self.motion)

    def pwm(self, pin, hz, invert):
        self.pins[pin] = Pin()
        return self.pins[pin]

    def output(self, pin, invert, on):
        self.pins[pin] = Pin()
        self.pins[pin].set(on)
        return self.pins[pin]

    def timer(self, period_ms, callback):
        assert period_ms == 100
        return callback

    def run(self, seconds):
        for _ in range(round(seconds * 10)):
            self.heat_bench.run(0.1)
            self.fans.check()


def test_part_fan_waits_for_the_moves():
    bench = FanBench()
    pin = bench.pins[17]
    assert pin.value == 0
    bench.fans.request(0, 128)
    bench.run(1)
    assert pin.value == 0, "the moves before it are still being made"
    bench.motion.arrive()
    assert pin.value == 65535, "kick"
    bench.run(0.3)
    assert pin.value == 128 * 257
    bench.fans.request(0, 255)
    bench.fans.request(0, 0)
    bench.motion.arrive()
    assert pin.value == 0


def test_minimum_duty_and_no_kick_while_turning():
    bench = FanBench(fan_min_duty=55, fan_kick_time=1000)
    pin = bench.pins[17]
    bench.fans.part.set(1)
    bench.run(0.9)
    assert pin.value == 65535
    bench.run(0.2)
    assert pin.value == 55 * 257
    bench.fans.part.set(255)
    assert pin.value == 65535
    bench.fans.part.set(51)
    assert pin.value == 95 * 257, "no second kick"


def test_refusals():
    bench = FanBench()
    for index, speed, word in ((1, 0, "P1"), (0, 256, "S256"), (0, -1, "S-1")):
        with pytest.raises(Refused, match=word):
            bench.fans.request(index, speed)
    assert not bench.motion.waiting


def test_board_without_fans():
    module = __import__("boards.skr_pico", fromlist=["BOARD"])
    bench = FanBench(checked(dict(module.BOARD, fans={})))
    bench.run(1)
    bench.fans.off()
    with pytest.raises(Refused, match="no part fan"):
        bench.fans.request(0, 1)


def test_heat_break_fan_follows_the_temperature():
    bench = FanBench()
    pin = bench.pins[18]
    bench.run(1)
    assert pin.value == 0
    bench.heat_bench.hotend.set_target(10000)
    turned_on = None
    for _ in range(400):
        bench.run(0.1)
        if pin.value and turned_on is None:
            turned_on = bench.heat_bench.hotend.temperature_cc
    assert 5000 <= turned_on < 5100
    bench.heat_bench.hotend.set_target(0)
    while pin.value:
        bench.run(1)
    assert 4300 < bench.heat_bench.hotend.temperature_cc < 4500


def test_heat_break_fan_runs_after_a_fault():
    bench = FanBench()
    bench.heat_bench.heat.fault = "something"
    bench.run(0.1)
    assert bench.pins[18].value == 65535


def test_board_fan_runs_on_for_a_while():
    bench = FanBench(fan_board_time=5)
    pin = bench.pins[20]
    bench.run(1)
    assert pin.value == 0
    bench.motion.on = 1
    bench.run(1)
    assert pin.value == 1
    bench.motion.on = 0
    bench.run(4)
    assert pin.value == 1
    bench.run(2)
    assert pin.value == 0
    bench.heat_bench.bed.set_target(5000)
    bench.run(1)
    assert pin.value == 1
