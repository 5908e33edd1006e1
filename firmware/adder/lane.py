"""The short way: a plain numbered G0 or G1 goes from the line to the planner without waiting in the queue.

Nine lines of ten are such moves. When nothing else waits, the same viper functions that command, frame and planner use
are called one after the other here, and Python sees only the result. Whatever is not plain (an error, a full planner, a
limit, a cold hotend, motors off) is left to the ordinary way, which begins with the same line.
"""

import micropython
from micropython import const

from adder.command import NEXT, Command, scan_line
from adder.frame import _ask, _take, _targets
from adder.planner import plan

_N = const(78)
_KEY = const(61)
_G0 = const(71 << 20)
_G1 = const((71 << 20) | 16)
_CAPACITY = const(60)
_FLOW_REST = const(19)
_COLD = const(26)


@micropython.viper
def _go(record: ptr32, frame: ptr32, request: ptr32, state: ptr32, blocks: ptr32, limits: ptr32) -> int:
    # 1: the move is in the planner, or there was none to make
    if record[_KEY] != _G1 and record[_KEY] != _G0:
        return 0
    if state[0] - state[1] >= _CAPACITY or frame[_COLD] != 0:
        return 0
    rest = frame[_FLOW_REST]
    result = int(_targets(record, frame))
    if result < 0:
        return 0
    if result > 0:
        result = int(_ask(frame, request))
        if result == 1:
            if int(plan(state, blocks, request, limits)) > 1:
                result = 2
            else:
                _take(frame)
        if result > 1:
            frame[_FLOW_REST] = rest  # `_ask` is asked once more
            return 0
    return 1


def make(link, motion, write):
    """Returns lane(line, size): True when the line was such a move, is in the planner, and has been acknowledged."""
    record = Command().record
    frame = motion.frame.state
    planner = motion.feeder.planner
    request = planner.request
    state = planner.state
    blocks = planner.blocks
    limits = planner.limits

    def lane(line, size):
        if line[0] != _N or link.odd or motion.enabled != 15:
            return False
        due = link.expected
        if scan_line(line, size, record, due) != NEXT or not _go(record, frame, request, state, blocks, limits):
            return False
        link.expected = due + 1
        link.lines += 1
        write(b"ok\n")
        return True

    return lane
