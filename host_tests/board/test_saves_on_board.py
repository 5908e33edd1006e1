"""M500 on the emulated board: power may fail at any flash operation, and motion may be going on."""

import pytest

from host_tests.board.printers import HeaterPins, check_drivers, errors, printer
from tools.twin.emulator import PowerCut

OLD = ["M92 X81.5", "M203 X111", "M113 S7"]
NEW = ["M92 X82.25", "M203 X222", "M113 S9"]
WHEN = ("before", "middle", "after")


def settings_of(twin):
    """What of the settings was changed here: "old", "new", "defaults", or the lines if they are mixed."""
    lines = twin.command("M503 S0")
    known = {"old": OLD, "new": NEW, "defaults": ["M92 X80.00", "M203 X300.00", "M113 S2"]}
    for name, commands in known.items():
        if all(any(_has(line, command) for line in lines) for command in commands):
            return name
    return lines


def _has(line, command):
    code, word = command.split()
    if code not in line.split():
        return False
    return any(have[0] == word[0] and float(have[1:]) == float(word[1:]) for have in line.split()[2:])


def save(twin, commands):
    for command in commands:
        assert twin.command(command) == ["ok"]
    return twin.command("M500")


@pytest.fixture(scope="module")
def saved_twice():
    """Flash after two saves, so that both files exist, and how many operations the next save makes."""
    with printer() as twin:
        assert settings_of(twin) == "defaults"
        save(twin, NEW)
        replies = save(twin, OLD)
        assert replies[0].startswith("echo:Settings Stored") and replies[-1] == "ok"
        kept = bytes(twin.board.flash)
    with printer(flash=kept) as twin:
        assert settings_of(twin) == "old"
        count = len(twin.board.flash_chip.operations)
        save(twin, NEW)
        return kept, len(twin.board.flash_chip.operations) - count


@pytest.mark.parametrize("when", WHEN)
def test_power_cut_at_every_flash_operation(saved_twice, when):
    kept, operations = saved_twice
    assert 2 <= operations < 40
    found = []
    for number in range(operations):
        with printer(flash=kept) as twin:
            for command in NEW:
                twin.command(command)
            chip = twin.board.flash_chip
            chip.cut = (len(chip.operations) + number, when)
            with pytest.raises(PowerCut):
                twin.command("M500")
            twin.board.power_cycle()
            watched = HeaterPins(twin)
            assert twin.host.wait_for("start", 5)[-1] == "start", (number, when)
            assert not errors(twin.run(0.05))
            found.append(settings_of(twin))
            assert found[-1] in ("old", "new"), (number, when, found[-1])
            # The next save works
            assert save(twin, ["M92 X90"])[0].startswith("echo:Settings Stored")
            assert watched.last_on("hotend") is None and twin.steps("x").total == 0
    assert found[0] == "old", found
    assert found == sorted(found, reverse=True), "once the new settings count they stay: %s" % found


@pytest.mark.parametrize("when", WHEN)
def test_power_cut_in_the_very_first_boot(when):
    """The file system is made then; whatever was left of it, the next start works."""
    with printer() as twin:
        operations = len(twin.board.flash_chip.operations)
    assert operations >= 2
    for number in sorted({0, 1, 2, operations // 2, operations - 1}):
        if number >= operations:
            continue
        with printer(boot=False) as twin:
            twin.board.flash_chip.cut = (number, when)
            with pytest.raises(PowerCut):
                twin.run(3)
            twin.board.power_cycle()
            assert twin.host.wait_for("start", 8)[-1] == "start", (number, when)
            twin.run(0.1)
            assert save(twin, NEW)[0].startswith("echo:Settings Stored"), (number, when)
            assert settings_of(twin) == "new"


def test_a_save_in_the_middle_of_motion_waits_for_its_end():
    with printer() as twin:
        twin.stream(["M302 P1", "G91", "G1 X40 Y30 E4 F3000", "G1 X-20 Z2", "M92 E93"])
        operations = twin.board.flash_chip.operations
        count = len(operations)
        twin.command("M203 X200")
        twin.send("G1 X10 Y10")
        reply = twin.command("M500")
        while not any("Stored" in line for line in reply):
            reply = twin.host.wait_for("ok", 20)
        ended = max(twin.edges(motor)[0][-1] for motor in "xyze")
        assert len(operations) > count
        assert operations[count]["cycle"] * 8 > ended, "flash was written while motors were moving"
        assert {motor: twin.steps(motor).net for motor in "xyze"} == {"x": 2400, "y": 3200, "z": 800, "e": 372}
        check_drivers(twin)
        assert "underruns:0 " in twin.command("M122")[0]


def test_heaters_are_still_watched_during_a_save():
    """Erasing stops the processor for a while; the watchdog must not bite, and control goes on."""
    with printer() as twin:
        twin.command("M104 S60")
        resets = []
        twin.board.on_reset.append(lambda: resets.append(twin.now))
        for steps in range(6):
            save(twin, ["M92 X%d" % (81 + steps)])
        twin.run(1)
        assert resets == [] and twin.heater_on("hotend")
        assert "/60.0" in twin.command("M105")[-1]
