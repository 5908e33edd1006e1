"""A file of 20,000 short segments through the firmware's planner and slicer, held against the model's plan of it."""

import math

import numpy as np
import pytest

from host_tests.curved_wall import curved_wall
from host_tests.models.passing import Passed, stretches
from host_tests.models.planner import Limits, Move, plan
from host_tests.models.trajectory import Trajectory
from host_tests.motion_bench import Bench
from tools.twin.expected import Machine, read_file

SEGMENTS = 20_000
LIMITS = Limits(
    (45.0, 40.0, 8.0, 30.0), (900, 1000, 120, 3000), (100.0, 100.0, 400.0, 200.0), deviation=0.001,
    kinds={"print": 1100, "retract": 1500, "travel": 1300},
)  # fmt: skip
UNITS = 100_000
FASTER = 5e-4  # than the limits allow
LATER = 2e-3  # than a planner that knows the whole file


def moves_of(lines):
    """The moves that a file asks for, and which of them extrude."""
    scale = dict(zip("xyze", LIMITS.steps_per_mm, strict=True))
    path = read_file(lines, Machine(scale, min_extrude=None)).path
    ways = [tuple(b - a for a, b in zip(s.start, s.end, strict=True)) for s in path]
    return [Move(way, s.feedrate) for way, s in zip(ways, path, strict=True)], [s.extrudes for s in path]


@pytest.fixture(scope="module")
def wall():
    """(moves, extruding, model's blocks, bench after the whole file)."""
    moves, extruding = moves_of(curved_wall(SEGMENTS))
    axes = zip(LIMITS.speed, LIMITS.acceleration, LIMITS.jerk, LIMITS.steps_per_mm, strict=True)
    bench = Bench(tuple(axes), round(LIMITS.deviation * 1000), LIMITS.classic)
    for move in moves:
        bench.move(*move.way, move.feedrate, LIMITS.kinds[move.kind])
    bench.drain()
    return moves, np.array(extruding), plan(moves, LIMITS), bench


@pytest.fixture(scope="module")
def passed(wall):
    moves, _, _, bench = wall
    edges = [np.array(motor, dtype=float).reshape(-1, 2) * (8e-9, 1) for motor in bench.stream.edges]
    ends = np.cumsum([[0] * 4] + [[round(d * UNITS) for d in move.way] for move in moves], axis=0)
    return Passed(edges, ends * (np.array(LIMITS.steps_per_mm) / UNITS))


def windows(extruding, length):
    """Pairs of corners, as indices into `Passed.times`, with so many segments between, all of the same wall.

    One more segment of that wall lies ahead and one behind, so that X and Y move on through both corners.
    """
    inside = np.concatenate([[0], np.cumsum(extruding)])
    first = np.arange(len(extruding) - length - 1)
    first = first[inside[first + length + 2] - inside[first] == length + 2]
    return first, first + length


def test_every_motor_makes_the_steps_that_were_asked_for(wall):
    moves, _, _, bench = wall
    assert sum(extrudes for extrudes in wall[1]) == SEGMENTS
    for motor, scale in enumerate(LIMITS.steps_per_mm):
        exact = sum(round(move.way[motor] * UNITS) for move in moves) * scale / UNITS
        assert bench.position(motor) == math.floor(exact + 0.5)
    assert bench.feeder.underruns == 0


@pytest.fixture(scope="module")
def compare(wall, passed):
    """compare(length): of all stretches of so many segments the time made, the model's, and what is not known of it."""
    _, extruding, blocks, _ = wall
    model = Trajectory(blocks).times[1:-1]

    def of(length):
        first, last = windows(extruding, length)
        assert len(first) > SEGMENTS / 10
        return first, *stretches(passed, model, first, last)

    return of


@pytest.mark.parametrize("length", [1, 5, 25, 100, 250])
def test_no_limit_is_exceeded_anywhere(compare, length):
    """The model's speed is the highest at every place: no stretch of the wall may take less time than there."""
    first, made, least, loose = compare(length)
    early = (least - made - loose) / least
    worst = int(np.argmax(early))
    assert early[worst] <= FASTER, "segment %d: %.5f s, at least %.5f s" % (first[worst], made[worst], least[worst])


@pytest.mark.parametrize("length", [1, 5, 25, 100, 250])
def test_the_speed_never_falls_inside_a_wall(compare, length):
    """Nor is any stretch slower than with a look-ahead without end."""
    first, made, wanted, loose = compare(length)
    late = (made - loose - wanted) / wanted
    worst = int(np.argmax(late))
    assert late[worst] <= LATER, "segment %d: %.5f s, by the model %.5f s" % (first[worst], made[worst], wanted[worst])


def test_the_limits_are_felt(wall):
    """Axes, corners and accelerations hold the wall back, so that to keep them means something."""
    _, extruding, blocks, _ = wall
    inside = [block for block, extrudes in zip(blocks, extruding, strict=True) if extrudes]
    assert sum(block.entry > 0.999 * block.corner for block in inside) > SEGMENTS / 50
    assert sum(block.peak > 0.999 * block.nominal for block in inside) > SEGMENTS / 4
    assert sum(block.peak < 0.999 * block.nominal for block in inside) > SEGMENTS / 50
    assert min(block.entry for block in inside[1:-1]) > 1


def test_the_whole_file_takes_the_time_of_the_best_plan(wall, passed):
    _, _, blocks, _ = wall
    model = Trajectory(blocks).times[1:-1]
    assert passed.times[-1] - passed.times[0] == pytest.approx(model[-1] - model[0], rel=FASTER)
