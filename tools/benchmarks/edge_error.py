"""Every step edge of a mixed job on the board beside the plan in double precision."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np

from .reference import Limits, Move, Plan
from .rig import BenchError, Setup, command, underruns

LIMITS = [Limits(300, 3000, 10, 80), Limits(300, 3000, 10, 80), Limits(12, 200, 0.4, 400), Limits(60, 5000, 5, 93)]
DEVIATION_UM = 13
PRINT, RETRACT, TRAVEL = 1500, 2000, 3000
SEGMENTS = 110
WILD = 90
FAST = 3000  # steps/s: such edges tell the time
MATCH_STEPS = 100  # further off than this, board and plan are not of the same moves


def _move(x: float, y: float, z: float, e: float, speed: float) -> Move:
    accel = RETRACT if not (x or y or z) else PRINT if e else TRAVEL
    return Move(round(x, 3), round(y, 3), round(z, 3), round(e, 5), round(speed * 60), accel)


def square() -> list[Move]:
    """A square with a retraction, a lift of Z and a way back without extrusion."""
    ways = ((20, 0), (0, 20), (-20, 0), (0, -20))
    moves = [_move(x, y, 0, 0.8, 100) for x, y in ways]
    moves += [_move(0, 0, 0, -2, 40), _move(0, 0, 0.4, 0, 10), _move(30, -12, 0, 0, 200)]
    return [*moves, _move(0, 0, -0.4, 0, 10), _move(0, 0, 0, 2, 40)]


def circle() -> list[Move]:
    """Once around in short segments."""
    radius, angles = 14.0, [2 * math.pi * k / SEGMENTS for k in range(SEGMENTS + 1)]
    points = [(round(radius * math.cos(a), 3), round(radius * math.sin(a), 3)) for a in angles]
    return [_move(b[0] - a[0], b[1] - a[1], 0, 0.03, 90) for a, b in pairwise(points)]


def wild() -> list[Move]:
    """Moves of all lengths, directions and speeds, some with Z."""
    rng = random.Random(5)
    moves = []
    for _ in range(WILD):
        way, angle = 10 ** rng.uniform(-0.3, 1.4), rng.uniform(0, 2 * math.pi)
        lift = rng.choice((0, 0, 0, 0.2, -0.2))
        e = way * 0.05 if rng.random() < 0.8 else 0
        moves.append(_move(way * math.cos(angle), way * math.sin(angle), lift, e, rng.uniform(20, 250)))
    return moves


def gcode(move: Move) -> str:
    """The move as a line; axes that stand still are left out."""
    ways = zip("XYZE", (move.x, move.y, move.z, move.e), strict=True)
    words = ["%s%s" % (letter, ("%.5f" % way).rstrip("0").rstrip(".")) for letter, way in ways if way]
    return " ".join(["G1", *words, "F%d" % move.feed])


def _recorded(setup: Setup, moves: list[Move]):
    """The job on the board: for every motor times of its edges in s and their signs."""
    with setup.twin(0.0, setup.wide_plan()) as twin:
        speeds, accels = (
            " ".join("%s%g" % (a, v) for a, v in zip("XYZE", values, strict=True))
            for values in ([limit.speed for limit in LIMITS], [limit.accel for limit in LIMITS])
        )
        command(
            twin, "M302 S0", "M203 " + speeds, "M201 " + accels, "M204 P%d R%d T%d" % (PRINT, RETRACT, TRAVEL),
            "M205 J%.3f" % (DEVIATION_UM / 1000), "G91", "M83",
        )
        twin.stream([gcode(move) for move in moves])
        command(twin, "M400")
        late = underruns(twin)
        edges = [twin.edges(motor) for motor in "xyze"]
    if late:
        raise BenchError("%d underruns in the job" % late)
    return [(times / 1e9, signs.astype(int)) for times, signs in edges]


def _late(plan: Plan, edges, begin: float, first: float, last: float) -> float:
    """How much later than planned the fast edges of X between these shares of the job come, median in s."""
    times, signs = edges[0]
    t = times - begin
    off = plan.at(0, t) - (np.cumsum(signs) - signs / 2)
    speed = (plan.at(0, t + 1e-6) - plan.at(0, t - 1e-6)) / 2e-6
    chosen = (np.abs(speed) > FAST) & (t > t[-1] * first) & (t < t[-1] * last)
    return float(np.median(off[chosen] / speed[chosen]))


def _begin(plan: Plan, edges) -> float:
    """Time of the board at which the plan begins: by the first edge roughly, then by fast ones of the first tenth."""
    grid = np.arange(0, 0.2, 1e-6)
    begin = edges[0][0][0] - grid[np.argmax(np.abs(plan.at(0, grid)) >= 0.5)]
    for _ in range(3):
        begin += _late(plan, edges, begin, 0.0, 0.1)
    return begin


def _errors(plan: Plan, edges, begin: float) -> np.ndarray:
    """Distance of every edge from the plan, in steps."""
    return np.concatenate(
        [plan.at(motor, times - begin) - (np.cumsum(signs) - signs / 2) for motor, (times, signs) in enumerate(edges)]
    )


def edge_error(setup: Setup) -> dict:
    """Largest and mean error of the edges of the whole job, against one start time; and what time has drifted by."""
    moves = square() + circle() + wild()
    edges = _recorded(setup, moves)
    plan = Plan(moves, LIMITS, DEVIATION_UM)
    made = np.array([int(signs.sum()) for _, signs in edges])
    if (made != plan.base[-1]).any():
        raise BenchError("%s steps made, the plan has %s" % (made.tolist(), plan.base[-1].tolist()))
    begin = _begin(plan, edges)
    errors = _errors(plan, edges, begin)
    largest = float(np.abs(errors).max())
    if largest > MATCH_STEPS:
        raise BenchError("the board planned other speeds than this machine: edges %.0f steps off" % largest)
    return {
        "edge_error_steps": largest,
        "edge_error_rms_steps": float(np.sqrt(np.mean(errors**2))),
        "edge_drift_us": 1e6 * _late(plan, edges, begin, 0.9, 1.1),
    }
