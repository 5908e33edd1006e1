"""The dry run's time against the emulated board: the same file, first to last step edge, within one per cent."""

import re

import numpy as np
import pytest

from examples import make_wall
from host_tests.board.printers import printer
from tools import paths
from tools.dryrun.figures import Moves
from tools.dryrun.run import DryRun
from tools.dryrun.source import read
from tools.twin.host import sendable

_HEAT = re.compile(r"M(104|109|140|190)\b")
MIXED = """\
G28
G90
M83
G1 X100 Y80 F12000
G1 Z2 F600
G1 X20 Y20 E6 F4800
G4 P350
G1 X30 Y20 E1
G1 X30 Y30 E1
G1 X20 Y30 E1
G1 X20 Y20 E1
M400
G1 E-2 F2400
G0 X150 Y20.5 F15000
G1 E2 F2400
M204 P600
G1 X149 Y21 E0.1 F3000
G1 X150 Y20.5 E0.1
M220 S80
G1 X60 Y90 E9 F6000
G91
G1 X-2 Y3 Z0.2
G1 X5 Y5
M400
"""
FILES = {
    "ring": lambda: read(str(paths.EXAMPLES / "ring.gcode")).decode(),
    "wall": lambda: "".join(make_wall.lines(1200)),
    "mixed": lambda: MIXED,
    "mixed, with every filter": lambda: "M593 F35 D0.1\nM205 C20\nM900 K0.05\n" + MIXED,
}


@pytest.mark.parametrize("name", FILES)
def test_the_board_takes_the_time_that_the_dry_run_says(name, record_property):
    lines = ["M302 P1", *(line for line in sendable(FILES[name]().splitlines()) if not _HEAT.match(line))]
    run = DryRun("\n".join(lines).encode()).run()
    moves = Moves(run)
    after = np.flatnonzero(moves.printing)  # from the first edge to the last: filters settle beyond it
    expected = moves.end[after[-1]] - moves.begin[after[0]]
    with printer() as twin:
        for sent in twin.streaming(lines):
            if sent and sent.text.startswith("G28"):
                homed = twin.pins.now_ns()
        twin.command("M400", timeout=60)
        edges = np.concatenate([twin.steps(motor).after(homed).times for motor in "xyze"])
    taken = (edges.max() - edges.min()) / 1e9
    record_property("board_s", taken)
    record_property("dry_run_s", float(expected))
    assert expected == pytest.approx(taken, rel=0.01)
