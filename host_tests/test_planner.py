"""The planner against a brute-force reference in double precision, written from the textbook formulas."""

import math
import random
from itertools import pairwise

import pytest

from host_tests.motion_bench import Bench

LIMITS = ((300, 3000, 10, 80), (250, 2500, 8, 80), (12, 200, 0.4, 400), (60, 5000, 5, 93))
BLOCK = 16


def reference(moves, limits, deviation_mm, classic):
    """Entry speeds (mm/s) of moves that all wait in the queue, by relaxation until nothing changes."""
    blocks = []
    for way, speed, accel in moves:
        length = math.sqrt(sum(d * d for d in way[:3]))
        if length < abs(way[3]):
            if length > 0:
                # The feedrate is along X Y Z; the path is measured along E
                speed *= abs(way[3]) / length
            length = abs(way[3])
        unit = [d / length for d in way]
        for axis in range(4):
            if unit[axis]:
                speed = min(speed, limits[axis][0] / abs(unit[axis]))
                accel = min(accel, limits[axis][1] / abs(unit[axis]))
        blocks.append((length, unit, speed, accel))
    top = [0.0]
    for (_, u0, v0, a0), (_, u1, v1, a1) in pairwise(blocks):
        limit = min(v0, v1)
        if classic:
            for axis in range(4):
                turn = abs(u1[axis] - u0[axis])
                if turn > 1e-4:
                    limit = min(limit, limits[axis][2] / turn)
        else:
            # Turn phi between the directions, with E as a fourth coordinate as Marlin has it
            half = math.sqrt(sum((p - q) ** 2 for p, q in zip(u0, u1, strict=True))) / 2  # sin(phi / 2)
            if half >= 1:
                limit = 0
            elif half > 1e-3:
                c = math.sqrt(1 - half * half)
                limit = min(limit, math.sqrt(min(a0, a1) * deviation_mm * c / (1 - c)))
        top.append(limit)
    entry = list(top) + [0.0]
    changed = True
    while changed:
        changed = False
        for i, (length, _, _, accel) in enumerate(blocks):
            gain = 2 * accel * length
            for here, there in ((i, i + 1), (i + 1, i)):
                reach = math.sqrt(entry[there] ** 2 + gain)
                if entry[here] > reach + 1e-12:
                    entry[here] = reach
                    changed = True
    return entry[:-1], blocks


def random_moves(rng, count):
    moves = []
    for _ in range(count):
        kind = rng.random()
        scale = 10 ** rng.uniform(-1.5, 1.7)
        if kind < 0.7:
            angle = rng.uniform(0, 2 * math.pi)
            way = [scale * math.cos(angle), scale * math.sin(angle), 0, scale * rng.choice((0, 0.03, 0.05))]
        elif kind < 0.8:
            way = [0, 0, rng.uniform(-2, 2), 0]
        elif kind < 0.9:
            way = [0, 0, 0, rng.uniform(-4, 4)]
        else:
            way = [rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(-0.3, 0.3), 0.2]
        way = [round(d, 5) for d in way]
        if max(map(abs, way)) < 0.01:
            way[0] = 0.5
        moves.append((way, rng.uniform(8, 400), rng.choice((500, 1500, 8000))))
    return moves


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_entry_speeds_are_the_highest_allowed(seed, classic):
    rng = random.Random(seed)
    moves = random_moves(rng, rng.randint(2, 31))
    bench = Bench(LIMITS, 50, classic)
    for way, speed, accel in moves:
        bench.move(*way, speed, accel)
    assert bench.planner.waiting() == len(moves)
    bench.planner.look_ahead()
    entry, blocks = reference(moves, LIMITS, 0.05, classic)
    for i, want in enumerate(entry):
        got = math.sqrt(bench.planner.blocks[i * BLOCK + 5] / 256)
        # v2 has steps of 1/256, jerk speeds of 1/64 mm/s, unit vectors of 1/32768; near a reversal it rounds down
        assert got <= want * 1.02 + 0.1, (i, moves[i])
        assert got >= want * 0.98 - 0.3, (i, moves[i])
        length, _, speed, accel = blocks[i]
        near = 1e-5 + 5e-6 / length  # lengths are whole 10 nm
        assert bench.planner.blocks[i * BLOCK] / 1e5 == pytest.approx(length, rel=1e-8, abs=5.001e-6)
        assert bench.planner.blocks[i * BLOCK + 1] / 1e5 == pytest.approx(speed, rel=near, abs=1e-5)
        assert bench.planner.blocks[i * BLOCK + 2] / 256 == pytest.approx(accel, rel=near)


