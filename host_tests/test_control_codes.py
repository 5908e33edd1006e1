"""Codes that report the state and keep watch, over the whole printer on the host: M114, M85, M120, M540, M124, G1 S."""

import re

import pytest
from printer_bench import HALTED, PrinterBench, numbered


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


def places(line):
    """(X Y Z E in mm, counts) of a line of M114."""
    match = re.fullmatch(r"X:(\S+) Y:(\S+) Z:(\S+) E:(\S+) Count X:(\S+) Y:(\S+) Z:(\S+)", line)
    assert match, line
    numbers = [float(text) for text in match.groups()]
    return numbers[:4], numbers[4:]


def axes_of(made, scale, corexy):
    """mm of X Y Z from the steps that motors made."""
    a, b, z = (made[n] / scale[n] for n in range(3))
    return ((a + b) / 2, (a - b) / 2, z) if corexy else (a, b, z)


# M114


@pytest.mark.parametrize("kinematics", [0, 1])
def test_real_position_while_moving(bench, kinematics):
    b = bench(kinematics=kinematics)
    b.say("G28\nG92 X-10 Y5\nM302 P1\n")
    at_home = list(b.made)
    b.say("G1 X50 Y25 Z2 E3 F3000\n")
    seen = []

    def way():
        made = [b.made[n] - at_home[n] for n in range(4)]
        x, y, z = axes_of(made, b.scale, kinematics)
        return [x - 10, y + 5, z, made[3] / b.scale[3]], made[:3]

    while b.printer.motion.busy():
        before, made_before = way()
        answer, counts = places(b.say("M114 R\n")[0])
        after, made_after = way()
        # Every axis moves upwards; two decimals, half a step of another motor
        assert all(before[n] - 0.02 <= answer[n] <= after[n] + 0.02 for n in range(4)), (before, answer, after)
        assert after[0] - before[0] < 4  # mm in the 60 ms that asking takes
        between = [sorted((made_before[n], made_after[n])) for n in range(3)]
        assert all(low <= count <= high for count, (low, high) in zip(counts, between, strict=True))
        planned, _ = places(b.say("M114\n")[0])
        assert planned == [50, 25, 2, 3]
        seen.append(answer[0])
        b.run(50)
    assert len(seen) > 8 and seen == sorted(seen) and 0 < seen[3] < 45
    assert places(b.say("M114 R\n")[0])[0] == [50, 25, 2, 3]


def test_real_position_is_that_of_whole_steps(bench):
    b = bench()
    b.say("G28\nG1 X10.005 F3000\nM400\n")  # 800.4 steps
    assert b.say("M114\n")[0].startswith("X:10.01 ")
    assert b.say("M114 R\n")[0].startswith("X:10.00 ")


def test_real_position_of_a_skewed_machine_with_more_flow(bench):
    b = bench()
    b.say("G28\nM852 I0.02 J-0.01 K0.005\nM221 S250\nM302 P1\nG92 E0\nG1 X100 Y80 Z10 E4 F3000\nM400\n")
    assert abs(b.made[0] - 8000) > 50 and abs(b.made[3] - 930) <= 1
    assert places(b.say("M114 R\n")[0])[0] == [100, 80, 10, 4]


def test_position_in_detail(bench):
    b = bench()
    b.say("G28\nM302 P1\nG92 X-5\nG1 X10 Y20.5 Z-0 E-1.25 F6000\nM400\n")
    assert b.say("M114 D\n") == [
        "X:10.00 Y:20.50 Z:0.00 E:-1.25 Count X:1200 Y:1640 Z:0",
        "Logical: X: 10.000 Y: 20.500 Z: 0.000",
        "Raw:     X: 15.000 Y: 20.500 Z: 0.000",
        "Stepper: X: 1200 Y: 1640 Z: 0 E: -116",
        "FromStp: X: 10.000 Y: 20.500 Z: 0.000 E:-1.250",
        "Diff:    X: 0.000 Y: 0.000 Z: 0.000 E: 0.000",
        "ok",
    ]
    assert b.say("M114 E\n") == ["Count E:-116", "ok"]
    assert b.made[3] == -116


