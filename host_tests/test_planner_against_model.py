"""The firmware's planner against the model in double precision, through the edges that come out of it.

Ways are whole steps, so that a block's place among the edges is known. Time is compared between edges of the same
numbers, over spans of all lengths: the short ones show the speed of every part of a block, the long ones that nothing
adds up.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from host_tests.models.planner import Limits, Move, plan
from host_tests.models.trajectory import Trajectory
from host_tests.motion_bench import Bench
from tools.twin.step_record import Steps
from tools.twin.trajectory import Track

CYCLE_S = 8e-9
SCALE = 1000  # steps/mm
MARKS = 9  # edges looked at in a block
SPEED = 1e-3  # how far a speed may be off
CORNER = 5e-3
EDGE_STEPS = 0.7  # how far an edge may be off beyond that, steps
CREEP = 2.0  # mm/s; corners as slow as that, close to a reversal, may be taken still slower,
CREEP_S = 4e-4  # which costs so much
NO_SHRINKING = (Phase.explicit, Phase.generate)  # it takes minutes

machine = st.builds(
    Limits,
    speed=st.tuples(*[st.floats(20, 400)] * 2, st.floats(5, 40), st.floats(20, 120)),
    acceleration=st.tuples(*[st.integers(200, 9000)] * 2, st.integers(50, 900), st.integers(300, 9000)),
    jerk=st.tuples(*[st.integers(4, 20)] * 2, *[st.integers(3, 10)] * 2),
    deviation=st.sampled_from([0.005, 0.013, 0.05, 0.2]),
    classic=st.booleans(),
    steps_per_mm=st.just((SCALE,) * 4),
)


def bench_for(limits):
    """The firmware with these limits."""
    axes = zip(limits.speed, limits.acceleration, limits.jerk, limits.steps_per_mm, strict=True)
    return Bench(tuple(axes), round(limits.deviation * 1000), limits.classic)


def whole_steps(way, limits):
    """A way rounded to whole steps, mm."""
    return tuple(round(d * scale) / scale for d, scale in zip(way, limits.steps_per_mm, strict=True))


def edges_of(bench):
    """Times (s) and signs of every motor's edges."""
    return [np.array(edges, dtype=float).reshape(-1, 2) * (CYCLE_S, 1) for edges in bench.stream.edges]


class Timeline:
    """Edges that stand for places of the path: when the firmware made them, and when the model would have."""

    def __init__(self, edges, blocks, limits):
        path = Trajectory(blocks)
        self.duration = path.duration
        rows, first = [], np.zeros(4, dtype=int)
        for number, block in enumerate(blocks):
            steps = np.rint(limits.motors(block.way)).astype(int)
            motor = int(np.argmax(np.abs(steps)))
            count = abs(steps[motor])
            inner = np.linspace(0.04, 0.96, MARKS if count > 20 * MARKS else 1) if count > 1 else np.array([0.5])
            marks = np.unique((inner * (count - 1)).astype(int))
            share = (marks + 0.5) / count
            model = path.time_at(number, share)
            step_s = block.length / count / np.maximum(path.speed(model), 1e-6)
            made = edges[motor][first[motor] + marks]
            assert np.all(made[:, 1] == np.sign(steps[motor])), "a motor turns the wrong way in block %d" % number
            rows.append(np.stack([np.full(len(marks), number), model, made[:, 0], EDGE_STEPS * step_s], axis=1))
            first += np.abs(steps)
        assert first.tolist() == [len(motor) for motor in edges]
        self.block, self.model, self.made, self.slack = np.concatenate(rows).T
        self.creeps = np.cumsum([0 < block.corner < CREEP for block in blocks])[self.block.astype(int)] * CREEP_S

    def check(self, tolerance=SPEED):
        """Every span takes the time that the model gives it."""
        stride = 1
        while stride < len(self.model):
            model = self.model[stride:] - self.model[:-stride]
            made = self.made[stride:] - self.made[:-stride]
            creeps = self.creeps[stride:] - self.creeps[:-stride]
            off = np.maximum(model - made, made - model - creeps)
            off -= self.slack[stride:] + self.slack[:-stride] + tolerance * model
            worst = int(np.argmax(off))
            assert off[worst] <= 0, "block %d to %d: %.3f us, by the model %.3f us, %.3g too far off" % (
                self.block[worst], self.block[worst + stride], made[worst] * 1e6, model[worst] * 1e6,
                off[worst] / model[worst] + tolerance,
            )  # fmt: skip
            stride *= 3


def run(moves, limits):
    """Make the moves, all known beforehand, and give the edges."""
    bench = bench_for(limits)
    for move in moves:
        bench.move(*move.way, move.feedrate, move.acceleration)
    assert bench.stream.edges == [[], [], [], []], "the motion began before all was known"
    bench.drain()
    assert bench.feeder.underruns == 0
    return edges_of(bench)


