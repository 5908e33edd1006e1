"""Board files: those that ship pass, and what is wrong in one is named with its place, value and remedy."""

import copy
import sys

import pytest

from adder.board import BoardError, checked, load

# Pins of the SKR Pico V1.0, as its maker documents them.
SKR_PICO = {
    "X": (11, 10, True, 12, 4, 0),
    "Y": (6, 5, True, 7, 3, 2),
    "Z": (19, 28, False, 2, 25, 1),
    "E": (14, 13, True, 15, None, 3),
}


def data(name="skr_pico"):
    module = __import__("boards." + name, fromlist=["BOARD"])
    return copy.deepcopy(module.BOARD)


def text_of(board):
    with pytest.raises(BoardError) as caught:
        checked(board)
    text = str(caught.value)
    assert "\n" not in text and text.isascii()
    return text


def test_skr_pico_pins():
    board = load("skr_pico")
    for letter, expected in SKR_PICO.items():
        axis = board.axis(letter)
        assert (axis.step, axis.dir, axis.invert_dir, axis.enable, axis.endstop, axis.tmc_address) == expected
        assert axis.invert_enable and axis.pulse_high_ns == 100
    assert (board.tmc_uart.tx, board.tmc_uart.rx) == (8, 9)
    heaters = {part.name: (part.pin, part.sensor_pin, part.pullup_ohm) for part in board.heaters}
    assert heaters == {"hotend": (23, 27, 4700), "bed": (21, 26, 4700)}
    assert {part.name: part.pin for part in board.fans} == {"part": 17, "hotend": 18, "board": 20}
    assert (board.neopixel.pin, board.probe.pin, board.servo.pin, board.runout.pin) == (24, 22, 29, 16)


def test_pico_uses_slow_drivers():
    board = load("pico")
    assert [axis.letter for axis in board.axes] == list("XYZE")
    assert all((axis.pulse_high_ns, axis.dir_setup_ns) == (1000, 200) for axis in board.axes)
    assert board.tmc_uart is None
    assert not set(board.pins) & {23, 24, 25, 29}, "the Pico uses these itself"


@pytest.mark.parametrize("name", ["skr_pico", "pico"])
def test_loading_leaves_nothing_behind(name):
    load(name)
    assert "boards." + name not in sys.modules


def test_missing_board():
    with pytest.raises(BoardError, match=r"no boards/nonsense\.py"):
        load("nonsense")


def change(path, value):
    """A copy of the SKR Pico with one key changed; `...` takes the key out."""
    board = data()
    group = board
    for key in path[:-1]:
        group = group[key]
    if value is ...:
        del group[path[-1]]
    else:
        group[path[-1]] = value
    return board


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("axes", "Y", "step"), 11, ["pin 11", "twice", "axis X step", "axis Y step"]),
        (("heaters", "bed", "pin"), 17, ["pin 17", "twice", "part fan", "bed heater"]),
        (("axes", "X", "endstop"), 30, ["axis X endstop", "30", "0-29"]),
        (("axes", "X", "endstop"), -1, ["axis X endstop", "-1"]),
        (("axes", "X", "step"), "GP11", ["axis X step", "'GP11'"]),
        (("axes", "X", "step"), True, ["axis X step", "True"]),
        (("axes", "X", "step"), None, ["axis X", "'step' is missing"]),
        (("heaters", "hotend", "sensor_pin"), 1, ["sensor_pin", "pin 1", "26-29"]),
        (("axes", "Z", "dir"), ..., ["axis Z", "'dir' is missing"]),
        (("axes", "Z"), ..., ["axis Z is missing"]),
        (("axes", "W"), {}, ["unknown axis 'W'", "X, Y, Z, E"]),
        (("axes", "X", "stepp"), 1, ["axis X", "unknown key 'stepp'", "step"]),
        (("heater",), {}, ["unknown key 'heater'"]),
        (("chip",), "stm32", ["chip 'stm32' is unknown", "rp2040"]),
        (("name",), ..., ["'name' is missing"]),
        (("heaters", "hotend"), ..., ["hotend", "missing"]),
        (("axes", "X", "driver"), "tmc9999", ["axis X", "tmc9999", "a4988"]),
        (("axes", "X", "tmc_address"), 2, ["tmc_address 2", "axis X", "axis Y"]),
        (("axes", "X", "tmc_address"), 4, ["tmc_address", "4", "0 to 3"]),
        (("tmc_uart",), ..., ["tmc_address", "no 'tmc_uart'"]),
        (("tmc_uart", "tx"), 0, ["UART 1", "tx 0", "4, 8, 20, 24"]),
        (("axes", "X", "invert_dir"), 1, ["invert_dir", "True or False"]),
        (("axes", "X", "endstop_pull"), "yes", ["endstop_pull", "'yes'", "up, down, none"]),
        (("heaters", "bed", "thermistor"), "NTC", ["bed heater", "'NTC' is unknown", "Generic 3950"]),
        (("heaters", "bed", "thermistor"), ("beta", 100000, 39), ["bed heater", "1000 to 10000"]),
        (("heaters", "bed", "pullup_ohm"), 0, ["pullup_ohm", "0", "100 to"]),
        (("heaters", "bed", "max_c"), 1000, ["max_c", "1000", "500"]),
        (("heaters", "bed", "hz"), 1, ["hz", "1", "8 to"]),
        (("fans", "board", "hz"), 100, ["bed heater", "board fan", "PWM slice", "10 Hz", "100 Hz"]),
        (("heaters",), [], ["heater", "list", "dict"]),
        (("fans", "part"), 17, ["part fan", "int", "dict"]),
    ],
)
def test_what_is_wrong_is_named(path, value, words):
    text = text_of(change(path, value))
    for word in words:
        assert word in text, text


def test_two_users_of_one_pwm_output():
    board = data()
    board["runout"] = None
    board["fans"]["hotend"]["pin"] = 1  # the same slice 0 B as the part fan's pin 17
    text = text_of(board)
    assert "one PWM output" in text and "part fan" in text and "hotend fan" in text


def test_reserved_pin():
    board = data("pico")
    board["probe"]["pin"] = 25
    assert "pin 25" in text_of(board)


def test_not_a_dict():
    assert "should be a dict" in text_of([])


def test_timing_can_be_set_per_axis():
    board = data()
    board["axes"]["E"]["driver"] = "drv8825"
    board["axes"]["E"]["pulse_low_ns"] = 5000
    axis = checked(board).axis("E")
    assert (axis.pulse_high_ns, axis.pulse_low_ns, axis.dir_setup_ns) == (2000, 5000, 650)
