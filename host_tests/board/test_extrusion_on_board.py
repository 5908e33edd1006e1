"""Extrusion and skew with the real image: steps counted on the pins, against exact fractions."""

from fractions import Fraction

import pytest

from host_tests.board.printers import NEAR, check_drivers, errors, printer
from tools.twin.expected import Expected

AREA = Fraction(31415926535897932, 10**16) * Fraction(175, 100) ** 2 / 4


@pytest.fixture(scope="module")
def twin():
    with printer() as board:
        board.stream(["M302 P1", "M203 E100", "G28"])
        yield board
        check_drivers(board)


def made(twin, *lines):
    """Steps of the motors that these lines lead to."""
    before = {motor: twin.steps(motor).net for motor in "xyze"}
    for sent in twin.streaming([*lines, "M400"]):
        if sent is not None:
            assert not errors(sent.replies) and not [line for line in sent.replies if line.startswith("echo:G")], sent
    return {motor: twin.steps(motor).net - before[motor] for motor in "xyze"}


def test_retraction_with_hop(twin):
    scale = {motor: Fraction(str(value)) for motor, value in twin.machine().steps_per_mm.items()}
    twin.stream(["M207 S2 W10 F1800 Z0.5", "M208 S0 F1200 R600"])
    for word, length in (("G10", 2), ("G10 S1", 10)):
        steps = made(twin, word)
        assert steps == {"x": 0, "y": 0, "z": round(scale["z"] / 2), "e": -round(length * scale["e"])}
        assert twin.command("M114")[0].startswith("X:0.00 Y:0.00 Z:0.00 E:0.00")
        assert made(twin, word, "G1 X1 F3000", "G1 X0") == dict.fromkeys("xyze", 0)
        assert made(twin, "G11") == {"x": 0, "y": 0, "z": -steps["z"], "e": -steps["e"]}
        assert made(twin, "G11") == dict.fromkeys("xyze", 0)


def test_flow_and_volume_over_many_moves(twin):
    """Hundreds of moves whose filament is no whole number of anything: the sum is exact to the step."""
    scale = Fraction(str(twin.machine().steps_per_mm["e"]))
    start = twin.steps("e").net
    filament = Fraction(0)
    twin.stream(["G28 X Y", "M83", "G91", "G1 F12000"])
    for settings, share in (
        (["M221 S83"], Fraction(83, 100)),
        (["M200 D1.75"], Fraction(83, 100) / AREA),
        (["M221 S131"], Fraction(131, 100) / AREA),
        (["M200 S0", "M221 S90"], Fraction(90, 100)),
        (["M221 S100"], Fraction(1)),
    ):
        moves = []
        for n in range(120):
            length = Fraction(1037 + 7 * (n % 13), 100_000)
            filament += length * share
            moves.append("G1 X%s E0.%05d" % ("0.2" if n % 2 else "-0.2" if n else "0.2", length * 100_000))
        made(twin, *settings, *moves)
        assert abs(twin.steps("e").net - start - filament * scale) <= Fraction(6, 10), settings
    twin.stream(["G90", "M82"])
    assert "underruns:0 " in twin.command("M122")[0]


@pytest.mark.parametrize("kinematics", ["cartesian", "corexy"])
def test_skew(kinematics):
    """Marlin's rule: x' = x - y XY - z (XZ - XY YZ), y' = y - z YZ; on the motors, and undone by the way back."""
    xy, xz, yz = Fraction(12, 1000), Fraction(-7, 1000), Fraction(3, 100)
    with printer(kinematics=kinematics, start=NEAR) as twin:
        twin.stream(["G28", "M852 I0.012 J-0.007 K0.03"])
        home = {motor: twin.steps(motor).net for motor in "xyz"}
        scale = {motor: Fraction(str(value)) for motor, value in twin.machine().steps_per_mm.items()}
        for x, y, z in ((10, 20, 1), (3, 35, 2), (25, 5, 4), (0, 0, 0)):
            made(twin, "G1 X%d Y%d Z%d F6000" % (x, y, z))
            places = (x - y * xy - z * (xz - xy * yz), y - z * yz, Fraction(z))
            if kinematics == "corexy":
                places = (places[0] + places[1], places[0] - places[1], places[2])
            for motor, place in zip("xyz", places, strict=True):
                steps = twin.steps(motor).net - home[motor]
                assert abs(steps - place * scale[motor]) <= Fraction(51, 100), (motor, x, y, z)
        check_drivers(twin)


def test_a_program_after_all_of_it_was_switched_off(twin):
    """Nothing of it stays behind."""
    twin.stream(["M852 I0.01", "M200 D2", "M209 S1", "M207 Z1", "G1 X20 Y10 Z2 F6000", "G10", "G1 X10", "G11"])
    twin.stream(["M852 I0", "M200 D0", "M209 S0", "M207 Z0", "G28", "G92 E0", "M221 S100"])
    limits = dict.fromkeys("xyz", (0.0, 200.0))
    lines = ["G28", "G1 X5 Y5 Z1 F6000", "G1 X9 E0.8", "G1 E-1", "G1 X5 Y7 E0.3", "G1 Z0.5"]
    start = twin.steps("e").net
    expected = Expected(twin.machine(limits=limits))
    expected.feed("M302 P1")
    for line in lines:
        expected.feed(line)
    made(twin, *lines)
    assert twin.steps("e").net - start == expected.net_steps()["e"]
    assert twin.command("M114")[0].startswith("X:5.00 Y:7.00 Z:0.50 E:0.30")
