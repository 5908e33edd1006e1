"""Random G-code through the whole printer on the host: steps exact, limits kept, no stall, no exception.

What must come out is worked out here with fractions and with the models in double precision. Lines come as fast as the
firmware takes them, or with pauses that let the queue run low.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st
from printer_bench import PrinterBench

from host_tests.models.passing import Passed, stretches
from host_tests.models.planner import Limits, Move, plan
from host_tests.models.trajectory import Trajectory
from tools.twin.step_record import Steps
from tools.twin.trajectory import Track

CYCLE_S = 8e-9
AXES = "XYZE"
# Fine steps, so that speeds and accelerations can be told from the edges, and none that divide a way evenly
SCALE = {"x": Fraction("401.3"), "y": Fraction("399.37"), "z": Fraction(800), "e": Fraction("413.77")}
SPEED = (110, 90, 9, 40)
ACCELERATION = (900, 700, 150, 1100)
JERK = (9, 7, 0.4, 5)
KINDS = {"print": 1000, "retract": 800, "travel": 1200}
OVER = 0.02  # how far a limit may be exceeded
FASTER = 1e-3  # than the best plan
EDGE_STEPS = 0.75  # how far a motor may be from where it should be, steps
STALL = 1.05  # times the time of the best plan, and
STALL_S = 0.1  # for each time that motion begins
# How corners are taken: hardly any jump of speed, by junction deviation, by jerk; junction deviation and jerk
CORNERS = {"none": (0, (0.01,) * 4), "deviation": (0.05, JERK), "jerk": (0, JERK)}
AHEAD = 4  # lines sent before they are acknowledged
NO_SHRINKING = (Phase.explicit, Phase.generate)


@dataclass
class Asked:
    """One move: exact way in mm, feedrate in mm/s as asked, with the limits that held then."""

    way: tuple
    feedrate: float
    limits: Limits


@dataclass
class Reader:
    """What a program asks for, line by line, with nothing rounded."""

    corners: str = "none"
    corexy: bool = False
    at: list = field(default_factory=lambda: [Fraction(0)] * 4)  # where the axes are; E: the filament that was moved
    shown: list = field(default_factory=lambda: [Fraction(0)] * 4)  # what G-code calls it
    absolute: bool = True
    absolute_e: bool = True
    feedrate: float = 25.0
    flow: Fraction = Fraction(1)
    percents: list = field(default_factory=lambda: [1.0])  # that ever were set
    flows: bool = False
    kinds: dict = field(default_factory=lambda: dict(KINDS))
    groups: list = field(default_factory=lambda: [[]])  # moves between two times of rest

    def feed(self, text):
        """Follow one line."""
        words = {word[0]: word[1:] for word in text.split()[1:]}
        code = text.split()[0]
        getattr(self, "_" + code.lower())({letter: Fraction(value) for letter, value in words.items()})

    def limits(self):
        deviation, jerk = CORNERS[self.corners]
        return Limits(
            SPEED, ACCELERATION, tuple(float(scale) for scale in SCALE.values()), jerk, deviation, not deviation,
            kinds=dict(self.kinds), corexy=self.corexy,
        )  # fmt: skip

    def _g1(self, words):
        if "F" in words:
            self.feedrate = float(words["F"] / 60)
        before = list(self.at)
        for axis, letter in enumerate(AXES):
            if letter in words:
                absolute = self.absolute_e if letter == "E" else self.absolute
                way = words[letter] - (self.shown[axis] if absolute else 0)
                self.shown[axis] += way
                self.at[axis] += way * self.flow if letter == "E" else way
        way = tuple(q - p for p, q in zip(before, self.at, strict=True))
        if any(way):
            self.groups[-1].append(Asked(way, self.feedrate, self.limits()))

    _g0 = _g1

    def _g4(self, words):
        self.groups.append([])

    _m400 = _g4

    def _g90(self, words):
        self.absolute = self.absolute_e = True

    def _g91(self, words):
        self.absolute = self.absolute_e = False

    def _m82(self, words):
        self.absolute_e = True

    def _m83(self, words):
        self.absolute_e = False

    def _g92(self, words):
        for axis, letter in enumerate(AXES):
            self.shown[axis] = words.get(letter, self.shown[axis])

    def _m220(self, words):
        self.percents.append(float(words["S"] / 100))

    def _m221(self, words):
        self.flow = words["S"] / 100
        self.flows = True

    def _m204(self, words):
        for letter, kind in zip("PRT", KINDS, strict=True):
            self.kinds[kind] = int(words.get(letter, self.kinds[kind]))

    def motors(self, at=None):
        """Exact positions of the motors in steps."""
        x, y, z, e = self.at if at is None else at
        if self.corexy:
            x, y = x + y, x - y
        return [place * scale for place, scale in zip((x, y, z, e), SCALE.values(), strict=True)]


def exact_steps(reader, made, slack=(0, 0, 0, 0)):
    """Every motor stands on the step nearest to where it should be; `slack`: by so many steps it may not."""
    for motor, (wanted, steps) in enumerate(zip(reader.motors(), made, strict=True)):
        # Flow is taken in units of 10 nm
        loose = Fraction(1, 100_000) * SCALE["e"] * 2 if motor == 3 and reader.flows else 0
        assert abs(steps - wanted) <= Fraction(1, 2) + loose + slack[motor], "motor %d: %d steps, asked for %.3f" % (
            motor, steps, wanted,
        )  # fmt: skip


# Programs

coordinate = st.integers(-1200, 1200).map(lambda n: "%g" % (n / 100))
height = st.integers(-80, 80).map(lambda n: "%g" % (n / 100))
filament = st.integers(-150_000, 300_000).map(lambda n: "%.5f" % (n / 100_000))


@st.composite
def one_move(draw):
    words = [draw(st.sampled_from(["G1", "G1", "G0"]))]
    kind = draw(st.integers(0, 9))
    if kind < 8:
        words += ["X" + draw(coordinate)] * draw(st.booleans()) + ["Y" + draw(coordinate)]
        words += ["E" + draw(filament)] * draw(st.booleans())
        words += ["Z" + draw(height)] * (kind == 0)
    elif kind == 8:
        words.append("Z" + draw(height))
    else:
        words.append("E" + draw(filament))
    if draw(st.integers(0, 2)) == 0:
        words.append("F%d" % draw(st.integers(5, 150).map(lambda n: n * 60)))
    return " ".join(words)


@st.composite
def small_moves(draw):
    """A few in one direction or the other, as in a curve."""
    count, x, y = draw(st.integers(2, 8)), draw(st.integers(-30, 30)), draw(st.integers(5, 30))
    turn = draw(st.integers(-6, 6))
    lines = ["G91"]
    for number in range(count):
        lines.append("G1 X%g Y%g E%g" % ((x + turn * number) / 100, y / 100, 0.02))
    return [*lines, "G90"]


percents = st.sampled_from([50, 75, 100, 130, 180])
modes = st.one_of(
    st.sampled_from(["G90", "G91", "M82", "M83", "G92 E0", "M400", "G4 P20", "M221 S100"]),
    st.builds(lambda letter, value: "G92 %s%s" % (letter, value), st.sampled_from(AXES), coordinate),
    st.builds(lambda percent: "M221 S%d" % percent, st.sampled_from([60, 95, 120])),
    st.builds(lambda letter, value: "M204 %s%d" % (letter, value), st.sampled_from("PRT"), st.integers(100, 3000)),
)
speeds = st.builds(lambda percent: "M220 S%d" % percent, percents)
one_line = st.one_of(one_move(), one_move(), one_move(), modes).map(lambda line: [line])
lines = st.lists(one_line | small_moves(), min_size=3, max_size=22).map(
    lambda parts: [line for part in parts for line in part]
)
lines_and_speeds = st.lists(
    st.one_of(one_move(), one_move(), one_move(), one_move(), modes, speeds), min_size=3, max_size=18
)
pauses = st.lists(st.sampled_from([0, 0, 0, 0, 15, 70, 130]), min_size=1, max_size=12)


class Run:
    """A printer with fine steps and the limits of this file."""

    def __init__(self, corners="none", kinematics=0):
        scales = {"steps_per_mm_" + axis: int(scale * 1000) for axis, scale in SCALE.items()}
        self.bench = PrinterBench(kinematics=kinematics, **scales)
        self.bench.hal.streams.on_step = None  # nobody looks at switches
        self.reader = Reader(corners, bool(kinematics))
        self.say()
        deviation, jerk = CORNERS[corners]
        speed, acceleration, jerk, kinds = (
            " ".join("%s%g" % pair for pair in zip(letters, row, strict=True))
            for letters, row in ((AXES, SPEED), (AXES, ACCELERATION), (AXES, jerk), ("PRT", KINDS.values()))
        )
        # B0: moves are not made slower as they run out
        self.say("M302 P1", "M203 " + speed, "M201 " + acceleration, "M204 " + kinds)
        self.say("M205 J%g B0 %s" % (deviation, jerk), "G1 F1500")

    def say(self, *lines):
        """Send lines and wait until they have been dealt with."""
        self.bench.say("".join(line + "\n" for line in lines), 3_600_000)
        self.sent = self.bench.lines.count("ok")

    def send(self, program, pauses=(0,)):
        """Lines one after the other, a few ahead of their `ok`, with pauses in ms after them."""
        bench = self.bench
        for number, line in enumerate(program):
            bench.send(line + "\n")
            self.reader.feed(line)
            self.sent += 1
            while bench.lines.count("ok") < self.sent - AHEAD:
                bench.run(2)
                bench.take()
            if pauses[number % len(pauses)]:
                self.bench.run(pauses[number % len(pauses)])

    def finish(self):
        """Wait for the end; nothing may have gone wrong."""
        self.say("M400")
        usual = ("ok", "start", "echo:busy: processing")
        written = [line for line in self.bench.lines if not line.startswith(usual)]
        assert not written and self.bench.error is None, (written, self.bench.error)
        assert not self.bench.printer.motion.busy()
        assert self.bench.printer.motion.feeder.underruns == 0

    @property
    def edges(self):
        return [np.array(edges, dtype=float).reshape(-1, 2) * (CYCLE_S, 1) for edges in self.bench.hal.streams.edges]

    @property
    def made(self):
        return [round(edges[:, 1].sum()) for edges in self.edges]

    def track(self):
        steps = {}
        for name, edges in zip("xyze", self.edges, strict=True):
            times = np.rint(edges[:, 0] * 1e9).astype(np.int64)
            steps[name] = Steps(times, edges[:, 1].astype(np.int8), np.ones(len(times), dtype=bool))
        scale = {axis: float(value) for axis, value in SCALE.items()}
        return Track(steps, scale, "corexy" if self.reader.corexy else "cartesian")

    def check_windows(self, accelerations=True):
        """No axis is faster, or changes its speed faster, than its limits say, whatever the plan was."""
        speed = {axis: value * (1 + OVER) for axis, value in zip("xyze", SPEED, strict=True)}
        most = {axis: value * (1 + OVER) for axis, value in zip("xyze", ACCELERATION, strict=True)}
        found = self.track().check_limits(
            speed, most if accelerations else {}, windows_ms=(20.0, 30.0, 45.0), edge_error=EDGE_STEPS
        )
        assert not found, [str(excess) for excess in found]

    def check_plan(self):
        """No stretch between corners takes less time than the best plan within all limits, and none stands still."""
        reader, first, spent, best = self.reader, 0, 0.0, 0.0
        asked = [move for group in reader.groups for move in group]
        if not asked:
            return None
        if not any(self.bench.total_steps()):
            return None
        ends = [[Fraction(0)] * 4]
        for move in asked:
            ends.append([p + q for p, q in zip(ends[-1], move.way, strict=True)])
        passed = Passed(self.edges, [reader.motors(end) for end in ends], vague=(3,) if reader.flows else ())
        for group in reader.groups:
            if not group:
                continue
            if any(max(map(abs, reader.motors(move.way))) < 1 for move in group):
                best += 10.0  # a move without a step has no place among the edges
                first += len(group)
                continue
            fast, slow = (Trajectory(plan(*moves_of(group, p))) for p in (max(reader.percents), min(reader.percents)))
            best += slow.duration * STALL + STALL_S
            inner = range(first, first + len(group) - 1)
            first += len(group)
            for stride in (1, 3, 9):
                pairs = np.array([(n, n + stride) for n in inner if n + stride in inner], dtype=int).reshape(-1, 2)
                model = np.concatenate([np.zeros(inner.start), fast.times[1:-1], [0.0]])
                made, least, loose = stretches(passed, model, pairs[:, 0], pairs[:, 1])
                early = least - made - loose
                assert np.all(early <= FASTER * least + 1e-5), "corners %s: %s s, at least %s s" % (
                    pairs[np.argmax(early)], made[np.argmax(early)], least[np.argmax(early)],
                )  # fmt: skip
        times = np.concatenate([edges[:, 0] for edges in self.edges])
        spent = times.max() - times.min()
        return spent, best

    def close(self):
        self.bench.close()


def moves_of(group, percent):
    """(moves, limits of each) of some that were asked for, at a feedrate percentage."""
    moves = [Move(tuple(float(d) for d in move.way), move.feedrate * percent) for move in group]
    return moves, [move.limits for move in group]


def check(program, corners, kinematics, pauses):
    run = Run(corners, kinematics)
    try:
        begin = run.bench.hal.ticks_ms()
        run.send(program, pauses)
        run.finish()
        exact_steps(run.reader, run.made)
        run.check_windows(accelerations=corners == "none")
        result = run.check_plan()
        if result:
            waits = sum(pauses[n % len(pauses)] for n in range(len(program))) / 1000
            waits += 0.02 * sum(line.startswith("G4") for line in program)
            assert result[0] <= result[1] + 3 * waits, "%.3f s, at most %.3f s" % (result[0], result[1])
            event("moves: %d" % (sum(map(len, run.reader.groups)) // 10 * 10))
        assert run.bench.hal.ticks_ms() > begin
    finally:
        run.close()


def after_a_stop(run, sent_at_ms):
    """What the reader knows after M410: the motors stand where they stand, and G-code knows it, to half a step."""
    bench, reader = run.bench, run.reader
    bench.run(sent_at_ms)
    run.say("M410")
    bench.drain()
    run.say("G90", "M82", "G92 E0")
    reader.absolute = reader.absolute_e = True
    made = run.made
    a, b, z, e = (steps / scale for steps, scale in zip(made, SCALE.values(), strict=True))
    here = [(a + b) / 2, (a - b) / 2, z, e] if reader.corexy else [a, b, z, e]
    # X, Y and Z go on from absolute places; only E counts from here
    lag = [shown - at for shown, at in zip(reader.shown, reader.at, strict=True)]
    reader.at = here
    reader.shown = [at + off for at, off in zip(here, lag, strict=True)]
    reader.shown[3] = Fraction(0)
    reader.groups.append([])


LONG = ["G1 X60 Y0 F6600", "G1 X0 Y60", "G1 Y0 F5400", "G1 X3 E20 F3000", "G1 Z3 F540", "G1 E-20 F2400", "G1 X60 Y45"]
CURVE = ["G91", "M83", "G1 F4800", *["G1 X%.2f Y%.2f E0.012" % (0.3 - n / 300, n / 300) for n in range(90)], "G1 X20"]


@settings(max_examples=35, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(lines, st.sampled_from(list(CORNERS)), st.sampled_from([0, 0, 1]), pauses)
@example(LONG, "none", 0, [0])
@example(LONG, "none", 1, [0])
@example(LONG, "deviation", 0, [0])
@example(LONG, "jerk", 0, [0])
@example(CURVE, "deviation", 0, [0])
@example(CURVE, "jerk", 1, [0])
def test_random_gcode(program, corners, kinematics, pauses):
    check(program, corners, kinematics, pauses)


@settings(max_examples=25, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(lines_and_speeds, st.sampled_from(list(CORNERS)), pauses)
@example(["G1 X60 Y0 F3000", "M220 S180", "G1 X0 Y60", "M220 S50", "G1 X30 Y0", "G1 X0"], "none", [70])
def test_random_gcode_with_changes_of_speed(program, corners, pauses):
    check(program, corners, 0, pauses)


@settings(max_examples=18, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(lines, st.sampled_from([0, 0, 1]), st.integers(0, 900), lines)
@example(LONG, 0, 700, LONG)
@example(LONG, 1, 300, LONG)
@example(["G92 X7.77 Y-3 Z1", "G1 X60 Y9 F6600 E4"], 0, 250, ["G1 E2.5"])
def test_a_quick_stop_in_random_gcode(program, kinematics, moment, then):
    """M410 at any moment: within the accelerations, and what comes after it ends at the step it should."""
    run = Run("none", kinematics)
    try:
        run.send([line for line in program if line != "M400" and not line.startswith("G4")])
        after_a_stop(run, moment)
        assert not run.bench.printer.motion.busy()
        stopped = run.made
        run.bench.run(50)
        assert run.made == stopped
        run.send(["G1 X1.5 Y-2.25 Z0.5", *[line for line in then if not line.startswith("M221")]])
        run.finish()
        # E goes on from where it stopped, which is known to half a step; all is kept in units of 10 nm
        exact_steps(run.reader, run.made, slack=[Fraction(1, 100)] * 3 + [Fraction(51, 100)])
        run.check_windows()
    finally:
        run.close()


@pytest.mark.parametrize("percent", [33, 99, 107])
def test_many_small_extrusions_lose_nothing(percent):
    """Each a fraction of a step, at a flow that does not divide it."""
    run = Run()
    try:
        run.send(["M83", "M221 S%d" % percent, "G91"])
        for number in range(400):
            run.send(["G1 X%g E%.5f" % (0.1 if number % 2 else -0.1, (637 - number) / 100_000)])
            if number % 16 == 15:
                run.bench.run(100)
        run.finish()
        exact_steps(run.reader, run.made)
    finally:
        run.close()
