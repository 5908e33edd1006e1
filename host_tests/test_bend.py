"""What bends the path, edge by edge against the models in double precision: S-curve, shaping, advance, mesh, backlash.

All edges of all motors of a run are held against one start time, that of the streams; what the filters delay is known
beforehand: the mean delay of the slower shaper, or 10 ms with advance, in whole ms, and half of the S-curve's samples.
The speeds at the corners are those that the planner has chosen (test_planner_against_model.py is about them: a rounding
there moves all that follows by microseconds); everything between them is the model's.
"""

import dataclasses
import math
import unittest.mock as mock
from array import array
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adder import kinematics, shapers
from adder import slicer as slicer_module
from host_tests.models import planner as model
from host_tests.models import shaping
from host_tests.models.spring_mass import SpringMass
from host_tests.models.trajectory import Trajectory
from host_tests.motion_bench import UNIT, Bench
from host_tests.printer_bench import PrinterBench
from tools.twin.step_record import Steps
from tools.twin.trajectory import Track

# Whole steps for every way below, so that the planner has nothing to round
LIMITS = ((300, 3000, 10, 80), (300, 3000, 10, 80), (12, 200, 0.4, 400), (60, 5000, 5, 100))
SCALES = tuple(limit[3] for limit in LIMITS)
CYCLES_S = 125e6
EDGE_CYCLES = 15  # an edge comes so much before the end of the word that the slicer timed
EDGE_STEPS, RMS_STEPS = 0.2, 0.05
ON_RIDGES = 0.4
HEIGHT = 106  # in the state of adder/bend.py: what the mesh adds
WINDOW_S = 0.01  # advance: speed is a mean over so much before and after
KINDS = {"ZV": (shapers.ZV, shaping.zv), "MZV": (shapers.MZV, shaping.mzv), "EI": (shapers.EI, shaping.ei)}

MOVES = (
    # x, y, z, e mm, mm/s, mm/s^2
    (10, 0, 0, 0.5, 100, 1500),
    (0, 10, 0, 0.5, 100, 1500),
    (-10, -10, 0, 0, 150, 3000),
    (0, 0, 0.2, 0, 10, 1500),
    (0, 0, 0, -2, 40, 1500),
    (0, 0, 0.2, 1, 5, 1500),
    (0, 0, 0, -0.5, 40, 1500),
    (0, 0, 0, 1.5, 40, 1500),
    (5, 3, 0, 0.4, 60, 1500),
    (-7, 2, 0, 0.4, 80, 1500),
    (3, -9, -0.3, 0.4, 80, 3000),
    (-4, 1, 0.1, -0.3, 50, 1500),
    (40, 25, 0, 2.5, 200, 3000),
    (-12, 7, 0, 0, 250, 3000),
)


@dataclass
class Bending:
    """Settings as numbers: shapers (name, Hz, damping), S-curve ms, advance s, backlash of the motors in mm, a mesh."""

    x: tuple = ()
    y: tuple = ()
    smooth_ms: int = 0
    advance: float = 0.0
    e_speed: float = math.inf
    backlash: tuple = (0, 0, 0, 0)
    smoothing: float = 0.0
    heights: list = field(default_factory=list)  # rows of Y
    begin: tuple = (0.0, 0.0)
    spacing: tuple = (0.0, 0.0)
    fade: float = 0.0
    corexy: bool = False

    @property
    def filtered(self):
        return bool(self.x or self.y or self.smooth_ms or self.advance)

    @property
    def delay(self):
        """s by which everything is late."""
        means = [KINDS[kind][1](hz, damping).mean for kind, hz, damping in (s for s in (self.x, self.y) if s)]
        delay = math.ceil(max([*means, 0]) * 1000 - 1e-6) / 1000
        if self.advance:
            delay = max(delay, WINDOW_S)
        return delay + max(self.smooth_ms - 1, 0) / 2000

    def grid(self):
        """Places of the mesh's points in X and Y, mm."""
        rows, columns = len(self.heights), len(self.heights[0])
        return [self.begin[i] + self.spacing[i] * np.arange((columns, rows)[i]) for i in range(2)]


class BentBench(Bench):
    """A bench whose path is bent."""

    def __init__(self, bending=None, limits=LIMITS):
        super().__init__(limits)
        self.scales = [limit[3] for limit in limits]
        self.corexy = False
        self.set(bending or Bending())

    def set(self, to):
        """At rest."""
        bend = self.feeder.bend
        impulses = [shapers.impulses(KINDS[s[0]][0], s[1], s[2]) if s else None for s in (to.x, to.y)]
        e_most = {} if to.e_speed == math.inf else {"e_most": int(to.e_speed * self.scales[3] * 4.096) + 1}
        bend.filters(to.smooth_ms, *impulses, to.advance, **e_most)
        for motor, way in enumerate(to.backlash):
            rate = math.sqrt(way * self.limits[motor][1]) / 2  # mean speed from rest to rest
            steps = self.scales[motor] * 4096
            ratio = round(way / to.smoothing * 4096) if to.smoothing else 0
            bend.backlash(motor, round(way * steps), round(rate * steps / 1000), ratio)
        self.corexy = to.corexy
        bend.kinematics(kinematics.select(1 if to.corexy else 0))
        if len(to.heights):
            scales = [scale * 4096 for scale in self.scales]
            places = [round(mm * scale) for mm, scale in zip((*to.begin, *to.spacing), scales[:2] * 2, strict=True)]
            heights = array("i", [round(mm * scales[2]) for row in to.heights for mm in row])
            bend.bed(heights, *places, len(to.heights[0]), len(to.heights), round(to.fade * scales[2]))
        else:
            bend.bed(None, 0, 0, 0, 0, 0, 0, 0)
        self.feeder.slicer.bent()

    def move(self, x, y, z, e, speed, accel):
        if not self.corexy:
            super().move(x, y, z, e, speed, accel)
            return
        request = self.planner.request
        while self.planner.full():
            self.tick()
        for axis, (way, motor) in enumerate(zip((x, y, z, e), (x + y, x - y, z, e), strict=True)):
            request[axis], request[4 + axis] = round(way * UNIT), round(motor * UNIT)
        request[8] = round(speed * UNIT)
        request[9] = accel
        assert self.planner.add() < 2

    def made(self):
        """Steps made by all motors."""
        return [self.position(motor) for motor in range(4)]

    def edges(self, motor):
        """(times in s from the start of the streams, signs) of a motor's edges."""
        edges = np.array(self.stream.edges[motor], dtype=float).reshape(-1, 2)
        return (edges[:, 0] - self.start_cycles + EDGE_CYCLES) / CYCLES_S, edges[:, 1]

    def track(self):
        """The axes as they moved."""
        steps = {}
        for motor, name in enumerate("xyze"):
            times, signs = self.edges(motor)
            enabled = np.ones(len(signs), bool)
            steps[name] = Steps(np.round(times * 1e9).astype(np.int64), signs.astype(np.int8), enabled)
        scales = dict(zip("xyze", self.scales, strict=True))
        return Track(steps, scales, "corexy" if self.corexy else "cartesian")


