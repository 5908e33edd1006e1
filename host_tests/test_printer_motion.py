"""The whole printer on the host: homing, limits, cold extrusion, and programs against an independent model."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printer_bench import HALTED, PrinterBench, numbered

from tools.twin.expected import Expected, Machine

AXES = "XYZ"
CORNERS = [(3.0, 2.0, 1.0), (40.0, 0.5, 3.0), (0.0, 0.0, 0.0), (0.0125, 150.0, 0.0025)]


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


def remarks(written):
    return [line for line in written if line.startswith("echo:") and not line.startswith("echo:busy")]


# Homing


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("start_mm", CORNERS)
def test_homing_stops_at_the_switches(bench, start_mm, kinematics):
    b = bench(start_mm=start_mm, kinematics=kinematics)
    assert set(b.say("G28\n")) <= {"echo:busy: processing", "ok"}
    assert [b.carriage(axis) for axis in range(3)] == [0, 0, 0]
    assert max(b.furthest) <= kinematics  # of half a step
    assert b.say("M114\n")[0] == "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0"
    assert b.printer.motion.homed == 7
    b.say("G1 X12.5 Y20 Z1 F6000\nM400\n")
    double = 2 if kinematics else 1
    assert [b.carriage(axis) for axis in range(3)] == [1000 * double, 1600 * double, 400]
    assert not b.printer.motion.busy()


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_axis_homes_and_the_others_stay(bench, axis, kinematics):
    b = bench(start_mm=(30.0, 20.0, 2.0), kinematics=kinematics)
    before = [b.carriage(n) for n in range(3)]
    b.say("G28 %s\n" % AXES[axis])
    before[axis] = 0
    assert [b.carriage(n) for n in range(3)] == before
    assert b.printer.motion.homed == 1 << axis
    # Nobody knows where the others are, but they are still where they were said to be
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00")
    b.say("G1 X2 Y3 Z1 F3000\nM400\n")
    double = 2 if kinematics else 1
    before[0] += 160 * double
    before[1] += 240 * double
    before[2] += 400
    assert [b.carriage(n) for n in range(3)] == before


@pytest.mark.parametrize("kinematics", [0, 1])
def test_homing_to_the_far_end(bench, kinematics):
    b = bench(start_mm=(190.0, 180.0, 1.0), home_to_max_x=1, home_to_max_y=1, kinematics=kinematics)
    b.say("G28\n")
    double = 2 if kinematics else 1
    assert [b.carriage(0), b.carriage(1), b.carriage(2)] == [16000 * double, 16000 * double, 0]
    assert max(b.furthest) <= kinematics  # of half a step
    count = (32000, 0) if kinematics else (16000, 16000)
    assert b.say("M114\n")[0] == "X:200.00 Y:200.00 Z:0.00 E:0.00 Count X:%d Y:%d Z:0" % count


def test_homing_again_finds_the_same_place(bench):
    b = bench()
    b.say("G28\nG1 X20 Y30 Z2 F6000\nG92 X100 Y-5\n")
    b.say("G28\n")
    assert [b.carriage(axis) for axis in range(3)] == [0, 0, 0]
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00")


def check_halt(b, letter, limit_mm):
    before = list(b.made)
    written = b.say("G28 %s\nG1 X5\nM105\n" % letter, 600_000)
    written = [line for line in written if line != "echo:busy: processing"]
    assert len(written) == 2 and written[1] == HALTED
    assert written[0].startswith("Error:Homing failed: %s endstop" % letter)
    axis = AXES.index(letter)
    assert abs(b.made[axis] - before[axis]) <= limit_mm * b.scale[axis]
    assert b.still()
    return written[0]


@pytest.mark.parametrize(("letter", "limit_mm"), [("X", 260), ("Y", 260), ("Z", 260)])
def test_a_switch_that_is_never_found_halts(bench, letter, limit_mm):
    b = bench()
    b.stuck = {AXES.index(letter): 0}
    assert "not reached within 260 mm" in check_halt(b, letter, limit_mm)


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("letter", AXES)
def test_a_switch_that_never_opens_halts(bench, letter, kinematics):
    b = bench(start_mm=(20.0, 20.0, 2.0), kinematics=kinematics)
    b.stuck = {AXES.index(letter): 1}
    b.look_at_switches()
    assert "still triggered" in check_halt(b, letter, 10)


def test_a_switch_that_is_not_found_again_halts(bench):
    b = bench()
    look = b._on_step
    touched = []

    def once(motor, direction):
        look(motor, direction)
        if b.carriage(0) <= 0:
            touched.append(1)
        elif touched:
            b.stuck[0] = 0

    b.hal.streams.on_step = once
    assert "not reached again within" in check_halt(b, "X", 30)


# Limits and cold extrusion


def test_moves_end_at_the_limits_with_one_remark(bench):
    b = bench()
    b.say("G1 X-5 F6000\n")  # nobody knows where the limits are yet
    b.say("G1 X0\nG28\n")
    written = b.say("G1 X-5 Y10\nG1 X-6 Y20\nG1 X500\nG1 X-1 Y400 Z-1\nM114\n")
    told = remarks(written)
    assert [line[:7] for line in told] == ["echo:X:", "echo:Y:", "echo:Z:"]
    assert "0.00 to 200.00 mm" in told[0]
    assert written.count("ok") == 5
    assert written[-2].startswith("X:0.00 Y:200.00 Z:0.00")
    b.say("M400\n")
    assert [b.carriage(axis) for axis in range(3)] == [0, 16000, 0]
    assert len(remarks(b.say("G1 X900\nG1 X901\n"))) == 1
    b.say("M400\n")
    assert b.carriage(0) == 16000
    assert remarks(b.say("M211 S0\nG1 X201\nM400\n")) == []
    assert b.carriage(0) == 201 * 80


def test_limits_stay_with_the_machine_whatever_g92_says(bench):
    b = bench()
    b.say("G28\nG1 X100 F9000\nG92 X0\nG1 X-150\nM400\n")
    assert b.carriage(0) == 0
    assert b.say("M114\n")[0].startswith("X:-100.00")


@pytest.mark.parametrize("mode", ["M82", "M83"])
@pytest.mark.parametrize("numbers", [False, True])
def test_a_cold_hotend_does_not_extrude(bench, mode, numbers):
    b = bench()
    texts = ["G28", mode, "G1 X10 E2 F3000", "G1 X20 E4", "G1 E5", "M82", "M114", "M400"]
    written = b.say(b"".join(numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)))
    told = remarks(written)
    assert len(told) == 1 and "cold extrusion prevented" in told[0]
    assert b.made[3] == 0 and b.carriage(0) == 1600
    position = next(line for line in written if line.startswith("X:"))
    assert " E:%.2f " % (5 if mode == "M82" else 11) in position
    b.say("M302 P1\nG1 E10\nM400\n")
    assert b.made[3] == round((5 if mode == "M82" else -1) * b.scale[3])


# Programs against the independent model

number = st.builds(
    lambda sign, whole, fraction: "%s%s%s" % (sign, whole, fraction and "." + fraction),
    st.sampled_from(["", "-"]),
    st.integers(0, 60),
    st.text("0123456789", max_size=5),
)
small = st.builds(lambda sign, n, digits: "%s%.*f" % (sign, digits, n), st.sampled_from(["", "-"]),
                  st.floats(0, 3, allow_nan=False), st.integers(0, 5))  # fmt: skip


@st.composite
def move(draw):
    words = ["G%d" % draw(st.integers(0, 1))]
    for letter, kind in (("X", number), ("Y", number), ("Z", small), ("E", small)):
        if draw(st.booleans()):
            words.append(letter + draw(kind))
    if draw(st.integers(0, 3)) == 0:
        words.append("F%d" % draw(st.integers(1200, 12000)))
    return " ".join(words)


mode = st.sampled_from(
    ["G90", "G91", "M82", "M83", "G20", "G21", "M220 S50", "M220 S250", "M220 S100", "M221 S33", "M221 S150",
     "M221 S100", "M302 P1", "M302 P0", "G92 E0", "G92", "M400", "M92 X100", "M92 E417.35", "G28", "G28 X", "G4 P10"]
)  # fmt: skip
offsets = st.builds(lambda letter, value: "G92 %s%s" % (letter, value), st.sampled_from("XYZE"), small)
programs = st.lists(st.one_of(move(), move(), mode, offsets), min_size=1, max_size=25)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, st.sampled_from([0, 1]), st.booleans(), st.booleans())
def test_motors_end_where_an_independent_reader_says(program, kinematics, numbers, ahead):
    b = PrinterBench(kinematics=kinematics)
    try:
        b.say("")
        model = Expected(
            Machine(
                steps_per_mm=dict(zip("xyze", b.scale, strict=True)),
                limits=dict.fromkeys("xyz", (0.0, 200.0)),
                kinematics="corexy" if kinematics else "cartesian",
            )
        )
        at_home = {}
        for n, text in enumerate(["G28", "G1 F6000", *program, "M400"], 1):
            b.send(numbered(n, text) if numbers else text.encode() + b"\n")
            if text.startswith(("G28", "M92")) or not ahead:
                b.settle(3_600_000)
            model.feed(text)
            if text.startswith("G28"):
                axes = text[3:].strip() or "XYZ"
                motors = "xy" if kinematics and set(axes) & set("XY") else ""
                for motor in motors + axes.lower():
                    at_home[motor] = b.made["xyze".index(motor)]
        b.settle(3_600_000)
        written = [line for line in b.take() + b.lines if line.startswith(("Error", "echo:Unk", "echo:unex", "Resend"))]
        assert not written
        assert not b.printer.motion.busy()
        made = {motor: b.made[n] - at_home.get(motor, 0) for n, motor in enumerate("xyze")}
        assert model.wrong_motors(made) == {}, (made, model.net_steps())
    finally:
        b.close()


def test_speeds_are_those_asked_for(bench):
    b = bench()
    b.say("G28\nM204 S3000\n")
    for percent, feed in ((100, 3000), (50, 3000), (200, 3000), (100, 600)):
        b.say("M220 S%d\nG1 X0 F9000\nM400\n" % percent)
        edges = b.hal.streams.edges[0]
        del edges[:]
        b.say("G1 X30 F%d\nM400\n" % feed)
        middle = edges[len(edges) // 2 - 400 : len(edges) // 2 + 400]
        seconds = (middle[-1][0] - middle[0][0]) * 8e-9
        assert (len(middle) - 1) / 80 / seconds == pytest.approx(feed * percent / 6000, rel=0.01)


def test_position_report_in_the_frame_of_the_file(bench):
    b = bench()
    b.say("G28\nG1 X10 Y20 Z1 F6000\nG92 X1 E7\nG91\nG1 X2\n")
    text = b.say("M400\nM114\n")[-2]
    assert re.fullmatch(r"X:3\.00 Y:20\.00 Z:1\.00 E:7\.00 Count X:960 Y:1600 Z:400", text)
