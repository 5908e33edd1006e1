"""Skew: motors against the matrix in exact fractions, homing, stops, and the two codes that set the factors.

The rule is that of Marlin's Planner::skew (Marlin 2.1, Marlin/src/module/planner.h), written here as a matrix:
x' = x - y * xy - z * (xz - xy * yz), y' = y - z * yz, z' = z.
"""

from array import array
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printer_bench import PrinterBench, numbered

from adder import correction, frame
from adder.frame import MOVES, TARGET, UNIT, Frame

STEPS = (80, 80, 400)


@pytest.fixture
def bench():
    benches = []

    def make(**how):
        benches.append(PrinterBench(**how))
        assert benches[-1].say("") == ["start"]
        return benches[-1]

    yield make
    for b in benches:
        b.close()
        assert type(b.error).__name__ == "_End", b.error


def drives(place, factors):
    """Exact places of the drives for a place in G-code's coordinates."""
    x, y, z = [Fraction(str(value)) for value in place]
    xy, xz, yz = [Fraction(str(value)) for value in factors]
    return x - y * xy - z * (xz - xy * yz), y - z * yz, z


def place_of(places, factors):
    """The other way: solved for x, y and z."""
    x, y, z = [Fraction(value) for value in places]
    xy, xz, yz = [Fraction(str(value)) for value in factors]
    y += z * yz
    return x + y * xy + z * (xz - xy * yz), y, z


def near(b, places, allowed=Fraction(1, 2)):
    """The carriages are at these places, mm, to half a step and the rounding to 10 nm."""
    double = 2 if b.corexy else 1
    for axis in range(3):
        scale = STEPS[axis] * (double if axis < 2 else 1)
        # On CoreXY a carriage is known by two motors, each to half a step
        slack = allowed * (2 if b.corexy and axis < 2 else 1) + Fraction(3, 100_000) * scale
        wanted = places[axis] * scale
        assert abs(b.carriage(axis) - wanted) <= slack, (axis, b.carriage(axis), float(wanted))


factor = st.integers(-100_000, 100_000)
length = st.one_of(st.integers(-2**30 + 1, 2**30 - 1), st.integers(-30_000_000, 30_000_000), st.integers(-50, 50))


@settings(max_examples=400, deadline=None)
@given(st.tuples(factor, factor, factor), st.lists(st.tuples(length, length, length), min_size=1, max_size=10))
def test_ends_are_exact_and_the_inverse_too(factors, places):
    fr, request = Frame(), array("i", [0] * 16)
    correction.set_skew(fr.state, *factors)
    shares = [Fraction(value, 10**6) for value in factors]
    made = [0, 0, 0]
    for place in places:
        fr.state[TARGET : TARGET + 3] = array("i", place)
        way = [to - start for to, start in zip(place, fr.state[0:3], strict=True)]
        exact = drives(place, shares)
        ways = [to - start for to, start in zip(exact, made, strict=True)]
        result = frame._ask(fr.state, request)
        if result == frame.TOO_FAR:
            assert max(map(abs, [*way, *ways, *exact])) > 2**30 - 5
            continue
        assert result in (0, MOVES)
        made = [start + request[axis] for axis, start in enumerate(made)]
        for axis in range(3):
            assert abs(made[axis] - exact[axis]) <= Fraction(3, 2)
        fr.taken()
        assert list(fr.state[0:3]) == list(place)
        assert fr.drives()[:3] == made or not any(factors)
        correction.drives_at(fr.state, correction.place_of_drives(fr.state))
        assert list(fr.state[0:3]) == list(place), "back and forth is the same place"


@pytest.mark.parametrize("value", [0, 1, -1, 4, 6, 499, 500_000_000, -(2**30) + 1, 2**30 - 1])
@pytest.mark.parametrize("part", [0, 1, -1, 100_000_000, -110_000_000, 999])
def test_shares_are_rounded_to_nearest(value, part):
    exact = Fraction(value * part, 10**9)
    assert abs(correction.share(value, part) - exact) <= Fraction(1, 2)
    assert correction.share(-value, part) == -correction.share(value, part)


