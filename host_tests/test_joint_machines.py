"""The whole printer on the host as a delta and as a SCARA: homing, moves, refusals, calibration, geometry."""

import math
import random

import pytest
from printer_bench import HALTED, PrinterBench

from host_tests.kinematics_model import DELTA, SCARA, DeltaModel, ScaraModel

TOWERS = {"steps_per_mm_y": 80000, "steps_per_mm_z": 80000}


class JointBench(PrinterBench):
    """Motors X, Y, Z move a joint each, which stands `away` from its switch, mm or degrees, at power-up."""

    def __init__(self, model, to_max, away, settings):
        self.model = model
        self.joints = [s - a if up else s + a for s, a, up in zip(model.places, away, to_max, strict=True)]
        self.up = to_max
        super().__init__(**settings)

    def _set_up_axes(self, start_mm):
        super()._set_up_axes(start_mm)
        self.corexy = False
        self.to_max = self.up
        self.start = [round(joint * scale) for joint, scale in zip(self.joints, self.scale[:3], strict=True)]
        self.end = [round(place * scale) for place, scale in zip(self.model.places, self.scale[:3], strict=True)]
        self.furthest = [0, 0, 0]
        self.look_at_switches()

    def at(self):
        """Where the joints are, mm or degrees."""
        return [(self.start[m] + self.made[m]) / self.scale[m] for m in range(3)]

    def off(self, *place):
        """How many steps the joints are away from where the model wants them for a place."""
        return [
            abs(joint - want) * scale
            for joint, want, scale in zip(self.at(), self.model.motors(*place), self.scale[:3], strict=True)
        ]


def delta(away=(30.0, 31.5, 28.25), **values):
    model = DeltaModel(DELTA | values)
    model.places = model.switches()
    scaled = TOWERS | {name: round(value * 1000) for name, value in values.items()}
    fast = {"max_feedrate_z": 30000, "max_acceleration_z": 3000, "home_feedrate_z": 5000, "homing_backoff_z": 500}
    return JointBench(model, [True] * 3, away, scaled | fast | {"kinematics": 2})


def scara(away=(20.0, 31.5, 2.0)):
    values = SCARA
    model = ScaraModel(values)
    model.places = (values["scara_theta_home"], values["scara_psi_home"], 0.0)
    settings = {"steps_per_mm_" + axis: round(values["steps_per_mm_" + axis] * 1000) for axis in "xyz"}
    return JointBench(model, [False] * 3, away, settings | {"kinematics": 3})


@pytest.fixture
def bench():
    made = []

    def make(build, *args, **values):
        made.append(build(*args, **values))
        assert made[-1].say("") == ["start"]
        return made[-1]

    yield make
    for b in made:
        b.close()
        assert type(b.error).__name__ == "_End", b.error


def where(line):
    """X, Y, Z of M114."""
    return tuple(float(word[2:]) for word in line.split()[:3])


def quiet(lines):
    return [line for line in lines if not line.startswith("echo:busy")]


# Delta


@pytest.mark.parametrize("away", [(30.0, 31.5, 28.25), (0.0, 0.0, 0.0), (5.0, 60.0, 20.0), (3.0, 0.0, 3.025)])
def test_delta_carriages_home_together(bench, away):
    b = bench(delta, away)
    letters = "G28 Z\n" if away[0] == 5.0 else "G28\n"
    assert quiet(b.say(letters)) == ["ok"]
    assert max(b.furthest) == 0, "no step beyond a switch"
    assert b.printer.motion.homed == 7
    assert max(b.off(0, 0, 250)) <= 0.51
    assert where(b.say("M114\n")[0]) == (0, 0, 250)


def test_delta_trims(bench):
    trims = {"endstop_trim_x": -0.5, "endstop_trim_y": -0.123, "endstop_trim_z": 0.25}
    b = bench(delta, **trims)
    b.say("G28\n")
    assert max(b.furthest) == 0
    assert max(b.off(0, 0, 249.75)) <= 0.51
    assert where(b.say("M114\n")[0]) == (0, 0, 249.75)
    # A trim counts from the next homing on
    assert quiet(b.say("M666 X-1 Y-0.5 Z0\n")) == ["ok"]
    b.say("G28\n")
    assert where(b.say("M114\n")[0]) == (0, 0, 250)
    assert max(b.off(0, 0, 250 - 0.25)) > 20
    assert b.say("M666\n") == ["M666 X-1.00 Y-0.50 Z0.00", "ok"]