def ran(bending, moves=MOVES, limits=LIMITS):
    """A bench that has made the moves; `corners` are the speeds at which they were begun."""
    bench = BentBench(bending, limits)
    bench.corners = []
    original = slicer_module._seal

    def seal(st, pl, blk):
        bench.corners.append(math.sqrt(pl[2] / 256))
        original(st, pl, blk)

    with mock.patch.object(slicer_module, "_seal", seal):
        _make(bench, moves)
    return bench


def _make(bench, moves):
    for move in moves:
        bench.move(*move)
    bench.drain()
    assert bench.feeder.underruns == 0


def planned(bench, moves):
    """The trajectory that the model plans, with the bench's speeds at the corners."""
    columns = list(zip(*bench.limits, strict=True))
    of = model.Limits(columns[0], columns[1], columns[3], columns[2], corexy=bench.corexy)
    blocks = model.plan([model.Move(move[:4], move[4], move[5]) for move in moves], of)
    for block, entry, leave in zip(blocks, bench.corners, [*bench.corners[1:], 0.0], strict=True):
        assert entry == pytest.approx(block.entry, rel=2e-3, abs=0.06)
        block.entry, block.exit = entry, leave
    return Trajectory(blocks)


def filament(path, moves):
    """Position over time of the filament that goes forward while X or Y moves: what advance acts on."""
    forward = [move[3] if move[3] > 0 and (move[0] or move[1]) else 0.0 for move in moves]
    sums = np.concatenate([[0.0], np.cumsum(forward)])

    def at(times):
        block, way, _, _ = path._phase(times)
        return sums[block] + np.array(forward)[block] * way / path.lengths[block]

    return at


def axes_over_time(bending, path, moves):
    """What the filters and the mesh make of the path: four functions of time, mm; the delay is taken out."""

    def along(axis):
        return lambda times: path.position(times)[..., axis]

    functions = [*map(along, range(4)), filament(path, moves)]
    if bending.smooth_ms:
        n = bending.smooth_ms
        functions = [shaping.boxed(function, n / 1000, n) for function in functions]
    for axis, shaper in enumerate((bending.x, bending.y)):
        if shaper:
            kind, hz, damping = shaper
            impulses = KINDS[kind][1](hz, damping)
            functions[axis] = shaping.shaped(functions[axis], impulses, impulses.mean)
    x, y, z, e, forward = functions
    if bending.advance:
        k, w = bending.advance, WINDOW_S
        functions[3] = lambda t: e(t) + k * (forward(t + w) - forward(t - w)) / (2 * w)
    if len(bending.heights):
        xs, ys = bending.grid()

        def lifted(times):
            height = shaping.mesh(x(times), y(times), xs, ys, bending.heights)
            if bending.fade:
                height = height * np.clip(1 - z(times) / bending.fade, 0, 1)
            return z(times) + height - shaping.mesh(0.0, 0.0, xs, ys, bending.heights)

        functions[2] = lifted
    return functions[:4]


def motors_over_time(bending, path, moves, scales=SCALES):
    """Positions of the motors, steps, without backlash."""
    x, y, z, e = axes_over_time(bending, path, moves)
    motors = [lambda t: x(t) + y(t), lambda t: x(t) - y(t), z, e] if bending.corexy else [x, y, z, e]

    def in_steps(motor):
        return lambda times: motors[motor](times) * scales[motor]

    return [in_steps(motor) for motor in range(4)]


def with_backlash(position, way, accel_steps, end):
    """A motor's position, steps, with its backlash; and when it is being made up for: (begin, end), s.

    Forwards nothing, backwards all of `way` is taken off; after a turn it is spread over the time that the way takes
    from rest to rest. A motor has turned when it has come back by 1/16 step.
    """
    times = np.arange(-0.05, end + 0.1, 1e-4)
    turns, sign, furthest = [], 1, -math.inf
    for when, place in zip(times, position(times), strict=True):
        if sign * place >= sign * furthest or furthest == -math.inf:
            furthest = place
        elif sign * (furthest - place) > 1 / 16:
            sign, furthest = -sign, place
            turns.append((when, sign))
    lasts = 2 * math.sqrt(way / accel_steps)
    offset, at, spans = [0.0], [-1.0], []
    now, target, since = 0.0, 0.0, -1.0
    for when, sign in [*turns, (end + 1, 0)]:
        if now != target:
            done = since + abs(target - now) / way * lasts
            until = min(done, when)
            spans.append((since, until))
            now += (target - now) * (until - since) / (done - since)
            at.append(until)
            offset.append(now)
        target, since = (0.0 if sign > 0 else -way), when
        at.append(when)
        offset.append(now)
    return (lambda t: position(t) + np.interp(t, at, offset)), spans


def edge_errors(bench, motors, delay):
    """For each motor: times and distances of its edges from the model, steps."""
    result = []
    for motor, position in enumerate(motors):
        times, signs = bench.edges(motor)
        halfway = np.cumsum(signs) - signs / 2
        result.append((times - delay, position(times - delay) - halfway))
    return result


