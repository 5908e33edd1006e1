"""G2, G3 and M214: every planned point and every chord against the exact arc in double precision, speeds, refusals."""

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printer_bench import PrinterBench, numbered
from settings_bench import Files

UNIT = 100_000  # 10 nm in a mm
TOLERANCE = 0.005
CYCLE_S = 8e-9
FEED = 8  # of a request: speed, 10 nm/s


class Recording(PrinterBench):
    """A printer that notes the way of every segment that is planned; its limits are off."""

    def __init__(self, **how):
        super().__init__(**how)
        assert self.say("")[0] == "start"
        self.ways = []
        self.speeds = []
        motion = self.printer.motion
        queue = motion.queue

        def noted():
            request = motion.feeder.planner.request
            way, speed = tuple(request[0:4]), request[FEED]
            done = queue()
            if done:
                self.ways.append(way)
                self.speeds.append(speed)
            return done

        motion.queue = noted

    def arc(self, line):
        """Points (mm, n + 1 rows of X Y Z E) of the path that a line makes, from where the machine is."""
        start = [self.printer.motion.frame.value(axis) for axis in range(4)]
        self.ways.clear()
        self.speeds.clear()
        written = self.say(line + "\n", 600_000)
        assert [w for w in written if w not in ("ok", "echo:busy: processing")] == [], written
        ways = np.array(self.ways, dtype=np.int64).reshape(-1, 4)
        return (np.cumsum(np.vstack([start, ways]), axis=0)) / UNIT


@pytest.fixture
def bench():
    made = []

    def make(*lines, **how):
        b = Recording(**how)
        made.append(b)
        b.say("M302 P1\nM211 S0\n" + "".join(line + "\n" for line in lines))
        return b

    yield make
    for b in made:
        b.close()
        assert type(b.error).__name__ == "_End", b.error


def angles(points, centre):
    """Angle of every point as seen from the centre, running on over whole turns, in rad."""
    return np.unwrap(np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0]))


def distances(points, centre):
    return np.hypot(points[:, 0] - centre[0], points[:, 1] - centre[1])


def check(points, centre, clockwise, end, sweep, misfit=0.0, chord=TOLERANCE):
    """A planned arc against the exact one; `sweep` in rad, above 0, with all turns."""
    radius = math.dist(points[0, :2], centre)
    assert np.array_equal(np.round(points[-1] * UNIT), np.round(np.array(end) * UNIT))
    rounding = 3e-5 + radius * 3e-7
    assert np.max(np.abs(distances(points, centre) - radius)) <= misfit + rounding
    middles = (points[1:] + points[:-1]) / 2
    assert np.max(radius - distances(middles, centre)) <= chord + misfit
    turned = angles(points, centre)
    if clockwise:
        turned = -turned
    steps = np.diff(turned)
    assert np.all(steps > 0)
    assert turned[-1] - turned[0] == pytest.approx(sweep, abs=(2e-5 + misfit) / radius + 1e-9)
    share = (turned - turned[0]) / sweep
    for axis in (2, 3):
        way = points[-1, axis] - points[0, axis]
        slack = 2e-5 + abs(way) * (1e-6 + (4e-5 + 2 * misfit) / radius / sweep)
        assert np.max(np.abs(points[:, axis] - points[0, axis] - way * share)) <= slack, "XYZE"[axis]


# Quadrants, senses, letters

STARTS = {"east": (1, 0), "north": (0, 1), "west": (-1, 0), "south": (0, -1), "between": (0.6, -0.8)}


@pytest.mark.parametrize("code", ["G2", "G3"])
@pytest.mark.parametrize("start", STARTS)
def test_quarters_from_every_side(bench, code, start):
    ax, ay = (10 * part for part in STARTS[start])
    b = bench("G1 X%g Y%g F6000" % (50 + ax, 40 + ay))
    sign = -1 if code == "G2" else 1
    for quarters in (1, 2, 3):
        angle = math.atan2(ay, ax) + sign * quarters * math.pi / 2
        end = (round(50 + 10 * math.cos(angle), 4), round(40 + 10 * math.sin(angle), 4))
        points = b.arc("%s X%g Y%g I%g J%g" % (code, *end, -ax, -ay))
        check(points, (50, 40), code == "G2", (*end, 0, 0), quarters * math.pi / 2, chord=0.00251)
        b.say("G1 X%g Y%g\n" % (50 + ax, 40 + ay))