def test_delta_moves_end_within_a_step(bench):
    b = bench(delta, delta_rod=215.123, delta_radius=105.5, delta_angle_x=0.7, delta_print_radius=85)
    dice = random.Random(2)
    b.say("G28\nG1 Z150 F9000\n")
    for _ in range(25):
        r, turn = 84.9 * math.sqrt(dice.random()), dice.uniform(0, math.tau)
        place = round(r * math.cos(turn), 3), round(r * math.sin(turn), 3), round(dice.uniform(0, 120), 3)
        assert quiet(b.say("G1 X%g Y%g Z%g F%d\nM400\n" % (*place, dice.choice((3000, 12000))))) == ["ok", "ok"]
        assert max(b.off(*place)) < 0.7
    assert max(b.furthest) == 0


def test_delta_refuses_what_it_cannot_reach(bench):
    b = bench(delta)
    b.say("G28\nG1 Z100 F9000\nM400\n")
    at = b.at()
    for line, words in (
        ("G1 X80 Y60", "echo:X80.00 Y60.00 Z100.00 cannot be reached: 100.00 mm from the middle, should be at most 90"),
        ("G1 Z-0.5", "echo:X0.00 Y0.00 Z-0.50 cannot be reached: should be at least Z0.00"),
        ("G1 Z250.5", "echo:X0.00 Y0.00 Z250.50 cannot be reached: a carriage would pass its switch"),
    ):
        answer = quiet(b.say(line + "\n"))
        assert answer[0].startswith(words) and answer[1:] == ["ok"], answer
    b.say("M400\n")
    assert b.at() == at and where(b.say("M114\n")[0]) == (0, 0, 100)
    # Without limits of the bed only the machine's own
    answer = quiet(b.say("M211 S0\nG1 X0 Y95\nM400\nG1 Y130\n"))
    assert answer[3].startswith("echo:X0.00 Y130.00 Z100.00 cannot be reached")
    assert max(b.off(0, 95, 100)) < 0.7


def test_delta_knows_where_it_stopped(bench):
    b = bench(delta)
    b.say("G28\nG1 Z100 F9000\nM400\n")
    b.send("G1 X70 Y-30 Z20 F1800\nG1 X-70 Y20\n")
    b.run(1500)
    b.say("M410\n")
    b.run(500)
    x, y, z = (b.printer.motion.position_u(axis) / 100_000 for axis in range(3))
    assert 0 < x < 70 and 20 < z < 100
    assert max(b.off(x, y, z)) < 0.7
    b.say("G1 X0 Y0 Z50 F6000\nM400\n")
    assert max(b.off(0, 0, 50)) < 0.7


def test_towers_by_themselves(bench):
    """G1 S2: letters are motors. The nozzle is where the carriages have taken it, and moves go on from there."""
    b = bench(delta)
    b.say("G28\nG1 Z100 F9000\nM400\n")
    before = b.at()
    assert "G91" in b.say("G1 X1 S2\n")[0]
    assert quiet(b.say("G91\nG1 X-2 Z1.5 F1200 S2\nM400\n")) == ["ok"] * 3
    assert b.at() == pytest.approx([before[0] - 2, before[1], before[2] + 1.5], abs=0.0126)
    place = where(b.say("M114\n")[0])
    assert max(b.off(*place)) < 1.5 and place != (0, 0, 100)
    assert b.say("G1 X200 S2\n")[0].startswith("echo:G1 S2: X")
    b.say("G90\nG1 X10 Y20 Z90 F3000\nM400\n")
    assert max(b.off(10, 20, 90)) < 0.7


def test_endstops_end_moves_of_a_delta(bench):
    """G1 S1 up: each carriage looks at its own switch; the first one that closes ends the move for all."""
    b = bench(delta, endstop_trim_y=-2.0)
    b.say("G28\nG1 Z240 F9000\nM400\nM211 S0\nG91\n")
    assert b.say("M666 X-15 Y-15 Z-15\n") == ["ok"]
    b.say("G1 Z14 F1200 S1\nM400\n")
    b.run(100)
    x, y, z = where(b.say("M114\n")[0])
    assert max(b.furthest) == 0
    assert z == pytest.approx(250, abs=0.3) and max(b.off(x, y, z)) < 1.5