def check_edges(errors, most=EDGE_STEPS, rms=RMS_STEPS):
    worst = [float(np.abs(off).max()) for _, off in errors if len(off)]
    everything = np.concatenate([off for _, off in errors])
    assert len(everything) > 500
    mean = float(np.sqrt(np.mean(everything**2)))
    print("edges %d, largest error %.3f, rms %.4f steps" % (len(everything), max(worst), mean))
    assert max(worst) <= most, worst
    assert mean <= rms


def whole_steps(moves, corexy=False):
    """Steps of the motors at the end."""
    x, y, z, e = np.sum([move[:4] for move in moves], axis=0)
    ways = (x + y, x - y, z, e) if corexy else (x, y, z, e)
    return [round(way * scale) for way, scale in zip(ways, SCALES, strict=True)]


FILTERS = {
    "nothing": Bending(),
    "ZV": Bending(x=("ZV", 40, 0.1), y=("ZV", 40, 0.1)),
    "MZV": Bending(x=("MZV", 40, 0.1), y=("MZV", 40, 0.1)),
    "EI": Bending(x=("EI", 40, 0.1), y=("EI", 40, 0.1)),
    "slow and fast": Bending(x=("EI", 7.5, 0.02), y=("ZV", 190, 0.3)),
    "X alone": Bending(x=("MZV", 52.5, 0.05)),
    "Y alone": Bending(y=("EI", 31.3, 0.15)),
    "S-curve": Bending(smooth_ms=20),
    "short S-curve": Bending(smooth_ms=3),
    "advance": Bending(advance=0.05),
    "much advance": Bending(advance=0.8),
    "filters": Bending(x=("ZV", 47, 0.08), y=("EI", 33, 0.12), smooth_ms=12, advance=0.04),
    "CoreXY filters": Bending(x=("MZV", 47, 0.08), y=("EI", 33, 0.12), smooth_ms=7, advance=0.04, corexy=True),
}
HILLY = [[0.11, -0.23, 0.31, 0.04], [-0.35, 0.2, 0.0, 0.15], [0.4, -0.1, 0.27, -0.3]]
BED = {"heights": HILLY, "begin": (-20.0, -15.0), "spacing": (20.0, 25.0)}


@pytest.mark.parametrize("name", FILTERS)
def test_every_edge_of_filtered_moves(name):
    bending = FILTERS[name]
    bench = ran(bending)
    motors = motors_over_time(bending, planned(bench, MOVES), MOVES)
    # Where the filament's speed jumps by v, that of E jumps by v K / 20 ms twice; within its slice of 1 ms a jump is
    # off by a quarter of what it makes in that time. 0.5 mm/s are that much with a K of 0.8 s.
    most = 0.5 if bending.advance > 0.1 else EDGE_STEPS
    check_edges(edge_errors(bench, motors, bending.delay), most)
    assert bench.made() == whole_steps(MOVES, bending.corexy)


@pytest.mark.parametrize("name", ["filters", "CoreXY filters", "nothing"])
def test_every_edge_with_a_mesh(name):
    bending = dataclasses.replace(FILTERS[name], **BED)
    bench = ran(bending)
    motors = motors_over_time(bending, planned(bench, MOVES), MOVES)
    # On the ridges of the bed Z changes its speed in the middle of a slice: by up to 0.06 mm/mm * 200 mm/s here, which
    # 400 steps/mm * 1 ms / 4 make 1.2 steps on the steepest one
    check_edges(edge_errors(bench, motors, bending.delay), ON_RIDGES)
    assert bench.made()[:2] == whole_steps(MOVES, bending.corexy)[:2]


def test_every_edge_with_everything():
    """All filters, the mesh, CoreXY and backlash of all motors at once."""
    bending = dataclasses.replace(FILTERS["CoreXY filters"], **BED, backlash=(0.05, 0.04, 0.02, 0.1))
    check_with_backlash(bending)


@pytest.mark.parametrize("name", ["nothing", "EI", "filters"])
def test_every_edge_with_backlash(name):
    check_with_backlash(dataclasses.replace(FILTERS[name], backlash=(0.05, 0.04, 0.02, 0.1)))


def check_with_backlash(bending):
    bench = ran(bending)
    path = planned(bench, MOVES)
    motors = motors_over_time(bending, path, MOVES)
    errors, late, turns = [], [], 0
    for motor, position in enumerate(motors):
        way = bending.backlash[motor] * SCALES[motor]
        bent, spans = with_backlash(position, way, LIMITS[motor][1] * SCALES[motor], path.duration + 0.3)
        motors[motor] = bent
        turns += len(spans)
        (times, off) = edge_errors(bench, [bent] * (motor + 1), bending.delay)[motor]
        turning = np.zeros(len(times), bool)
        for begin, end in spans:
            turning |= (times > begin - 0.0015) & (times < end + 0.0035)
        errors.append((times[~turning], off[~turning]))
        # A turn is noticed at the end of its slice
        speed = way / (2 * math.sqrt(way / (LIMITS[motor][1] * SCALES[motor])))
        late.append(np.abs(off[turning]).max(initial=0) / (speed * 0.0015 + EDGE_STEPS))
    print("turns", turns)
    assert turns > 12
    check_edges(errors, ON_RIDGES if len(bending.heights) else EDGE_STEPS)
    assert max(late) <= 1, late


# Limits


def excesses(track, limits, jump=0.0, windows_ms=(5.0, 10.0, 20.0), jerk_e=None):
    """Limits of speed and acceleration that are not kept by more than 2 %; `jump` mm/s of speed are allowed at once."""
    names = [name for name in "xyze" if len(track.motors[name]._times) > 4]
    speed = {name: limits["xyze".index(name)][0] * 1.02 for name in names}
    accel = {name: limits["xyze".index(name)][1] * 1.02 for name in names}
    jumps = dict.fromkeys(names, jump)
    if jerk_e is not None:
        jumps["e"] = jerk_e
    return track.check_limits(speed, accel, jumps, windows_ms=windows_ms, edge_error=EDGE_STEPS)