# M85


def test_shutdown_after_inactivity(bench):
    b = bench()
    b.say("M104 S100\nM85 S5\nM17\n")
    for _ in range(4):
        b.run(4000)
        assert b.say("M105\n")[-1].startswith("ok T:")
    b.run(4800)
    assert not b.printer.halted
    b.run(400)
    assert b.take() == ["Error:no command for 5 s, which M85 allows; everything is off", HALTED]
    assert b.still()


def test_no_shutdown_while_something_goes_on(bench):
    b = bench()
    b.say("M85 S2\nG91\nG1 X100 F600\n")
    b.run(9500)
    assert not b.printer.halted and b.printer.motion.busy()
    b.say("M400\nG4 S6\n")
    assert not b.printer.halted
    b.say("M85 S0\n")
    b.run(20_000)
    assert not b.printer.halted
    for bad in ("-1", "86401"):
        assert "S" + bad in b.say("M85 S%s\n" % bad)[0]
    b.run(5000)
    assert not b.printer.halted


def test_a_host_that_dies_in_the_middle_of_a_line_is_no_activity(bench):
    b = bench()
    b.say("M85 S3\n")
    b.send("G1 X1")
    b.run(3500)
    assert b.take()[-1] == HALTED


# M17, M18, M84


def test_motors_by_axis(bench):
    b = bench()
    b.say("G28\nM84 Y\n")
    assert b.motors() == [True, False, True, True] and b.printer.motion.homed == 5
    b.say("M17 Y\n")
    assert b.motors() == [True] * 4 and b.printer.motion.homed == 5
    b.say("M18\n")
    assert b.motors() == [False] * 4 and b.printer.motion.homed == 0
    b.say("M17 X E\n")
    assert b.motors() == [True, False, False, True]
    b.say("M84 S2\n")
    assert b.motors() == [True, False, False, True]
    b.run(2500)
    assert b.motors() == [False] * 4


def test_on_corexy_a_motor_without_current_lets_two_axes_go(bench):
    b = bench(kinematics=1)
    b.say("G28\nM84 X\n")
    assert b.motors() == [False, True, True, True] and b.printer.motion.homed == 4


# M120, M121, M540


@pytest.mark.parametrize("kinematics", [0, 1])
@pytest.mark.parametrize("numbers", [False, True])
def test_a_watched_endstop_stops_a_move(bench, kinematics, numbers):
    b = bench(start_mm=(20.0, 30.0, 5.0), kinematics=kinematics)
    lines = ["M120", "G91", "G1 X-60 Y4 F3000", "G1 Y10"]
    b.send(b"".join(numbered(n, text) for n, text in enumerate(lines, 1)) if numbers else "\n".join(lines) + "\n")
    b.settle()
    b.run(1500)
    hit = [line for line in b.take() if "endstops hit" in line]
    assert len(hit) == 1 and re.match(r"echo:endstops hit: X:-20\.\d\d; ", hit[0])
    assert not b.printer.motion.busy()
    double = 2 if kinematics else 1
    assert -80 * double <= b.carriage(0) <= 0  # 20 ms of 50 mm/s beyond it at most
    told, _ = places(b.say("M114\n")[0])
    made = axes_of(b.made, b.scale, kinematics)
    assert told[:3] == [pytest.approx(mm, abs=0.0051) for mm in made]
    # Away from it, along it, and no further towards it
    assert not any("endstops" in line for line in b.say("G1 Y5 F3000\nM400\nG1 X5\nM400\n"))
    assert b.carriage(0) >= 300 * double
    assert any("endstops hit: X:" in line for line in b.say("G1 X-30\nM400\n"))
    b.say("M121\n")
    assert b.say("G1 X-10\nM400\n") == ["ok", "ok"]
    assert b.carriage(0) <= -700 * double


