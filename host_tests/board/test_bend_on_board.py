"""Bent paths on the emulated board: edges on the pins against the models in double precision, with one start time.

The models and what they are held against on CPython, with many more settings: host_tests/test_bend.py.
"""

import numpy as np
import pytest

from host_tests.board.printers import check_drivers, printer
from host_tests.models import planner as model
from host_tests.models.trajectory import Trajectory
from host_tests.test_bend import FILTERS, LIMITS, MOVES, SCALES, motors_over_time, whole_steps

TYPES = {"ZV": 1, "MZV": 2, "EI": 3}
# Here the speeds at the corners are the model's too: the planner's are rounded, which makes a few us in 13 moves
EDGE_STEPS, RMS_STEPS = 0.2, 0.07


def codes(bending):
    """What sets the filters."""
    lines = ["M205 C%d" % bending.smooth_ms, "M900 K%g" % bending.advance]
    for name, shaper in (("X", bending.x), ("Y", bending.y)):
        kind, hz, damping = shaper or ("ZV", 0, 0.1)
        lines.append("M593 %s F%g D%g T%d" % (name, hz, damping, TYPES[kind]))
    return lines


def setting_up():
    """The limits of the tests on CPython."""
    columns = list(zip(*LIMITS, strict=True))
    lines = ["%s X%g Y%g Z%g E%g" % (code, *column) for code, column in zip(("M203", "M201"), columns, strict=False)]
    return ["M92 E100", "M302 P1", "M83", "G91", *lines, "M205 J0.013"]


def moves_as_text(moves):
    for x, y, z, e, speed, accel in moves:
        yield "M204 P%d R%d T%d" % (accel, accel, accel)
        yield "G1 X%g Y%g Z%g E%g F%g" % (x, y, z, e, speed * 60)


def one_start(edges, motors):
    """The start time that fits all edges of all motors best."""
    start = min(times[0] for times, _ in edges if len(times)) - 0.01
    for _ in range(30):
        above = below = 0.0
        for (times, signs), position in zip(edges, motors, strict=True):
            t = times - start
            off = position(t) - (np.cumsum(signs) - signs / 2)
            speed = (position(t + 5e-5) - position(t - 5e-5)) / 1e-4
            off = np.clip(off, -20, 20)
            above += off @ speed
            below += speed @ speed
        start += above / below
    return start


@pytest.mark.parametrize(
    "name, kinematics", [("filters", "cartesian"), ("CoreXY filters", "corexy"), ("EI", "cartesian")]
)
def test_every_edge(name, kinematics, record_property):
    """Everything at once, set as a host does it; and M410 in the middle of a move afterwards, known to the step."""
    bending = FILTERS[name]
    with printer(kinematics=kinematics, start={"x": 70, "y": 60, "z": 10}) as twin:
        twin.stream([*setting_up(), *codes(bending), "M400"])
        since = twin.pins.now_ns()
        twin.stream([*moves_as_text(MOVES), "M400"], timeout=100)
        parts = {motor: twin.steps(motor).after(since) for motor in "xyze"}
        made = [twin.steps(motor).net for motor in "xyze"]
        assert made == whole_steps(MOVES, bending.corexy)

        twin.stream(["G1 X-60 Y-40 E3 F3000"])
        twin.run(0.9)
        twin.stream(["M410"])
        twin.run(0.5)
        stopped = [twin.steps(motor).net for motor in "xyze"]
        twin.stream(["G90", "G92 X0 Y0 Z0 E0", "G1 X0.5 Y-0.25 E0.1 F600", "M400"])
        after = [twin.steps(motor).net - there for motor, there in zip("xyze", stopped, strict=True)]
        check_drivers(twin)
    assert stopped != made and after == ([20, 60, 0, 10] if bending.corexy else [40, -20, 0, 10])

    columns = list(zip(*LIMITS, strict=True))
    limits = model.Limits(columns[0], columns[1], columns[3], columns[2], corexy=bending.corexy)
    path = Trajectory(model.plan([model.Move(move[:4], move[4], move[5]) for move in MOVES], limits))
    motors = motors_over_time(bending, path, MOVES)
    edges = [(part.times / 1e9, part.signs.astype(float)) for part in parts.values()]
    start = one_start(edges, motors)
    off = [position(t - start) - (np.cumsum(s) - s / 2) for (t, s), position in zip(edges, motors, strict=True)]
    worst = [float(np.abs(o).max()) for o in off]
    rms = float(np.sqrt(np.mean(np.concatenate(off) ** 2)))
    print(name, [round(w, 3) for w in worst], "rms %.4f" % rms, "edges", sum(map(len, off)), SCALES)
    record_property("bent_edge_error_steps", max(worst))
    faster = 1.5 if bending.corexy else 1  # a motor that makes X + Y
    assert max(worst) <= EDGE_STEPS * faster and rms <= RMS_STEPS * faster