STRAIGHT = ((60, 0, 0, 3, 400, 9000), (0, 60, 0, 0, 400, 9000), (-60, 0, 0, 0, 170, 9000), (0, -60, 0, 4, 200, 9000))


def one_by_one(bending, moves, limits=LIMITS):
    """A bench that has come to rest after every move."""
    bench = BentBench(bending, limits)
    for move in moves:
        bench.move(*move)
        bench.drain()
    return bench


@pytest.mark.parametrize("name", [name for name in FILTERS if "advance" not in name])
def test_no_limit_is_exceeded(name):
    bending = dataclasses.replace(FILTERS[name], advance=0.0)
    moves = STRAIGHT if not bending.corexy else [(x, y, 0, e, 150, a) for x, y, _, e, _, a in STRAIGHT]
    track = one_by_one(bending, moves).track()
    found = excesses(track, LIMITS)
    assert not found, [str(excess) for excess in found]
    if not bending.corexy:
        if not (bending.x and bending.x[1] < 10):
            assert track.peak_speed("x", 5.0)[0] > 294
        if not bending.x:
            assert track.peak_acceleration("x", 20.0)[0] > 3000 * 0.95


@pytest.mark.parametrize("ms", [20, 50])
def test_the_s_curve_bounds_the_jerk(ms):
    """The change of acceleration, from four places of the motor `step` apart, against a / T."""
    limits = tuple((*limit[:3], limit[3] * 10) for limit in LIMITS)  # fine steps: a third difference sees every one
    bench = one_by_one(Bending(smooth_ms=ms), [(40, 0, 0, 0, 200, 3000), (-40, 0, 0, 0, 60, 2000)], limits)
    step = ms * 0.3e-3
    track = bench.track()
    times = np.arange(-0.05, bench.edges(0)[0][-1] + 0.05, 5e-4)
    p = [track.at("x", (times + k * step) * 1e9) for k in (-1.5, -0.5, 0.5, 1.5)]
    jerk = np.abs(p[3] - 3 * p[2] + 3 * p[1] - p[0]) / step**3
    noise = 8 * 0.1 / 800 / step**3
    most = 3000 / (ms / 1000)
    assert jerk.max() <= most * 1.02 + noise
    assert jerk.max() >= most * 0.98 - noise and noise < most * 0.1


# The swing of an axis


def swing(bending, move, hz, damping, scale=1600):
    """Largest swing after a move of X, mm: of a mass on a spring, pulled by a motor that makes the firmware's steps."""
    limits = ((300, 6000, 10, scale), *LIMITS[1:])
    bench = one_by_one(bending, [move], limits)
    times, signs = bench.edges(0)
    interval = 5e-5
    grid = np.arange(0, times[-1] + 4 / hz, interval)
    # From step to step the motor turns evenly
    places = np.interp(grid, times, np.cumsum(signs) - signs / 2, 0, signs.sum()) / scale
    return SpringMass(hz, damping).swing(places, interval, times[-1] + 1e-3)


def worst_way(hz):
    """A move after which a mass swings widely: its ramps last one and a half periods, and so does what is between."""
    accel = 4000
    ramp = 1.5 / hz
    speed = accel * ramp
    if speed > 250:
        speed, accel = 250, round(250 / ramp)
    return speed * (ramp + 1.5 / hz * 2 / 3), 0, 0, 0, speed, accel


@pytest.mark.parametrize("hz, damping", [(18, 0.02), (33, 0.05), (47.5, 0.1), (80, 0.15), (60, 0.0)])
def test_zv_takes_90_percent_of_the_swing(hz, damping):
    move = worst_way(hz)
    free = swing(Bending(), move, hz, damping)
    left = swing(Bending(x=("ZV", hz, damping)), move, hz, damping)
    print("free %.4f mm, ZV %.1f %%" % (free, left / free * 100))
    assert free > 0.02
    assert left <= 0.1 * free


@pytest.mark.parametrize("hz, damping", [(18, 0.02), (33, 0.05), (47.5, 0.1), (80, 0.15)])
@pytest.mark.parametrize("real", [0.9, 1.1])
def test_ei_takes_80_percent_with_a_wrong_frequency(hz, damping, real):
    move = worst_way(hz * real)
    free = swing(Bending(), move, hz * real, damping)
    left = swing(Bending(x=("EI", hz, damping)), move, hz * real, damping)
    print("free %.4f mm, EI %.1f %%" % (free, left / free * 100))
    assert free > 0.015
    assert left <= 0.2 * free


def test_mzv_at_its_frequency():
    move = worst_way(40)
    free, left = (swing(bending, move, 40, 0.05) for bending in (Bending(), Bending(x=("MZV", 40, 0.05))))
    assert left <= 0.1 * free


# Advance


def test_advance_is_k_times_the_speed():
    """While the filament goes steadily forward with X or Y; not when it goes back, alone, or with Z only."""
    k = 0.08
    fine = (*LIMITS[:3], (60, 5000, 5, 1000))
    for move, ahead in (
        ((50, 0, 0, 5, 50, 2000), True), ((0, 30, 0, 3, 50, 2000), True), ((-20, 20, 0.4, 5, 50, 2000), True),
        ((50, 0, 0, -5, 50, 2000), False), ((50, 0, 0, 0, 50, 2000), False), ((0, 0, 0, 5, 5, 500), False),
        ((0, 0, 1, 5, 5, 500), False),
    ):  # fmt: skip
        bending = Bending(advance=k)
        bench, plain = (ran(b, [move], fine) for b in (bending, Bending()))
        assert bench.made() == plain.made()
        path = planned(bench, [move])
        middle = np.arange(path.duration / 2 - 0.02, path.duration / 2 + 0.02, 1e-3)
        e, still = (bench.track().at("e", (middle + bending.delay) * 1e9), plain.track().at("e", middle * 1e9))
        if not move[3]:
            assert not len(bench.stream.edges[3])
            continue
        speed = path.velocity(middle)[0, 3]
        assert np.abs(e - still - (k * speed if ahead else 0)).max() < 0.0012, move


E_LIMITS = (*LIMITS[:3], (25, 800, 5, 400))


