"""The line protocol: line numbers, checksums, resends, and the commands that act on arrival.

A line is `N<number> <command>*<xor of all bytes before the star>`, or the bare command. Rules and wordings are those
that OctoPrint and Printrun know (Marlin's). A bad line is answered with three lines in one piece,

    Error:<reason>, Last Line: <last good>
    Resend: <last good + 1>
    ok

after what the host had sent meanwhile was thrown away, so that one damaged line costs one resend and not a storm of
them. Every line gets its `ok` in the order of arrival: while commands wait in the queue, the answer to a bad line waits
too.

When the queue is full, lines go on being read, for M112's sake, and are kept as they are in a small store; when that is
full too, a numbered line is asked for again later and any other one is lost, which the host is told.
"""

from array import array

from micropython import const

from adder.command import EMPTY, NEXT, NONE, OK, OTHER, RECORD, printable, scan_line
from adder.queue import SIZE

LINE_BYTES = const(256)  # what the hal reads at most, newline included
SPILL_LINES = const(64)
SPILL_BYTES = const(2048)
_DROP_LINES = const(64)
_SHOWN = const(40)

# Fields of a command's record, as in adder/command.py
_LETTER = const(0)
_NUMBER = const(1)
_SUB = const(2)
_NUMBERED = const(6)
_LINE = const(5)
_KEY = const(61)
_STAR = const(62)
_SUM = const(63)
_XOR = const(64)
_TEXT = const(7)
_COMMENT = const(65)
_RESULT = const(66)

# The link's state, as adder/lane.py reads it behind a record of its own
EXPECTED = RECORD
ACCEPTED = RECORD + 1
ODD = RECORD + 2

_M = const(77)
_M112 = const((77 << 20) | (112 << 4))
_WRONG_NUMBER = b"Line Number is not Last Line Number+1"

COUNTERS = (
    "checksum_errors", "number_errors", "format_errors", "too_long", "resends", "dropped", "emergencies",
)


def _entry(index):
    # A number of the state, by name
    def get(self):
        return self.state[index]

    def put(self, value):
        self.state[index] = value

    return property(get, put)


