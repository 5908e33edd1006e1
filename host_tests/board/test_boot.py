"""From reset to `start`, and what the pins do meanwhile: nothing may heat, move or blow."""

import pytest

from host_tests.board.printers import HALTED, HeaterPins, hooked_flash, printer

BOARDS = ("skr_pico", "pico")


def start_watching(twin):
    """Edges of everything that could do harm."""
    pins = [heater.pin for heater in twin.plan.heaters] + [motor.step for motor in twin.plan.motors]
    pins += [pin for pin, _ in twin.plan.fans.values()]
    return twin.board.record(pins)


def rises(record):
    return {pin: len(record.rising(pin)) for pin in record.pins if record.rising(pin)}


@pytest.mark.parametrize("board", BOARDS)
def test_boot_says_start_and_switches_nothing_on(board):
    with printer(board, boot=False) as twin:
        record = start_watching(twin)
        assert twin.boot() == ["start"]
        assert twin.now < 1.5
        assert all(line.startswith("echo:") for line in twin.run(2)), "only remarks may follow"
        assert rises(record) == {}
        for motor in twin.plan.motors:
            assert twin.board.driven(motor.enable)
            assert twin.board.level(motor.enable) != motor.enable_level, "motor %s is on" % motor.name
        assert twin.command("M105")[-1].startswith("ok T:")
        assert twin.steps("x").total == 0


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("how", ["button", "M999", "M999 after M112"])
def test_a_reset_while_everything_is_on(board, how):
    """Heaters, motors and fan are on; the reset lets go of all of them and they stay off."""
    with printer(board) as twin:
        twin.run(0.5)
        for line in ("M104 S200", "M140 S60", "M106 S255", "G91", "G1 X50 Y50 F3000"):
            twin.command(line)
        twin.run(0.7)
        assert twin.heater_on("hotend") and twin.heater_on("bed") and twin.fan("part") == 1.0
        if how == "button":
            twin.board.reset()
            record = start_watching(twin)
        else:
            if how != "M999":
                twin.send("M112")
                assert twin.host.wait_for(HALTED, 1)[-1] == HALTED
            resets = []
            twin.board.on_reset.append(lambda: resets.append(start_watching(twin)))
            twin.send("M999")
            assert twin.run_until(lambda: resets, 5), "no reset"
            record = resets[0]
        assert twin.host.wait_for("start", 5)[-1] == "start"
        twin.run(2)
        assert rises(record) == {}
        assert not twin.heater_on("hotend") and not twin.heater_on("bed") and twin.fan("part") == 0.0
        before = twin.steps("x").total
        assert twin.command("M114")[0].startswith("X:0.00 Y:0.00")
        twin.command("G1 X1 F600")
        twin.command("M400")
        assert twin.steps("x").total == before + 80


FREEZE = """
from adder import heat
check = heat.Heat.check
count = 0
def broken(self, _=None):
    global count
    count += 1 if self.any_on() else 0
    if count < 20:
        return check(self)
    %s
heat.Heat.check = broken
"""


HOWS = {
    "stops": "return",
    "hangs": "while True: pass",
    "cannot switch a heater off": "self.heaters[1] = None; return check(self)",
}


@pytest.mark.parametrize("how", HOWS)
def test_the_watchdog_resets_when_the_heater_check(how):
    with printer(flash=hooked_flash(FREEZE % HOWS[how])) as twin:
        watched = HeaterPins(twin)
        twin.command("M104 S200")
        twin.run(1)
        assert twin.heater_on("hotend")
        begin = twin.now
        resets = []
        twin.board.on_reset.append(lambda: resets.append((twin.now, start_watching(twin))))
        assert twin.run_until(lambda: resets, 15), "the watchdog never came"
        when, record = resets[0]
        assert 2 < when - begin < 12
        assert twin.host.wait_for("start", 5)[-1] == "start"
        twin.run(1)
        assert rises(record) == {}
        assert watched.last_on("hotend") <= when + 1e-6
        assert twin.command("M105")[-1].startswith("ok T:")


def test_a_heater_check_that_fails_switches_off_and_says_so():
    with printer(flash=hooked_flash(FREEZE % "self.heaters[1]._adc = None; return check(self)")) as twin:
        watched = HeaterPins(twin)
        twin.command("M104 S200")
        twin.run(5)
        assert twin.now - watched.last_on("hotend") > 2.5
        said = [line.text for line in twin.host.log if line.text.startswith("Error")]
        assert len(said) == 2 and "heater check failed" in said[0] and said[1] == HALTED, said


RAISE = """
from adder.codes import status
def m114(p, c):
    raise ValueError("broken on purpose")
status.m114 = m114
"""


def test_an_exception_in_a_handler_leaves_everything_off():
    with printer(flash=hooked_flash(RAISE)) as twin:
        watched = HeaterPins(twin)
        for line in ("M104 S200", "M140 S60", "M106 S255", "G91", "G1 X50 Y50 F3000"):
            twin.command(line)
        twin.run(0.5)
        assert twin.heater_on("hotend")
        sent = twin.now
        twin.send("M114")
        said = twin.run(3)
        assert any(line.startswith("Error:") and "broken on purpose" in line for line in said), said
        assert HALTED in said
        for heater in ("hotend", "bed"):
            assert watched.last_on(heater) - sent < 0.05
        assert twin.edges("x")[0][-1] / 1e9 - sent < 0.05
        for motor in twin.plan.motors:
            assert twin.board.level(motor.enable) != motor.enable_level