FACTORS = (0.012345, -0.003, 0.007001)


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("kinematics", [0, 1])
def test_a_program_ends_where_the_matrix_says(bench, kinematics, numbers):
    b = bench(kinematics=kinematics)
    texts = ["G28", "M852 I%s J%s K%s" % FACTORS, "G1 F9000"]
    dice = Random(3)
    place = [0, 0, 0]
    for n in range(150):
        place[0:2] = dice.randint(0, 19_000) / 100, dice.randint(0, 19_000) / 100
        if n % 3:
            texts.append("G1 X%.2f Y%.2f" % tuple(place[:2]))
        else:
            place[2] = dice.randint(0, 300) / 100
            texts.append("G0 X%.2f Y%.2f Z%.2f" % tuple(place))
    texts.append("M400")
    lines = [numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)]
    for at in range(0, len(lines), 10):
        written = b.say(b"".join(lines[at : at + 10]), 900_000)
        assert not [line for line in written if line.startswith(("Error", "echo:")) and "busy" not in line]
    near(b, drives([round(value, 2) for value in place], FACTORS))
    assert b.say("M114\n")[0].startswith("X:%.2f Y:%.2f Z:%.2f" % tuple(place))
    b.say("G1 X0 Y0 Z0\nM400\n")
    assert [b.carriage(axis) for axis in range(3)] == [0, 0, 0], "after all that not a step is missing"


def test_signs(bench):
    """Y that leans towards +X (I above 0) takes X back where Y is high, as Marlin has it; J and K alike for Z."""
    b = bench()
    b.say("G28\nM211 S0\nM852 I0.01 J0 K0\nG1 Y100 F6000\nM400\n")
    assert [b.carriage(axis) for axis in range(3)] == [-80, 8000, 0]
    b.say("G1 Y0\nM852 I0 J0.02\nG1 Z10\nM400\n")
    assert [b.carriage(axis) for axis in range(3)] == [-16, 0, 4000]
    b.say("G1 Z0\nM852 J0 K0.02\nG1 Z10\nM400\n")
    assert [b.carriage(axis) for axis in range(3)] == [0, -16, 4000]


@pytest.mark.parametrize("kinematics", [0, 1])
def test_the_machine_stays_when_the_factors_change(bench, kinematics):
    b = bench(kinematics=kinematics)
    b.say("G28\nG1 X100 Y150 Z3 F6000\nM400\n")
    before = list(b.made)
    for factors in (FACTORS, (-0.05, 0.1, 0.03), (0, 0, 0), (0, 0, -0.1), (0.1, 0, 0)):
        b.say("M852 I%s J%s K%s\nM400\n" % factors)
        assert b.made == before
        x, y, z = [float(value) for value in place_of((100, 150, 3), factors)]
        shown = [float(word[2:]) for word in b.say("M114\n")[0].split()[:3]]
        assert shown == pytest.approx([x, y, z], abs=0.00501)
    b.say("M852 I0 J0 K0\n")
    assert b.say("M114\n")[0].startswith("X:100.00 Y:150.00 Z:3.00"), "to the last 10 nm"
    assert b.printer.motion.frame.state[0:3].tolist() == [100 * UNIT, 150 * UNIT, 3 * UNIT]


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("start_mm", [(3.0, 2.0, 1.0), (120.0, 150.0, 2.0)])
def test_homing_finds_the_switches(bench, kinematics, start_mm):
    b = bench(start_mm=start_mm, kinematics=kinematics)
    b.say("M852 I0.03 J-0.02 K0.05\nG28\n")
    assert [b.carriage(axis) for axis in range(3)] == [0, 0, 0]
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0")
    b.say("G1 X60 Y80 Z2 F6000\nM400\n")
    near(b, drives((60, 80, 2), (0.03, -0.02, 0.05)))
    b.say("G28 X\n")
    assert b.carriage(0) == 0
    # X's drive is at its switch; the nozzle is where Y's lean takes it
    y, z = Fraction(80), Fraction(2)
    x = place_of((0, y - z * Fraction(5, 100), z), (0.03, -0.02, 0.05))[0]
    shown = [float(word[2:]) for word in b.say("M114\n")[0].split()[:3]]
    assert shown == pytest.approx([float(x), 80, 2], abs=0.02)
    b.say("G1 X60 Y80 Z2\nM400\n")
    near(b, drives((60, 80, 2), (0.03, -0.02, 0.05)), Fraction(3, 2))


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("wait_ms", [400, 700, 1500])
def test_m410_in_a_move(bench, kinematics, wait_ms):
    b = bench(kinematics=kinematics)
    factors = (0.05, 0.02, -0.04)
    b.say("G28\nM852 I%s J%s K%s\n" % factors)
    b.send("G1 X100 Y60 Z3 F3000\nG1 X20 Y120 Z1\n")
    b.run(wait_ms)
    b.say("M410\nM400\n")
    place = [Fraction(value, UNIT) for value in b.printer.motion.frame.state[0:3]]
    near(b, drives(place, factors), Fraction(3, 2))
    assert b.carriage(0) > 0
    b.say("G1 X0 Y0 Z0 F6000\nM400\n")
    assert [abs(b.carriage(axis)) <= 2 for axis in range(3)] == [True] * 3