@pytest.mark.parametrize("code", ["G2", "G3"])
@pytest.mark.parametrize("radius", [0.01, 0.05, 0.4, 3.0, 25.0, 150.0])
def test_full_circles_of_every_size(bench, code, radius):
    b = bench("G1 X20 Y30 F6000")
    for words in ("I%g" % radius, "X20 Y30 I%g J0" % radius, "Z3 E2 I%g" % radius):
        before = [b.printer.motion.frame.value(axis) / UNIT for axis in range(4)]
        points = b.arc("%s %s F3000" % (code, words))
        end = (20, 30, 3, 2) if "Z" in words else before
        check(points, (20 + radius, 30), code == "G2", end, 2 * math.pi, chord=0.00251)


@pytest.mark.parametrize("code", ["G2", "G3"])
def test_turns_with_a_helix_and_filament(bench, code):
    b = bench("M92 Z400", "G1 X30 Y20 Z1 E3 F3000")
    sign = -1 if code == "G2" else 1
    points = b.arc("%s X20 Y%g I-10 J0 Z4.33333 E17.77777 P3" % (code, 20 + sign * 10))
    three_turns_and_a_quarter = 6.5 * math.pi
    check(points, (20, 20), code == "G2", (20, 20 + sign * 10, 4.33333, 17.77777), three_turns_and_a_quarter)
    # A full circle with P1 is two turns
    points = b.arc("%s I0 J%g P1 E18" % (code, -sign * 10))
    check(points, (20, 20), code == "G2", (20, 20 + sign * 10, 4.33333, 18), 4 * math.pi)


@pytest.mark.parametrize("code", ["G2", "G3"])
@pytest.mark.parametrize("radius", [6.0, -6.0, 5.0, -5.0, 4.9995, 500.0, -40.0])
@pytest.mark.parametrize("way", [(10, 0), (0, -10), (-6, 8)])
def test_radius_gives_the_short_way_and_below_zero_the_long_one(bench, code, radius, way):
    b = bench("G1 X60 Y70 F6000")
    points = b.arc("%s X%g Y%g R%g F6000" % (code, 60 + way[0], 70 + way[1], radius))
    reach = max(abs(radius), 5.0)
    half = math.asin(5 / reach)
    left = math.sqrt(reach**2 - 25) * (1 if (code == "G3") == (radius > 0) else -1)
    centre = (60 + way[0] / 2 - way[1] / 10 * left, 70 + way[1] / 2 + way[0] / 10 * left)
    sweep = 2 * half if radius > 0 else 2 * math.pi - 2 * half
    check(points, centre, code == "G2", (60 + way[0], 70 + way[1], 0, 0), sweep, misfit=2e-5)


def test_relative_coordinates(bench):
    b = bench("G1 X60 Y70 Z2 E5 F6000", "G91")
    points = b.arc("G3 X-10 Y10 I-10 J0 Z0.5 E1.5")
    check(points, (50, 70), False, (50, 80, 2.5, 6.5), math.pi / 2)
    b.say("G90\nM83\n")
    points = b.arc("G3 X40 Y70 J-10 E0.5")
    check(points, (50, 70), False, (40, 70, 2.5, 7), math.pi / 2)


def test_inches(bench):
    b = bench("G20", "G1 X2 Y3 F200")
    points = b.arc("G2 X3 Y2 I0 J-1 Z0.1 F60")
    check(points, (50.8, 50.8), True, (76.2, 50.8, 2.54, 0), math.pi / 2)
    assert max(b.speeds) == 60 * 25.4 / 60 * UNIT
    points = b.arc("G2 X4 Y3 R1")
    check(points, (101.6, 50.8), True, (101.6, 76.2, 2.54, 0), math.pi / 2, misfit=2e-5)


