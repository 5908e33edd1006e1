"""Moves that are too long for the machine's 10 m are refused, whole, on every way in; nothing overflows."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printer_bench import PrinterBench, numbered

from adder.command import Command
from adder.errors import Refused
from adder.frame import KINEMATICS, MOVES, UNIT, Frame


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


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize(
    ("before", "move"),
    [
        ("G92 X-9000 Y-9000", "G1 X9000 Y9000 F60000"),  # 18 m for A
        ("G92 X-9000 Y9000", "G1 X9000 Y-9000 F60000"),  # 18 m for B
    ],
)
def test_a_motor_beyond_10_m(bench, before, move, numbers):
    b = bench(kinematics=1)
    texts = ["M302 P1", before, "G91", move, "G1 X0.5 F6000", "M400", "M114"]
    written = b.say(b"".join(numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)))
    told = [line for line in written if line.startswith("echo:") and "busy" not in line]
    assert len(told) == 1 and told[0].startswith("echo:X") and "within 10 m" in told[0]
    assert written.count("ok") == len(texts)
    assert b.made[0] == b.made[1] == 40, "only the half millimetre was made"


@pytest.mark.parametrize("numbers", [False, True])
def test_the_move_that_was_lost_without_a_word(bench, numbers):
    b = bench(kinematics=1)
    texts = ["G92 X-9000 Y-9000", "G1 X9000 Y9000 F60000", "M400", "M114"]
    written = b.say(b"".join(numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)))
    assert [line for line in written if "within 10 m" in line] == ["echo:X9000 Y9000: a move must stay within 10 m"]
    assert b.made[:2] == [0, 0]
    assert any(line.startswith("X:-9000.00 Y:-9000.00") for line in written), "the position stays"


@pytest.mark.parametrize("numbers", [False, True])
def test_a_motor_from_one_end_to_the_other(bench, numbers):
    """Both ends are allowed; the way between them is 16 m for each axis and 32 m for A."""
    b = bench(kinematics=1)
    state = b.printer.motion.frame.state
    state[0] = state[1] = -800_000_000  # as after eight metres of travel
    texts = ["M302 P1", "G1 E0.1", "G1 X8000 Y8000 F60000", "G1 X-8000 Y-7999.5", "M400"]
    written = b.say(b"".join(numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)))
    assert [line for line in written if "within 10 m" in line] == ["echo:X8000 Y8000: a move must stay within 10 m"]
    assert b.made[:2] == [40, -40]


def test_filament_beyond_10_m(bench):
    b = bench()
    assert "within 10 m" in b.say("M302 P1\nG1 E10800\n")[1]
    b.printer.motion.frame.state[3] = -500_000_000  # as after five metres of retraction
    assert "within 10 m" in b.say("G1 E9000\n")[0]
    assert b.made[3] == 0


@pytest.mark.parametrize("text", ["G92 X-9000 Y7", "G92 Y7 X-9000"])
def test_g92_that_puts_the_origins_apart_changes_nothing(bench, text):
    b = bench()
    b.say("G92 X9000\n")
    b.say("G92 X-1000\n")
    b.printer.motion.frame.state[0] = 900_000_000  # as after nine metres of travel
    before = list(b.printer.motion.frame.state)
    written = b.say(text + "\n")
    assert "within 10 m" in written[0] and written[0].startswith("echo:G92 X-9000")
    assert list(b.printer.motion.frame.state) == before


def test_g92_of_e_beyond_a_million_metres(bench):
    b = bench()
    b.say("G92 E5\n")
    assert "1000000000 mm" in b.say("G92 E2147483639\n")[0]
    assert "1000000000 mm" in b.say("G92 X3 E-2147483639\n")[0]
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00 E:5.00")


place = st.one_of(st.integers(-10000, 10000), st.integers(-9, 9), st.sampled_from([-10000, 10000, 5368, -5369]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0, 1]), st.lists(st.tuples(place, place, place), min_size=1, max_size=8))
def test_requests_are_the_whole_way_or_none(kinematics, targets):
    """Against plain integers, which do not overflow."""
    frame, command, request = Frame(), Command(), array("i", [0] * 16)
    frame.state[KINEMATICS] = kinematics
    at = (0, 0, 0)
    for target in targets:
        command.scan(b"G1 X%d Y%d Z%d\n" % target)
        x, y, z = [(to - start) * UNIT for to, start in zip(target, at, strict=True)]
        motors = [x + y, x - y, z] if kinematics else [x, y, z]
        before = list(frame.state[0:4])
        if max(map(abs, [x, y, z, *motors])) >= 2**30:
            with pytest.raises(Refused, match="within 10 m"):
                frame.resolve(command, request)
            assert list(frame.state[0:4]) == before
        elif frame.resolve(command, request) & MOVES:
            assert list(request[0:8]) == [x, y, z, 0, *motors, 0]
            frame.taken()
            at = target
        else:
            assert (x, y, z) == (0, 0, 0)
