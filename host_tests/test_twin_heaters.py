"""The heaters around the board in time, and the whole surroundings built from the board files; no emulator."""

import pytest

from tools.paths import board_names
from tools.twin.heaters import FilamentFlow, HeaterTwin
from tools.twin.pins import BenchPins
from tools.twin.plan import HeaterPlan, plan_for
from tools.twin.printer import Surroundings
from tools.twin.thermal import BED_120W, HOTEND_40W, ThermalModel

SECOND = 1_000_000_000
HEATER, SENSOR, FAN = 23, 27, 17


def bench(plant=HOTEND_40W, inverted=False, **more):
    pins = BenchPins()
    if inverted:
        pins.set_duty(HEATER, 1.0)
    return pins, HeaterTwin(pins, HeaterPlan("hotend", HEATER, inverted, SENSOR, plant, FAN), **more)


def test_duty_heats_as_the_model_alone_does():
    pins, heater = bench()
    pins.set_duty(HEATER, 0.5)
    pins.advance(30 * SECOND)
    model = ThermalModel(HOTEND_40W)
    model.step(30, 0.5)
    assert heater.temperature == pytest.approx(model.block, abs=0.01)
    assert heater.temperature > 50


def test_each_duty_counts_for_its_own_time():
    pins, heater = bench()
    model = ThermalModel(HOTEND_40W)
    for seconds, duty in ((3, 1.0), (5, 0.0), (2, 0.25), (4, 1.0), (7, 0.0)):
        pins.set_duty(HEATER, duty)
        pins.advance(seconds * SECOND)
        model.step(seconds, duty)
    assert heater.temperature == pytest.approx(model.block, abs=0.01)
    assert heater.on_energy_ns == pytest.approx((3 + 0.5 + 4) * SECOND)


def test_inverted_heater_is_off_while_its_pin_is_high():
    pins, heater = bench(inverted=True)
    pins.advance(10 * SECOND)
    assert heater.temperature == pytest.approx(22.0) and heater.duty == 0.0
    pins.set_duty(HEATER, 0.0)
    pins.advance(10 * SECOND)
    assert heater.temperature > 35 and heater.duty == 1.0


def test_conversions_follow_the_sensor():
    pins, heater = bench()
    cold = pins.convert(SENSOR)
    pins.set_duty(HEATER, 1.0)
    pins.advance(60 * SECOND)
    hot = pins.convert(SENSOR)
    ohm = 4700 * hot / (4095 - hot)
    assert cold > 3800 and hot < 2400
    assert 150 < heater.model.sensor < heater.temperature
    assert ohm == pytest.approx(HOTEND_40W.pullup_ohm * hot / (4095 - hot))


@pytest.mark.parametrize(("fault", "low", "high"), [("open", 4080, 4095), ("short", 0, 15)])
def test_sensor_faults(fault, low, high):
    pins, heater = bench()
    heater.break_part(fault)
    assert low <= pins.convert(SENSOR) <= high
    heater.break_part(None)
    assert 3800 < pins.convert(SENSOR) < 4050


def test_stuck_heater_heats_with_its_pin_off():
    pins, heater = bench()
    heater.break_part("stuck_on")
    pins.advance(20 * SECOND)
    assert heater.temperature > 60 and heater.duty == 0.0


def test_fan_and_filament_take_heat_away():
    plain_pins, plain = bench()
    fan_pins, with_fan = bench()
    melt_pins, melting = bench(melting=lambda since, until: 10.0)
    with_fan.set_fan(0, 1.0)
    for pins in (plain_pins, fan_pins, melt_pins):
        pins.set_duty(HEATER, 0.4)
        for _ in range(300):
            pins.advance(SECOND)
            pins.convert(SENSOR)
    assert with_fan.temperature < plain.temperature - 20
    assert melting.temperature < plain.temperature - 20


def test_speed_factor_and_history():
    pins, heater = bench(plant=BED_120W, speed=10.0)
    pins.set_duty(HEATER, 1.0)
    for _ in range(50):
        pins.advance(SECOND // 10)
        pins.convert(SENSOR)
    model = ThermalModel(BED_120W)
    model.step(50, 1.0)
    assert heater.temperature == pytest.approx(model.block, abs=0.05)
    times, block, _, duty = heater.history.arrays()
    assert len(times) == 51 and times[-1] == pytest.approx(5.0)
    assert block[-1] == pytest.approx(heater.temperature) and duty[-1] == 1.0


def test_history_has_the_mean_duty():
    pins, heater = bench()
    for _ in range(4):
        pins.set_duty(HEATER, 1.0)
        pins.advance(SECOND // 40)
        pins.set_duty(HEATER, 0.0)
        pins.advance(SECOND // 40)
        heater.catch_up()
    assert heater.history.duty[1:] == pytest.approx([0.5, 0.5])


def test_filament_flow_out_of_motor_steps():
    position = [0]
    flow = FilamentFlow(lambda: position[0], 100.0)
    position[0] = 200  # 2 mm of 1.75 mm filament in half a second
    assert flow(0, SECOND // 2) == pytest.approx(2 * 2.405 / 0.5, rel=1e-3)
    position[0] = 100
    assert flow(0, SECOND) == 0.0


@pytest.mark.parametrize("board", board_names())
def test_surroundings_of_each_board(board):
    pins = BenchPins()
    plan = plan_for(board)
    printer = Surroundings(pins, plan)
    for heater in plan.heaters:
        assert 3700 < pins.convert(heater.sensor_pin) < 4080  # room temperature
    motor = plan.motors[0]
    if motor.enable is not None:
        pins.drive(motor.enable, motor.enable_level)
    pins.drive(motor.direction, 1 - motor.positive_level)
    pins.advance(2000)
    start = plan.axis("x").start
    for _ in range(round(80 * start)):
        pins.drive(motor.step, 1)
        pins.advance(2000)
        pins.drive(motor.step, 0)
        pins.advance(2000)
    x = plan.axis("x")
    assert pins.inputs[x.switch_pin] == x.closed_level
    shot = printer.snapshot()
    assert shot.position["x"] == pytest.approx(0.0, abs=1e-9)
    assert shot.steps["x"] == -round(80 * start) == -shot.total_steps["x"]
    assert sum(shot.violations["x"].values()) == 0
    pins.set_duty(plan.fans["part"][0], 1.0)
    assert printer.fan("part") == 1.0
    for heater in plan.heaters:
        pins.set_duty(heater.pin, 1.0)
    pins.advance(20 * SECOND)
    shot = printer.snapshot()
    assert shot.temperatures["hotend"] > 45 and shot.temperatures["bed"] > 23


def test_unknown_names_say_what_there_is():
    with pytest.raises(ValueError, match=r"no board 'none'; there are: .*skr_pico"):
        plan_for("none")
    printer = Surroundings(BenchPins(), plan_for("skr_pico"))
    with pytest.raises(KeyError, match="no heater 'chamber' on this printer; it has hotend, bed"):
        printer.heater("chamber")
    with pytest.raises(KeyError, match="no fan 'left'"):
        printer.fan("left")