@pytest.mark.parametrize("axis, closed", [(0, 0), (2, 0), (1, 1)])
def test_delta_switch_that_is_stuck(bench, axis, closed):
    b = bench(delta)
    b.stuck = {axis: closed}
    b.look_at_switches()
    written = quiet(b.say("G28\nG1 X5\n", 600_000))
    assert len(written) == 2 and written[1] == HALTED, written
    wrong = "still triggered" if closed else "not reached within 500 mm"
    assert written[0].startswith("Error:Homing failed: %s endstop %s" % ("XYZ"[axis], wrong))
    assert b.still()


def test_geometry_of_a_delta(bench):
    b = bench(delta)
    assert b.say("M665\n") == ["M665 L250.00 R124.00 S100 B90.00 H250.00 X0.00 Y0.00 Z0.00", "ok"]
    b.say("G28\n")
    for line, words in (
        ("M665 L200", "echo:M665 L200.00 R124.00 B90.00: rods too short, L should be at least 215.7"),
        ("M665 R0", "echo:M665 R0.00 is out of range, should be 5.00 to 1000.00 mm"),
        ("M665 L300 R-5", "echo:M665 R-5.00 is out of range"),
        ("M92 X0", "echo:M92 X0.00 is out of range, should be 0.10 to 10000.00 steps/mm"),
        ("M92 X100", "echo:M92 X100.00 Y80.00 Z80.00: a delta needs the same steps per mm"),
        ("M360", "echo:M360 not available: this printer is delta, should be SCARA (setting kinematics)"),
        ("M365 X1", "echo:M365 not available: "),
    ):
        answer = quiet(b.say(line + "\n"))
        assert answer[0].startswith(words) and answer[1:] == ["ok"], answer
    assert b.say("M665\n") == ["M665 L250.00 R124.00 S100 B90.00 H250.00 X0.00 Y0.00 Z0.00", "ok"]
    assert b.printer.motion.homed == 7, "nothing was changed"
    assert quiet(b.say("M665 L251.5 H240 S50\n")) == ["ok"]
    assert b.printer.motion.homed == 0, "has to be homed anew"
    assert quiet(b.say("M92 X100 Y100 Z100\n")) == ["ok"]
    lines = b.say("M503\n")
    assert "echo:  M665 L251.50 R124.00 S50 B90.00 H240.00 X0.00 Y0.00 Z0.00" in lines
    assert "echo:  M666 X0.00 Y0.00 Z0.00" in lines
    assert not any(line.startswith("echo:  M365") for line in lines)


def test_cartesian_printers_have_none_of_it(bench):
    b = bench(PrinterBench)
    for code in ("M665 L300", "M666 X1", "M360", "M364 P0", "M365 X1"):
        answer = b.say(code + "\n")
        name = code.split()[0]
        assert answer[0].startswith("echo:%s not available: this printer is Cartesian, should be " % name), answer
        assert answer[1:] == ["ok"]
    assert not any("M66" in line for line in b.say("M503 S0\n"))


def test_a_delta_with_impossible_settings_says_so_and_stays(bench):
    """As when the store was written by hand: nothing moves until it is put right."""
    b = bench(delta)
    settings = b.printer.settings
    settings._commit([(settings._index["delta_rod"], 150_000)])
    before = list(b.made)
    for line in ("G28", "G1 X1 Y1 Z1"):
        answer = quiet(b.say(line + "\n"))
        assert answer[0].startswith("echo:M665 L150.00 R124.00 B90.00: rods too short"), answer
        assert answer[1:] == ["ok"]
    assert b.made == before
    assert quiet(b.say("M665 L260\nG28\n")) == ["ok", "ok"]


# SCARA


def test_scara_homes_joint_by_joint(bench):
    b = bench(scara)
    assert quiet(b.say("G28\n")) == ["ok"]
    assert max(b.furthest) == 0
    assert b.at() == pytest.approx([-20, 90, 0], abs=0.01)
    x, y, z = where(b.say("M114\n")[0])
    assert (x, y) == pytest.approx(b.model.tool(-20, 90), abs=0.011) and z == 0
    before = b.at()
    b.say("G28 Y\n")
    assert b.at() == before