def test_homing_is_none_of_the_watch(bench):
    b = bench()
    assert set(b.say("M120\nG28\n")) <= {"ok", "echo:busy: processing"}
    assert b.printer.motion.homed == 7 and [b.carriage(n) for n in range(3)] == [0, 0, 0]
    # Every axis stands on its switch now
    assert b.say("G1 X20 Y20 Z2 F6000\nM400\n") == ["ok", "ok"]
    assert b.say("G1 X0 Y0 Z0\nM400\n") == ["ok", "ok"]


def test_an_endstop_ends_the_print(bench):
    b = bench(start_mm=(20.0, 30.0, 5.0))
    b.say("M540 S1\nM104 S200\nM106\nG91\n")
    b.send("G1 X-60 F3000\n" + "G1 Y2\n" * 100)
    b.settle()
    b.run(3000)
    said = b.take()
    assert "// action:cancel" in said and any("endstops hit: X:" in line for line in said)
    assert said.count("ok") == 101
    assert b.cold() and not b.printer.halted and not b.printer.motion.busy()
    b.say("M540 S0\n")
    assert b.say("G1 X-5\nM400\n") == ["ok", "ok"]
    assert "no network" in b.say("M540 P1\n")[0]
    assert "S2" in b.say("M540 S2\n")[0]


# M124


def test_immediate_stop(bench):
    b = bench()
    b.say("G28\nM104 S200\n")
    b.send("G1 X150 F6000\n" + "G1 Y10\nG1 Y0\n" * 40 + "M117 still here\n")
    b.run(1000)
    assert b.printer.motion.busy()
    b.send("M124\n")
    b.run(40)
    made = list(b.made)
    b.settle()
    b.run(1500)
    assert b.made == made and not b.printer.motion.busy()
    assert b.take().count("ok") == 83
    motion = b.printer.motion
    assert motion.homed == 0 and b.printer.message == "still here"
    assert b.printer.heat.by_name("hotend").target_cc == 20000
    x = b.carriage(0)
    assert 0 < x < 12000
    assert b.say("M114\n")[0].startswith("X:%.2f " % (x / 80))
    b.say("G1 X0 F6000\nM400\n")
    assert b.carriage(0) == 0
    assert b.say(numbered(5, "M124"))[-1] == "ok"


# G1 S


@pytest.mark.parametrize("line, axis", [("G1 X-60 F3000 S1", 0), ("G0 Y-60 S1 F9000", 1), ("G1 Z-20 F300 S1", 2)])
@pytest.mark.parametrize("kinematics", [0, 1])
def test_a_move_until_its_endstop(bench, line, axis, kinematics):
    b = bench(start_mm=(20.0, 30.0, 5.0), kinematics=kinematics)
    start = [b.carriage(n) for n in range(3)]
    assert set(b.say("G91\n" + line + "\n")) <= {"ok", "echo:busy: processing"}
    assert not b.printer.motion.busy()
    assert b.carriage(axis) == 0
    start[axis] = 0
    assert [b.carriage(n) for n in range(3)] == start
    told, counts = places(b.say("M114\n")[0])
    assert told[axis] == (-20, -30, -5)[axis] and sum(map(abs, told)) == abs(told[axis])
    assert counts == b.made[:3]
    # Nothing is watched any more
    assert b.say("G1 %s-2 F600\nM400\n" % "XYZ"[axis]) == ["ok", "ok"]
    assert b.carriage(axis) == -2 * (b.scale[axis]) * (2 if kinematics and axis < 2 else 1)
    # It stands on its switch: no step further
    made = list(b.made)
    assert b.say("G1 %s-2 F600 S1\n" % "XYZ"[axis]) == ["ok"]
    assert b.made == made


