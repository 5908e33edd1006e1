"""How fast the dry run goes, on this computer: no board is needed for it."""

from __future__ import annotations

from .rig import BenchError, Setup

SEGMENTS = 20_000


def lines_per_s(setup: Setup) -> dict:
    """Lines a second of one core's time, on a wall of short moves."""
    from examples.make_wall import lines
    from tools.dryrun.run import DryRun

    run = DryRun("".join(lines(SEGMENTS)).encode(), setup.board).run()
    if run.halted_at or any(hit.what == "refused" for hit in run.hits.values()):
        raise BenchError("the dry run refused lines: %s" % next(iter(run.hits.values())))
    return {"dryrun_lines_per_s": len(run.lines) / run.spent_s}
