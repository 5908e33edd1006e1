"""The short way of plain moves, against a model of G-code in decimal numbers, and beside the ordinary way."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adder import frame
from adder.command import OK, Command
from adder.errors import Refused
from adder.lane import lane
from adder.link import Link
from adder.planner import Planner
from host_tests.printer_bench import PrinterBench

UNIT = Decimal(100_000)
NO = 0


class Way:
    """Link, coordinates and planner as the main loop has them; `planned` are the requests, in 10 nm."""

    def __init__(self, modes=frame.SOFT_ENDSTOPS, homed=7, flow=100, kinematics=0):
        self.link = Link(None, None, None, None, None)
        self.frame = frame.Frame()
        self.planner = Planner()
        for axis in range(4):
            self.planner.set_axis(axis, 30_000_000, 3000, 640, 80_000, 5_000_000)
        state = self.frame.state
        for field, value in (
            (frame.MODES, modes), (frame.HOMED, homed), (frame.FLOW_PERCENT, flow), (frame.KINEMATICS, kinematics),
            (frame.ENABLED, 15), (frame.ACCEL_PRINT, 1500), (frame.ACCEL_RETRACT, 2000), (frame.ACCEL_TRAVEL, 3000),
        ):
            state[field] = value
        for axis in range(3):
            state[frame.HIGH + axis] = 20_000_000
            state[axis] = 10_000_000
        self.buffer = bytearray(256)

    def short(self, text, number=None, damage=0):
        """The line as `lane` takes it; what `lane` says."""
        number = self.link.expected if number is None else number
        data = b"N%d %s" % (number, text.encode())
        total = damage
        for byte in data:
            total ^= byte
        data += b"*%d\n" % total
        self.buffer[: len(data)] = data
        planner = self.planner
        return lane(
            self.link.state, self.frame.state, planner.state, planner.blocks, planner.request, planner.limits,
            self.buffer, len(data),
        )

    def ordinary(self, text):
        """The same line as the queue would bring it."""
        command = Command()
        assert command.scan(text.encode() + b"\n") == OK
        if self.frame.resolve(command, self.planner.request) & frame.MOVES:
            self.planner.add()
            self.frame.taken()

    def everything(self):
        """All that a move changes."""
        planner = self.planner
        return list(self.frame.state[:28]), list(planner.blocks), list(planner.limits), list(planner.state)


def units(text):
    """A number of a line in 10 nm."""
    return Decimal(text) * UNIT


@pytest.mark.parametrize(
    ("text", "ways", "speed"),
    [
        ("G1 X101.25 Y99.5 E0.12345 F3000", (125_000, -50_000, 0, 12_345), 5_000_000),
        ("G0 Z100.02001 F7800.000", (0, 0, 2_001, 0), 13_000_000),
        ("G1 E-.8 F1800", (0, 0, 0, -80_000), 3_000_000),
        ("G1 X100.5", (50_000, 0, 0, 0), 2_500_000),
        ("G1 X0 Y0 Z0 F9000.5", (-10_000_000, -10_000_000, -10_000_000, 0), 15_000_833),
    ],
)
def test_ways_and_speed_of_plain_moves(text, ways, speed):
    way = Way()
    assert way.short(text)
    assert tuple(way.planner.request[:4]) == ways
    assert abs(way.planner.request[8] - speed) <= 1
    assert way.link.expected == 2 and way.link.lines == 1
    assert way.planner.waiting() == 1


NUMBERS = st.decimals(min_value=0, max_value=200, places=3).map(str)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["G0", "G1"]),
            st.dictionaries(st.sampled_from("XYZE"), NUMBERS, min_size=1),
            st.sampled_from(["", " F600", " F12000", " F4800.000", " F1.5"]),
        ),
        min_size=1, max_size=12,
    ),
    st.booleans(), st.booleans(), st.sampled_from([100, 37, 140]), st.sampled_from([0, 1]),
)
def test_the_short_way_agrees_with_the_model_and_with_the_ordinary_way(moves, relative_e, offset, flow, kinematics):
    modes = frame.SOFT_ENDSTOPS | (frame.RELATIVE_E if relative_e else 0)
    short, ordinary = (Way(modes, flow=flow, kinematics=kinematics) for _ in range(2))
    origin = 1_500_000 if offset else 0
    if offset:
        for way in (short, ordinary):
            way.frame.state[frame.OFFSET] = origin
            way.frame.state[frame.HIGH] += origin
    place = {"X": Decimal(10_000_000), "Y": Decimal(10_000_000), "Z": Decimal(10_000_000), "E": Decimal(0)}
    for code, words, feed in moves:
        text = code + "".join(" " + letter + value for letter, value in words.items()) + feed
        before = dict(place)
        for letter, value in words.items():
            if letter == "E" and relative_e:
                place["E"] += units(value)
            else:
                place[letter] = units(value) + (origin if letter == "X" else 0)
        ordinary.ordinary(text)
        taken = short.short(text)
        if not taken:  # a flow of 37 % may leave nothing to move
            short.ordinary(text)
        assert short.everything() == ordinary.everything()
        assert [short.frame.state[axis] for axis in range(3)] == [int(place[letter]) for letter in "XYZ"]
        if place != before and taken:
            ways = [int(place[letter] - before[letter]) for letter in "XYZ"]
            request = short.planner.request
            assert list(request[:3]) == ways
            if kinematics:
                ways[:2] = ways[0] + ways[1], ways[0] - ways[1]
            assert list(request[4:7]) == ways
            assert abs(request[3] - (place["E"] - before["E"]) * flow / 100) <= 1


def test_what_is_not_plain_is_left_alone():
    for text, change in (
        ("G1 X5 S1", {}), ("G1 X200.001", {}), ("G1 X-0.001", {}), ("G1 X", {}), ("G1 X5 F0", {}), ("G1 X5 F-1", {}),
        ("G2 X5 I1", {}), ("G1 X5 F0.0001", {}), ("G1 X1.123456", {}), ("G1 X10001", {}), ("G1 X5 (a)", {"odd": 1}),
        ("G1 X5", {"number": 2}), ("G1 X5", {"number": 0}), ("G1 X5", {"damage": 4}), ("G1 X5", {"odd": 1}),
        ("G1 X5", {"modes": frame.INCH}), ("G1 X5", {"cold": 1}), ("G1 X5", {"enabled": 7}), ("G1 X5", {"full": 1}),
    ):
        way = Way(change.get("modes", frame.SOFT_ENDSTOPS))
        way.link.odd = change.get("odd", 0)
        way.frame.state[frame.COLD] = change.get("cold", 0)
        way.frame.state[frame.ENABLED] = change.get("enabled", 15)
        if "full" in change:
            while not way.planner.full():
                assert way.short("G1 X%d" % (101 + way.planner.waiting() % 2))
        before = way.everything(), way.link.expected, way.link.lines
        assert way.short(text, change.get("number"), change.get("damage", 0)) == NO, text
        assert (way.everything(), way.link.expected, way.link.lines) == before


def test_a_move_of_no_way_needs_only_its_ok():
    way = Way()
    assert way.short("G1 X100 Y100 F1200")
    assert way.planner.waiting() == 0
    assert way.frame.state[frame.FEEDRATE] == 2_000_000
    assert way.link.expected == 2


def test_filament_adds_up_beyond_every_counter():
    way = Way()
    total = 0
    for _ in range(40):
        total += 450
        assert way.short("G1 E%d.5 F6000" % total) == (total < 10_737)
        if total >= 10_737:
            way.ordinary("G1 E%d.5" % total)
        way.planner.clear()
    assert way.frame.value(frame.E) == (total * 10 + 5) * 10_000


def test_the_ordinary_way_refuses_what_the_short_one_leaves():
    way = Way()
    for text in ("G1 X", "G1 X5 F0", "G1 X10001"):
        with pytest.raises(Refused):
            way.ordinary(text)


def test_j_of_m205_chooses_the_rule_for_corners():
    bench = PrinterBench()
    bench.say("M17\n")
    assert bench.say("M205 J0 X4 Y4\n") == ["ok"]
    printed = [line[5:].strip() for line in bench.say("M503 S0\n") if "M205" in line]
    corner = "G1 X50 Y50 F3000\nM400\nG1 X60 F6000\nG1 Y60\nM400\n"

    def speeds():
        blocks = bench.printer.motion.feeder.planner.blocks
        for at in range(len(blocks)):
            blocks[at] = 0
        bench.say(corner)
        return [(v2 / 256) ** 0.5 for v2 in blocks[4::16]]

    assert any(abs(entry - 4) < 0.05 for entry in speeds())
    assert bench.say("M205 J0.05\n") == ["ok"]
    deviation = (2000 * 0.05 * 0.5**0.5 / (1 - 0.5**0.5)) ** 0.5  # a right angle: half of it has this cosine
    assert any(abs(entry - deviation) < 0.05 for entry in speeds())
    for line in printed:
        assert bench.say(line + "\n") == ["ok"]
    assert any(abs(entry - 4) < 0.05 for entry in speeds())


def test_a_driver_that_cannot_follow_is_told_once():
    bench = PrinterBench(steps_per_mm_x=400_000, max_feedrate_x=100_000)
    bench.say("M17\n")
    # Steps/s of X
    bench.printer.motion.feeder.planner.limits[24] = 100_000
    said = bench.say("G1 X20 F48000\nG1 X0\nG1 X20\nM400\n")
    told = [line for line in said if line.startswith("echo:X: a move asks for")]
    assert len(told) == 1
    assert "asks for 320000 steps/s" in told[0] and "takes 100000" in told[0]
