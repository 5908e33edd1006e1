"""The independent model of a G-code file, against positions worked out by hand."""

import itertools
import math

import pytest

from tools.twin.expected import Expected, Machine, read_file, strip_line

STEPS = {"x": 80.0, "y": 80.0, "z": 400.0, "e": 100.0}
LIMITS = {"x": (0.0, 200.0), "y": (0.0, 200.0), "z": (0.0, 200.0)}


def model(text, **changes):
    machine = Machine(steps_per_mm=STEPS, limits=LIMITS, min_extrude=None)
    for name, value in changes.items():
        setattr(machine, name, value)
    return read_file(text.splitlines(), machine)


def test_absolute_and_relative_moves():
    m = model("G28\nG1 X10 Y20 F6000\nG91\nG1 X5 Y-5 Z0.2\nG90\nG0 Z1")
    assert m.net_steps() == {"x": 1200, "y": 1200, "z": 400, "e": 0}
    assert len(m.path) == 3
    assert m.path[0].feedrate == 100.0


def test_words_without_blanks_and_in_lower_case():
    m = model("g28\ng1x10.5y.25e-.5f1200;comment X99\nG1 X+11. (X50)")
    assert m.position == {"x": 11.0, "y": 0.25, "z": 0.0, "e": -0.5}


def test_line_numbers_and_checksums_are_taken_off():
    assert strip_line("N7 G1 X2.0 Y2.0 F3000.0*85") == "G1 X2.0 Y2.0 F3000.0"
    assert strip_line("N-1 M110 N-1*125") == "M110 N-1"
    assert strip_line("  ; nothing") == ""


def test_e_absolute_relative_and_g92():
    m = model("M82\nG1 X1 E2\nG92 E0\nG1 X2 E1.5\nM83\nG1 X3 E0.25\nG1 E-1")
    assert m.position["e"] == pytest.approx(2 + 1.5 + 0.25 - 1)
    assert m.net_steps()["e"] == 275


def test_the_last_of_g90_g91_m82_m83_decides_for_e():
    m = model("M83\nG1 E1\nG90\nG1 E1\nG1 E1")
    assert m.position["e"] == 1.0
    m = model("M83\nG1 E1\nG90\nG1 E1\nG1 E1", e_follows_g90=False)
    assert m.position["e"] == 3.0


def test_g92_shifts_axes_but_not_their_limits():
    m = model("G28\nG1 X50\nG92 X0\nG1 X10\nG1 X190")
    assert m.position["x"] == 200.0
    assert "clipped" in m.notes[0] and "line 5" in m.notes[0]


def test_homing_takes_back_the_shift():
    m = model("G28\nG1 X50 Y50\nG92 X0 Y0\nG28 X\nG1 X10 Y10")
    assert m.position["x"] == 10.0
    assert m.position["y"] == 60.0
    assert m.homings == [(1, ("x", "y", "z")), (4, ("x",))]
    assert m.net_steps()["x"] == 800  # since the second homing
    assert m.net_steps()["y"] == 4800  # since the first


def test_home_position_other_than_zero():
    m = model("G28\nG1 X10", home={"x": -5.0, "y": 0.0, "z": 0.0}, limits={})
    assert m.net_steps()["x"] == 15 * 80


def test_limits_count_only_for_homed_axes():
    assert model("G1 X-5").position["x"] == -5.0
    assert model("G28\nG1 X-5").position["x"] == 0.0


def test_inches():
    m = model("G20\nG1 X1 F60\nG21\nG1 Y1")
    assert m.position["x"] == 25.4 and m.position["y"] == 1.0
    assert m.path[0].feedrate == pytest.approx(25.4)


def test_flow_scales_what_the_motor_makes_not_the_coordinate():
    m = model("M82\nG1 E10\nM221 S50\nG1 E20\nM221 S100\nG1 E21")
    assert m.position["e"] == pytest.approx(10 + 5 + 1)


def test_speed_factor():
    m = model("G1 X10 F6000\nM220 S50\nG1 X20")
    assert [s.feedrate for s in m.path] == [100.0, 50.0]


def test_corexy_motors():
    m = model("G28\nG1 X10 Y4", kinematics="corexy")
    assert m.net_steps()["x"] == 14 * 80 and m.net_steps()["y"] == 6 * 80
    m = model("G28\nG1 X10 Y4\nG28 X\nG1 X1", kinematics="corexy")
    assert m.net_steps()["x"] == 80 and m.net_steps()["y"] == 80


