"""Filament: flow, volumetric E, retraction, cold extrusion, tool offsets, against exact fractions and counted steps."""

from array import array
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printer_bench import PrinterBench, numbered

from adder import correction, filament, frame
from adder.command import Command
from adder.frame import E_BASE, FLOW_PERCENT, MOVES, TARGET, E, Frame
from adder.settings import groups
from adder.store import Store

PI = Fraction(31415926535897932384626433832795028841971, 10**40)
STEPS_E = 93
AREA_ROUNDED = Fraction(12, 10**10)  # of the filament's area, at most


@pytest.fixture
def bench():
    benches = []

    def make(**how):
        benches.append(PrinterBench(**how))
        assert benches[-1].say("")[0] == "start"
        return benches[-1]

    yield make
    for b in benches:
        b.close()
        assert type(b.error).__name__ == "_End", b.error


def remarks(written):
    return [line for line in written if line.startswith("echo:") and "busy" not in line]


def made(b, text):
    """Steps of the four motors that these lines lead to; none of them is refused."""
    before = list(b.made)
    written = b.say(text + "\nM400\n")
    assert not remarks(written) and not [line for line in written if line.startswith("Error")], written
    return [now - then for now, then in zip(b.made, before, strict=True)]


def test_fields_are_those_of_the_frame():
    for module in (filament, correction, frame):
        for name in dir(module):
            if name[1:].isupper() and name[0] == "_" and hasattr(frame, name[1:]):
                assert getattr(module, name) == getattr(frame, name[1:]), (module, name)
    assert correction._HIGH_Z == frame.HIGH + 2 and filament._TOO_MUCH == filament.TOO_MUCH == frame._FURTHEST


# Sums


class Roll:
    """Moves of E alone through the frame, and what they come to in exact fractions."""

    def __init__(self):
        self.frame = Frame()
        self.request = array("i", [0] * 16)
        self.made = 0
        self.exact = Fraction(0)
        self.area = Fraction(1)
        self.way = 0  # absolute
        self.changes = 0

    def diameter(self, um):
        filament.set_volumetric(self.frame.state, um)
        self.area = PI * Fraction(um, 1000) ** 2 / 4 if um else Fraction(1)
        self.changes += 1

    def move(self, way, taken=True):
        state = self.frame.state
        state[TARGET + E] = state[E] + way
        if frame._ask(state, self.request) & MOVES:
            assert list(self.request[0:3]) == [0, 0, 0] and self.request[3] == self.request[7]
            moved = self.request[3]
        else:
            moved = 0
        if taken:
            self.frame.taken()
            self.made += moved
            self.exact += Fraction(way * state[FLOW_PERCENT], 100) / self.area
            self.way += abs(way)

    def check(self):
        """Never more than 10 nm missing at each of the two divisions; what M221 left is not scaled by M200."""
        allowed = 2 + max(self.changes - 1, 0) + 2 * self.way * AREA_ROUNDED
        assert abs(self.made - self.exact) < allowed, (self.made, float(self.exact))


@pytest.mark.parametrize("percent", [10, 33, 90, 99, 101, 137, 999])
def test_flow_is_exact_after_every_move(percent):
    roll, dice = Roll(), Random(percent)
    roll.frame.state[FLOW_PERCENT] = percent
    for _ in range(2000):
        roll.move(dice.choice([1, -1, 7, -3, 99, 100, -101, 12345, dice.randint(-3000, 5000)]))
        assert abs(roll.made - roll.exact) < 1


@pytest.mark.parametrize("diameter", [0, 1000, 1750, 2850, 30000])
def test_nothing_adds_up_over_a_hundred_thousand_moves(diameter):
    roll = Roll()
    roll.frame.state[FLOW_PERCENT] = 97
    roll.diameter(diameter)
    for n in range(100_000 if diameter == 1750 else 20_000):
        roll.move(333 + n % 7)
        if n % 50 == 0:
            roll.move(-2501)
    roll.check()
    assert roll.way > 6_000_000


step = st.one_of(
    st.integers(-120, 120),
    st.integers(-50_000_000, 50_000_000),
    st.sampled_from([1, -1, 100, -100, 99]),
)
event = st.one_of(
    step,
    step,
    st.tuples(st.just("percent"), st.integers(10, 999)),
    st.tuples(st.just("diameter"), st.sampled_from([0, 1000, 1128, 1750, 2850, 10_000, 30_000])),
    st.tuples(st.just("dropped"), step),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(event, min_size=1, max_size=60))