def test_offsets_of_g92(bench):
    b = bench("G1 X60 Y70 F6000", "G92 X0 Y0 E4900", "M82")
    points = b.arc("G3 X-20 Y0 I-10 E5100")
    check(points, (-10, 0), False, (-20, 0, 0, 5100), math.pi)
    assert b.say("M114\n")[0].startswith("X:-20.00 Y:0.00 Z:0.00 E:5100.00")


def test_a_centre_that_fits_badly_gives_a_smooth_spiral(bench):
    b = bench("G1 X60 Y70 F6000")
    points = b.arc("G3 X39.96 Y70 I-10 J0 P1")  # radius 10 at the start, 10.04 at the end
    radii = distances(points, (50, 70))
    n = len(radii)
    assert np.all(np.abs(radii[: n * 3 // 5] - 10) < 2e-5)
    last = radii[n * 7 // 10 :]
    assert np.all(np.diff(last) > 0) and np.max(np.diff(last)) < 0.001
    assert tuple(points[-1, :2]) == (39.96, 70)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.floats(-1.7, 2.3),  # radius, power of ten of mm
            st.floats(0, 2 * math.pi),
            st.floats(1e-3, 2 * math.pi - 1e-3),
            st.booleans(),
            st.integers(3, 5),  # decimals
            st.integers(0, 2),
            st.floats(-3, 3),
            st.sampled_from([300, 3000, 12000]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0, 1]),
    st.booleans(),
)
def test_random_arcs(arcs, kinematics, relative):
    b = Recording(kinematics=kinematics)
    try:
        b.say("M302 P1\nM211 S0\n" + ("G91\n" if relative else ""))
        x = y = z = e = 0.0
        for power, start, sweep, clockwise, decimals, turns, rise, feed in arcs:
            radius = 10**power
            i, j = (round(-radius * f(start), decimals) for f in (math.cos, math.sin))
            away = math.hypot(i, j)
            if not away:
                continue
            angle = math.atan2(-j, -i) + (-sweep if clockwise else sweep)
            ends = (round(x + i + away * math.cos(angle), decimals), round(y + j + away * math.sin(angle), decimals))
            if ends == (x, y):
                continue
            rise = round(rise, 5)
            values = (ends[0] - x, ends[1] - y, rise, rise) if relative else (*ends, z + rise, e + rise)
            words = "X%.5f Y%.5f Z%.5f E%.5f" % values
            points = b.arc("G%d %s I%.5f J%.5f P%d F%d" % (2 if clockwise else 3, words, i, j, turns, feed))
            centre = (x + i, y + j)
            misfit = abs(math.dist(ends, centre) - away)
            turned = (math.atan2(ends[1] - centre[1], ends[0] - centre[0]) - math.atan2(-j, -i)) % (2 * math.pi)
            if clockwise:
                turned = -turned % (2 * math.pi)
            x, y, z, e = round(ends[0], 5), round(ends[1], 5), z + rise, e + rise
            check(points, centre, clockwise, (x, y, z, e), turned + turns * 2 * math.pi, misfit=misfit)
        b.say("M400\n", 3_600_000)
        motors = [x + y, x - y, z, e] if kinematics else [x, y, z, e]
        for motor in range(4):
            assert abs(b.made[motor] - motors[motor] * b.scale[motor]) <= 0.5 + 1e-3
    finally:
        b.close()


# How it is cut


def spacing(b, line):
    points = b.arc(line)
    return np.hypot(*np.diff(points[:, :2], axis=0).T), points


def test_segments_are_as_m214_says(bench):
    b = bench("G1 X60 Y70 F1200")
    lengths, _ = spacing(b, "G2 I50 F1200")
    assert np.all(lengths <= 1.0) and np.all(lengths > 0.95)
    b.say("M214 P0.2\n")
    lengths, _ = spacing(b, "G2 I50")
    assert np.all(lengths <= 0.2) and np.all(lengths > 0.19)
    b.say("M214 P1 R2000\n")
    lengths, _ = spacing(b, "G2 I50")
    assert 2000 <= len(lengths) <= 2002
    b.say("M214 R0 F50\n")
    lengths, _ = spacing(b, "G2 I50")  # 20 mm/s
    assert np.all(lengths <= 0.4) and np.all(lengths > 0.39)
    b.say("M214 F0 S0.3 P0.1\n")
    lengths, _ = spacing(b, "G2 I50")
    assert np.all(lengths < 0.3) and np.all(lengths > 0.29)


@pytest.mark.parametrize("m214", ["P100", "P100 S100", "P0.01", "S100 R0", "R1", "F1", "P100 S100 N3 R1 F1"])
@pytest.mark.parametrize("radius", [0.02, 2.0, 80.0])
def test_no_setting_spoils_the_shape(bench, m214, radius):
    b = bench("G1 X60 Y70 F12000", "M214 " + m214)
    lengths, points = spacing(b, "G3 I%g" % radius)
    check(points, (60 + radius, 70), False, (60, 70, 0, 0), 2 * math.pi)
    assert len(lengths) <= 1000 * 2 * math.pi * radius / (min(b.speeds) / UNIT) + 9
    assert len(lengths) >= 8


# Speed

FILLING_S = 0.4  # until the steps ahead have been filled, few segments are known at a time


def speeds_at(b, seconds=0.004):
    """Speed of the tool in the plane, mm/s, from the edges of X and Y, on a grid over the whole motion."""
    times, places = [], []
    for motor in (0, 1):
        edges = np.array(b.hal.streams.edges[motor], dtype=float)
        times.append(edges[:, 0] * CYCLE_S)
        places.append((np.cumsum(edges[:, 1]) - edges[:, 1] / 2) / b.scale[motor])
    grid = np.arange(max(t[0] for t in times), min(t[-1] for t in times), seconds)
    way = np.hypot(*(np.diff(np.interp(grid, t, p)) for t, p in zip(times, places, strict=True)))
    return grid[1:], way / seconds


CASES = {
    # settings, M204, radius, feed: speed expected
    "feedrate decides": ([], 1500, 10.0, 3000, 50.0),
    "acceleration decides": ([], 1500, 10.0, 18000, math.sqrt(1500 * 10)),
    "small and fast": ([], 1500, 2.0, 18000, math.sqrt(1500 * 2)),
    "limit of an axis": (["M201 Y400"], 1500, 10.0, 18000, math.sqrt(400 * 10)),
    "speed of an axis": (["M203 X40"], 1500, 20.0, 18000, 40.0),
    "fine junctions": (["M205 J0.001"], 1500, 10.0, 18000, math.sqrt(1500 * 10)),
    "percent": (["M220 S50"], 1500, 10.0, 6000, 50.0),
    "percent above 100": (["M220 S300"], 1500, 10.0, 6000, math.sqrt(1500 * 10)),
    "classic jerk": (["classic"], 1500, 10.0, 18000, math.sqrt(1500 * 10)),
    "small classic jerk": (["classic", "M205 X2 Y2"], 1500, 10.0, 18000, math.sqrt(1500 * 10)),
    "coarse by order": (["M214 S100 P100", "M205 J0.02"], 1500, 10.0, 18000, math.sqrt(1500 * 10)),
}


@pytest.mark.parametrize("case", CASES)
def test_speed_is_even_and_bends_no_harder_than_the_acceleration(bench, case):
    lines, accel, radius, feed, expected = CASES[case]
    b = bench("G1 X60 Y70 F12000", "M204 S%d" % accel)
    for line in lines:
        if line == "classic":
            b.printer.settings.set("junction_deviation", 0)
        else:
            b.say(line + "\n")
    b.say("M400\n")
    for edges in b.hal.streams.edges:
        edges.clear()
    b.say("G3 I%g F%d P4\nM400\n" % (radius, feed), 600_000)
    t, speed = speeds_at(b)
    inside = speed[(t > t[0] + FILLING_S) & (t < t[-1] - 0.2)]
    assert len(inside) > 20
    grain = 2 / 80 / 0.004 * 0.3
    assert np.min(inside) > expected * 0.97 - grain, (np.min(inside), expected)
    assert np.max(inside) < expected * 1.01 + grain


def test_very_small_jerk_makes_the_arc_slow_not_stopping(bench):
    b = bench("G1 X60 Y70 F12000")
    b.printer.settings.set("junction_deviation", 0)
    b.say("M205 X0.5 Y0.5\nM400\n")
    for edges in b.hal.streams.edges:
        edges.clear()
    b.say("G3 I10 F12000 P1\nM400\n", 600_000)
    t, speed = speeds_at(b)
    inside = speed[(t > t[0] + FILLING_S) & (t < t[-1] - 0.2)]
    assert np.min(inside) > 0.9 * np.median(inside) - 1.9
    assert 45 < np.median(inside) < 80


def test_cold_filament_stays_and_the_path_is_made(bench):
    b = bench("M302 P0", "M302 S170", "G1 X60 Y70 F6000")
    b.ways.clear()
    written = b.say("G3 I-10 E20\nM400\nM114\n")
    assert len([w for w in written if "cold extrusion" in w]) == 1
    assert b.made[3] == 0 and sum(math.hypot(*way[:2]) for way in b.ways) == pytest.approx(2e6 * math.pi, rel=1e-3)
    assert " E:20.00 " in written[-2]


@pytest.mark.parametrize("percent", [33, 150])
def test_flow(bench, percent):
    b = bench("G1 X60 Y70 F6000", "M221 S%d" % percent)
    b.say("G3 I-10 E3.3333\nM400\n")
    assert sum(way[3] for way in b.ways) == pytest.approx(333330 * percent / 100, abs=1)
    assert abs(b.made[3] - 3.3333 * percent / 100 * b.scale[3]) <= 0.5
    per_mm = [way[3] / math.hypot(way[0], way[1]) for way in b.ways[1:]]
    assert max(per_mm) - min(per_mm) < 0.002 * max(per_mm)


def test_a_roll_of_filament(bench):
    b = bench("G1 X60 Y70 F6000", "M83")
    for turn in range(1, 5):
        b.say("G3 I-10 E2500 F60000\n", 3_600_000)
        assert b.printer.motion.position_u(3) == turn * 2500 * UNIT


# Limits


def test_an_arc_beyond_a_limit_is_refused_as_a_whole(bench):
    b = bench("M211 S1", "G28", "G1 X100 Y5 Z1 F6000")
    for line, text in (
        ("G2 X120 Y5 I10 J0", None),
        ("G2 X100 Y5 R10", "Y-5.00, should stay within 0.00 to 200.00 mm"),
        ("G3 X120 Y5 I10 J0", "Y-5.00, should stay within 0.00 to 200.00 mm"),
        ("G3 X220 Y5 I50 J0", "X220.00, should stay within 0.00 to 200.00 mm"),
        ("G2 I0 J-5", "Y-5.00"),
        ("G3 I0 J5 Z-1", "Z-1.00"),
        ("G3 I0 J98", "X218.00"),
        ("G3 I0 J2.5 P1", None),
    ):
        before = b.say("M400\nM114\n")[-2]
        written = [w for w in b.say(line + "\n") if w != "echo:busy: processing"]
        if text:
            assert text in written[0] and written[1:] == ["ok"], line
            assert b.say("M400\nM114\n")[-2] == before
        else:
            assert written == ["ok"], line
    b.say("G1 X100 Y50\n")
    assert b.say("G2 I0 J-25\n") == ["ok"]  # touches the limit


def test_limits_do_not_count_before_homing_or_when_off(bench):
    b = bench("M211 S1")
    assert b.say("G2 I-5\n") == ["ok"]
    b.say("G28\nM211 S0\nG1 X5 Y5\n")
    assert [w for w in b.say("G2 I-20\n") if "busy" not in w] == ["ok"]


class Disc:
    """A kinematics that reaches a disc around the origin, less at the top."""

    linear = False

    def __init__(self):
        self.asked = []

    def shape(self):
        return (0,)  # motors as those of a Cartesian machine

    def slow(self, state, request):
        pass

    def reach(self, here, there, soft=True):
        for point in (here, there):
            self.asked.append(tuple(value / UNIT for value in point))
            x, y, z = self.asked[-1]
            if math.hypot(x, y) > 80 - z:
                return "X%.2f Y%.2f Z%.2f cannot be reached" % (x, y, z)
        return None


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("G3 X-60 Y0 R60", True),
        ("G3 I19.5", False),
        ("G3 I9.5", True),
        ("G3 I-20 P3", True),
        ("G2 I-20 Z19", True),
        ("G2 I-20 Z21", False),
        ("G3 I10.1", False),
        ("G3 X60 Y20 J10", True),
        ("G2 X60 Y50 J25", True),  # by x = 35
        ("G3 X60 Y50 J25", False),  # by x = 85
        ("G2 X60 Y50 J25 P1", False),
    ],
)
def test_every_point_of_an_arc_must_be_in_reach(bench, line, fits):
    b = bench("G1 X60 Y0 F6000", "M400")
    disc = b.printer.motion.kinematics = Disc()
    if fits:
        points = b.arc(line)
        radii = np.hypot(points[:, 0], points[:, 1])
        assert np.max(radii + points[:, 2]) <= 80
        # What was asked about goes around all that is made, but only just
        asked = np.hypot(*np.array(disc.asked)[:, :2].T)
        assert np.max(radii) - 0.001 <= np.max(asked) <= np.max(radii) + 0.11
    else:
        before = list(b.printer.motion.frame.state[0:28])
        written = b.say(line + "\n")
        assert len(written) == 2 and re.fullmatch(r"echo:X\S+ Y\S+ Z\S+ cannot be reached", written[0])
        assert list(b.printer.motion.frame.state[0:28]) == before


