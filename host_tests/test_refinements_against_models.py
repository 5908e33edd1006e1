"""S-curve, input shaping, advance and backlash, from the edges of the whole printer, against the models.

Everything comes later by one delay then, the same for all axes and all of the time; it is found from the edges.
"""

import functools

import numpy as np
import pytest
from printer_bench import PrinterBench

from host_tests.models import shaping
from host_tests.models.planner import Limits, Move, plan
from host_tests.models.spring_mass import SpringMass
from host_tests.models.trajectory import Trajectory
from tools.twin.step_record import Steps
from tools.twin.trajectory import MotorTrack

SCALE = {"x": 80.0, "y": 80.0, "z": 400.0, "e": 100.0}
LIMITS = Limits(
    (200, 200, 12, 60), (3000, 3000, 200, 5000), tuple(SCALE.values()),
    kinds={"print": 2000, "retract": 1500, "travel": 3000},
)  # fmt: skip
START = [
    "M302 P1", "M83", "G91", "M203 X200 Y200 Z12 E60", "M201 X3000 Y3000 Z200 E5000", "M204 P2000 R1500 T3000",
    "M205 J0.013 B0",
]  # fmt: skip
EDGE_STEPS = 0.3  # how far an edge may be off
FLOOR_MM = 0.3 / 80  # of a swing: what steps make by themselves
WAYS = [
    (40, 0, 0, 1.6), (0, 25, 0, 1.0), (-12, -18, 0, 0.9), (3, -5, 0, 0.2), (2, -6, 0, 0.2), (1, -6, 0, 0.2),
    (0, 0, 0, -0.8), (0, 0, 0.6, 0), (30, 20, 0, 0), (0, 0, -0.6, 0), (0, 0, 0, 0.8), (-20, 9, 0.1, 0.7),
]  # fmt: skip
FEEDRATE = 100.0


@functools.cache
def made(*settings, ways=tuple(WAYS), feedrate=FEEDRATE):
    """Edges of a program with these settings: (times in s, signs) of every motor."""
    bench = PrinterBench(**{"steps_per_mm_" + axis: round(scale * 1000) for axis, scale in SCALE.items()})
    try:
        bench.hal.streams.on_step = None
        bench.say("")
        program = ["G1 X%g Y%g Z%g E%g F%g" % (*way, feedrate * 60) for way in ways]
        bench.say("\n".join([*START, *settings, *program, "M400", ""]), 600_000)
        assert set(bench.lines) <= {"ok", "start", "echo:busy: processing"}, bench.lines
        assert bench.printer.motion.feeder.underruns == 0
        return [np.array(edges, dtype=float).reshape(-1, 2).T * [[8e-9], [1]] for edges in bench.hal.streams.edges]
    finally:
        bench.close()


def paths(ways=tuple(WAYS), feedrate=FEEDRATE):
    """Exact positions over time of all axes, and of the filament that is printed."""
    path = Trajectory(plan([Move(tuple(map(float, way)), feedrate) for way in ways], LIMITS))
    printed = [(*way[:3], way[3] if way[3] > 0 and any(way[:2]) else 0.0) for way in ways]

    def along(axis):
        return lambda times: path.position(times)[..., axis]

    corners = np.vstack([np.zeros(4), np.cumsum(printed, axis=0)])

    def filament(times):
        block, way, _, _ = path._phase(times)
        return corners[block, 3] + (corners[block + 1, 3] - corners[block, 3]) * way / path.lengths[block]

    return [along(axis) for axis in range(4)], filament


def check_edges(edges, wanted):
    """Every edge lies where the model has it, with one delay for all motors."""
    halfway = [np.cumsum(signs) - signs / 2 for _, signs in edges]
    begin = min(times[0] for times, _ in edges if len(times)) - 0.01
    end = max(times[-1] for times, _ in edges if len(times))
    grid = np.arange(-0.3, end - begin + 0.3, 1e-4)
    tables = [position(grid) * scale for position, scale in zip(wanted, SCALE.values(), strict=True)]
    for _ in range(12):
        late = []
        for motor in (0, 1):
            times = edges[motor][0] - begin
            off = np.interp(times, grid, tables[motor]) - halfway[motor]
            speed = np.interp(times, grid, np.gradient(tables[motor], 1e-4))
            fast = np.abs(speed) > 3000
            late.append(off[fast] / speed[fast])
        begin += float(np.median(np.concatenate(late)))
    for name, (times, _), steps, table in zip("xyze", edges, halfway, tables, strict=True):
        off = np.abs(np.interp(times - begin, grid, table) - steps)
        worst = int(np.argmax(off))
        assert off[worst] <= EDGE_STEPS, "%s: %.2f steps off at %.4f s" % (name, off[worst], times[worst] - begin)