def test_flow_and_diameter_may_change_at_any_time(events):
    roll = Roll()
    for what in events:
        if isinstance(what, int):
            roll.move(what)
        elif what[0] == "percent":
            roll.frame.state[FLOW_PERCENT] = what[1]
        elif what[0] == "diameter":
            roll.diameter(what[1])
        else:
            roll.move(what[1], taken=False)  # asked for, but it never came into the queue
            continue
        roll.check()


@pytest.mark.parametrize("diameter", [0, 1750])
def test_moves_that_were_dropped_leave_nothing_behind(diameter):
    roll = Roll()
    roll.diameter(diameter)
    for _ in range(2000):
        roll.frame.state[FLOW_PERCENT] = 99
        roll.move(1, taken=False)
        roll.frame.state[FLOW_PERCENT] = 100
        roll.move(3)
        roll.frame.state[FLOW_PERCENT] = 99
        roll.move(1)
    roll.check()


@pytest.mark.parametrize("diameter", [1000, 1128, 1750, 2850, 30_000])
def test_one_move_of_a_cubic_metre_less_a_little(diameter):
    roll = Roll()
    roll.diameter(diameter)
    roll.move(800_000_000)
    assert abs(roll.made - roll.exact) <= 1 + roll.exact * 2 * AREA_ROUNDED
    roll.move(-800_000_000)
    assert abs(roll.made) <= 1


@pytest.mark.parametrize(("percent", "diameter", "way"), [(999, 0, 107_600_000), (100, 1750, 800_000_001)])
def test_more_filament_than_10_m_is_refused(percent, diameter, way):
    roll = Roll()
    roll.frame.state[FLOW_PERCENT] = percent
    roll.diameter(diameter)
    for sign in (1, -1):
        before = list(roll.frame.state)
        roll.frame.state[TARGET + E] = roll.frame.state[E] + sign * way
        assert frame._ask(roll.frame.state, roll.request) == frame.TOO_FAR
        assert list(roll.frame.state)[0:28] == before[0:28]


def test_what_was_undone_comes_back_in_the_units_of_e():
    roll = Roll()
    roll.frame.state[FLOW_PERCENT] = 50
    roll.diameter(1750)
    area = PI * Fraction(1750, 1000) ** 2 / 4
    for way in (1, -77, 4_157_500, -999_999):
        assert abs(filament.to_gcode(roll.frame.state, way) - way * 2 * area) <= Fraction(6, 10)


# E without end