# Bad input

BAD = [
    ("G2", "needs its centre"),
    ("G2 X10 Y10", "needs its centre"),
    ("G3 F500", "needs its centre"),
    ("G2 X10 Y10 Z3 E5 F777", "needs its centre"),
    ("G2 I0 J0", "both 0"),
    ("G2 X10 I0", "both 0"),
    ("G2 X10 I", "I has no number"),
    ("G3 X10 J R5", "J has no number"),
    ("G3 X10 R", "R has no number"),
    ("G3 I5 P", "P has no number"),
    ("G3 X I5", "X has no number"),
    ("G3 I5 E", "E has no number"),
    ("G3 I5 F", "F has no number"),
    ("G3 I5 F0", "above 0"),
    ("G3 I5 F-100", "above 0"),
    ("G2 X70 Y70 R4.9", r"R4\.9 cannot reach.*10\.000 mm away.*at least 5\.000"),
    ("G2 X70 Y70 R-4.9", r"R-4\.9 cannot reach"),
    ("G2 X70 Y70 R0", "R0 cannot reach"),
    ("G2 R5", "start and end are the same"),
    ("G2 X60 Y70 R5", "start and end are the same"),
    ("G2 X70 R10 I5", "together"),
    ("G2 I5 P-1", "P-1: extra turns should be a whole number from 0 to 100"),
    ("G2 I5 P101", "0 to 100"),
    ("G2 I5 P2000000000", "0 to 100"),
    ("G2 I5 P1.5", "whole number"),
    ("G2 X70 Y70 I5.1", r"radius is 5\.100 mm at the start and 4\.900 mm at the end.*within 0\.050"),
    ("G2 X70.3 Y70 I0.1", "the radius is"),
    ("G2 X160 Y170 I200", "the radius is"),
    ("G2 I20000", "I20000 is too long"),
    ("G2 X50000 I5", "within 10 m"),
    ("G3 X60 Y70 I9000 J9000", "within 10 m"),
    ("G2 X70 R99999", "R99999 is too long"),
    ("M214 P0", r"M214 P0\.00 is out of range, should be 0\.01 to 100\.00 mm"),
    ("M214 P-1", "out of range"),
    ("M214 P", "no value"),
    ("M214 P2 S-1", "out of range"),
    ("M214 P2 R-1", "out of range"),
    ("M214 P2 F1001", "out of range"),
    ("M214 P2 N-1", "out of range"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "text"), BAD)