def test_the_first_endstop_ends_the_whole_move(bench):
    b = bench(start_mm=(30.0, 10.0, 5.0))
    b.say("G91\nM302 P1\nG1 X-40 Y-40 Z1 E5 F1200 S1\n")
    assert b.carriage(1) == 0
    # The others stop when the main loop has seen it, 5 ms of 14 mm/s later
    assert abs((2400 - b.carriage(0)) - 800) <= 16
    told, counts = places(b.say("M114\n")[0])
    assert counts == b.made[:3] and told[3] == pytest.approx(b.made[3] / b.scale[3], abs=0.0051)
    assert told[1] == -10 and b.made[2] > 0


def test_a_checked_move_that_meets_nothing_is_a_plain_move(bench):
    b = bench()
    b.say("G28\nG1 X100 Y50 Z0.5 F6000\nM400\n")
    assert b.say("G1 X50 Y60 Z1 S1\n")[-1] == "ok"
    assert [b.carriage(n) for n in range(3)] == [4000, 4800, 400]
    b.say("G1 X-20 S1\n")  # the limits hold all the same
    assert b.carriage(0) == 0


def test_m410_and_m112_end_a_checked_move(bench):
    b = bench(start_mm=(150.0, 10.0, 5.0))
    b.send("G91\nG1 X-140 F600 S1\nM117 next\n")
    b.run(1000)
    b.send("M410\n")
    b.settle()
    assert b.take().count("ok") == 4 and b.printer.message == "next"
    assert b.say("M114\n")[0].startswith("X:%.2f " % (b.made[0] / 80))
    b.send("G1 X-100 F600 S1\n")
    b.run(1000)
    assert b.say("M112\n")[-1] == HALTED
    assert b.still()


@pytest.mark.parametrize("line, words", [
    ("G1 E5 S1", ("S1", "endstop")), ("G1 X5 S3", ("S3", "0, 1")), ("G1 X5 S-1", ("S-1",)), ("G1 X5 S", ("S",)),
    ("G1 X5 S1.5", ("S1.5",)), ("G0 F500 S1", ("S1", "endstop")),
])  # fmt: skip
def test_wrong_flags(bench, line, words):
    b = bench()
    b.say("G91\n")
    answer = b.say(line + "\n")
    assert len(answer) == 2 and answer[0].startswith("echo:") and all(word in answer[0] for word in words)
    assert b.made == [0, 0, 0, 0]


def test_flag_0_and_raw_moves_on_a_cartesian_printer_are_plain(bench):
    b = bench()
    b.say("G28\nG1 X10 S0 F6000\nG1 Y20 S2\nM400\n")
    assert [b.carriage(n) for n in range(3)] == [800, 1600, 0]
    assert "echo:X" in b.say("G1 X-10 S2\n")[0]


def test_raw_motor_moves_on_corexy(bench):
    b = bench(kinematics=1)
    b.say("G28\nG1 X50 Y50 F6000\nM400\n")
    made = list(b.made)
    assert "G91" in b.say("G1 X10 S2\n")[0]
    b.say("G91\nG1 X10 S2\nM400\n")
    assert [b.made[n] - made[n] for n in range(4)] == [800, 0, 0, 0]
    assert b.say("M114\n")[0] == "X:55.00 Y:55.00 Z:0.00 E:0.00 Count X:8800 Y:0 Z:0"
    b.say("G1 Y-4 Z1 S2 F1200\nM400\n")
    assert [b.made[n] - made[n] for n in range(4)] == [800, -320, 400, 0]
    assert b.say("M114\n")[0] == "X:53.00 Y:57.00 Z:1.00 E:0.00 Count X:8800 Y:-320 Z:400"
    for line, words in (
        ("G1 X-150 S2", ("X to -22.00 mm", "0.00 to 200.00")), ("G1 E1 S2", ("E1",)), ("G1 X1 F0 S2", ("F0",)),
    ):  # fmt: skip
        answer = b.say(line + "\n")[0]
        assert answer.startswith("echo:") and all(word in answer for word in words), answer
    b.say("G90\nG1 X0 Y0 Z0\nM400\n")
    assert [b.carriage(n) for n in range(3)] == [0, 0, 0]