@pytest.mark.parametrize("seed", range(10))
def test_steps_never_add_up_an_error(seed):
    rng = random.Random(seed)
    scales = (80.0, 100.12, 400.0, 415.873)
    bench = Bench([(500, 20000, 50, scale) for scale in scales])
    total = [0, 0, 0, 0]
    for way, speed, accel in random_moves(rng, 300):
        bench.move(*way, speed, accel)
        for axis in range(4):
            total[axis] += round(way[axis] * 100_000)
        for axis in range(4):
            exact = total[axis] * scales[axis] / 100_000
            assert abs(bench.planner.planned(axis) - exact) <= 0.5 + 1e-6
    bench.drain()
    for axis in range(4):
        assert bench.position(axis) == bench.planner.planned(axis) == bench.feeder.slicer.steps(axis)


def test_a_move_too_long_for_one_block_is_split():
    bench = Bench(LIMITS)
    bench.move(0, 0, 36, 0, 0.1, 1500)  # six minutes
    assert bench.planner.waiting() >= 12
    bench.drain()
    assert bench.position(2) == 36 * 400


def test_a_driver_is_never_asked_for_more_steps_than_it_takes():
    bench = Bench(((1000, 20000, 50, 800), (1000, 20000, 50, 80), (12, 200, 0.4, 400), (60, 5000, 5, 93)))
    bench.planner.set_axis(0, 1000 * 100_000, 20000, 3200, 800_000, 250_000)
    bench.move(200, 0, 0, 0, 1000, 20000)
    bench.drain()
    times = [time for time, _ in bench.stream.edges[0]]
    assert min(b - a for a, b in pairwise(times)) >= 500 - 4  # 250 kHz at 8 ns


def test_nothing_and_less_than_a_step_are_no_block():
    bench = Bench(LIMITS)
    bench.move(0, 0, 0, 0, 100, 1000)
    bench.move(0.004, 0, 0, 0, 100, 1000)
    assert bench.planner.waiting() == 0
    bench.move(0.004, 0, 0, 0, 100, 1000)  # together 0.64 step
    assert bench.planner.waiting() == 1
    bench.drain()
    assert bench.position(0) == 1


def test_short_moves_are_stretched_as_the_motion_that_is_ready_runs_low():
    for share, want in ((0, 2.0), (64, 2.0 + 18.0 / 4), (128, 11.0), (256, 20.0)):
        bench = Bench(LIMITS)
        bench.planner.set_shortest(20_000)
        bench.planner.set_low(share)
        bench.move(0.2, 0, 0, 0.01, 100, 3000)  # 2 ms
        bench.move(20, 0, 0, 1, 100, 3000)  # longer than 20 ms
        times = [bench.planner.blocks[at] / bench.planner.blocks[at + 1] * 1000 for at in (0, BLOCK)]
        assert times == [pytest.approx(want, rel=1e-3), pytest.approx(200)]


def test_the_driver_that_slows_a_move_is_named_once():
    bench = Bench(LIMITS)
    bench.planner.set_axis(1, 250 * 100_000, 2500, 512, 800_000, 100_000)
    bench.move(10, 10, 0, 0, 100, 1000)
    assert bench.planner.take_slowed() is None
    bench.move(10, 10, 0, 0, 250, 1000)
    bench.move(10, 10, 0, 0, 260, 1000)
    motor, wanted, most = bench.planner.take_slowed()
    assert (motor, most) == (1, 100_000)
    assert wanted == pytest.approx(250 / math.sqrt(2) * 800, abs=2)
    assert bench.planner.take_slowed() is None
    assert bench.planner.blocks[BLOCK + 1] / 1e5 == pytest.approx(100_000 / 800 * math.sqrt(2), rel=1e-6)