def test_e_beyond_ten_thousand_mm_without_loss():
    state, command, request = Frame(), Command(), array("i", [0] * 16)
    total, at, dice = 0, 0, Random(1)
    for n in range(3000):
        if n % 97 == 96:
            at = dice.choice([0, 1234567, -4_000_000_000, 12_345_678_901_23])
            state.declare(E, at)
        way = dice.randint(-900_000, 3_000_000)
        at += way
        text = "G1 E%s%d.%05d" % ("-" if at < 0 else "", abs(at) // 100_000, abs(at) % 100_000)
        if abs(at) >= 2**31:
            text = text[:-4]  # the scanner takes nine digits
            at_sent = int(Fraction(text[4:]) * 100_000)
            way += at_sent - at
            at = at_sent
        command.scan(text.encode() + b"\n")
        if state.resolve(command, request):
            assert request[3] == way, text
            total += request[3]
            state.taken()
        else:
            assert way == 0
        assert state.value(E) == at
        assert abs(state.state[E]) <= 800_000_000
    assert total > 20_000 * 100_000


def test_e_of_fifty_metres_on_the_motor(bench):
    b = bench()
    b.say("M302 P1\nM203 E1000\nM92 E10\nG92 E11999.5\n")
    assert made(b, "G1 E12000.3 F60000")[3] == 8
    b.say("G92 E49990.1\n")
    assert made(b, "G1 E50005.5")[3] == 154
    assert b.say("M114\n")[0].split()[3] == "E:50005.50"


# Volumetric


def expected_steps(mm):
    return round(mm * STEPS_E)


def test_m200_divides_by_the_filaments_area(bench):
    b = bench()
    b.say("M302 P1\nM83\nM203 E100\n")
    assert made(b, "G1 E10 F600")[3] == 930
    area = PI * Fraction(175, 100) ** 2 / 4
    assert made(b, "M200 D1.75\nG1 E100")[3] == expected_steps(100 / area)
    assert b.say("M200\n") == ["M200 D1.75 S1 L0.00", "ok"]
    made(b, "M221 S50\nG1 E100")
    assert b.made[3] == expected_steps(10 + 150 / area)
    made(b, "M221 S100\nM200 S0\nG1 E10")
    assert b.made[3] == expected_steps(20 + 150 / area)
    made(b, "M200 S1\nG1 E100")
    assert b.made[3] == expected_steps(20 + 250 / area)
    made(b, "M200 D0\nG1 E10")
    assert b.made[3] == expected_steps(30 + 250 / area)
    assert b.say("M200\n") == ["M200 D1.75 S0 L0.00", "ok"], "the diameter is kept"
    wide = PI * Fraction(285, 100) ** 2 / 4
    made(b, "M200 D2.85\nG1 E10")
    assert b.made[3] == expected_steps(30 + 250 / area + 10 / wide)
    made(b, "M200 D1.128\nG1 E10")
    assert b.made[3] == expected_steps(40 + 250 / area + 10 / wide)
    assert b.say("M200\n") == ["M200 D2.85 S0 L0.00", "ok"]


@pytest.mark.parametrize("numbers", [False, True])
def test_volumetric_sums_on_the_motor(bench, numbers):
    """Both ways in: the short one for numbered moves, and the ordinary one."""
    b = bench(start_mm=(0.0, 0.0, 0.0))
    texts = ["M302 P1", "M92 E1000", "M200 D1.75", "M221 S83", "G1 F6000"]
    total = 0
    for n in range(400):
        total += 137 + n % 11
        texts.append("G1 X%s E%d.%03d" % (1 + n % 2, total // 1000, total % 1000))
    texts.append("M400")
    lines = [numbered(n, t) if numbers else t.encode() + b"\n" for n, t in enumerate(texts, 1)]
    for at in range(0, len(lines), 10):
        assert not remarks(b.say(b"".join(lines[at : at + 10]), 600_000))
    exact = Fraction(total, 1000) * Fraction(83, 100) / (PI * Fraction(175, 100) ** 2 / 4)
    assert b.made[3] == round(exact * 1000)


def speed_of(b, motor, text):
    """Steps/s in the middle of what these lines make."""
    edges = b.hal.streams.edges[motor]
    del edges[:]
    b.say(text + "\nM400\n")
    n = len(edges)
    middle = edges[2 * n // 5 : 3 * n // 5]
    return (len(middle) - 1) / ((middle[-1][0] - middle[0][0]) * 8e-9)


def test_m200_l_limits_the_flow_along_a_path(bench):
    b = bench()
    b.say("M302 P1\nM83\nM203 E100\nG1 F6000\n")
    assert speed_of(b, 3, "G1 X40 E4 F6000") == pytest.approx(10 * STEPS_E, rel=0.02)
    area = float(PI) * 1.75**2 / 4
    b.say("M200 L12\n")
    assert speed_of(b, 3, "G1 X0 E4") == pytest.approx(12 / area * STEPS_E, rel=0.02)
    assert speed_of(b, 3, "M220 S300\nG1 X40 E4") == pytest.approx(12 / area * STEPS_E, rel=0.02), "not by M220"
    assert speed_of(b, 3, "M220 S100\nM200 D2.85 S0\nG1 X0 E4") == pytest.approx(
        12 / (area * (2.85 / 1.75) ** 2) * STEPS_E, rel=0.02
    )
    assert speed_of(b, 3, "G1 E20 F1800") == pytest.approx(30 * STEPS_E, rel=0.02), "E alone is no print"
    assert speed_of(b, 3, "M200 L0\nG1 X40 E4 F6000") == pytest.approx(10 * STEPS_E, rel=0.02)


# Retraction


def test_g10_and_g11(bench):
    b = bench()
    b.say("G28\nM302 P1\nG1 X10 Y20 Z1 E5 F6000\nM400\n")
    before = b.say("M114\n")[0].split(" Count")[0]
    assert made(b, "G10") == [0, 0, 0, -3 * STEPS_E]
    assert b.say("M114\n")[0].split(" Count")[0] == before
    assert made(b, "G10\nG10 S1") == [0] * 4, "once is enough"
    assert made(b, "G1 X20 F6000") == [800, 0, 0, 0]
    assert made(b, "G11") == [0, 0, 0, 3 * STEPS_E]
    assert made(b, "G11\nG11 S1") == [0] * 4
    assert made(b, "G10 S1") == [0, 0, 0, -13 * STEPS_E]
    assert made(b, "G11") == [0, 0, 0, 13 * STEPS_E]
    b.say("M207 S1.5 W20 F1200 Z0.6\nM208 S0.2 W1 F600 R300\n")
    assert made(b, "G10")[2] == 240 and abs(b.made[3] - 3.5 * STEPS_E) <= 0.5
    assert made(b, "G1 Z1.5") == [0, 0, 200, 0], "Z moves as ever, the hop on top"
    assert b.say("M114\n")[0].startswith("X:20.00 Y:20.00 Z:1.50 E:5.00")
    assert made(b, "G11")[2] == -240
    assert b.made[3] == round((5 + 0.2) * STEPS_E)
    assert made(b, "G10 S1\nG11")[2:] == [0, STEPS_E]
    assert b.say("M207\nM208\nM209\n") == [
        "M207 S1.50 W20.00 F1200.00 Z0.60", "ok", "M208 S0.20 W1.00 F600.00 R300.00", "ok", "M209 S0", "ok",
    ]  # fmt: skip


def test_order_and_speeds_of_a_retraction(bench):
    b = bench()
    b.say("G28\nM302 P1\nM203 E100\nM207 S8 F1800 Z2\nM208 S1 F600\nM221 S50\nM200 D1.75\n")
    edges = b.hal.streams.edges
    for motor in (2, 3):
        del edges[motor][:]
    assert made(b, "G10")[2:] == [800, -8 * STEPS_E], "neither flow nor the diameter counts"
    assert edges[3][-1][0] <= edges[2][0][0], "first back, then up"
    n = len(edges[3])
    middle = edges[3][2 * n // 5 : 3 * n // 5]
    assert (len(middle) - 1) / ((middle[-1][0] - middle[0][0]) * 8e-9) == pytest.approx(30 * STEPS_E, rel=0.02)
    for motor in (2, 3):
        del edges[motor][:]
    assert made(b, "G11")[2:] == [-800, 9 * STEPS_E]
    assert edges[2][-1][0] <= edges[3][0][0], "first down, then on"
    assert speed_of(b, 3, "G10\nM400\n") == pytest.approx(30 * STEPS_E, rel=0.02)
    assert speed_of(b, 3, "G11\nM400\n") == pytest.approx(10 * STEPS_E, rel=0.02)


def test_a_long_slow_retraction_leaves_e_as_it_is(bench):
    b = bench()
    b.say("M302 P1\nG92 E7\nM207 W100 F60\nM208 R6000\n")
    b.say("G10 S1\nM400\n", 600_000)
    assert b.made[3] == -100 * STEPS_E
    assert b.say("M114\n")[0].split()[3] == "E:7.00"
    b.say("G11\nM400\n", 600_000)
    assert b.made[3] == 0


def test_hop_ends_at_the_end_of_the_axis(bench):
    b = bench(start_mm=(0.0, 0.0, 0.0), z_max=300)
    b.say("G28\nM302 P1\nM207 Z5\nG1 Z1 F600\nM400\n")
    assert made(b, "G10")[2] == 800, "3 mm is the axis' end"
    assert made(b, "G1 Z2.5")[2] == 0
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:2.50")
    assert made(b, "G91\nG1 Z-1\nG90")[2] == 0
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:1.50")
    assert made(b, "G11")[2] == -600
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:1.50 E:0.00 Count X:0 Y:0 Z:600")


def test_homing_z_and_m410_end_a_hop(bench):
    b = bench()
    b.say("G28\nM302 P1\nM207 Z2\nG1 Z1 F600\nG10\nM400\n")
    assert b.carriage(2) == 1200
    b.say("G28 Z\n")
    assert b.carriage(2) == 0 and b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00")
    assert made(b, "G11") == [0, 0, 0, 3 * STEPS_E]
    assert made(b, "G1 Z1\nG10")[2] == 1200
    b.say("G1 X150 F3000\n")
    b.run(900)
    b.say("M410\nM400\n")
    place = b.say("M114\n")[0].split()
    assert place[2] == "Z:3.00", "where the nozzle is"
    assert abs(float(place[0][2:]) * 80 - b.carriage(0)) <= 1 and 0 < b.carriage(0) < 12000
    assert made(b, "G11") == [0, 0, 0, 3 * STEPS_E]
    assert made(b, "G1 Z1")[2] == -800


@pytest.mark.parametrize("wait_ms", [30, 60, 200, 500])
def test_m410_in_a_retraction_knows_what_is_pulled(bench, wait_ms):
    b = bench()
    b.say("M302 P1\nM207 S20 F600\nM208 S0 F600\nG1 E5 F600\nM400\n")
    start = b.made[3]
    b.send("G10\n")
    b.run(wait_ms)
    b.say("M410\nM400\n")
    pulled = start - b.made[3]
    assert 0 <= pulled < 20 * STEPS_E
    assert abs(b.printer.motion.retraction.pulled / 100_000 * STEPS_E - pulled) <= 1
    assert b.say("M114\n")[0].split()[3] == "E:5.00"
    b.say("G11\nM400\n")
    assert abs(b.made[3] - start) <= 1


def test_automatic_retraction(bench):
    b = bench()
    b.say("M302 P1\nM83\nM207 S2 Z0.5\nM208 S0.1\nM209 S1\nG28\nG1 X5 E1 F3000\nM400\n")
    first = b.made[3]
    assert made(b, "G1 E-1 F1800") == [0, 0, 200, -2 * STEPS_E], "M207 decides, not the slicer"
    assert made(b, "G1 E-1") == [0] * 4
    assert made(b, "G1 X10 F3000")[0] == 400
    assert made(b, "G1 E3")[2] == -200
    assert abs(b.made[3] - first - 0.1 * STEPS_E) <= 1
    assert b.say("M114\n")[0].split()[3] == "E:2.00", "E has what the file says"
    assert abs(made(b, "G1 X5 E-1")[3] + STEPS_E) <= 1, "with X it is a move"
    assert abs(made(b, "G1 E0.05")[3] - 0.05 * STEPS_E) <= 1, "too short"
    assert abs(made(b, "G1 E-12")[3] + 12 * STEPS_E) <= 1, "too long"
    assert abs(made(b, "M209 S0\nG1 E-1")[3] + STEPS_E) <= 1
    assert made(b, "M209 S1\nM82\nG92 E9000\nG1 E8999")[3] == -2 * STEPS_E
    assert b.say("M114\n")[0].split()[3] == "E:8999.00"


@pytest.mark.parametrize("text", ["G10", "G10 S1"])
def test_a_cold_hotend_does_not_retract(bench, text):
    b = bench()
    b.say("M207 Z1\n")
    assert "cold extrusion prevented, hotend at 2" in b.say(text + "\nM400\n")[0]
    assert b.made == [0] * 4
    b.say("M302 P1\n%s\nM400\nM302 P0\n" % text)
    before = list(b.made)
    assert before[3] < 0 and before[2] == 400
    assert "at least 170 C needed" in b.say("G11\nM400\n")[0]
    assert b.made == before, "it stays retracted and lifted"
    b.hot()
    assert made(b, "G11") == [-way for way in before]


# M302


def test_rules_of_cold_extrusion(bench):
    b = bench()
    state = "echo:Cold extrudes are %s (min temp %dC)"

    def extrudes():
        before = b.made[3]
        b.say("G91\nG1 E1 F600\nM400\n")
        return b.made[3] != before

    assert b.say("M302\n")[0] == state % ("disabled", 170) and not extrudes()
    b.say("M302 P1\n")
    assert b.say("M302\n")[0] == state % ("enabled", 170) and extrudes()
    b.say("M302 P0\n")
    assert b.say("M302\n")[0] == state % ("disabled", 170) and not extrudes()
    b.say("M302 S0\n")
    assert b.say("M302\n")[0] == state % ("enabled", 0) and extrudes()
    b.say("M302 S15\n")
    assert b.say("M302\n")[0] == state % ("disabled", 15) and extrudes(), "22 C is enough now"
    b.say("M302 S25\n")
    assert not extrudes()
    b.say("M302 P1 S180\n")
    assert b.say("M302\n")[0] == state % ("enabled", 180) and extrudes()
    b.say("M302 S190\n")
    assert b.say("M302\n")[0] == state % ("disabled", 190) and not extrudes(), "a temperature ends P1"
    b.hot(200)
    assert extrudes()


# Tools


def test_tool_offset_moves_the_frame(bench):
    b = bench()
    b.say("G28\nG1 X50 Y40 Z2 F6000\nM400\n")
    assert made(b, "G10 P0 X5 Y-2.5 Z0.25") == [0] * 4
    assert b.say("M114\n")[0].startswith("X:55.00 Y:37.50 Z:2.25")
    assert made(b, "G1 X50 Y40 Z2") == [-400, 200, -100, 0]
    assert b.say("G10 P0\n")[0] == "echo:Tool 0: offset X5.00 Y-2.50 Z0.25 mm, active 0 C, standby 0 C"
    assert made(b, "G92 X0\nG1 X10") == [800, 0, 0, 0]
    assert made(b, "G92.1\nG1 X50") == [-800, 0, 0, 0]
    b.say("G28\n")
    assert b.carriage(0) == 0 and b.say("M114\n")[0].startswith("X:5.00 Y:-2.50 Z:0.25")
    b.say("G10 P0 X0 Y0 Z0\n")
    assert b.say("M114\n")[0].startswith("X:0.00 Y:0.00 Z:0.00")
    assert b.say("M218\n")[0] == "echo:Hotend offsets: 0.00,0.00,0.000"
    assert b.say("M218 T0 X0 Y0\n") == ["ok"]


def test_tool_temperatures(bench):
    b = bench()
    assert b.say("G10 P0 R140\n") == ["ok"]
    assert b.printer.heat.by_name("hotend").target_cc == 0
    assert b.say("G10 P0 S205\n") == ["ok"]
    assert b.printer.heat.by_name("hotend").target_cc == 20500
    assert b.say("G10 P0\n")[0].endswith("active 205 C, standby 140 C")
    sent_back = [line for line in b.say("M503 S0\n") if "G10" in line]
    assert sent_back == ["echo:  G10 P0 X0.00 Y0.00 Z0.00"], "this can be sent back, and heats nothing"
    assert b.say("G10 P0 S0\n") == ["ok"]
    assert b.printer.heat.by_name("hotend").target_cc == 0


# Settings


def test_a_restart_brings_everything_back(bench, tmp_path):
    store = Store(str(tmp_path / "settings"))
    b = bench(store=store)
    lines = [
        "M200 D2.85 S1 L30.50", "M207 S2.00 W9.00 F1800.00 Z0.30", "M208 S0.10 W0.20 F700.00 R600.00", "M209 S1",
        "M852 I0.001234 J-0.002 K0.03", "G10 P0 X1.00 Y2.00 Z0.125",
    ]  # fmt: skip
    for line in lines:
        assert b.say(line + "\n") == ["ok"], line
    b.say("M500\n")
    kept = [line[5:].strip() for line in b.say("M503 S0\n")]
    for line in lines:
        assert line.replace("J-0.002 K0.03", "J-0.002 K0.03") in kept, line
    other = PrinterBench(store=Store(str(tmp_path / "settings")))
    try:
        other.say("")
        assert [line[5:].strip() for line in other.say("M503 S0\n")] == kept
        state = other.printer.motion.frame.state
        assert state[frame.VOLUME] and state[frame.AUTO_RETRACT] == 1 and state[frame.SKEW_XY] == 1_234_000
        other.say("M302 P1\nM83\nG28\nM209 S0\nM852 I0 J0 K0\n")
        before = list(other.made)
        other.say("G10\nM400\n")
        assert [now - then for now, then in zip(other.made, before, strict=True)] == [0, 0, 120, -2 * STEPS_E]
        assert other.say("M114\n")[0].startswith("X:1.00 Y:2.00 Z:0.13")
    finally:
        other.close()


# Refusals

BAD = [
    ("M200 D-1", "D-1"), ("M200 D50", "0 to 30 mm"), ("M200 D0.5", "1 to 30 mm"), ("M200 D", "D has no value"),
    ("M200 D1.75 S2", "S2"), ("M200 D1.75 L-1", "L-1"), ("M200 L2000", "0 to 1000 mm^3/s"),
    ("M200 D1.75 T1", "T1 Invalid"), ("M200 S1 D31", "D31"),
    ("M207 S-1", "0.00 to 100.00"), ("M207 F0", "6.00 to 60000.00"), ("M207 S1 F-5", "F-5"), ("M207 Z-0.1", "Z-0.1"),
    ("M207 S1 W201", "W201"), ("M207 Z60", "50"), ("M207 S", "S has no value"),
    ("M208 F0", "6.00 to 60000.00"), ("M208 S-11", "-10"), ("M208 S1 R0", "R0"), ("M208 W60", "50"),
    ("M208 X-5", "1 to 2000 mm"), ("M208 X150 Y0", "Y0"), ("M208 X5 S1", "-1000 to 0 mm"), ("M208 Z", "Z has no value"),
    ("M208 X100 S2", "S2"), ("M209 S2", "0 to 1"), ("M209 S-1", "0 to 1"),
    ("M218 T1 X5", "T1 Invalid"), ("M218 X5", "must stay 0"), ("M218 T0 Z-0.1", "must stay 0"),
    ("G10 S2", "S2"), ("G10 S-1", "S-1"), ("G10 X5", "G10 P0 X5"), ("G10 R140", "G10 P0 R140"), ("G11 S3", "S3"),
    ("G10 P1 X5", "T1 Invalid"), ("G10 P0 X600", "-500 to 500"), ("G10 P0 X1 Y-501", "-500 to 500"),
    ("G10 P0 X1 S300", "hotend target 300"), ("G10 P0 X1 S-1", "hotend target"), ("G10 P0 X1 S", "S has no value"),
    ("G10 P0 R501", "0 to 500 C"), ("G10 P0 X", "X has no value"),
    ("M302 S501", "0 to 500"), ("M302 S-1", "0 to 500"), ("M302 P2", "P2"), ("M302 P", "P has no value"),
    ("M302 P1 S900", "S900"),
]  # fmt: skip


@pytest.fixture(scope="module")
def one_bench():
    b = PrinterBench()
    b.say("")
    yield b
    b.close()
    assert type(b.error).__name__ == "_End", b.error


@pytest.mark.parametrize(("text", "words"), BAD)
def test_bad_input_is_refused_and_changes_nothing(one_bench, text, words):
    b = one_bench
    kept = b.printer.settings
    names = [row[0] for group in groups() for row in group]

    def everything():
        motion = b.printer.motion
        state = motion.frame.state
        return (
            [kept.get(name) for name in names], list(state)[: frame.COLD], list(state)[frame.VOLUME :], list(b.made),
            motion.retraction.pending, b.printer.heat.by_name("hotend").target_cc, motion.hotend is None,
        )  # fmt: skip

    before = everything()
    written = b.say(text + "\nM400\n")
    assert written[0].startswith("echo:") and words in written[0], written
    assert written[1:] == ["ok", "ok"]
    assert everything() == before
    assert b.cold()


def test_travel_limits_of_m208(bench):
    b = bench()
    b.say("M208 X120 Y130 Z90\nM208 S1 X-5 Z-1\n")
    get = b.printer.settings.text
    assert [get(name) for name in ("x_min", "x_max", "y_min", "y_max", "z_min", "z_max")] == [
        "-5.00", "120.00", "0.00", "130.00", "-1.00", "90.00",
    ]  # fmt: skip
    assert b.say("M208\n")[0] == "M208 S0.00 W0.00 F480.00 R480.00", "the recovery is what it was"
    b.say("G28\n")
    assert b.say("M114\n")[0].startswith("X:-5.00 Y:0.00 Z:-1.00"), "the switches are at the lowest places"
    assert "-5.00 to 120.00 mm" in b.say("G1 X121 F6000\n")[0]
    assert b.say("M114\n")[0].startswith("X:120.00")


def test_base_of_e_follows(bench):
    b = bench()
    b.say("G92 E-7001\n")
    assert b.printer.motion.frame.state[E_BASE] % 5000 == 0
    assert b.say("M114\n")[0].split()[3] == "E:-7001.00"