def test_bad_input_is_refused_and_changes_nothing(bench, line, text):
    b = bench("G1 X60 Y70 Z1 E1 F1234", "M400")
    state = list(b.printer.motion.frame.state[0:28])
    settings_before = b.say("M503\n")
    made = list(b.made)
    written = b.say(line + "\n")
    assert len(written) == 2 and written[0].startswith("echo:") and written[1] == "ok"
    assert re.search(text, written[0]), written[0]
    assert list(b.printer.motion.frame.state[0:28]) == state
    b.run(500)
    assert b.made == made
    assert b.say("M503\n") == settings_before
    # And the next arc is right
    points = b.arc("G3 I-10")
    check(points, (50, 70), False, (60, 70, 1, 1), 2 * math.pi)


garbage = st.lists(
    st.tuples(st.sampled_from("XYZEFIJRP"), st.one_of(st.just(""), st.integers(-(10**6), 10**6).map(str),
              st.floats(-300, 300).map(lambda f: "%.3f" % f))),
    max_size=6, unique_by=lambda pair: pair[0],
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["G2", "G3"]), garbage), min_size=1, max_size=4))
def test_whatever_comes_the_arc_is_refused_or_stays_within_the_limits(lines):
    b = Recording()
    try:
        b.say("M302 P1\nG28\nG1 X100 Y100 Z10 F12000\nM400\n")
        for code, words in lines:
            b.send("%s %s\n" % (code, " ".join(letter + value for letter, value in words)))
            b.run(300)
            b.send("M410\n")
            b.settle()
            b.drain()
            written = b.take()
            assert all(w == "ok" or w.startswith("echo:") for w in written), written
            assert written.count("ok") == 2
            for axis in range(3):
                assert -1 <= b.carriage(axis) <= 200 * b.scale[axis] + 1
        place = [b.printer.motion.frame.state[axis] / UNIT * b.scale[axis] for axis in range(3)]
        assert place == pytest.approx([b.carriage(axis) for axis in range(3)], abs=1)
    finally:
        b.close()