def test_scara_moves_end_within_a_step(bench):
    b = bench(scara)
    dice = random.Random(4)
    b.say("G28\nG1 X100 Y120 Z5 F6000\nM400\n")
    assert max(b.off(100, 120, 5)) < 0.7
    for _ in range(20):
        place = dice.randint(0, 200), dice.randint(40, 180), dice.randint(0, 30)
        if not 60 < b.model.polar(*place[:2])[0] < 290:
            continue
        assert quiet(b.say("G1 X%d Y%d Z%d F6000\nM400\n" % place)) == ["ok", "ok"]
        assert max(b.off(*place)) < 0.7


def test_scara_refuses_what_it_cannot_reach(bench):
    b = bench(scara)
    b.say("G28\nG1 X100 Y120 Z5 F6000\nM400\n")
    at = b.at()
    for line, words in (
        ("G1 X100 Y300", "echo:X100.00 Y300.00 Z5.00 cannot be reached: 356.00 mm from the shoulder, should be 50.00"),
        ("G1 X100 Y-56", "echo:X100.00 Y-56.00 Z5.00 cannot be reached: 0.00 mm from the shoulder"),
        ("G1 X120 Y-200", "echo:X120.00 Y-200.00 Z5.00 cannot be reached: the way passes"),
    ):
        answer = quiet(b.say(line + "\n"))
        assert answer[0].startswith(words) and answer[1:] == ["ok"], answer
    b.say("M400\n")
    assert b.at() == at


def test_scara_poses_and_calibration(bench):
    b = bench(scara)
    assert b.say("M360\n")[0] == "echo:M360: X and Y are not homed, should be after G28"
    b.say("G28\n")
    poses = {"M360": (0, 120), "M361": (90, 130), "M362": (60, 180), "M363": (50, 90), "M364": (45, 135)}
    for code, pose in poses.items():
        answer = quiet(b.say(code + "\n"))
        assert answer == ["echo:%s: theta to %d, psi to %d degrees" % (code, *pose), "ok"]
        assert b.at()[:2] == pytest.approx(pose, abs=0.02)
        assert where(b.say("M114\n")[0])[:2] == pytest.approx(b.model.tool(*pose), abs=0.02)
    # Theta is at 0 by eye when the firmware takes it for something else: its switch is so much off
    b.say("M360\n")
    b.say("G91\nG1 X-3 Y2\nG90\nM400\n")
    theta = (b.start[0] + b.made[0]) / b.scale[0]
    assert abs(theta) > 0.5
    answer = quiet(b.say("M360 P0\n"))
    assert answer[-1] == "ok"
    stored = b.printer.settings.get("endstop_trim_x") / 1000
    assert stored == pytest.approx(-theta, abs=0.011)
    b.say("G28\n")
    assert b.printer.motion.kinematics.switches[0] / 100_000 == pytest.approx(-20 + stored)
    # Theta has gone 92 of its degrees when it is at 90
    b.say("M666 X0 Y0\nG28\n")
    b.say("M361\n")
    x, y = b.model.tool(92, 130)
    b.say("G1 X%.3f Y%.3f F3000\nM400\n" % (x, y))
    b.say("M361 P0\n")
    assert b.printer.settings.get("steps_per_mm_x") / 1000 == pytest.approx(103.69 * 92 / 90, rel=2e-4)
    assert b.printer.settings.get("steps_per_mm_x") == b.printer.settings.get("steps_per_mm_y")
    assert b.say("M362 P0\n")[0].startswith("echo:M362 P0 not available")


def test_scara_scales(bench):
    b = bench(scara)
    assert b.say("M365\n") == ["M365 X1.00 Y1.00 Z1.00", "ok"]
    assert b.say("M365 X3\n")[0].startswith("echo:M365 X3.00 is out of range, should be 0.50 to 2.00")
    assert b.say("M365 X1.1 Y0.9 Z1.05\n") == ["ok"]
    b.model.values = b.model.values | {"scara_scale_x": 1.1, "scara_scale_y": 0.9, "scara_scale_z": 1.05}
    b.say("G28\nG1 X100 Y140 Z10 F6000\nM400\n")
    assert max(b.off(100, 140, 10)) < 0.7
    assert b.say("M114\n")[0].startswith("X:100.00 Y:140.00 Z:10.00 ")
