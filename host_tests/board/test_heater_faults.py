"""Every fault of a heater or its sensor ends with the heater's pin low for good and the host told, once."""

import pytest

from host_tests.board.printers import HALTED, HeaterPins, printer, warm

TARGETS = {"hotend": ("M104 S%d", 205, "T"), "bed": ("M140 S%d", 60, "B")}


def heat(twin, name, begin, target=None):
    """Heat from a temperature towards a target."""
    twin.run(0.5)
    warm(twin, name, begin)
    twin.run(4)  # until the reading has followed
    command, usual, _ = TARGETS[name]
    assert twin.command(command % (target or usual)) == ["ok"]


def break_and_wait(twin, name, fault, limit):
    """Break it and wait for the printer to halt: (s until the pin was low for good, the fault's line)."""
    watched = HeaterPins(twin)
    twin.host.flush()
    broken = twin.now
    twin.break_heater(name, fault)
    said = twin.host.wait_for(HALTED, limit)
    wrong = [line for line in said if line.startswith("Error:")]
    assert len(wrong) == 2 and wrong[1] == HALTED, said
    told = twin.now
    lasts = {heater: watched.last_on(heater) for heater in TARGETS}
    # Words come after deeds, for both heaters
    assert all(last is None or last < told for last in lasts.values()), (lasts, told)
    twin.send("M104 S200")
    twin.send("M140 S50")
    twin.send("M105")
    assert twin.run(30) == [], "halted: nothing more is said"
    assert {heater: watched.last_on(heater) for heater in TARGETS} == lasts, "a heater came on again"
    for motor in twin.plan.motors:
        assert twin.board.level(motor.enable) != motor.enable_level
    last = lasts[name]
    return (0.0 if last is None else max(last - broken, 0.0)), wrong[0]


# fault, temperature to begin with, seconds that it may take, words; "holding" begins at the target
CASES = [
    ("open", 150, 1.0, ("MINTEMP", "Thermal Malfunction")),
    ("short", 150, 1.0, ("MAXTEMP", "Thermal Malfunction")),
    ("loose", 150, 2.0, ("Thermal Malfunction", "MINTEMP")),
    ("dead", 60, 25.0, ("Heating failed",)),
    ("fallen", 205, 8.0, ("Thermal Runaway", "Heating failed")),
]
BED_CASES = [
    ("open", 50, 1.0, ("MINTEMP", "Thermal Malfunction")),
    ("short", 50, 1.0, ("MAXTEMP", "Thermal Malfunction")),
    ("dead", 35, 70.0, ("Heating failed",)),
    ("fallen", 60, 12.0, ("Thermal Runaway", "Heating failed")),
]
ALL = [("hotend", *case) for case in CASES] + [("bed", *case) for case in BED_CASES]


@pytest.mark.parametrize("name, fault, begin, limit, words", ALL, ids=["%s %s" % case[:2] for case in ALL])
def test_a_fault_while_heating(name, fault, begin, limit, words, record_property):
    with printer() as twin:
        heat(twin, name, begin)
        twin.run(3)
        assert twin.heater_on(name) or begin == TARGETS[name][1]
        took, text = break_and_wait(twin, name, fault, 200)
        record_property("fault_to_off_s", float(took))
        print("%s %s: off after %.2f s; %s" % (name, fault, took, text))
        assert took <= limit, text
        assert any(text.startswith("Error:" + word) for word in words), text
        assert name in text and "check:" in text


@pytest.mark.parametrize("name, begin, limit", [("hotend", 150, 60), ("bed", 55, 150)])
def test_a_heater_that_stays_on_while_heating(name, begin, limit):
    """The pin cannot help any more; the host must hear of it, and the other heater is off as well."""
    with printer() as twin:
        heat(twin, name, begin)
        twin.run(1)
        took, text = break_and_wait(twin, name, "stuck_on", 250)
        print("%s stuck on: off after %.2f s; %s" % (name, took, text))
        assert took <= limit
        assert text.startswith(("Error:MAXTEMP", "Error:Thermal Runaway"))
        assert name in text


@pytest.mark.parametrize("name, limit", [("hotend", 35), ("bed", 130)])
def test_a_heater_that_stays_on_without_a_target(name, limit):
    with printer() as twin:
        twin.run(1)
        began = twin.now
        took, text = break_and_wait(twin, name, "stuck_on", limit)
        assert took == 0.0, "it was never meant to be on"
        assert text.startswith("Error:Thermal Runaway") and "does not switch off" in text
        assert twin.now - began < limit + 35


@pytest.mark.parametrize("name", ["hotend", "bed"])
@pytest.mark.parametrize("fault", ["open", "short"])
def test_a_broken_sensor_at_rest_keeps_its_heater_off(name, fault):
    """Without a target a broken sensor does not stop the printer, but nothing can be heated with it."""
    with printer() as twin:
        twin.run(1)
        watched = HeaterPins(twin)
        twin.break_heater(name, fault)
        said = twin.run(5)
        halted = HALTED in said
        if not halted:
            reply = twin.command(TARGETS[name][0] % 50)
            assert reply[-1] == "ok" and "stays off" in reply[0] and name in reply[0], reply
            twin.run(2)
        assert watched.last_on(name) is None


def test_a_fault_in_the_middle_of_a_wait_and_a_move():
    """M109 waits, then a print goes on: the fault ends both, and only then says so."""
    with printer() as twin:
        warm(twin, "hotend", 190)
        twin.run(4)
        for line in ("M302 P1", "M104 S205", "M106 S255", "G91", "G1 X100 E5 F1200"):
            twin.command(line)
        twin.send("M109 S205")
        twin.run(1.5)
        assert twin.steps("x").total > 500
        broken = twin.now
        took, text = break_and_wait(twin, "hotend", "open", 10)
        assert took <= 1.0 and text.startswith("Error:")
        assert twin.edges("x")[0][-1] / 1e9 - broken < 1.0
        assert twin.fan("part") == 0.0
        twin.break_heater("hotend", None)
        twin.send("M999")
        twin.host.wait_for("start", 5)
        twin.run(3)
        assert twin.command("M104 S205") == ["ok"], "after M999 all is well again"
        twin.run(1)
        assert twin.heater_on("hotend")
