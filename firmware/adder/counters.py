"""How well the machine keeps up, in numbers that M122 reports; they count from the start or from M122 S0.

`serve` stands between the motion's timer and the feeder and notes what it sees, every 8 ms:

    longest gap        from one service to the next, us; a soft timer waits for whatever the processor does in one piece
    load               us that the services take per ms of motion
    busy share         of the services that find the main loop at work: hal.resting tells when it waits for the host
    lowest fill        blocks in the planner while more was still to come; us of steps, which the feeder notes
    underruns          how often motion ended though it should not have, and why:
      slicer           blocks waited, but no slice of them was there in time
      planner          the last block known ended at rest while the main loop was at work: lines came too fast for it
      host             the same while the main loop had no line to work on
The latter two count when motion goes on within a second: else it was the end, and not when a command waited for it.
"""

from array import array

import micropython
from micropython import const

from adder.feeder import AHEAD_US
from adder.planner import CAPACITY

_FIELDS = const(16)
_GAP_US = const(0)
_SERVICES = const(1)
_BUSY = const(2)
_SPENT_US = const(3)  # in services, while
_MOTION_US = const(4)  # there was motion
_LOW_BLOCKS = const(5)
_HOST = const(6)
_PLANNER = const(7)
_SLICER = const(8)
# Not for the report
_LAST_US = const(9)  # begin of the last service,
_SERVED = const(10)  # if there was one
_HEAD = const(11)  # blocks ever added
_CANDIDATE = const(12)  # fewest blocks since then
_RESTED = const(13)  # the last service found the main loop waiting

# The planner's state, as in adder/planner.py
_PLANNER_HEAD = const(0)
_PLANNER_TAIL = const(1)

_MANY = const(0x3FFFFFFF)
_TICKS = const(0x3FFFFFFF)
_AGAIN_MS = const(1000)


@micropython.viper
def _note(v: ptr32, planner: ptr32, resting: ptr8, begin: int, end: int, running: int):
    gap = (begin - v[_LAST_US]) & _TICKS
    v[_LAST_US] = begin
    if v[_SERVED] == 0:
        v[_SERVED] = 1
        return
    if gap > v[_GAP_US]:
        v[_GAP_US] = gap
    v[_SERVICES] += 1
    v[_RESTED] = resting[0]
    if resting[0] == 0:
        v[_BUSY] += 1
    if v[_SERVICES] > 100000000:
        v[_SERVICES] = v[_SERVICES] >> 1
        v[_BUSY] = v[_BUSY] >> 1
    if running == 0:
        v[_CANDIDATE] = _MANY
        return
    v[_SPENT_US] += (end - begin) & _TICKS
    v[_MOTION_US] += gap
    if v[_MOTION_US] > 500000000:
        v[_MOTION_US] = v[_MOTION_US] >> 1
        v[_SPENT_US] = v[_SPENT_US] >> 1
    head = planner[_PLANNER_HEAD]
    waiting = head - planner[_PLANNER_TAIL]
    if head != v[_HEAD]:
        # More has come: what was left before that was no end
        v[_HEAD] = head
        if v[_CANDIDATE] < v[_LOW_BLOCKS]:
            v[_LOW_BLOCKS] = v[_CANDIDATE]
        v[_CANDIDATE] = waiting
    elif waiting < v[_CANDIDATE]:
        v[_CANDIDATE] = waiting


class Counters:
    """`serve()` is called by the motion's timer; `queue` (set by the printer) tells whether a command is being run."""

    def __init__(self, hal, feeder):
        self._hal = hal
        self._feeder = feeder
        self._values = array("i", [0] * _FIELDS)
        self._underruns = 0  # as the feeder counts them
        self.serve = self._make(hal.ticks_us, feeder, self._values, feeder.planner.state, hal.resting)
        self.queue = None
        self._cause = 0  # of the standstill since
        self._ended_us = 0
        self.reset()

    def reset(self):
        """M122 S0: count anew."""
        values = self._values
        for field in range(_LAST_US):
            values[field] = 0
        values[_LOW_BLOCKS] = values[_CANDIDATE] = _MANY
        self._feeder.lowest_ahead_us = AHEAD_US
        self._cause = 0
        self._hal.forget_collections()

    def _make(self, ticks_us, feeder, values, planner, resting):
        # `serve` runs so often that every look into an object counts
        def serve():
            """Serve the feeder."""
            ran = feeder.running
            flush = feeder.flush
            begin = ticks_us() & _TICKS
            feeder.service()
            _note(values, planner, resting, begin, ticks_us() & _TICKS, ran)
            if feeder.running != ran:
                if ran:
                    self._ended(begin, flush)
                else:
                    self._started(begin)

        return serve

    def _ended(self, now, flush):
        self._cause = 0
        self._ended_us = now
        feeder = self._feeder
        if feeder.underruns != self._underruns:
            self._underruns = feeder.underruns
            self._values[_SLICER] += 1
            feeder.lowest_ahead_us = 0
        elif not flush:
            if not self._values[_RESTED]:
                self._cause = _PLANNER
            elif self.queue is None or not self.queue.count:
                self._cause = _HOST

    def _started(self, now):
        if self._cause and self._hal.ticks_diff(now, self._ended_us) < _AGAIN_MS * 1000:
            self._values[self._cause] += 1
        self._cause = 0

    # For the report

    def underruns(self):
        """How many there were because of (host, planner, slicer)."""
        values = self._values
        return values[_HOST], values[_PLANNER], values[_SLICER]

    def lowest(self):
        """Lowest fill: (blocks in the planner, us of steps)."""
        return min(self._values[_LOW_BLOCKS], CAPACITY), self._feeder.lowest_ahead_us

    def longest_gap_us(self):
        """Longest time from one service to the next."""
        return self._values[_GAP_US]

    def load(self):
        """(us of services per ms of motion, percent of the time that the main loop was at work)."""
        values = self._values
        return values[_SPENT_US] * 1000 // max(values[_MOTION_US], 1), values[_BUSY] * 100 // max(values[_SERVICES], 1)
