"""The step edges against the plan, evaluated in double precision block by block."""

import math
import random

import pytest

from host_tests.motion_bench import Bench

CYCLES_S = 125e6
LIMITS = ((300, 3000, 10, 80), (300, 3000, 10, 80), (12, 200, 0.4, 400), (60, 5000, 5, 93))


def phases(block):
    """(duration s, speed at start, acceleration) of the block's phases, mm and s, from its planned speeds."""
    length = block["fields"][0] / 1e5
    nominal = block["fields"][1] / 1e5
    accel = block["fields"][2] / 256
    v0 = math.sqrt(block["entry"] / 256)
    v1 = math.sqrt(block["leave"] / 256)
    peak = math.sqrt((v0 * v0 + v1 * v1) / 2 + accel * length)
    v0, v1 = min(v0, nominal), min(v1, nominal)
    peak = max(min(peak, nominal), v0, v1)
    up = max(0, (peak * peak - v0 * v0) / (2 * accel))
    down = max(0, (peak * peak - v1 * v1) / (2 * accel))
    cruise = max(0, length - up - down)
    return length, (
        ((peak - v0) / accel, v0, accel),
        (cruise / peak, peak, 0),
        ((peak - v1) / accel, peak, -accel),
    )


def way_at(parts, t):
    """Distance from the block's start after t seconds."""
    s = 0.0
    for duration, speed, accel in parts:
        dt = min(t, duration)
        s += speed * dt + accel * dt * dt / 2
        t -= dt
        if t <= 0:
            break
    return s


def errors(bench, starts, origin):
    """Distance of every edge from the plan, in steps, per motor."""
    result = []
    for motor in range(4):
        count = 0
        block = 0
        base = 0
        for time, direction in bench.stream.edges[motor]:
            # An edge of the step driver comes this much before the end of the word that the slicer timed
            t = (time - origin) / CYCLES_S + 15 / CYCLES_S
            place = count + direction / 2
            count += direction
            while block + 1 < len(starts) and t >= starts[block + 1] - 1e-9:
                base += bench.blocks[block]["fields"][8 + motor]
                block += 1
            length, parts = phases(bench.blocks[block])
            steps = bench.blocks[block]["fields"][8 + motor]
            done = way_at(parts, t - starts[block]) / length
            result.append(base + steps * done - place)
    return result


def run(bench, monkeypatch, moves):
    """Make the moves; returns the start time of every block, and time zero in cycles."""
    bench.seal_hook(monkeypatch)
    for move in moves:
        bench.move(*move)
    bench.drain()
    at = [0]
    for block in bench.blocks:
        at.append(at[-1] + block["units"] * 64e-9)
    return at[:-1], at[-1]


def circle(count, radius, speed):
    for k in range(count):
        a, b = 2 * math.pi * k / count, 2 * math.pi * (k + 1) / count
        yield (
            radius * (math.cos(b) - math.cos(a)),
            radius * (math.sin(b) - math.sin(a)),
            0,
            0.03,
            speed,
            1500,
        )


def wild(rng, count):
    for _ in range(count):
        way = 10 ** rng.uniform(-1, 1.5)
        angle = rng.uniform(0, 2 * math.pi)
        yield (
            round(way * math.cos(angle), 3),
            round(way * math.sin(angle), 3),
            rng.choice((0, 0, 0, 0.2)),
            round(way * 0.05, 5),
            rng.uniform(5, 300),
            rng.choice((1000, 3000)),
        )


@pytest.mark.parametrize("name", ["square", "circle", "wild", "fast"])
def test_every_edge_lies_on_the_plan(name, monkeypatch):
    limits = LIMITS
    if name == "square":
        moves = [(10, 0, 0, 0.5, 100, 1500), (0, 10, 0, 0.5, 100, 1500), (-10, -10, 0, 0, 150, 3000)]
        moves += [(0, 0, 0.2, 0, 10, 1500), (0, 0, 0, -2, 40, 1500), (0, 0, 0, 2, 40, 1500)]
    elif name == "circle":
        moves = list(circle(300, 15, 150))
    elif name == "wild":
        moves = list(wild(random.Random(5), 120))
    else:
        limits = ((900, 30000, 30, 200), (900, 30000, 30, 200), (900, 30000, 30, 200), (900, 30000, 30, 200))
        moves = [(60, 50, 40, 30, 900, 30000), (-60, -50, -40, -30, 900, 30000)]
    bench = Bench(limits)
    starts, end = run(bench, monkeypatch, moves)
    # Durations of the slices are the plan's
    for k, block in enumerate(bench.blocks):
        _, parts = phases(block)
        want = sum(duration for duration, _, _ in parts)
        got = (starts[k + 1] if k + 1 < len(starts) else end) - starts[k]
        assert got == pytest.approx(want, rel=2e-3, abs=2e-6)
    assert bench.feeder.underruns == 0
    off = errors(bench, starts, bench.start_cycles)
    assert max(map(abs, off)) <= 0.2
    assert math.sqrt(sum(e * e for e in off) / len(off)) <= 0.05
