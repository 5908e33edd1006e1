"""Whatever comes over the line: nothing moves, heats or resets, and a good line after it is done."""

import random

import pytest

from host_tests.board.printers import HALTED, HeaterPins, numbered, printer
from tools.twin.host import framed


def garbage(seed, count):
    """Bytes of all values but the ones that are meant to stop the firmware, with line ends now and then."""
    dice = random.Random(seed)
    return bytes(dice.choice((10, dice.randrange(256), dice.randrange(32, 127))) for _ in range(count))


BAD = {
    "garbage": garbage(1, 3000),
    "other garbage": garbage(2, 3000),
    "NULs": b"\0" * 500 + b"\n" + b"G1\0X50\n" + b"\0G28\n",
    "10 kB without a newline": b"G1 X10 " * 1500 + b"\n",
    "10 kB of one byte": b"\xff" * 10240 + b"\n",
    "half lines": b"G1 X\nG1\nG\nM\nN\nN5\nN5*\n*\n*57\nX10\n1\nG1 X5*\nM104 S\nM140\nN-1\nN\n",
    "numbers": b"".join(
        b"G1 X%s\nM104 S%s\nG92 X%s\n" % (number, number, number)
        for number in (
            b"1e9",
            b"--3",
            b"NaN",
            b"inf",
            b"1.2.3",
            b"+-1",
            b"0x10",
            b"99999999999999999999",
            b"1,5",
            b".",
            b"-",
        )
    ),
    "no value": b"G1 X\nG1 X Y\nG1 F\nG92 X\nM104 S\nM106 P\nM201 X\n",
    "wrong checksums": b"N1 G1 X10*1\nN2 G28*999\nN9999 M104 S200*3\nN1 M140 S60\nG1 X10*17\nN1 G28*\n",
    "unknown codes": b"G999\nM9999\nT5\nQ1\nM-5\nG1.5\nG28.7\nM104.2 S200\n",
    "out of range": b"M104 S2000\nM104 S-5\nM140 S999\nM92 X0\nM203 X-1\nM204 S0\nM113 S99999\nM106 P77\nM220 S0\n",
    "control bytes": bytes(range(1, 3)) + bytes(range(4, 32)) + b"\n" + bytes(range(127, 256)) + b"\n",
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_does_nothing(what):
    with printer() as twin:
        watched = HeaterPins(twin)
        twin.run(0.3)
        settings = twin.command("M503")
        resets = []
        twin.board.on_reset.append(lambda: resets.append(twin.now))
        operations = len(twin.board.flash_chip.operations)
        data = BAD[what]
        for at in range(0, len(data), 100):
            twin.board.write(data[at : at + 100])
            twin.run(0.05)
        twin.board.write(b"\n")
        said = twin.run(1.5)
        assert HALTED not in said and not resets
        assert [twin.steps(motor).total for motor in "xyze"] == [0] * 4, "something moved"
        assert watched.last_on("hotend") is watched.last_on("bed") is None, "something heats"
        assert len(twin.board.flash_chip.operations) == operations
        assert twin.command("M503") == settings, "a setting was changed"
        # A good line is done
        twin.stream(["G91", "G1 X1 F3000", "M400"])
        assert twin.steps("x").net == 80
        assert "T:2" in twin.command("M105")[-1]


def test_the_interrupt_byte_does_not_stop_a_print():
    """Control-C in what a host sends by mistake."""
    with printer() as twin:
        twin.stream(["M302 P1", "G91", "G1 X20 F1200"])
        twin.board.write(b"\x03\n")
        twin.run(0.2)
        twin.board.write(b"G1 X1\x03\n\x03\n")
        twin.run(0.2)
        twin.stream(["G1 Y1", "M400"])
        assert twin.steps("x").net == 1600 and twin.steps("y").net == 80


def test_a_bad_line_in_the_middle_of_a_print_costs_nothing_but_itself():
    with printer() as twin:
        lines = ["M302 P1", "G91"]
        for number in range(60):
            lines.append("G1 X0.5 Y0.25 E0.01 F3000")
            if number % 6 == 0:
                lines.append(("G1 X--3", "M999999", "G1 XNaN Y5", "M104 S9999", "X", "G1 F0 X9")[number // 6 % 6])
        replies = [sent.replies for sent in twin.stream([*lines, "M400"])]
        assert all(reply[-1] == "ok" for reply in replies)
        assert sum(any(line.startswith("echo:") for line in reply) for reply in replies) >= 10
        assert (twin.steps("x").net, twin.steps("y").net) == (2400, 1200)
        assert "underruns:0" in twin.command("M122")[0]


@pytest.mark.parametrize("kind", ["numbered", "plain"])
def test_a_flood_without_waiting_for_ok(kind):
    """300 lines at once: numbered ones are asked for again, plain ones may be refused in words, never half done."""
    lines = ["G91", "M302 P1"] + ["G1 X0.1 Y0.05 E0.001 F3000"] * 298
    with printer() as twin:
        if kind == "plain":
            twin.board.write("".join(line + "\n" for line in lines).encode())
            replies = twin.run(6)
            done = 298 - sum("dropped" in line for line in replies)
            assert replies.count("ok") >= done
        else:
            twin.command(framed("M110 N0", 0))
            twin.board.write(numbered(lines))
            replies, at = [], 1
            for _ in range(400):
                new = twin.run(0.3)
                replies += new
                asked = [int(line.split()[1]) for line in new if line.startswith("Resend")]
                if asked:
                    at = asked[-1]
                    twin.board.write(numbered(lines[at - 1 : at + 15], at))
                elif not new:
                    break
            done = 298
            last = twin.command(framed("M105", 301))
            assert not any("Resend" in line for line in last), (last, replies[-6:])
        twin.command("M400")
        assert twin.steps("x").net == 8 * done, "%d moves of 0.1 mm" % done
        assert twin.steps("y").net == 4 * done
        assert HALTED not in replies
        assert twin.command("M105")[-1].startswith("ok T:")


def test_half_a_line_does_not_hold_up_the_printer():
    """Somebody sends half a line and goes away for 20 s: heat and reports go on, the rest may come later."""
    with printer() as twin:
        twin.run(0.5)
        twin.command("M104 S60")
        twin.command("M155 S1")
        twin.board.write(b"G1 X1")
        said = twin.run(20)
        assert len([line for line in said if line.startswith("T:")]) >= 17
        assert twin.temperature("hotend") == pytest.approx(60, abs=5) and twin.steps("x").total == 0
        twin.board.write(b"0 F3000\nM400\n")
        twin.run(3)
        assert twin.steps("x").net == 800


def test_the_cable_is_pulled_in_the_middle_of_a_print():
    """What is planned is made, nothing restarts, heaters stay controlled, and the host finds a living printer again."""
    with printer() as twin:
        twin.stream(["M302 P1", "G91", "M104 S50", "G1 X30 Y30 F1800"])
        twin.run(0.2)
        twin.board.usb.unplug()
        twin.board.run(3.0)
        assert (twin.steps("x").net, twin.steps("y").net) == (2400, 2400)
        twin.board.usb.plug()
        twin.board.run_until(lambda: twin.board.usb.ready, 5)
        twin.host.flush()
        twin.command("M105")
        assert "/50.0" in twin.command("M105")[-1]