@pytest.mark.parametrize("k", [0.02, 0.1, 0.6, 4.0])
def test_the_extruder_keeps_its_limits(k):
    """Whatever K, fast moves with much filament: E's own speed and acceleration, that of advance included."""
    moves = [(60, 0, 0, 6, 250, 3000), (30, 40, 0, 12, 250, 3000), (-45, 10, 0, 0, 250, 3000), (0, 0, 0, -3, 60, 3000),
             (0, 0, 0, 3, 60, 3000), (-10, -50, 0, 2, 250, 3000), (-35, 0, 0, 20, 250, 3000)]  # fmt: skip
    bench = BentBench(Bending(advance=k, e_speed=25), E_LIMITS)
    bench.planner.set_advance(round(k * 10000))
    for move in moves:
        bench.move(*move)
        bench.drain()
    found = excesses(bench.track(), E_LIMITS)
    assert not found, [str(excess) for excess in found]
    assert bench.position(3) == 40 * 400
    if k < 1:
        assert bench.track().peak_speed("e", 20.0)[0] > 12


def test_a_corner_cannot_make_the_extruder_too_fast():
    """From much filament to none and back within the window of advance: E catches up as fast as it may."""
    moves = [move for n in range(6) for move in ((8, 0, 0, 0.8, 80, 3000), (8, 0.1, 0, 0, 80, 3000))]
    bench = ran(Bending(advance=0.6, e_speed=25), moves, E_LIMITS)
    free = ran(Bending(advance=0.6), moves, E_LIMITS)
    assert free.track().peak_speed("e", 5.0)[0] > 50
    track = bench.track()
    assert track.peak_speed("e", 5.0)[0] <= 25 * 1.02 + 2 * EDGE_STEPS / 400 / 0.005
    assert bench.made() == free.made() == [96 * 80, 48, 0, 1920]


# Backlash


@pytest.mark.parametrize("name", ["nothing", "ZV", "EI", "S-curve", "filters"])
def test_each_turn_adds_the_backlash_once(name):
    bending = dataclasses.replace(FILTERS[name], backlash=(0.1, 0.05, 0.03, 0.2))
    bench = BentBench(bending)
    steps = [round(way * scale) for way, scale in zip(bending.backlash, SCALES, strict=True)]
    at = [0, 0, 0, 0]
    back = [False] * 4
    for way in (1, 1, -1, -1, 1, -1, 1, 1, -0.5, -1, 0.5, -1):
        for motor in (0, 1, 2, 3):
            before = len(bench.stream.edges[motor])
            move = [0.0] * 4
            move[motor] = way
            bench.move(*move, 20, 1000)
            bench.drain()
            turned = (way < 0) != back[motor]
            back[motor] = way < 0
            at[motor] += round(way * SCALES[motor])
            assert bench.position(motor) == at[motor] - (steps[motor] if back[motor] else 0)
            made = bench.stream.edges[motor][before:]
            assert len(made) == abs(round(way * SCALES[motor])) + (steps[motor] if turned else 0)
            assert {direction for _, direction in made} == {1 if way > 0 else -1}
            assert bench.feeder.slicer.extra(motor) == (-steps[motor] if back[motor] else 0)
            assert bench.feeder.motor_steps(motor) == bench.position(motor)


@pytest.mark.parametrize("smoothing", [0.5, 3.0])
def test_backlash_over_a_way(smoothing):
    """M425 S: the motor goes so much further per way until the backlash has been made up for."""
    bench = BentBench(Bending(backlash=(0.2, 0, 0, 0), smoothing=smoothing))
    bench.move(10, 0, 0, 0, 50, 1000)
    bench.drain()
    where = 10.0
    for way in (-0.3, -0.4, -2, -1.5, 0.4, 0.4, 2, 1):
        bench.move(way, 0, 0, 0, 50, 1000)
        bench.drain()
        where += way
        wanted = shaping.backlash([9.0, 10.0, 9.7, 9.3, 7.3, 5.8, 6.2, 6.6, 8.6, 9.6], 0.2, smoothing, 0.2)
        places = dict(zip([9.0, 10.0, 9.7, 9.3, 7.3, 5.8, 6.2, 6.6, 8.6, 9.6], wanted - 0.2, strict=True))
        assert abs(bench.position(0) / 80 - places[round(where, 1)]) < 1.1 / 80


def test_backlash_that_is_switched_off_is_taken_back():
    """What was added goes with the next move, as it came; nothing jumps, and the counts stay right."""
    bench = BentBench(Bending(backlash=(0.1, 0, 0, 0)))
    bench.move(-5, 0, 0, 0, 50, 1000)
    bench.drain()
    assert bench.position(0) == -408
    bench.set(Bending())
    assert bench.feeder.motor_steps(0) == -408
    bench.move(2, 0, 0, 0, 50, 1000)
    bench.drain()
    assert bench.position(0) == bench.feeder.motor_steps(0) == -240
    assert not excesses(bench.track(), LIMITS, 20)


# Mesh


@pytest.mark.parametrize("fade", [0.0, 8.0])
@pytest.mark.parametrize("name", ["nothing", "filters"])
def test_z_follows_the_bed(name, fade):
    """Long diagonal moves over a hilly bed, and beyond it; at each edge of Z the nozzle is where the surface says."""
    bending = dataclasses.replace(FILTERS[name], advance=0.0, fade=fade, **BED)
    moves = [(-18, -13, 0, 0, 100, 3000), (57, 46, 1, 0, 80, 3000), (-52, 5, 1, 0, 80, 3000), (33, -60, 2, 0, 80, 3000),
             (-20, 40, 5, 0, 80, 3000), (20, -30, 1, 0, 80, 3000)]  # fmt: skip
    bench = ran(bending, moves)
    path = planned(bench, moves)
    motors = motors_over_time(bending, path, moves)
    times, off = edge_errors(bench, motors, bending.delay)[2]
    assert np.abs(off / 400).max() <= 0.02 and np.abs(off).max() < 1
    if fade:
        late = path.duration - 0.15
        assert (times > late).any() and not excesses(bench.track(), LIMITS, 20)
        flat = ran(dataclasses.replace(bending, heights=[]), moves)
        assert bench.position(2) - flat.position(2) == round(-shaping.mesh(0, 0, *bending.grid(), HILLY) * 400)