class Link:
    """Takes lines from the hal and puts commands into the queue.

    `on_emergency()` is called for M112, `on_arrival(number)` for M108, M124 and M410, the moment they are seen.
    `expected`: number of the next line. `odd`: `go_on` must be called, for something waits to be taken in or answered.
    """

    expected = _entry(EXPECTED)
    lines = _entry(ACCEPTED)  # that were accepted
    odd = _entry(ODD)

    def __init__(self, hal, out, queue, on_emergency, on_arrival):
        self._hal = hal
        self._out = out
        self._queue = queue
        self._on_emergency = on_emergency
        self._on_arrival = on_arrival
        self.state = array("i", [0] * (ODD + 1))
        self.expected = 1
        self._swallow = False  # the rest of a line that was too long
        self._quiet = False  # it is text or comment: M112 in it means nothing
        self._tail = b""
        self._spill = []
        self._spilled = 0
        self._lost = False  # numbered lines were dropped for want of room
        self._debt = None  # why a resend request is due
        self._owed = 0  # acknowledgements that are due
        self._stopped = False  # after an emergency stop nothing is answered any more
        self.counters = dict.fromkeys(COUNTERS, 0)

    @property
    def last(self):
        """Number of the last good line."""
        return self.expected - 1

    # Arrival

    def take(self, line):
        """A line has come, complete or, at its greatest length, not. Never blocks for long, never raises."""
        queue = self._queue
        command = queue.slot
        state = self.state
        how = scan_line(line, len(line), command.record, state[EXPECTED])
        if how != OTHER and not state[ODD] and queue.count < SIZE:
            command.line = line
            if how == NEXT:
                state[EXPECTED] += 1
            state[ACCEPTED] += 1
            queue.put()
        elif command.record[_KEY] == _M112 and not self._swallow:
            self._emergency()
        elif how == OTHER or self.odd:
            self._consider(line, command)
        else:
            self._put_aside(line, command)

    def _consider(self, line, command):
        # Whatever is not simply the next line
        command.line = line
        whole = line[-1:] == b"\n"
        if self._swallow:
            self._go_on_swallowing(line, whole)
        elif not whole and len(line) >= LINE_BYTES:
            self._begin_swallowing(line, command)
        elif holds_emergency(line, command.record):
            self._emergency()
        elif self._spill or self._lost or self._queue.full():
            self._put_aside(line, command)
        else:
            self._judge(command, False)

    def _judge(self, command, early):
        # Accept the line, or not; early: what acts on arrival has acted already
        record = command.record
        special = _special(record)
        if record[_NUMBERED]:
            if record[_STAR] == NONE:
                self._bad("checksum_errors", b"No Checksum with line number")
                return
            if record[_SUM] != record[_XOR]:
                self._bad("checksum_errors", b"checksum mismatch")
                return
            if record[_RESULT] > EMPTY and command.line.find(b"\0") >= 0:
                # The one damage that the checksum does not see
                self._bad("checksum_errors", b"format error: NUL byte in the line")
                return
            if special and not early:
                self._act(special, command)
            if special != 110 and record[_LINE] != self.expected:
                self._bad("number_errors", _WRONG_NUMBER)
                return
            self.expected = record[_LINE] + 1
        elif record[_SUM] != NONE and record[_STAR] < record[_COMMENT]:
            self._bad("checksum_errors", b"No Line Number with checksum")
            return
        elif record[_RESULT] == EMPTY and (record[_STAR] == NONE or record[_COMMENT] < record[_STAR]):
            return
        elif special and not early:
            self._act(special, command)
        if special:
            self._settle(special, command)
        elif record[_RESULT] > EMPTY:
            if record[_NUMBERED] and command.empty():
                command.finish()
            else:
                self.counters["format_errors"] += 1
                command.refuse(command.explain())
        elif record[_SUM] == NONE and record[_STAR] < record[_COMMENT] and not record[_TEXT]:
            self.counters["format_errors"] += 1
            command.refuse('unexpected "*": behind it only a checksum is right, with N and a number in front')
        self.lines += 1
        self._queue.put()

    def _act(self, special, command):
        # On arrival. M108 S was the speed of an extruder once.
        if special != 110 and not command.has("S"):
            self._on_arrival(special)

    def _settle(self, special, command):
        # When its turn comes nothing is left to do but to acknowledge
        command.finish()
        if special == 110:
            self.expected = command.int("N", self.expected - 1) + 1
            if self._debt is not None:
                # The host begins anew: nothing is asked for any more
                self._debt = None
                self._owed += 1
            self._lost = False
        elif special == 108 and command.has("S"):
            command.refuse("M108 S does nothing, there is no speed of an extruder; M108 alone ends a wait")

    # Room and debts

    def go_on(self):
        """Take in what was put aside, as far as there is room, and pay what is owed when nothing else waits."""
        queue = self._queue
        spill = self._spill
        if self._stopped:
            return
        while spill and queue.count < SIZE:
            line = spill.pop(0)
            self._spilled -= len(line)
            command = queue.slot
            scan_line(line, len(line), command.record, self.expected)
            command.line = line
            self._judge(command, True)
        if not spill and not queue.count:
            while self._owed:
                self._owed -= 1
                self._out.ok()
            if self._lost:
                self._debt = self._debt or _WRONG_NUMBER
                self._lost = False
            if self._debt is not None:
                self._ask_again()
        self.odd = bool(spill or self._swallow or self._lost or self._owed or self._debt is not None)

    def _put_aside(self, line, command):
        command.line = line
        record = command.record
        if record[_RESULT] == EMPTY:
            return
        special = _special(record)
        if special and (not record[_NUMBERED] or record[_SUM] == record[_XOR]):
            self._act(special, command)
        self.odd = True
        if len(self._spill) < SPILL_LINES and self._spilled + len(line) <= SPILL_BYTES:
            self._spill.append(line)
            self._spilled += len(line)
            return
        self.counters["dropped"] += 1
        if record[_NUMBERED]:
            self._lost = True  # asked for again as soon as there is room
        else:
            self._owed += 1
            self._out.line(
                'echo:Too many lines without waiting for ok, dropped: "%s"' % printable(line[:_SHOWN]).strip(" ?")
            )

    def _bad(self, counter, reason):
        # While a request is due already, what comes behind the first bad line is no news
        if self._debt is None:
            self.counters[counter] += 1
            self._debt = reason
            self.odd = True
        if not self._queue.count and not self._spill:
            self.go_on()

    def _ask_again(self):
        reason, self._debt = self._debt, None
        if self._drop_received():
            self.counters["resends"] += 1
            self._out.raw(b"Error:%s, Last Line: %d\nResend: %d\nok\n" % (reason, self.expected - 1, self.expected))

    def _drop_received(self):
        # Throw away what the host has sent; what acts on arrival still acts. False after an emergency stop.
        command = self._queue.slot
        record = command.record
        for _ in range(_DROP_LINES):
            line = self._hal.read_waiting()
            if not line:
                break
            scan_line(line, len(line), record, 0)
            command.line = line
            whole = line[-1:] == b"\n"
            if self._swallow:
                self._go_on_swallowing(line, whole)
            elif not whole:
                self._swallow_from(line, record)
            elif holds_emergency(line, record):
                self._emergency()
            else:
                special = _special(record)
                if special and (not record[_NUMBERED] or record[_SUM] == record[_XOR]):
                    self._act(special, command)
            if self._stopped:
                return False
        return True

    # Too long

    def _begin_swallowing(self, line, command):
        record = command.record
        self.counters["too_long"] += 1
        self._swallow_from(line, record)
        if self._stopped:
            return
        if record[_NUMBERED]:
            self._bad("format_errors", b"format error: line longer than 255 bytes")
        else:
            self._out.line("echo:Line longer than 255 bytes ignored")
            self._owed += 1
            if not self._queue.count:
                self.go_on()

    def _swallow_from(self, line, record):
        self._swallow = self.odd = True
        self._quiet = record[_COMMENT] != NONE or (record[_TEXT] and record[_LETTER] == _M)
        self._tail = b""
        self._go_on_swallowing(line, False)

    def _go_on_swallowing(self, line, whole):
        # M112 may lie across two pieces
        text = self._tail + line
        if not self._quiet and _find_emergency(text):
            self._emergency()
        self._tail = text[-5:]
        self._swallow = not whole

    def _emergency(self):
        self._on_emergency()
        self.stop()
        self.counters["emergencies"] += 1

    def stop(self):
        """Forget what was put aside, and answer nothing any more."""
        self._stopped = True
        self._spill = []
        self._spilled = 0
        self.odd = False


def _special(record):
    # Number of an M code that acts on arrival, 0 for all others
    if record[_RESULT] == OK and record[_LETTER] == _M and not record[_SUB]:
        number = record[_NUMBER]
        if number == 108 or number == 110 or number == 124 or number == 410:
            return number
    return 0


def holds_emergency(line, record):
    """Whether a scanned line says M112: as its command, whatever its number and checksum; or anywhere in a damaged line
    but its text or comment."""
    if line.find(b"112") < 0:
        return False
    result = record[_RESULT]
    if result <= EMPTY:
        return result == OK and record[_LETTER] == _M and record[_NUMBER] == 112 and not record[_SUB]
    if record[_TEXT] and record[_LETTER] == _M:
        return False
    return _find_emergency(line)


def _find_emergency(line):
    # M112 as a word, before a comment. At the end of a piece nothing is known of what follows it.
    text = bytes(line).upper()
    for mark in (b";", b"("):
        at = text.find(mark)
        if at >= 0:
            text = text[: at + 1]
    at = text.find(b"M112")
    while at >= 0:
        behind = text[at + 4 : at + 5]
        if behind and not behind.isdigit() and behind != b".":
            return True
        at = text.find(b"M112", at + 1)
    return False