def test_the_plain_path():
    axes, _ = paths()
    check_edges(made(), axes)


@pytest.mark.parametrize("ms", [10, 30])
def test_s_curve_is_a_mean_over_time(ms):
    axes, _ = paths()
    check_edges(made("M205 C%d" % ms), [shaping.boxed(axis, ms / 1000, 100) for axis in axes])


@pytest.mark.parametrize("kind, shaper", [(1, shaping.zv), (2, shaping.mzv), (3, shaping.ei)])
def test_shaped_axes_are_sums_of_earlier_ones(kind, shaper):
    """X and Y with frequencies of their own; Z and E keep with the mean of them."""
    axes, _ = paths()
    x, y = shaper(37.0, 0.1), shaper(52.0, 0.05)
    edges = made("M593 X F37 D0.1 T%d" % kind, "M593 Y F52 D0.05 T%d" % kind)
    wanted = [shaping.shaped(axes[0], x, x.mean), shaping.shaped(axes[1], y, y.mean), axes[2], axes[3]]
    check_edges(edges, wanted)


@pytest.mark.parametrize("k", [0.02, 0.08])
def test_advance_is_position_and_k_times_speed(k):
    axes, printed = paths()
    ahead = shaping.advanced(printed, k, 0.01)
    edges = made("M900 K%g" % k)
    check_edges(edges, [*axes[:3], lambda times: axes[3](times) + ahead(times) - printed(times)])


def test_all_of_them_together():
    axes, printed = paths()
    x, y = shaping.ei(40.0, 0.1), shaping.mzv(55.0, 0.1)
    edges = made("M205 C12", "M593 X F40 D0.1 T3", "M593 Y F55 D0.1 T2", "M900 K0.05")
    smooth = [shaping.boxed(axis, 0.012, 100) for axis in axes]
    ahead, plain = (shaping.boxed(f, 0.012, 100) for f in (shaping.advanced(printed, 0.05, 0.01), printed))
    wanted = [shaping.shaped(smooth[0], x, x.mean), shaping.shaped(smooth[1], y, y.mean), smooth[2]]
    check_edges(edges, [*wanted, lambda times: smooth[3](times) + ahead(times) - plain(times)])


# What it is good for: an axis that swings

LENGTHS = (7.0, 11.0, 20.0)  # so that no lucky length hides a swing


def swing(axis, length, frequency, damping, *settings):
    """What is left of the swing of X or Y when a move has ended, from the edges."""
    way = (length, 0, 0, 0) if axis == "x" else (0, length, 0, 0)
    times, signs = made(*settings, ways=(way,), feedrate=150.0)["xy".index(axis)]
    steps = Steps(np.rint(times * 1e9).astype(np.int64), signs.astype(np.int8), np.ones(len(times), dtype=bool))
    interval = 1e-4
    grid = np.arange(times[0] - 0.01, times[-1] + 3 / frequency, interval)
    positions = MotorTrack(steps).at(grid * 1e9) / SCALE[axis]
    return SpringMass(frequency, damping).swing(positions, interval, times[-1] - grid[0] + 0.006)


@pytest.mark.parametrize("axis, frequency, damping", [("x", 35.0, 0.1), ("y", 48.0, 0.05)])
@pytest.mark.parametrize(
    "kind, off, left", [(1, 1.0, 0.1), (2, 1.0, 0.1), (3, 1.0, 0.2), (3, 0.9, 0.2), (3, 1.1, 0.2)]
)
def test_the_swing_falls(axis, frequency, damping, kind, off, left):
    """ZV at its frequency by 90 %, EI by 80 % with the frequency 10 % off."""
    setting = "M593 %s F%g D%g T%d" % (axis.upper(), frequency * off, damping, kind)
    for length in LENGTHS:
        bare = swing(axis, length, frequency, damping)
        assert bare > 0.02
        assert swing(axis, length, frequency, damping, setting) <= left * bare + FLOOR_MM


# Backlash


def test_backlash_is_added_where_a_motor_turns():
    """Two ways there and back: between them the motor goes by its play further."""
    ways = ((20, 0, 0, 0), (-10, 0, 0, 0), (10, 0, 0, 0), (-20, 0, 0, 0))
    plain, played = made(ways=ways)[0][1], made("M425 X0.2 F1", ways=ways)[0][1]
    assert plain.sum() == 0
    turns = np.flatnonzero(np.diff(played) != 0)
    runs = np.diff(np.concatenate([[0], np.cumsum(played)[turns], [played.sum()]]))
    play = 0.2 * SCALE["x"]
    assert runs[1:] == pytest.approx([-10 * 80 - play, 10 * 80 + play, -20 * 80 - play], abs=1)
    assert runs[0] in (20 * 80, 20 * 80 + play)
