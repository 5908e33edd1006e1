"""The short way: a plain numbered G0 or G1 goes from the line to the planner without waiting in the queue.

Nine lines of ten are such moves. When nothing else waits, the same viper functions that link, command, frame and planner use
are called one after the other here, and Python sees only the result. Whatever is not plain (an error, a full planner, a limit,
a cold hotend, motors off) is left to the ordinary way, which begins with the same line.
"""

from micropython import const
import micropython

from adder.command import _scan
from adder.frame import _ask, _take, _targets
from adder.link import _check
from adder.planner import plan

_G = const(71)
_STAR = const(1)
_LINE = const(5)
_HAS_LINE = const(6)
_BLOCKS = const(32)


@micropython.viper
def _line(line: ptr8, length: int, facts: ptr32, record: ptr32, due: int) -> int:
    # 1: the line that is due, whole and undamaged, a G0 or G1
    if int(_check(line, length, facts)) == 0:
        return 0
    if int(_scan(line, facts[_STAR], record)) != 0:
        return 0
    if record[0] != _G or record[1] < 0 or record[1] > 1 or record[2] != 0:
        return 0
    if record[_HAS_LINE] == 0 or record[_LINE] != due:
        return 0
    return 1


@micropython.viper
def _go(record: ptr32, frame: ptr32, request: ptr32, state: ptr32, blocks: ptr32, limits: ptr32) -> int:
    # 1: the move is in the planner, or there was none to make
    if state[0] - state[1] >= _BLOCKS:
        return 0
    result = int(_targets(record, frame))
    if result < 0:
        return 0
    if result > 0:
        result = int(_ask(frame, request))
        if result > 1:
            return 0
        if result == 1:
            if int(plan(state, blocks, request, limits)) > 1:
                return 0
            _take(frame)
    return 1


def make(link, command, motion, write):
    """Returns lane(line): True when the line was such a move, is in the planner, and has been acknowledged."""
    facts = link.facts
    record = command.record
    frame = motion.frame.state
    planner = motion.feeder.planner
    request = planner.request
    state = planner.state
    blocks = planner.blocks
    limits = planner.limits

    def lane(line):
        if not link.regular or motion.enabled != 15:
            return False
        due = link.last + 1
        if not _line(line, len(line), facts, record, due) or not _go(record, frame, request, state, blocks, limits):
            return False
        link.last = due
        link.lines += 1
        write(b"ok\n")
        return True

    return lane
