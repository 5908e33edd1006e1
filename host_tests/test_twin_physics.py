"""The printer around the board, driven by hand: mechanics, switches, drivers' timing. No emulator."""

import numpy as np
import pytest

from tools.twin.mechanics import AxisPlan, Mechanics, MotorPlan
from tools.twin.pins import BenchPins
from tools.twin.step_record import DriverTiming, Recorder

X_SWITCH, Y_SWITCH = 40, 41


def motor(name, number, **more):
    return MotorPlan(name, step=3 * number, direction=3 * number + 1, enable=3 * number + 2, **more)


def machine(kinematics="cartesian", **x_axis):
    pins = BenchPins()
    plan = {"low": -1.0, "high": 20.0, "start": 5.0, "switch": 0.0, "switch_pin": X_SWITCH, "closed_level": 0} | x_axis
    axes = [
        AxisPlan("x", 80, **plan),
        AxisPlan("y", 80, low=-1, high=20, start=3.0, switch=0.0, switch_pin=Y_SWITCH),
    ]
    motors = [motor("x", 0), motor("y", 1)]
    return pins, Mechanics(pins, axes, motors, kinematics), Recorder(pins, motors)


def make_steps(pins, name, count, half_ns=1000):
    """Step pulses by hand, the direction by the sign of `count`."""
    base = {"x": 0, "y": 3}[name]
    pins.drive(base + 1, 1 if count > 0 else 0)
    pins.advance(half_ns)
    for _ in range(abs(count)):
        pins.drive(base, 1)
        pins.advance(half_ns)
        pins.drive(base, 0)
        pins.advance(half_ns)


def test_steps_move_the_carriage():
    pins, mechanics, recorder = machine()
    make_steps(pins, "x", 160)
    make_steps(pins, "y", -80)
    assert mechanics.position_mm() == {"x": 7.0, "y": 2.0}
    assert recorder.steps("x").net == 160 and recorder.steps("y").net == -80
    assert mechanics.lost_steps() == {"x": 0, "y": 0}


def test_switch_changes_on_exactly_its_step():
    pins, _, recorder = machine()
    assert pins.inputs[X_SWITCH] == 1
    make_steps(pins, "x", -410)
    make_steps(pins, "x", 30)
    changes = [(t, level) for t, pin, level in pins.input_log if pin == X_SWITCH]
    assert [level for _, level in changes] == [1, 0, 1]
    steps = recorder.steps("x")
    position = 400 + np.cumsum(steps.signs)
    closing, opening = changes[1][0], changes[2][0]
    assert position[steps.times == closing].tolist() == [0]
    assert position[steps.times == opening].tolist() == [1]


def test_switch_at_the_far_end():
    pins, mechanics, _ = machine(switch=15.0, switch_side=1)
    make_steps(pins, "x", 799)
    assert pins.inputs[X_SWITCH] == 1
    make_steps(pins, "x", 1)
    assert pins.inputs[X_SWITCH] == 0
    make_steps(pins, "x", -1)
    assert pins.inputs[X_SWITCH] == 1
    assert mechanics.position_mm()["x"] == pytest.approx(15 - 1 / 80)


@pytest.mark.parametrize("sign", [-1, 1])
def test_steps_against_an_end_are_lost(sign):
    pins, mechanics, recorder = machine()
    to_end = 480 if sign < 0 else 1200
    make_steps(pins, "x", sign * (to_end + 55))
    assert mechanics.position_mm()["x"] == (-1.0 if sign < 0 else 20.0)
    assert mechanics.lost_steps()["x"] == 55
    make_steps(pins, "x", -sign * 80)
    assert mechanics.position_mm()["x"] == (0.0 if sign < 0 else 19.0)
    assert mechanics.lost_steps()["x"] == 55
    assert recorder.steps("x").net == sign * (to_end + 55 - 80)


def test_steps_with_the_driver_off_are_not_made():
    pins, mechanics, recorder = machine()
    pins.drive(2, 1)
    make_steps(pins, "x", 50)
    pins.drive(2, 0)
    make_steps(pins, "x", 30)
    assert mechanics.position_mm()["x"] == pytest.approx(5 + 30 / 80)
    steps = recorder.steps("x")
    assert (steps.net, steps.total, steps.ignored) == (80, 80, 50)


def test_inverted_direction():
    pins = BenchPins()
    plan = motor("x", 0, positive_level=0)
    mechanics = Mechanics(pins, [AxisPlan("x", 80, start=5.0)], [plan])
    recorder = Recorder(pins, [plan])
    make_steps(pins, "x", 8)
    assert mechanics.position_mm()["x"] == pytest.approx(4.9)
    assert recorder.steps("x").net == -8


def test_corexy_motors_move_both_axes():
    pins, mechanics, _ = machine("corexy")
    make_steps(pins, "x", 81)
    make_steps(pins, "y", 40)
    position = mechanics.position_mm()
    assert position["x"] == pytest.approx(5 + 121 / 160)
    assert position["y"] == pytest.approx(3 + 41 / 160)