def test_new_steps_per_mm_leave_what_was_made():
    m = model("G28\nG1 X10\nM92 X160\nG1 X11")
    assert m.net_steps()["x"] == 800 + 160


def test_cold_extrusion_moves_the_axes_only():
    m = model("M104 S150\nG1 X10 E5\nM104 S200\nG1 X20 E6", min_extrude=170.0)
    assert m.position["x"] == 20.0
    assert m.position["e"] == pytest.approx(1.0)
    m = model("M302 P1\nG1 X10 E5", min_extrude=170.0)
    assert m.position["e"] == 5.0


def test_temperatures_that_were_waited_for():
    m = model("M104 S150\nM190 S60\nM109 S210\nM104 S0\nM140 S0")
    assert m.waited == {"hotend": 210.0, "bed": 60.0}
    assert m.targets == {"hotend": 0.0, "bed": 0.0}


@pytest.mark.parametrize("bad", ["G1 X--3 Y5", "G1 X1.2.3 Y5", "G1 X$ Y5", "?!", "\x00\x01"])
def test_a_damaged_line_moves_nothing(bad):
    m = model("G1 X1\n" + bad)
    assert m.position["x"] == 1.0 and m.position["y"] == 0.0
    assert m.notes and m.notes[0].startswith("line 2:")


def test_text_is_not_taken_for_words():
    m = model("M117 G1 X50 100%\nG1 X1")
    assert m.position["x"] == 1.0 and not m.notes


def test_what_is_not_modelled_is_said():
    assert "G5 is not modelled" in model("G5 X10 I5").notes[0]


def test_arcs_end_where_they_say_and_go_round_their_centre():
    m = model("G28\nG1 X60 Y70 F6000\nG3 X50 Y80 I-10 Z2 E3")
    assert m.position == {"x": 50.0, "y": 80.0, "z": 2.0, "e": 3.0}
    arc = m.path[1:]
    assert arc[0].start == (60.0, 70.0, 0.0, 0.0) and arc[-1].end == (50.0, 80.0, 2.0, 3.0)
    for before, after in itertools.pairwise(arc):
        assert before.end == after.start
    assert all(math.dist(s.end[:2], (50, 70)) == pytest.approx(10) for s in arc)
    middle = min(arc, key=lambda s: abs(s.end[2] - 1))
    assert middle.end[:2] == pytest.approx((50 + 10 * math.sqrt(0.5), 70 + 10 * math.sqrt(0.5)), abs=0.1)
    assert sum(math.dist(s.start[:2], s.end[:2]) for s in arc) == pytest.approx(10 * math.pi / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("line", "quarters"),
    [("G2 X50 Y80 I-10", 3), ("G3 X50 Y80 R10", 1), ("G3 X50 Y80 R-10", 3), ("G2 X50 Y80 R10", 1), ("G3 I-10 P2", 12)],
)
def test_how_far_round_an_arc_goes(line, quarters):
    m = model("G1 X60 Y70 F6000\n" + line)
    way = sum(math.dist(s.start[:2], s.end[:2]) for s in m.path[1:])
    assert way == pytest.approx(quarters * 10 * math.pi / 2, rel=1e-3)


@pytest.mark.parametrize(
    "line", ["G2 X70", "G2 I0 J0", "G3 X90 Y70 R9", "G2 R5", "G2 X70 I20", "G3 I0 J-40 F99", "G2 I5 Z-1"]
)
def test_an_arc_that_is_none_moves_nothing(line):
    m = model("G28\nG1 X60 Y70 F6000\n" + line + "\nG1 X61")
    assert len(m.path) == 2 and m.notes and m.path[1].start[:2] == (60.0, 70.0)
    assert m.path[1].feedrate == 100.0


def test_no_rounding_adds_up():
    m = Expected(Machine(steps_per_mm=STEPS, min_extrude=None))
    m.feed("M83")
    for _ in range(100_000):
        m.feed("G1 X10 E.00123")
        m.feed("G1 X10.001")
    assert m.net_steps()["e"] == 12300
    assert m.net_steps()["x"] == 800


def test_comparison_with_what_was_made():
    m = model("G28\nG1 X10 E1.005")
    assert m.wrong_motors({"x": 800, "e": 100}) == {}  # 100.5 steps: either way is right
    assert m.wrong_motors({"x": 800, "e": 101}) == {}
    assert m.wrong_motors({"x": 801, "e": 102}) == {"x": 1, "e": 1}
