"""CoreXY, delta and SCARA on the emulated board: homing, every edge of straight moves, where moves end and stop.

Motors are held against kinematics in double precision. On a delta and a SCARA every motor turns a joint of its own with
a switch of its own; X, Y and Z of the printer's model are those joints, in mm or degrees.
"""

import math
import random

import numpy as np
import pytest

from host_tests.board.printers import check_drivers, errors, image, printer, settings_flash
from host_tests.board.test_homing_on_board import Switch, overshoots
from host_tests.board.test_trajectory_on_board import Trapezoid
from host_tests.kinematics_model import DELTA, SCARA, DeltaModel, ScaraModel
from tools.twin.plan import plan_for
from tools.twin.printer import PrinterTwin
from tools.twin.trajectory import largest_edge_error

BOARD = "skr_pico"
QUICK = {"max_feedrate_z": 300, "max_acceleration_z": 9000, "home_feedrate_z": 50, "homing_backoff_z": 5}
LIMITS = {"max_acceleration_x": 9000, "max_acceleration_y": 9000}


class CoreXY:
    scale = (80.0, 80.0, 400.0)

    def motors(self, x, y, z):
        return x + y, x - y, z


def joint_printer(model, places, to_max, away, **settings):
    """A printer whose motors X, Y, Z turn a joint each, `away` from its switch at power-up."""
    values = model.values | settings
    plan = plan_for(BOARD, steps_per_mm=dict(zip("xyz", model.scale, strict=True)))
    for axis, place, up, off in zip(plan.axes, places, to_max, away, strict=False):
        axis.switch = place
        axis.switch_side = 1 if up else -1
        axis.start = place - off if up else place + off
        axis.low, axis.high = (place - 600, place + 2) if up else (place - 2, place + 600)
    twin = PrinterTwin(image(BOARD), BOARD, plan=plan, flash=settings_flash(**values))
    twin.boot()
    twin.run(0.2)
    return twin


def delta(away=(9.0, 10.5, 7.25), values=DELTA, **settings):
    model = DeltaModel(values)
    return joint_printer(model, model.switches(), (True,) * 3, away, **QUICK, **LIMITS, **settings), model


def scara(away=(6.0, 8.5, 1.0), values=SCARA, **settings):
    model = ScaraModel(values)
    places = (values["scara_theta_home"], values["scara_psi_home"], 0.0)
    return joint_printer(model, places, (False,) * 3, away, **LIMITS, **settings), model


def corexy():
    start = {"x": 6, "y": 5, "z": 1}
    twin = printer(BOARD, "corexy", start=start, flash=settings_flash(kinematics=1, **LIMITS))
    twin.run(0.2)
    return twin, CoreXY()


def joints(twin):
    """Where the motors are, in steps."""
    twin.mechanics.sync()
    if twin.plan.kinematics == "corexy":
        at = twin.position_mm()
        return tuple(round(v * s) for v, s in zip(CoreXY().motors(*(at[a] for a in "xyz")), CoreXY.scale, strict=True))
    return tuple(twin.mechanics.carriages[a].position / 2 for a in "xyz")


def quiet(said):
    """Nothing was refused or remarked."""
    return {line for sent in said for line in sent.replies} <= {"ok", "echo:busy: processing"}


def off(twin, model, place):
    """Distances of the motors from where they should be for a place, in steps."""
    return [abs(j - m * s) for j, m, s in zip(joints(twin), model.motors(*place), model.scale, strict=True)]


# Places to begin at (after homing) and moves, mm and mm/s, that no limit slows down
PATHS = {
    "corexy": ((60, 60, 2), [((60, 20, 0), 100), ((-40, 30, 1), 60), ((10, -80, -0.5), 150), ((0.3, 0.2, 0), 20)]),
    "delta": (
        (0, 0, 60),
        [((60, 40, 0), 120), ((-120, 10, -20), 80), ((30, -120, 0), 150), ((30, 69.9, 20), 60), ((0.4, -0.3, 0.1), 20)],
    ),
    "scara": (
        (100, 100, 5),
        [((60, -40, 0), 60), ((-150, 20, 1), 80), ((40, 90, 0), 40), ((0, -60, 3), 30), ((0.4, -0.3, 0), 20)],
    ),
}
MACHINES = {"corexy": corexy, "delta": delta, "scara": scara}
ACCEL = 1500.0