def test_the_bed_has_no_jumps():
    """Z in every slice, slowly across every border of the mesh: never more than the steepest slope makes."""
    bench = BentBench(dataclasses.replace(FILTERS["nothing"], **BED))
    for x, y in ((45, 37), (-70, -10), (30, -50), (-10, 30), (40, 40)):
        bench.move(x, y, 0, 0, 15, 1000)
    slicer, state, heights = bench.feeder.slicer, bench.feeder.bend.state, []

    def room(motors):
        motors[10::16] = array("i", [2000] * 4)

    bench.stream.free_words = room
    while slicer.fill(1, 1):
        heights.append(state[HEIGHT])
    assert len(heights) > 10_000
    steepest = (0.75 / 20 + 0.75 / 25) * 15 * 400 * 4096 / 1000
    assert 0.2 * steepest < np.abs(np.diff(heights)).max() <= 1.1 * steepest < 4096


# In the middle of a move


def settle(bench, ms):
    for _ in range(ms // 5):
        bench.tick()


@pytest.mark.parametrize("name", ["nothing", "filters", "EI"])
@pytest.mark.parametrize("first, second", [(50, 100), (250, 100), (10, 300), (0, 100), (999, 10), (30, 999)])
def test_the_feedrate_changes_within_a_move(name, first, second):
    bench = BentBench(FILTERS[name])
    bench.move(150, 0, 0, 0, 60, 1500)
    bench.move(50, 5, 0, 0, 60, 1500)
    settle(bench, 1000)
    changes = []
    for percent in (first, second):
        changes.append((bench.clock.us / 1e6 - bench.start_cycles / CYCLES_S, percent))
        bench.feeder.set_feed(percent)
        settle(bench, 600)
    bench.drain()
    assert bench.made() == [200 * 80, 5 * 80, 0, 0]
    assert bench.feeder.underruns == 0
    track = bench.track()
    found = excesses(track, (LIMITS[0][:1] + (1500,), *LIMITS[1:]), windows_ms=(5.0, 10.0, 20.0, 40.0))
    assert not found, [str(excess) for excess in found]
    at = [track.at("x", np.array([when + 0.25, when + 0.27]) * 1e9) for when, _ in changes]
    before = 60
    for (low, high), (_, percent) in zip(at, changes, strict=True):
        # After 250 ms the speed has begun to change, or is there
        speed, goal = (high - low) / 0.02, min(60 * percent / 100, 300)
        assert abs(speed - before) > 0.4 * min(abs(goal - before), 1500 * 0.05)
        before = goal
    if first == 0:
        end = changes[1][0]
        still = track.at("x", np.array([end - 0.15, end - 0.05]) * 1e9)
        assert still[0] == still[1]


@pytest.mark.parametrize("name", ["nothing", "ZV", "EI", "filters", "CoreXY filters", "slow and fast"])
def test_a_stop_knows_where_it_ended(name):
    """M410 in the middle of a move, filters on: a ramp down, and what follows goes on from there, to the step."""
    bending = dataclasses.replace(FILTERS[name], backlash=(0.05, 0.05, 0, 0))
    bench = BentBench(bending)
    feeder, planner = bench.feeder, bench.planner
    stops = []

    def braked():
        stops.append(feeder.abandon()[:])
        feeder.set_feed(100)

    wanted = [0, 0, 0, 0]
    for way, wait in ((100, 900), (-100, 700), (70, 600), (-40, 450), (3, 250)):
        bench.move(way, way / 5, 0, way / 30, 90, 1500)
        bench.move(way / 7, -way / 9, 0, 0, 60, 1500)
        wanted = [planner.planned(motor) for motor in range(4)]
        settle(bench, wait)
        feeder.brake(braked)
        bench.drain()
        settle(bench, 20)
        made = bench.made()
        for motor in range(4):
            extra = feeder.slicer.extra(motor)
            assert made[motor] == planner.planned(motor) + extra == feeder.motor_steps(motor)
            assert wanted[motor] == planner.planned(motor) + stops[-1][motor]
    assert len(stops) == 5 and sum(map(bool, (any(stop) for stop in stops))) >= 4
    assert feeder.underruns == 0
    found = excesses(bench.track(), LIMITS, 25, jerk_e=60)
    assert not found, [str(excess) for excess in found]


WAYS = st.floats(-30, 30).map(lambda way: round(way, 1))
MOVE = st.tuples(
    st.just("move"), WAYS, WAYS, st.sampled_from((0, 0, 0, 0.4, -1)), st.sampled_from((0, 0, 0.5, 2, -1.5)),
    st.sampled_from((20, 60, 150, 300)), st.sampled_from((500, 1500, 3000)),
)  # fmt: skip
DOING = st.one_of(
    MOVE, MOVE, MOVE,
    st.tuples(st.just("wait"), st.integers(1, 120)),
    st.tuples(st.just("feed"), st.sampled_from((0, 10, 37, 100, 250, 999))),
    st.tuples(st.just("brake")),
    st.tuples(st.just("kill")),
    st.tuples(st.just("shift"), st.integers(0, 2), st.integers(-60, 60)),
    st.tuples(st.just("settings"), st.sampled_from(sorted(FILTERS)), st.booleans()),
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(DOING, min_size=8, max_size=30), st.sampled_from(sorted(FILTERS)))
def test_nothing_is_lost_whatever_happens(program, name):
    """Moves, feedrates, holds, stops with and without ramps, babysteps, filters changed at rest: all is counted."""
    bench = BentBench(dataclasses.replace(FILTERS[name], e_speed=LIMITS[3][0]))
    feeder, planner = bench.feeder, bench.planner
    planner.set_advance(round(FILTERS[name].advance * 10000))
    killed = False

    def braked():
        feeder.abandon()
        feeder.set_feed(100)

    def rest():
        while feeder.braking:
            bench.tick()

    for what, *values in program:
        if what == "wait":
            settle(bench, 5 * values[0])
        elif what == "feed":
            if not feeder.braking:
                feeder.set_feed(values[0])
        elif what == "brake":
            if feeder.busy() and not feeder.braking:
                feeder.brake(braked)
        elif what == "kill":
            feeder.abandon()
            feeder.end_braking()
            feeder.set_feed(100)
            killed = True
        elif what == "shift":
            motor, steps = values
            feeder.shift(motor, steps, int(LIMITS[motor][2] * LIMITS[motor][3] * 4.096))
        elif what == "settings":
            rest()
            feeder.set_feed(100)
            bench.drain()
            more = BED if values[1] else {}
            more = {**more, "backlash": (0.05, 0, 0.01, 0), "e_speed": LIMITS[3][0], "corexy": bench.corexy}
            bench.set(dataclasses.replace(FILTERS[values[0]], **more))
            planner.set_filament_speed(0)
            planner.set_advance(round(FILTERS[values[0]].advance * 10000))
            for motor in range(4):  # a mesh lifts the motor that stays
                planner.set_planned(motor, feeder.motor_steps(motor) - feeder.slicer.extra(motor))
            feeder.slicer.place([planner.planned(motor) for motor in range(4)])
        else:
            rest()
            if planner.full():
                feeder.set_feed(100)
            bench.move(*values)
    rest()
    feeder.set_feed(100)
    bench.drain()
    made = bench.made()
    for motor in range(4):
        assert made[motor] == feeder.motor_steps(motor) == planner.planned(motor) + feeder.slicer.extra(motor)
    assert feeder.underruns == 0
    if not killed and bench.start_cycles is not None:
        # Corners of several short moves may lie in one window, each with its jump
        jumps = dict(zip("xyze", (70, 70, 15, 400), strict=True))
        speed = {name: LIMITS["xyze".index(name)][0] * 1.02 + (12 if name in "xyz" else 0) for name in "xyze"}
        track = bench.track()
        names = [name for name in "xyze" if len(track.motors[name]._times) > 4]
        if not bench.corexy:
            found = track.check_limits(
                {name: speed[name] for name in names},
                {name: LIMITS["xyze".index(name)][1] * 1.02 for name in names},
                jumps,
                windows_ms=(5.0, 10.0),
            )
            assert not found, [str(excess) for excess in found]


# Orders


def test_filters_on_off_and_on_between_moves():
    """At rest, from every setting to every other one: no step is made by it, none is lost."""
    bench = BentBench()
    wanted = np.zeros(4, int)
    for number, name in enumerate([*FILTERS, "nothing", *reversed(FILTERS), "EI", "nothing", "S-curve"]):
        bending = FILTERS[name]
        if bending.corexy:
            continue
        before = bench.made()
        bench.set(dataclasses.replace(bending, backlash=(0, 0.05, 0, 0) if number % 3 == 0 else (0, 0, 0, 0)))
        settle(bench, 50)
        assert bench.made() == before
        way = (7, 3, 0.1, 0.5) if number % 2 else (-5, -4, -0.1, -0.2)
        bench.move(*way, 80, 2000)
        bench.drain()
        wanted += np.round(np.array(way) * SCALES).astype(int)
        made = bench.made()
        extra = [bench.feeder.slicer.extra(motor) for motor in range(4)]
        assert made == list(wanted + extra)
        assert extra[1] in (0, -4)
    assert not excesses(bench.track(), LIMITS, 25, jerk_e=200)


FAR = 0x3FFFF  # steps after which positions are counted from 0 again


@pytest.mark.parametrize("name", ["nothing", "ZV", "S-curve", "advance", "filters", "CoreXY filters"])
@pytest.mark.parametrize("side", [1, -1])
def test_positions_that_wrap_around(name, side):
    """Far from zero positions start again, in the middle of all that remembers them; nothing of it is seen."""
    bending = dataclasses.replace(FILTERS[name], backlash=(0.05, 0.05, 0.02, 0.1))
    here, there = BentBench(bending), BentBench(bending)
    # Each motor gets there at another time, and back again
    off = (200, 300, 30, 40)
    there.feeder.slicer.place([side * (FAR - steps) for steps in off])
    for motor in range(4):
        there.planner.set_planned(motor, side * (FAR - off[motor]))
    moves = [(side * x, side * y, side * z, e if side > 0 else -e, v, a) for x, y, z, e, v, a in MOVES]
    moves += [(-x, -y, -z, -e, v, a) for x, y, z, e, v, a in moves] + moves
    for bench in (here, there):
        for move in moves:
            bench.move(*move)
        bench.drain()
    for motor in range(4):
        a, b = here.stream.edges[motor], there.stream.edges[motor]
        assert len(a) == len(b) > 60
        since = [np.array([time for time, _ in edges]) - bench.start_cycles for edges, bench in ((a, here), (b, there))]
        assert np.abs(since[0] - since[1]).max() <= 2  # cycles
        assert there.feeder.motor_steps(motor) == side * (FAR - off[motor]) + here.feeder.motor_steps(motor)
    wraps = sum(abs(there.feeder.slicer.motors[16 * motor + 3]) >> 12 < FAR // 2 for motor in range(4))
    assert wraps >= 3


def test_kilometres_of_filament():
    """More than 2**30 / 4096 steps of it, one after the other, with all filters: as at the beginning."""
    fast = (*LIMITS[:3], (400, 5000, 5, 400))
    moves = [((-1) ** n * 9, 0, 0, 100, 25, 3000) for n in range(16)]
    bending = dataclasses.replace(FILTERS["filters"], advance=0.01)
    bench = ran(bending, moves, fast)
    motors = motors_over_time(bending, planned(bench, moves), moves, (80, 80, 400, 400))
    assert bench.position(3) == 16 * 100 * 400 > 2 * FAR
    # The times of 16 blocks are rounded: 4 us at 111,000 steps/s
    check_edges(edge_errors(bench, motors, bending.delay), 0.45, 0.15)


@pytest.mark.parametrize("fade", [10.0, 0.0])
def test_a_high_z_has_no_mesh_again(fade):
    """Z of a fine screw passes the place where positions start again; a mesh that has faded out stays so."""
    fine = (*LIMITS[:2], (60, 2000, 5, 4000), LIMITS[3])
    bed = {**BED, "heights": [[1.0, 0.5], [0.5, 0.5]], "begin": (0, 0), "spacing": (100, 100)}
    bench = BentBench(dataclasses.replace(FILTERS["nothing"], fade=fade, **bed), fine)
    state = bench.feeder.bend.state
    bench.feeder.slicer.place([0, 0, 0, 0])
    for to in (5, 60, 66, 72, 131, 133, 140, 66, 62, 5, 0):
        bench.move(0, 0, to - bench.planner.planned(2) / 4000, 0, 50, 2000)
        bench.drain()
        share = max(0, 1 - to / fade) if fade else 1
        assert state[HEIGHT] / 4096 / 4000 == pytest.approx(share, abs=0.001), to
        at = bench.planner.planned(2) + bench.feeder.slicer.extra(2)
        assert bench.feeder.motor_steps(2) == at
    for to in (64, 66, 131, 132, 300, 5):
        # Declared instead of moved to (G28, M410)
        bench.feeder.slicer.place([0, 0, to * 4000, 0])
        assert state[HEIGHT] / 4096 / 4000 == pytest.approx(max(0, 1 - to / fade) if fade else 1, abs=0.001), to


def test_babysteps_arrive_while_nothing_else_moves():
    """M290 at rest, with filters: all of it is made at once, not with the next move."""
    for name in FILTERS:
        if FILTERS[name].corexy:
            continue
        bench = BentBench(FILTERS[name])
        bench.move(5, 0, 0, 0.3, 50, 1500)
        bench.drain()
        bench.feeder.shift(2, 40, 1600)
        bench.drain()
        assert bench.made() == [400, 0, 40, 30]


# The whole printer

ALL_ON = "M593 X F47 D0.08 T1\nM593 Y F33 D0.12 T3\nM205 C12\nM900 K0.04\nM425 X0.05 Y0.05 Z0.02\n"


@pytest.fixture(params=[0, 1], ids=["Cartesian", "CoreXY"])
def printer(request):
    bench = PrinterBench(kinematics=request.param)
    assert bench.say("") == ["start"]
    yield bench
    bench.close()
    assert type(bench.error).__name__ == "_End", bench.error


def carriages(bench):
    """X, Y and Z in mm from the switches, as the motors have taken them."""
    half = 2 if bench.corexy else 1
    return [bench.carriage(axis) / bench.scale[axis] / (half if axis < 2 else 1) for axis in range(3)]


def test_homing_with_filters_on(printer):
    """G28, filters and backlash on, again and again: a place that is gone to from the same side is the same place."""
    printer.say(ALL_ON + "G28\nG90\nG1 F6000\n")
    places = []
    for _ in range(3):
        printer.say("G1 X50 Y40 Z5\nG1 X60 Y50 Z6\nM400\n")
        places.append(carriages(printer))
        printer.say("G1 X20 Y10 Z2\nM400\nG28\n")
        assert max(abs(place) for place in carriages(printer)) <= 0.06
    assert np.abs(np.array(places) - places[0]).max() <= 1.5 / 80
    off = np.array(places[0]) - (60, 50, 6)
    # The switches were reached backwards, so it is the backlash further on
    assert np.abs(off).max() <= 0.1 + 1.5 / 80
    printer.say("G1 X0 Y0 Z0\nM400\nM593 F0\nM205 C0\nM900 K0\nM425 X0 Y0 Z0\nG1 X5 Y5\nG1 X0\nM400\n")
    assert printer.printer.motion.feeder.underruns == 0


def test_a_quick_stop_with_filters_on(printer):
    """M410 in the middle, then M114 is where the carriages are, and what follows ends where it should."""
    printer.say("G28\nM302 P1\n" + ALL_ON + "M425 X0 Y0 Z0\nG90\nG1 X20 Y20 Z5 F9000\nM400\n")
    begin = np.array(carriages(printer)) - (20, 20, 5)
    for x, y, ms in ((120, 90, 900), (30, 150, 700), (100, 20, 1100)):
        printer.send("G1 X%d Y%d E1 F4200\nG1 X60 Y60\n" % (x, y))
        printer.run(ms)
        printer.say("M410\n")
        printer.drain()
        printer.run(50)
        (line,) = [line for line in printer.say("M114\n") if line.startswith("X:")]
        told = [float(word[2:]) for word in line.split()[:3]]
        assert np.abs(np.array(carriages(printer)) - begin - told).max() <= 1.01 / 80
        assert 20.5 < told[0] < 119.5
    printer.say("G1 X50 Y60 Z6\nM400\n")
    assert np.abs(np.array(carriages(printer)) - begin - (50, 60, 6)).max() < 0.6 / 80


def test_hold_and_resume_with_filters_on(printer):
    motion = printer.printer.motion
    printer.say("G28\n" + ALL_ON + "M425 X0 Y0 Z0\nG90\nG1 X20 Y20 Z5 F9000\nM400\n")
    begin = np.array(carriages(printer)) - (20, 20, 5)
    printer.send("G1 X120 Y90 F3000\nG1 X20\nG1 Y20\nM400\n")
    for wait in (900, 700, 333, 1200):
        printer.run(wait)
        motion.hold()
        printer.run(700)
        made = list(printer.made)
        printer.run(1500)
        assert printer.made == made and motion.busy()
        motion.resume()
    printer.settle()
    assert np.abs(np.array(carriages(printer)) - begin - (20, 20, 5)).max() < 0.6 / 80
    assert motion.feeder.underruns == 0


def test_e_is_counted_through_g92_with_filters_on(printer):
    printer.say("M302 P1\n" + ALL_ON + "M82\nG92 E0\nG91\nG1 F3000\n")
    for number in range(4):
        printer.say("G1 X%d E2.5\nG92 E0\nG1 E-1\nG92 E0\n" % (5 if number % 2 else -5))
    printer.say("M400\n")
    assert abs(printer.made[3] - 4 * 1.5 * printer.scale[3]) <= 1
