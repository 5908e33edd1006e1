"""A curved wall of short segments streamed through the whole board: steps, underruns, stalls, and the time it takes."""

import numpy as np
import pytest

from host_tests.board.printers import printer, run_program
from host_tests.curved_wall import curved_wall
from host_tests.models.planner import Limits, Move, plan
from tools.twin.expected import Expected

SEGMENTS = 6000
START_MM = {"x": 5.0, "y": 5.0, "z": 6.0}
LONGEST_GAP_S = 0.005  # between two edges of any motor: even at rest before a retraction it is no longer
DEFAULTS = Limits(
    (300.0, 300.0, 12.0, 60.0), (3000, 3000, 200, 5000), kinds={"print": 1500, "retract": 2000, "travel": 2000}
)


def test_a_curved_wall(record_property):
    with printer(start=START_MM) as twin:
        expected = run_program(twin, curved_wall(SEGMENTS), Expected(twin.machine(min_extrude=None)))
        report = twin.command("M122")[0]
        times = np.sort(np.concatenate([twin.edges(motor)[0] for motor in "xyze"])) / 1e9
    assert sum(segment.extrudes for segment in expected.path) == SEGMENTS
    assert "underruns:0 " in report
    moves = [Move(tuple(b - a for a, b in zip(s.start, s.end, strict=True)), s.feedrate) for s in expected.path]
    best = sum(block.duration for block in plan(moves, DEFAULTS))
    gap, spent = float(np.diff(times).max()), float(times[-1] - times[0])
    print("wall of %d: %.2f s, planned %.2f s, longest gap %.1f ms; %s" % (SEGMENTS, spent, best, gap * 1e3, report))
    record_property("wall_longest_gap_ms", gap * 1e3)
    assert gap <= LONGEST_GAP_S
    assert spent == pytest.approx(best, rel=0.001)