def check(moves, limits, tolerance=SPEED):
    """The firmware's edges of these moves are those of the model."""
    blocks = plan(moves, limits)
    Timeline(run(moves, limits), blocks, limits).check(tolerance)
    return blocks


def in_plane(length, angle, e_share=0.0, z=0.0):
    return (length * math.cos(angle), length * math.sin(angle), z, length * e_share)


lengths = st.floats(-1.3, 0.9).map(lambda power: 10**power)
feedrates = st.floats(3, 400)
accelerations = st.integers(100, 9000)
angles = st.floats(0, 2 * math.pi)
ways = st.one_of(
    st.builds(in_plane, lengths, angles, st.sampled_from([0.0, 0.03, 0.06, -0.05])),
    st.builds(in_plane, lengths, angles, st.just(0.05), st.floats(-0.3, 0.3)),
    st.builds(in_plane, lengths.map(lambda length: length / 4), angles, st.floats(-6, 6)),
    st.builds(lambda z: (0.0, 0.0, z, 0.0), st.floats(-2, 2)),
    st.builds(lambda e: (0.0, 0.0, 0.0, e), st.floats(-5, 5)),
)
moves_of_all_kinds = st.lists(st.tuples(ways, feedrates, accelerations), min_size=1, max_size=12)


def moves_from(drawn, limits):
    moves = [Move(whole_steps(way, limits), feedrate, acceleration) for way, feedrate, acceleration in drawn]
    moves = [move for move in moves if any(move.way)]
    assume(moves)
    return moves


