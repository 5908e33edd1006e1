"""On the emulated board: moves that end at a switch, the watch over switches, M85, M124, M114 R, M122."""

import pytest

from host_tests.board.printers import HALTED, HeaterPins, check_drivers, printer
from host_tests.board.programs import wave
from host_tests.board.test_homing_on_board import SCALE, Switch, overshoots
from tools.twin.status import Status

START = {"x": 16.3, "y": 14.7, "z": 3.1}


def told(twin, line="M114"):
    """(places in mm, counts) as the firmware reports them."""
    status = Status()
    for reply in twin.command(line):
        if reply.startswith("X:"):
            status.read(reply)
    return status.position, status.counts


def figures(twin, line="M122"):
    status = Status()
    for reply in twin.command(line):
        status.read(reply)
    return {name: status.number(name) for name in status.values}


@pytest.mark.parametrize(
    "board, kinematics", [("skr_pico", "cartesian"), ("pico", "cartesian"), ("skr_pico", "corexy")]
)
@pytest.mark.parametrize("line, axis", [("G1 X-30 F3000 S1", "x"), ("G1 Y-30 F6000 S1", "y"), ("G1 Z-8 F400 S1", "z")])
def test_a_checked_move_stops_on_its_switch_to_the_step(board, kinematics, line, axis):
    with printer(board, kinematics, start=START) as twin:
        switch = Switch(twin, axis)
        before = twin.position_mm()
        twin.command("M155 S1 C5")
        twin.command("G91")
        twin.send(line)
        for _ in range(5):  # the processor has other things to do as well
            twin.run(0.05)
            twin.send("M105")
        twin.host.wait_for("ok", 30)
        twin.run(1)
        motors = ("x", "y") if kinematics == "corexy" and axis != "z" else (axis,)
        assert len(switch.closings()) == 1
        assert overshoots(twin, switch, motors, 1) == [pytest.approx(0, abs=1)]
        after = twin.position_mm()
        assert -1.001 <= after[axis] * SCALE[axis] <= 0.001
        for other in set("xyz") - {axis}:
            assert abs(after[other] - before[other]) * SCALE[other] <= (0.501 if len(motors) == 2 else 0)
        places, counts = told(twin)
        for motor in "xyz":
            assert counts[motor] == twin.steps(motor).net, (motor, counts)
        for name in "xyz":
            assert abs(places[name] - (after[name] - before[name])) <= 0.0051 + 0.5 / SCALE[name]
        # Back to where it was, with nothing watched any more
        twin.command("G90")
        twin.command("G1 X0 Y0 Z0 F3000")
        twin.command("M400")
        assert [twin.steps(motor).net for motor in "xyz"] == [0, 0, 0]
        check_drivers(twin)


def test_a_checked_move_of_several_axes_ends_at_the_first_switch():
    with printer(start=START) as twin:
        switch = Switch(twin, "y")
        twin.stream(["G91", "M302 P1", "G1 X-30 Y-30 E6 F1800 S1"])
        assert len(switch.closings()) == 1 and overshoots(twin, switch, "y", 1)[0] <= 1
        places, counts = told(twin)
        assert [counts[motor] for motor in "xyz"] == [twin.steps(motor).net for motor in "xyz"]
        y, x = twin.steps("y").net, twin.steps("x").net
        assert 0 <= y - x <= 30  # the other one made some ms more, at 21 mm/s
        times = twin.edges("x")[0]
        assert times[-1] - switch.closings()[0] <= 20e6
        assert abs(places["e"] * 93 - twin.steps("e").net) <= 1
        check_drivers(twin)


@pytest.mark.parametrize("kinematics", ["cartesian", "corexy"])
def test_the_watch_stops_a_move_into_a_switch(kinematics):
    with printer(kinematics=kinematics, start=START) as twin:
        switch = Switch(twin, "x")
        before = twin.position_mm()
        twin.stream(["M120", "G91", "G1 X-30 Y3 F1800"])
        said = twin.run(2)
        assert len([line for line in said if line.startswith("echo:endstops hit: X:-16.")]) == 1, said
        late = max(twin.edges(motor)[0][-1] for motor in "xy") - switch.closings()[0]
        assert late <= 20e6, late
        after = twin.position_mm()
        assert -0.5 <= after["x"] <= 0
        places, counts = told(twin)
        for motor in "xyz":
            assert counts[motor] == twin.steps(motor).net
        for name in "xy":
            assert abs(places[name] - (after[name] - before[name])) <= 0.0051 + 0.5 / SCALE[name]
        # Away from the switch it may go, and home
        assert not any("endstops" in line for sent in twin.stream(["G1 X5 Y5 F3000", "M400"]) for line in sent.replies)
        twin.command("G28", timeout=60)
        assert abs(told(twin)[0]["x"]) <= 0.011
        twin.stream(["M121", "G1 X-1 F600", "M211 S0", "G1 X-0.5 F600", "M400"])
        check_drivers(twin)