@pytest.mark.parametrize("kind", MACHINES)
def test_every_edge_along_straight_moves(kind, record_property):
    """From rest to rest: each edge of each motor within a step of the trapezoid on the straight line, bent in double
    precision, with one start time for all motors of a move."""
    start, moves = PATHS[kind]
    worst = {}
    twin, model = MACHINES[kind]()
    with twin:
        twin.command("G28", timeout=100)
        twin.stream(["M302 P1", "M204 P%d T%d" % (ACCEL, ACCEL), "G1 X%g Y%g Z%g F6000" % start, "M400"])
        at = np.array(start, dtype=float)
        for way, speed in moves:
            if way[2] and kind != "delta":
                speed = min(speed, 6.0)  # Z's highest speed is 12 mm/s, its acceleration 200 mm/s^2
            twin.run(0.3)
            origins, since = joints(twin), twin.pins.now_ns()
            target = at + way
            said = twin.stream(["G1 X%.4f Y%.4f Z%.4f F%g" % (*target, speed * 60), "M400"], timeout=100)
            assert quiet(said)
            parts = [twin.steps(motor).after(since) for motor in "xyz"]
            length = math.sqrt(sum(d * d for d in way))
            accel = min(ACCEL, 200 * length / abs(way[2])) if way[2] and kind != "delta" else ACCEL
            shape = Trapezoid(length, speed, accel)

            def exact(motor, begin, times, at=at, way=way, shape=shape):
                share = shape.at((times - begin) / 1e9) / shape.length
                place = at[:, None] + np.array(way, dtype=float)[:, None] * share
                return model.motors(*place)[motor] * model.scale[motor]

            def error(begin, parts=parts, origins=origins, exact=exact):
                return max(
                    largest_edge_error(part, origins[m], lambda t, m=m: exact(m, begin, t))
                    for m, part in enumerate(parts)
                )

            first = min(part.times[0] for part in parts if len(part.times))
            last = max(part.times[-1] for part in parts if len(part.times))
            middle = (first + last) / 2 - shape.end_s * 0.5e9
            begin = min(np.arange(middle - 12e6, middle + 12e6, 0.2e6), key=error)
            begin = min(np.arange(begin - 0.2e6, begin + 0.2e6, 5e3), key=error)
            worst[way] = error(begin)
            at = target
            assert max(off(twin, model, at)) <= 1, (kind, way)
        check_drivers(twin)
        assert "underruns:0 " in twin.command("M122")[0]
    figures = {way: round(value, 3) for way, value in worst.items()}
    print(kind, "largest edge errors, steps:", figures)
    record_property(kind + "_edge_error_steps", max(worst.values()))
    assert max(worst.values()) <= 1.0, figures


def delta_place(dice):
    r, turn = 89.9 * math.sqrt(dice.random()), dice.uniform(0, math.tau)
    return r * math.cos(turn), r * math.sin(turn), dice.uniform(0, 120)


def scara_place(dice):
    return dice.uniform(0, 200), dice.uniform(60, 170), dice.uniform(0, 12)


@pytest.mark.parametrize("kind, place_of", [("delta", delta_place), ("scara", scara_place)])
def test_chains_of_moves_end_where_they_should(kind, place_of, record_property):
    """Random places at speeds that have to be slowed down, without a stop between them; then stopped on the way."""
    dice = random.Random(8)
    worst = 0.0
    twin, model = MACHINES[kind]()
    with twin:
        twin.command("G28", timeout=100)
        for _ in range(5):
            lines = []
            for _ in range(8):
                place = [round(value, 3) for value in place_of(dice)]
                lines.append("G1 X%.3f Y%.3f Z%.3f F%d" % (*place, dice.choice((3000, 9000, 24000))))
            for _ in range(20):  # short ones
                place = [place[0] + dice.uniform(-0.3, 0.3), place[1] * 0.995, place[2]]
                lines.append("G1 X%.3f Y%.3f" % (place[0], place[1]))
            said = twin.stream([*lines, "M400"], timeout=200)
            assert quiet(said)
            place = [round(value, 3) for value in place]
            worst = max(worst, *off(twin, model, place))
        assert "underruns:0 " in twin.command("M122")[0]
        for stop_s in (0.3, 0.55):
            twin.stream(["G1 X60 Y80 Z5 F3000" if kind == "scara" else "G1 X-50 Y-50 Z5 F3000", "M400"], timeout=100)
            twin.send("G1 X150 Y100 F3000" if kind == "scara" else "G1 X60 Y50 Z30 F3000")
            twin.run(stop_s)
            twin.send("M410")
            twin.run(0.5)
            said = twin.command("M114")[0].split()
            place = [float(word[2:]) for word in said[:3]]
            count = [int(word[2:]) for word in said[5:8]]
            assert tuple(count) == joints(twin), "motors are counted to the step"
            rounding = 0.006 * max(model.scale)  # M114 says hundredths
            assert max(off(twin, model, place)) <= 1 + rounding
        check_drivers(twin)
    record_property(kind + "_end_error_steps", worst)
    print(kind, "ends, steps:", worst)
    assert worst <= 1.0


@pytest.mark.parametrize("kind, place_of", [("delta", delta_place), ("scara", scara_place)])
def test_with_shaping_s_curve_and_advance(kind, place_of):
    """Filters act on the path, before it is bent: it ends where it should, and homing finds the same steps again."""
    dice = random.Random(5)
    twin, model = MACHINES[kind]()
    with twin:
        twin.stream(["M593 F45 D0.1", "M205 C4", "M900 K0.03", "G28"], timeout=100)
        home = joints(twin)
        lines = ["M302 P1", "M83"]
        for _ in range(15):
            place = [round(value, 3) for value in place_of(dice)]
            lines.append("G1 X%.3f Y%.3f Z%.3f E0.3 F9000" % tuple(place))
        for _ in range(40):
            place = [round(place[0] * 0.99, 3), round(place[1] + 0.1, 3), place[2]]
            lines.append("G1 X%.3f Y%.3f E0.01 F6000" % tuple(place[:2]))
        assert quiet(twin.stream([*lines, "M400"], timeout=200))
        assert max(off(twin, model, place)) <= 1
        assert "underruns:0 " in twin.command("M122")[0]
        twin.command("G28", timeout=100)
        assert max(abs(a - b) for a, b in zip(home, joints(twin), strict=True)) <= 1
        check_drivers(twin)