def test_corexy_switch_is_exact_to_half_a_step():
    pins, mechanics, recorder = machine("corexy")
    make_steps(pins, "x", -333)
    make_steps(pins, "y", -333)  # x: 800 - 666 = 134 half steps from the switch
    make_steps(pins, "y", -200)
    changes = [(t, level) for t, pin, level in pins.input_log if pin == X_SWITCH]
    assert [level for _, level in changes] == [1, 0]
    b = recorder.steps("y")
    made = np.searchsorted(b.times, changes[1][0], side="right")
    assert made == 333 + 134
    assert mechanics.position_mm()["x"] == pytest.approx(-66 / 160)


def test_corexy_end_stops_the_motor_for_both_axes():
    pins, mechanics, _ = machine("corexy")
    make_steps(pins, "x", -2000)  # towards both low ends: Y meets its own first, after 640 steps
    assert mechanics.position_mm()["y"] == -1.0
    assert mechanics.position_mm()["x"] == 5 - 640 / 160
    assert mechanics.lost_steps() == {"x": 0, "y": 2000 - 640}


def test_random_walk_agrees_with_stepwise_reckoning():
    rng = np.random.default_rng(7)
    for kinematics in ("cartesian", "corexy"):
        pins, mechanics, _ = machine(kinematics, high=6.0)
        x, y, lost, switch = 800, 480, 0, []  # half steps
        for _ in range(300):
            name, count = ("x", "y")[rng.integers(2)], int(rng.integers(-400, 401))
            make_steps(pins, name, count)
            sign = 1 if count > 0 else -1
            for _ in range(abs(count)):
                if kinematics == "cartesian":
                    dx, dy = (2 * sign, 0) if name == "x" else (0, 2 * sign)
                else:
                    dx, dy = sign, sign if name == "x" else -sign
                if -160 <= x + dx <= 960 and -160 <= y + dy <= 3200:
                    x, y = x + dx, y + dy
                else:
                    lost += 1
                if not switch or switch[-1] != (x <= 0):
                    switch.append(x <= 0)
        position = mechanics.position_mm()
        assert (position["x"] * 160, position["y"] * 160) == (x, y)
        assert sum(mechanics.lost_steps().values()) == lost > 0
        seen = [level == 0 for _, pin, level in pins.input_log if pin == X_SWITCH]
        assert seen == switch and len(seen) > 2


def test_stuck_switches():
    pins, mechanics, _ = machine()
    mechanics.stick_switch("x", closed=False)
    make_steps(pins, "x", -450)
    assert pins.inputs[X_SWITCH] == 1
    mechanics.stick_switch("x", None)
    assert pins.inputs[X_SWITCH] == 0
    mechanics.stick_switch("x", closed=True)
    make_steps(pins, "x", 450)
    assert pins.inputs[X_SWITCH] == 0


def test_wrong_plans_are_refused():
    with pytest.raises(ValueError, match=r"outside its ends -1\.\.20 mm"):
        machine(start=25.0)
    with pytest.raises(ValueError, match="must be cartesian or corexy"):
        machine("delta")
    _, mechanics, recorder = machine()
    with pytest.raises(ValueError, match="cannot be at 30 mm"):
        mechanics.place("x", 30)
    with pytest.raises(KeyError, match="it has x, y"):
        recorder.steps("z")


def test_place_by_hand():
    pins, mechanics, _ = machine()
    mechanics.place("x", -0.5)
    assert pins.inputs[X_SWITCH] == 0
    make_steps(pins, "x", 41)
    assert pins.inputs[X_SWITCH] == 1


# Drivers


def test_a_driver_within_its_data_sheet():
    pins, _, recorder = machine()
    make_steps(pins, "x", 20)
    make_steps(pins, "x", -20)
    assert recorder.steps("x").violations == {
        "step_high": 0,
        "step_low": 0,
        "direction_setup": 0,
        "direction_hold": 0,
    }


@pytest.mark.parametrize(
    ("high", "low", "setup", "hold", "wrong"),
    [
        (99, 100, 20, 20, "step_high"),
        (100, 99, 20, 20, "step_low"),
        (100, 100, 19, 20, "direction_setup"),
        (100, 100, 20, 119, "direction_hold"),
    ],
)
def test_each_time_of_the_data_sheet_counts(high, low, setup, hold, wrong):
    pins = BenchPins()
    plan = motor("x", 0)
    timing = DriverTiming(step_high=100, step_low=100, direction_setup=20, direction_hold=120)
    recorder = Recorder(pins, [plan], {"x": timing})
    pins.advance(1000)
    for level in (1, 0):
        pins.drive(1, level)
        pins.advance(setup)
        for _ in range(2):
            pins.drive(0, 1)
            pins.advance(high)
            pins.drive(0, 0)
            pins.advance(low)
        pins.advance(max(hold - high - low, 0) if wrong != "direction_hold" else 0)
    broken = {name for name, count in recorder.steps("x").violations.items() if count}
    if wrong == "direction_hold":
        timing.direction_hold = 201
        recorder = Recorder(pins, [plan], {"x": timing})
        broken = {name for name, count in recorder.steps("x").violations.items() if count}
    assert broken == {wrong}