def test_a_switch_ends_a_print():
    with printer(start=START) as twin:
        watched = HeaterPins(twin)
        twin.stream(["M540 S1", "M140 S60", "M106 S200", "G91"])
        lines = ["G1 X-1 Y0.2 F3000"] * 60
        said = [line for sent in twin.stream(lines) for line in sent.replies] + twin.run(1)
        assert "// action:cancel" in said
        ended = twin.now
        twin.run(1)
        assert watched.last_on("bed") < ended - 0.5 and twin.fan("part") == 0.0
        assert twin.position_mm()["x"] < 0.001
        assert twin.command("M105")[-1].startswith("ok T:")


def test_immediate_stop_while_printing():
    with printer() as twin:
        twin.command("G28", timeout=60)
        home = {motor: twin.steps(motor).net for motor in "xyz"}
        twin.stream(["M104 S200", "M302 P1", "M83", "G1 X20 Y20 Z1 F9000"])
        for n, _ in enumerate(twin.streaming(wave(400, 0.3, 7200))):
            if n == 150:
                break
        twin.host.flush()
        twin.send("M124")
        twin.run(0.05)
        steps = {motor: twin.steps(motor).total for motor in "xyze"}
        twin.run(1)
        assert steps == {motor: twin.steps(motor).total for motor in "xyze"}
        _, counts = told(twin)
        for motor in "xyz":
            assert counts[motor] == twin.steps(motor).net - home[motor]
        assert "/200.0" in twin.command("M105")[-1] and twin.heater_on("hotend")
        twin.stream(["G92.1", "G90", "G1 X0 Y0 Z0 F6000", "M400"])
        for motor in "xyz":
            assert twin.steps(motor).net == home[motor]
        check_drivers(twin)


def test_shutdown_after_inactivity():
    with printer() as twin:
        watched = HeaterPins(twin)
        twin.stream(["M85 S3", "M140 S60", "G91", "G1 X10 F3000", "M400"])
        asked = twin.now
        said = twin.host.wait_for(HALTED, 10)
        assert 2.9 <= twin.now - asked <= 3.3
        assert any(line.startswith("Error:no command for 3 s") for line in said)
        twin.run(0.5)
        assert watched.last_on("bed") <= asked + 3.3
        for motor in twin.plan.motors:
            assert twin.board.level(motor.enable) != motor.enable_level


@pytest.mark.parametrize("kinematics", ["cartesian", "corexy"])
def test_the_real_position_while_moving(kinematics):
    with printer(kinematics=kinematics) as twin:
        before = twin.position_mm()
        twin.stream(["G92 X0 Y0 Z0", "G1 X60 Y30 Z1 F2400"])
        seen = []
        for _ in range(8):
            low = twin.position_mm()
            places, _ = told(twin, "M114 R")
            high = twin.position_mm()
            for axis in "xyz":
                # Every axis goes upwards; the report is good to a slice or two, 1 ms of 40 mm/s each
                assert low[axis] - 0.1 <= places[axis] + before[axis] <= high[axis] + 0.1, (axis, low, places, high)
            assert told(twin)[0]["x"] == 60
            seen.append(places["x"])
            twin.run(0.1)
        assert seen == sorted(seen) and 0 < seen[2] < seen[-1] < 60
        twin.command("M400")
        assert told(twin, "M114 R")[0] == {"x": 60, "y": 30, "z": 1, "e": 0}


def test_diagnostics_of_a_print():
    with printer(start={"x": 40, "y": 50, "z": 20}) as twin:
        twin.stream(["M302 P1", "G91", "M83", "M122 S0"])
        asked = 0
        for sent in twin.streaming(wave(700, 0.3, 4800)):
            if sent and sent.text.startswith("G1"):
                asked += 1
            if asked == 600:
                break
        twin.host.flush()
        told = figures(twin, "M122 S0")
        print(told)
        assert told["underruns"] == 0 and told["resends"] == 0
        assert 550 <= told["lines"] <= 620
        assert told["lowest_ahead_ms"] > 40 and told["lowest_blocks"] >= 1
        assert 5_000 <= told["longest_gap_us"] <= 60_000
        assert 1 <= told["slicer_us_per_ms"] < 500 and 1 <= told["busy_percent"] <= 100
        assert told["collections"] >= 1 and 0.5 <= told["gc_pause_ms"] < 50
        twin.command("M400")
        told = figures(twin)
        assert told["lines"] <= 5 and told["underruns"] == 0


def test_a_late_host_is_told_from_a_late_firmware():
    with printer() as twin:
        twin.stream(["G91", "M122 S0"])
        for _ in range(3):
            twin.stream(["G1 X1 F3000", "G1 X-1 F3000"] * 10)
            twin.run(1.1)
        told = figures(twin)
        assert (told["host"], told["planner"], told["slicer"]) == (2, 0, 0)


