"""How many lines a second come in, from the first byte sent to the last ok."""

from __future__ import annotations

from collections import deque

import numpy as np

from tools.twin.host import framed, is_ok
from tools.twin.printer import PrinterTwin

from .rig import BenchError, Setup, command, curve, underruns

LINES = 1000
WINDOW = 4  # lines that the flooding host sends ahead of the acknowledgements
STILL_NS = 3_000_000
SPEED = 200
FAST = 900  # the motion is over sooner than the next line can come


def _ready(setup: Setup, latency_s: float) -> PrinterTwin:
    """A printer at the beginning of the curve, cold extrusion allowed, accelerations that do not limit."""
    twin = setup.twin(latency_s, setup.wide_plan())
    command(
        twin, "M302 S0", "M203 X1000 Y1000 E1000", "M201 X20000 Y20000 E20000", "M204 P20000 T20000",
        "G92 X20 Y0 Z0 E0", "G1 X20.2 F6000", "G1 X20 F6000", "M400",
    )
    return twin


def ping_pong(twin: PrinterTwin, lines) -> float:
    """Numbered and checksummed lines, each sent when the one before is acknowledged; lines a second."""
    twin.stream(lines)
    if twin.count.resends or twin.count.errors:
        raise BenchError("%d resends while streaming, %s" % (twin.count.resends, twin.count.errors[:1]))
    return twin.count.lines_per_s


def flood(twin: PrinterTwin, lines) -> float:
    """The same with up to WINDOW lines under way; lines a second."""
    host, wire = twin.host, twin.wire
    host.command(framed("M110 N0", 0))
    todo = deque(framed(text, number) for number, text in enumerate(lines, 1))
    total, open_lines, done = len(todo), 0, 0
    began = wire.now()
    while done < total:
        while todo and open_lines < WINDOW:
            wire.write(todo.popleft().encode() + b"\n")
            open_lines += 1
        line = host.next_line(5.0)
        if line is None or line.text.startswith(("Error", "Resend")):
            raise BenchError("line %d of the flood was answered with %r" % (done + 1, line))
        if is_ok(line.text):
            done += 1
            open_lines -= 1
    return total / (wire.now() - began)


def stops(twin: PrinterTwin, since_ns: int) -> int:
    """How often neither X nor Y made a step for STILL_NS, between their first and last step since then."""
    times = np.sort(np.concatenate([twin.edges(motor)[0] for motor in "xy"]))
    gaps = np.diff(times[times > since_ns])
    return int(np.count_nonzero(gaps > STILL_NS))


def lines_per_s(setup: Setup) -> dict:
    """Lines a second in three ways, with motion that does not limit; and what 200 mm/s does to the motion."""
    result = {}
    with _ready(setup, 0.0) as twin:
        since = twin.pins.now_ns()
        result["lines_per_s"] = ping_pong(twin, curve(LINES, FAST))
        command(twin, "M400", "G92 E0")
        result["lines_per_s_flood"] = flood(twin, curve(LINES, FAST))
        command(twin, "M400", "G92 E0")
        since = twin.pins.now_ns()
        ping_pong(twin, curve(LINES // 2, SPEED))
        command(twin, "M400")
        result["stream_stops"] = stops(twin, since)
        result["stream_underruns"] = underruns(twin)
    with _ready(setup, 0.0002) as twin:
        result["lines_per_s_200us_host"] = ping_pong(twin, curve(LINES // 2, FAST))
    return result