STARTS = [(9.0, 10.5, 7.25), (0.0, 3.0, 5.0), (5.0, 21.0, 5.0125)]


@pytest.mark.parametrize("away", STARTS, ids=range(len(STARTS)))
def test_delta_carriages_stop_at_their_own_switches(away, record_property):
    """All go up together, each stops within a step of its own switch, with the processor busy."""
    twin, model = delta(away)
    with twin:
        switches = {motor: Switch(twin, motor) for motor in "xyz"}
        twin.command("M155 S1 C5")
        twin.send("G28")
        replies = []
        for _ in range(30):
            twin.send("M114")
            replies += twin.run(0.03)
        while replies.count("ok") < 31:
            replies += twin.host.wait_for("ok", 60)
        assert not errors(replies)
        worst = 0
        for motor, switch in switches.items():
            touches = 2 if away["xyz".index(motor)] > 0 else 1
            worst = max(worst, *overshoots(twin, switch, (motor,), touches))
            assert len(switch.closings()) == touches
        record_property("delta_overshoot_steps", int(worst))
        assert worst <= 1
        assert max(off(twin, model, (0, 0, 250))) <= 1.01
        check_drivers(twin)
        twin.command("M155 S0")
        assert twin.command("M114")[0].startswith("X:0.00 Y:0.00 Z:250.00")


def test_delta_trims_and_a_stuck_switch():
    values = DELTA | {"endstop_trim_x": -0.8, "endstop_trim_z": -0.35}
    twin, model = delta((4.0, 4.0, 4.0), values)
    with twin:
        twin.command("G28", timeout=100)
        assert max(off(twin, model, (0, 0, 250))) <= 1.01
        twin.stick_switch("y", False)
        twin.send("G28")
        said = twin.host.wait_for("Error:Printer halted. kill() called!", 60)
        assert any("Homing failed: Y endstop not reached" in line for line in said), said
        lost = twin.mechanics.lost_steps()
        assert lost["x"] == lost["z"] == 0, "the others stayed at their switches"


def test_scara_homes_each_joint(record_property):
    twin, model = scara()
    with twin:
        switches = {motor: Switch(twin, motor) for motor in "xyz"}
        assert not errors(twin.command("G28", timeout=100))
        for motor, switch in switches.items():
            assert max(overshoots(twin, switch, (motor,), 2)) <= 1
        assert twin.position_mm() == pytest.approx({"x": -20, "y": 90, "z": 0, "e": 0}, abs=0.02)
        said = twin.command("M114")[0].split()
        place = [float(word[2:]) for word in said[:3]]
        assert place[:2] == pytest.approx(model.tool(-20, 90), abs=0.02)
        twin.stream(["M364", "M400"], timeout=60)
        assert twin.position_mm()["x"] == pytest.approx(45, abs=0.02)
        assert twin.position_mm()["y"] == pytest.approx(135, abs=0.02)
        check_drivers(twin)


def test_another_kinematics_without_a_restart():
    """M669 and M665 act at once; saved, they are there after a restart; only the module that is needed is loaded."""
    with printer(start={"x": 30, "y": 30, "z": 30}) as twin:
        twin.run(0.2)
        assert twin.command("M669")[0] == "M669 K0 ; Cartesian"
        said = twin.command("M669 K3")
        assert said[0].startswith("echo:M92 X80.00 Y80.00 Z400.00: a delta needs the same steps per mm"), said
        twin.command("M92 Z80")
        assert twin.command("M669 K3") == ["ok"]
        assert twin.command("M665 L260 H240") == ["ok"]
        assert twin.command("M665")[0] == "M665 L260.00 R124.00 S100 B90.00 H240.00 X0.00 Y0.00 Z0.00"
        before = {motor: twin.steps(motor).net for motor in "xyz"}
        twin.stream(["G1 X30 Y-20 Z10 F3000", "M400"])
        model = DeltaModel(DELTA | {"delta_rod": 260})
        for n, motor in enumerate("xyz"):
            want = (model.motors(30, -20, 10)[n] - model.motors(0, 0, 0)[n]) * 80
            assert abs(twin.steps(motor).net - before[motor] - want) <= 1
        assert twin.command("M500")[0].startswith("echo:Settings Stored")
        twin.send("M112")
        twin.run(0.2)
        twin.send("M999")
        assert twin.host.wait_for("start", 5)[-1] == "start"
        twin.run(0.2)
        assert twin.command("M669")[0] == "M669 K3 ; delta"
        assert twin.command("M665")[0].startswith("M665 L260.00")