@settings(max_examples=60, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(moves_of_all_kinds, machine)
def test_moves_of_all_kinds(drawn, limits):
    check(moves_from(drawn, limits), limits)


tiny = st.tuples(st.floats(0.02, 0.4), st.floats(-0.6, 0.6), st.sampled_from([0, 0.04]))  # mm, turn, E per mm
FINE = Limits((300, 250, 12, 60), (3000, 2500, 200, 5000), (5000,) * 4, deviation=0.02)


@settings(max_examples=25, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(
    st.lists(tiny, min_size=5, max_size=30),
    st.booleans(),
    st.floats(5, 200),
)
def test_tiny_segments(turns, classic, feedrate):
    limits, angle, moves = FINE, 0.3, []
    limits = Limits(**{**vars(limits), "classic": classic})
    for length, turn, extruded in turns:
        angle += turn
        moves.append(Move(whole_steps(in_plane(length, angle, extruded), limits), feedrate, 1500))
    check(moves, limits)


@pytest.mark.parametrize("classic", [False, True])
def test_long_and_short_moves_mixed(classic):
    limits = Limits((300, 300, 12, 60), (3000, 3000, 200, 5000), (200,) * 4, classic=classic)
    moves = []
    for number in range(9):
        moves.append(Move((80.0 if number % 2 else -60.0, 7.5, 0.0, 2.0), 220, 3000))
        moves += [Move((0.05 * (-1) ** number, 0.1, 0.0, 0.005), 90, 1500)] * 2
    blocks = check(moves, limits)
    assert max(block.peak for block in blocks) == pytest.approx(220)


@pytest.mark.parametrize("way", [(5, 0, 0, 0), (3, 4, 0, 0), (0, 0, 1.5, 0), (0, 0, 0, 4), (3, 2, 0.5, 0.2)])
def test_reversals_come_to_rest(way):
    """There and back: at each turn the speed is that of a start from rest, so the time is twice that of one way."""
    limits = Limits((300, 250, 12, 60), (3000, 2500, 200, 5000), (SCALE,) * 4)
    way = tuple(float(d) for d in way)
    there, back = Move(way, 150, 2000), Move(tuple(-d for d in way), 150, 2000)
    blocks = check([there, back, there], limits)
    assert [block.entry for block in blocks] == [0, 0, 0]


@pytest.mark.parametrize("count", [2, 7])
def test_a_line_in_pieces_takes_no_longer(count):
    limits = Limits((300, 300, 12, 60), (3000, 3000, 200, 5000), (SCALE,) * 4)
    pieces = [Move((12.0 / count // 0.001 * 0.001, 0.0, 0.0, 0.3), 100, 1000)] * count
    pieces = [Move(whole_steps(piece.way, limits), 100, 1000) for piece in pieces]
    blocks = check(pieces, limits)
    whole = Move(tuple(count * d for d in pieces[0].way), 100, 1000)
    assert sum(block.duration for block in blocks) == pytest.approx(plan([whole], limits)[0].duration, rel=1e-9)


@pytest.mark.parametrize("turn", [0.02, 0.1, 0.4, 1.0, 1.57, 2.2, 2.9])
@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_no_corner_is_faster_than_its_rule(turn, classic, start):
    """The speed at a corner, from the time between an edge ahead of it and one behind it."""
    limits = Limits((500, 500, 12, 60), (4000, 4000, 200, 5000), (2000,) * 4, (8, 9, 0.4, 5), 0.05, classic)
    moves = [Move(whole_steps(in_plane(10, start), limits), 150, 1500)]
    moves.append(Move(whole_steps(in_plane(10, start + turn), limits), 150, 1500))
    edges = run(moves, limits)
    blocks = plan(moves, limits)
    near = 0.25  # mm on either side
    passed = []
    for number, (block, share) in enumerate(zip(blocks, (1 - near / 10, near / 10), strict=True)):
        motor = int(np.argmax(np.abs(block.way)))
        steps = [round(abs(b.way[motor]) * 2000) for b in blocks]
        times = edges[motor][:, 0][steps[0] * number :][: steps[number]]
        passed.append(np.interp(steps[number] * share, np.arange(steps[number]) + 0.5, times))
    spent = passed[1] - passed[0]
    corner = blocks[1].entry

    def time_for(speed):
        return 2 * (min(150.0, math.sqrt(speed**2 + 2 * 1500 * near)) - speed) / 1500 if speed < 149 else 2 * near / 150

    assert spent == pytest.approx(time_for(corner), rel=CORNER)
    if corner < 149:
        low, high = 0.0, 149.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if time_for(middle) > spent else (low, middle)
        assert low <= corner * (1 + CORNER) + 0.02
        assert corner == pytest.approx(min(150, blocks[1].corner))


def track_of(bench, limits):
    steps = {}
    for name, edges in zip("xyze", edges_of(bench), strict=True):
        times = np.rint(edges[:, 0] * 1e9).astype(np.int64)
        steps[name] = Steps(times, edges[:, 1].astype(np.int8), np.ones(len(times), dtype=bool))
    return Track(steps, dict(zip("xyze", limits.steps_per_mm, strict=True)))


@settings(max_examples=15, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.builds(in_plane, st.floats(0.2, 6), angles, st.sampled_from([0, 0.05])), st.integers(0, 90)),
        min_size=3,
        max_size=25,
    )
)
@example([((6.0, 0.0, 0.0, 0.3), 0)] * 20)
def test_a_queue_that_runs_empty_again_and_again(drawn):
    """Moves come too late, after pauses in ms; nothing is jerked to a stop, nothing is lost, no limit exceeded.

    Corners take no speed here (deviation 0), so that every change of speed has to keep within the acceleration.
    """
    limits = Limits((120, 90, 12, 60), (1000, 800, 200, 5000), (SCALE,) * 4, deviation=0.0)
    bench = bench_for(limits)
    total = np.zeros(4)
    for way, pause in drawn:
        way = whole_steps(way, limits)
        bench.move(*way, 100, 1500)
        total += way
        for _ in range(pause):
            bench.tick(1)
    bench.drain()
    assert bench.feeder.underruns == 0
    assert [bench.position(motor) for motor in range(4)] == np.rint(total * SCALE).astype(int).tolist()
    found = track_of(bench, limits).check_limits(
        {"x": 120 * 1.02, "y": 90 * 1.02}, {"x": 1000 * 1.02, "y": 800 * 1.02}, windows_ms=(10.0, 20.0, 30.0),
        edge_error=0.75,
    )  # fmt: skip
    assert not found, [str(excess) for excess in found]


def test_every_move_alone_is_planned_from_rest_to_rest():
    """The host waits for the end of each: the queue is empty every time."""
    limits = Limits((300, 250, 12, 60), (3000, 2500, 200, 5000), (SCALE,) * 4)
    ways = [(7, 3, 0, 0.2), (0.05, 0.0, 0, 0), (-6, 2, 0, 0.4), (0, 0, 0.5, 0), (0, 0, 0, -2), (0.3, -0.2, 0, 0)]
    bench, seen, spent = bench_for(limits), np.zeros(4, dtype=int), []
    for way in ways:
        move = Move(tuple(float(d) for d in way), 80, 1200)
        bench.move(*move.way, move.feedrate, move.acceleration)
        bench.drain()
        edges = edges_of(bench)
        part = [motor[first:] for motor, first in zip(edges, seen, strict=True)]
        seen = np.array([len(motor) for motor in edges])
        Timeline(part, plan([move], limits), limits).check()
        spent.append(min(motor[0, 0] for motor in part if len(motor)))
    assert all(after > before for before, after in pairwise(spent))