# Stops


@pytest.mark.parametrize("after_ms", [5, 150, 700])
def test_a_long_arc_is_dropped_by_m410(bench, after_ms):
    b = bench("G28", "G1 X100 Y100 Z1 F12000", "M400")
    b.send("G3 I-50 P100 E500 F6000\n")
    b.run(after_ms)
    b.send("M410\n")
    b.settle(5000)
    b.drain()
    made = list(b.made)
    position = [b.printer.motion.frame.state[axis] / UNIT for axis in range(3)]
    assert position == pytest.approx([b.carriage(axis) / b.scale[axis] for axis in range(3)], abs=0.01)
    assert math.dist(position[:2], (50, 100)) == pytest.approx(50, abs=0.05)
    b.run(1000)
    assert b.made == made
    points = b.arc("G3 X%.5f Y%.5f I10" % tuple(b.printer.motion.frame.value(axis) / UNIT for axis in (0, 1)))
    assert len(points) > 50


def test_an_emergency_stop_ends_an_arc(bench):
    b = bench("G28", "G1 X100 Y100 Z1 F12000", "M400")
    b.send("G3 I-50 P100 F6000\n")
    b.run(300)
    b.send("M112\n")
    b.run(200)
    assert b.still()


def test_lines_that_follow_come_after_the_arc(bench):
    b = bench("G1 X60 Y70 F6000")
    b.send(b"".join(numbered(n, t) for n, t in enumerate(["G2 I5", "G1 X65", "G3 I-5", "G1 X60", "M400"], 1)))
    b.settle()
    assert b.made[0] == 60 * 80 and b.made[1] == 70 * 80
    assert [text for _, text in b.ran[-5:]] == ["G2 I5", "G1 X65", "G3 I-5", "G1 X60", "M400"]


# M214


def test_m214_prints_saves_and_comes_back():
    files = Files()
    b = Recording(store=files.store())
    try:
        assert b.say("M214\n") == ["M214 P1.00 S0.00 N0 R0 F0", "ok"]
        assert b.say("M214 P0.5 S0.025 N25 R12 F200\n") == ["ok"]
        assert b.say("M214\n") == ["M214 P0.50 S0.025 N25 R12 F200", "ok"]
        assert "echo:  M214 P0.50 S0.025 N25 R12 F200" in b.say("M503 S0\n")
        b.say("M500\nM502\n")
        assert b.say("M214\n") == ["M214 P1.00 S0.00 N0 R0 F0", "ok"]
        b.say("M501\n")
        assert b.say("M214\n") == ["M214 P0.50 S0.025 N25 R12 F200", "ok"]
    finally:
        b.close()
