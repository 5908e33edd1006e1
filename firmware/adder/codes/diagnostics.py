"""M122: how well the printer keeps up."""

from adder.planner import CAPACITY
from adder.queue import SIZE


def m122(p, c):
    """M122: five lines of pairs of a name and a number; S0 counts anew afterwards."""
    motion = p.motion
    feeder = motion.feeder
    counters = motion.counters
    host, planner, slicer = counters.underruns()
    blocks, ahead_us = counters.lowest()
    line = p.out.line
    total = host + planner + slicer
    line("echo:steps underruns:%d host:%d planner:%d slicer:%d" % (total, host, planner, slicer))
    fill = (ahead_us // 1000, feeder.ahead_us() // 1000, blocks, feeder.planner.waiting(), CAPACITY)
    line("echo:fill lowest_ahead_ms:%d buffer_ms:%d lowest_blocks:%d blocks:%d/%d" % fill)
    # Collects: what the host asks for counts as well
    free = p.hal.heap_free()
    slicer_us, busy = counters.load()
    collections, longest_us = p.hal.collections()
    line(
        "echo:time slicer_us_per_ms:%d busy_percent:%d longest_gap_us:%d gc_pause_ms:%d.%d collections:%d"
        % (slicer_us, busy, counters.longest_gap_us(), longest_us // 1000, longest_us // 100 % 10, collections)
    )
    wrong = p.link.counters
    words = ["%s:%d" % (name, wrong[name]) for name in sorted(wrong)]
    line("echo:lines lines:%d queue:%d/%d %s" % (p.link.lines, len(p.queue), SIZE, " ".join(words)))
    line("echo:more heap_free:%d clipped:%d" % (free, motion.clipped))
    if c.int("S", 1) == 0:
        counters.reset()
        p.link.lines = motion.clipped = 0
        for name in wrong:
            wrong[name] = 0
