"""After any program every motor has made exactly the steps that an independent model asks for."""

import pytest

from host_tests.board.printers import errors, printer, run_program, settings_flash
from host_tests.board.programs import random_program, wave
from tools import paths
from tools.twin.print_job import PrintJob

KINDS = [("skr_pico", "cartesian"), ("pico", "cartesian"), ("skr_pico", "corexy")]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("board, kinematics", KINDS)
def test_random_programs(board, kinematics, seed):
    with printer(board, kinematics) as twin:
        run_program(twin, random_program(seed + 100 * KINDS.index((board, kinematics)), 120))
        assert twin.steps("x").total > 1000, "hardly moved"
        figures = twin.command("M122")[0]
        assert "underruns:0 " in figures, figures


@pytest.mark.parametrize("length", [0.1, 0.3])
def test_many_short_moves(length):
    with printer(start={"x": 50, "y": 100, "z": 1}) as twin:
        run_program(twin, wave(1200, length))
        assert "underruns:0 " in twin.command("M122")[0]


def test_steps_per_mm_that_are_no_whole_number():
    """A whole circle many times over ends where it began: no rounding adds up."""
    with printer() as twin:
        twin.stream(["M302 P1", "M92 X80.123 Y99.77 Z415.873 E415.11", "M83", "G91", "G1 F6000"])
        machine = twin.machine(steps_per_mm={"x": 80.123, "y": 99.77, "z": 415.873, "e": 415.11})
        before = {motor: twin.steps(motor).net for motor in "xyze"}
        lap = ["G1 X0.333 Y0.1 E0.007", "G1 X-0.1 Y0.3 Z0.001", "G1 X-0.233 Y-0.4 Z-0.001 E-0.007"]
        twin.stream(lap * 120 + ["M400"])
        assert {motor: twin.steps(motor).net for motor in "xyze"} == before
        assert machine.steps_per_mm["x"] == 80.123
        assert twin.steps("x").total > 120 * 40
        twin.stream(["G1 X30.007 Y20.003 Z1 E3.3 F3000", "M400"])
        made = {motor: twin.steps(motor).net - before[motor] for motor in "xyze"}
        for motor, way in (("x", 30.007), ("y", 20.003), ("z", 1), ("e", 3.3)):
            assert abs(made[motor] - way * machine.steps_per_mm[motor]) <= 0.5 + 1e-6, (motor, made)


def test_turned_motors_and_homing_to_the_far_end():
    """Settings that no command sets: the store brings them, the machine turns the other way round."""
    flash = settings_flash(home_to_max_x=1, x_max=30, invert_dir_y=1)
    with printer(flash=flash, boot=False) as twin:
        carriage = twin.mechanics.carriages["x"].plan
        carriage.switch_side = 1
        twin.mechanics.carriages["x"].switch = 2 * 80 * 30
        twin.mechanics.place("x", 24.0)
        twin.mechanics.place("y", 100.0)
        twin.boot()
        assert not errors(twin.run(0.2))
        twin.command("G28 X", timeout=60)
        assert twin.position_mm()["x"] == pytest.approx(30, abs=0.02)
        home = twin.position_mm()
        twin.stream(["G1 X10.5 Y3 F6000", "M400"])
        assert twin.position_mm()["x"] == pytest.approx(home["x"] - 19.5, abs=1e-6)
        assert twin.position_mm()["y"] == pytest.approx(97.0, abs=1e-6), "invert_dir_y turns Y round"


def test_the_example_up_to_its_second_layer():
    """The sliced file as it is, with heating (at three times its speed), judged by all that `make run` judges."""
    lines = (paths.EXAMPLES / "ring.gcode").read_text().splitlines()
    last = [number for number, line in enumerate(lines) if line.startswith(";LAYER_CHANGE")][2]
    with printer(boot=False, thermal_speed=3) as twin:
        job = PrintJob(twin, lines[:last])
        job.prepare()
        for _ in job.progress():
            pass
        result = job.finish()
    assert result.problems == []
    assert [str(excess) for excess in result.excesses] == []
    assert result.lines > 300 and result.values["underruns"] == "0"
    assert [motor.made - motor.expected for motor in result.motors] == [0, 0, 0, 0]