def test_limits_and_g92_keep_the_coordinates_of_the_file(bench):
    b = bench()
    b.say("G28\nM852 I0.05\n")
    written = b.say("G1 Y150 F6000\nM114\nM400\n")
    assert written[:2] == ["ok", "X:0.00 Y:150.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0"], "X 0 is within its limits"
    assert b.carriage(0) == -600
    assert "X: the move ends at the limit" in b.say("G1 X-1\n")[0]
    b.say("G92 X50 Y0\nG1 X60 Y-150\nM400\n")
    assert [b.carriage(axis) for axis in range(2)] == [800, 0]
    assert b.say("M114\n")[0].startswith("X:60.00 Y:-150.00")


def test_hop_and_skew_together(bench):
    b = bench()
    b.say("G28\nM302 P1\nM852 I0.01 J0.02 K-0.03\nM207 Z2\nG1 X50 Y60 Z1 F6000\nM400\n")
    x, y, z = drives((50, 60, 1), (0.01, 0.02, -0.03))
    near(b, (x, y, z))
    b.say("G10\nM400\n")
    near(b, (x, y, z + 2))
    b.say("G1 X20 Z3\nM400\n")
    x, y, z = drives((20, 60, 3), (0.01, 0.02, -0.03))
    near(b, (x, y, z + 2))
    b.say("M852 I0.02\nG11\nM400\n")
    near(b, (x, y, z))
    x, y, z = [float(value) for value in place_of((x, y, z), (0.02, 0.02, -0.03))]
    shown = [float(word[2:]) for word in b.say("M114\n")[0].split()[:3]]
    assert shown == pytest.approx([x, y, z], abs=0.00501)


def test_steps_per_mm_and_a_restart_of_counts(bench):
    b = bench()
    b.say("G28\nM852 I0.05\nG1 X100 Y100 F6000\nM400\n")
    assert b.say("M92 X100\nM114\n")[1] == "X:100.00 Y:100.00 Z:0.00 E:0.00 Count X:9500 Y:8000 Z:0"


# Codes


def test_m852_and_m556(bench):
    b = bench()
    assert b.say("M852\n") == ["echo:Skew Factor: XY: 0.000000 XZ: 0.000000 YZ: 0.000000", "ok"]
    assert b.say("M852 I0.01 J-0.0025 K0.000001\nM852\n") == [
        "ok", "echo:Skew Factor: XY: 0.010000 XZ: -0.002500 YZ: 0.000001", "ok",
    ]  # fmt: skip
    assert b.say("M852 S0.02\nM852\n")[1].startswith("echo:Skew Factor: XY: 0.020000 XZ: -0.002500")
    # M556's example in the RepRap documentation; above 0 the angle is obtuse: Y leans away from +X
    assert b.say("M556 S100 X0.7 Y-0.2 Z0.6\nM852\n") == [
        "ok", "echo:Skew Factor: XY: -0.007000 XZ: -0.006000 YZ: 0.002000", "ok",
    ]  # fmt: skip
    assert b.say("M556 S78 X1\nM852\n")[1] == "echo:Skew Factor: XY: -0.012821 XZ: -0.006000 YZ: 0.002000"
    assert b.say("M503 S0\n").count("echo:  M852 I-0.012821 J-0.006 K0.002") == 1
    assert b.say("M44\nM852\n")[1] == "echo:Skew Factor: XY: 0.000000 XZ: 0.000000 YZ: 0.000000"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("M852 I0.2", "-0.10 to 0.10"), ("M852 I0.01 J-0.11", "-0.10 to 0.10"), ("M852 K", "K has no value"),
        ("M852 K1000", "-0.10 to 0.10"), ("M852 S0.3", "-0.10 to 0.10"), ("M556 S0 X1", "should be 1 to 2000 mm"),
        ("M556 S-100 X1", "S-100"), ("M556 S100 X11", "within a tenth"), ("M556 S100 Y-10.1", "within a tenth"),
        ("M556 S100 X1 Z11", "within a tenth"), ("M556 X1", "needs S"), ("M556", "needs S"),
        ("M556 S100", "needs X, Y or Z"), ("M556 S100 X", "X has no value"), ("M556 S X1", "S has no value"),
        ("M556 S2001 X1", "S2001"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(bench, text, words):
    b = bench()
    b.say("M852 I0.001 J0.002 K0.003\n")
    before = list(b.printer.motion.frame.state)
    written = b.say(text + "\n")
    assert words in written[0] and written[0].startswith("echo:") and written[1:] == ["ok"]
    after = list(b.printer.motion.frame.state)
    before[frame.COLD] = after[frame.COLD]
    assert after == before
    assert b.say("M852\n")[0] == "echo:Skew Factor: XY: 0.001000 XZ: 0.002000 YZ: 0.003000"
