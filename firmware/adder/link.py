"""The line protocol: line numbers, checksums, resends, and the commands that act on arrival.

A line is `N<number> <command>*<xor of all bytes before the star>`, or the bare command. Rules and wordings are those that
OctoPrint and Printrun know (Marlin's); a bad line is answered with three lines in one piece,

    Error:<reason>, Last Line: <last good>
    Resend: <last good + 1>
    ok

after what the host had sent meanwhile was thrown away, so that one damaged line costs one resend and not a storm of them.
"""

from array import array

from micropython import const
import micropython

from adder.command import EMPTY, OK
from adder.queue import SIZE

LONGEST = 255
SPILL_LINES = 64
SPILL_BYTES = 2048

_XOR = const(0)  # of the bytes before the last star
_STAR = const(1)  # where it is, -1: none
_SUM = const(2)  # number behind the star, -1: none or damaged
_FLAGS = const(3)
_LENGTH = const(4)  # without line end
_HAS_M = const(1)
_BINARY = const(2)
_COMMENT_STAR = const(4)  # the star stands in a comment

# Entries of a command's record
_LINE = const(5)
_HAS_LINE = const(6)

COUNTERS = (
    "checksum_errors", "number_errors", "format_errors", "too_long", "resends", "dropped", "emergencies",
)


@micropython.viper
def _check(line: ptr8, length: int, out: ptr32) -> int:
    # Returns 1 for a whole line with a right checksum that holds nothing to look at more closely.
    plain = 1
    if length < 1 or line[length - 1] != 10:
        plain = 0
    while length > 0 and (line[length - 1] == 10 or line[length - 1] == 13):
        length -= 1
    out[_LENGTH] = length
    flags = 0
    xor = 0
    star = -1
    comment = 0
    at_star = 0
    i = 0
    while i < length:
        c = line[i]
        if c == 42:
            star = i
            at_star = xor
            flags &= 3
            if comment != 0:
                flags |= _COMMENT_STAR
        elif c == 59:
            comment = 1
        elif c < 32:
            if c != 9:
                flags |= _BINARY
        elif c > 126:
            flags |= _BINARY
        elif c & 95 == 77:
            flags |= _HAS_M
        xor ^= c
        i += 1
    out[_XOR] = at_star
    out[_STAR] = star
    out[_FLAGS] = flags
    total = -1
    if star >= 0:
        i = star + 1
        while i < length and line[i] == 32:
            i += 1
        if i < length:
            total = 0
            while i < length and total >= 0:
                c = line[i]
                if c >= 48 and c <= 57 and total < 1000:
                    total = total * 10 + c - 48
                elif c != 32:
                    total = -1
                i += 1
    out[_SUM] = total
    if flags != 0 or star < 0 or total != at_star:
        plain = 0
    return plain


class Link:
    """Takes lines from the hal and puts commands into the queue.

    `on_emergency()` is called for M112, `on_arrival(number)` for M108 and M410, the moment they are seen.
    """

    def __init__(self, hal, out, queue, on_emergency, on_arrival):
        self._hal = hal
        self._out = out
        self._queue = queue
        self._on_emergency = on_emergency
        self._on_arrival = on_arrival
        self.facts = array("i", [0] * 5)
        self.last = 0
        self.lines = 0  # accepted
        self.regular = True  # nothing is put aside, no line is being swallowed
        self._swallow = False  # the rest of a line that was too long
        self._spill = []
        self._spilled = 0
        self._lost = False  # numbered lines were dropped for want of room
        self.counters = {name: 0 for name in COUNTERS}

    # Arrival

    def take(self, line):
        """A line has come, complete or, at its greatest length, not. Never blocks for long, never raises for bad input."""
        if _check(line, len(line), self.facts) and self.regular:
            queue = self._queue
            if queue.count < SIZE:
                command = queue.free()
                if command.scan(line, self.facts[_STAR]) == OK:
                    record = command.record
                    if record[_LINE] == self.last + 1 and record[_HAS_LINE]:
                        self.last += 1
                        self.lines += 1
                        queue.put()
                        return
        self._take_special(line)

    def _take_special(self, line):
        complete = line.endswith(b"\n")
        if self._swallow:
            self._swallow = not complete
            self._note()
            return
        if not complete and len(line) >= LONGEST:
            self._swallow = True
            self._note()
            self.counters["too_long"] += 1
            if line[:1] in b"Nn":
                self._bad(b"format error: line longer than 255 bytes")
            else:
                self._out.raw(b"echo:Line longer than 255 bytes ignored\nok\n")
            return
        if self._spill or self._lost or self._queue.full():
            self._put_aside(line)
            self._note()
        else:
            self._accept(line, False)

    def go_on(self):
        """Room may have come: take lines that were put aside. Returns True if there were any."""
        if not self._spill and not self._lost:
            return False
        queue = self._queue
        while self._spill and not queue.full():
            line = self._spill.pop(0)
            self._spilled -= len(line)
            self._accept(line, True)
        if self._lost and not self._spill and not queue.full():
            self._lost = False
            self._bad(b"Line Number is not Last Line Number+1")
        self._note()
        return True

    def _note(self):
        # Whether the next line can take the short way
        self.regular = not (self._swallow or self._spill or self._lost)

    def _put_aside(self, line):
        facts = self.facts
        _check(line, len(line), facts)
        length = facts[_LENGTH]
        if facts[_FLAGS] & _HAS_M:
            if self._emergency(line):
                return
            number = _early_code(line, length)
            if number in (108, 410):
                self._on_arrival(number)
        if len(self._spill) < SPILL_LINES and self._spilled + len(line) <= SPILL_BYTES:
            self._spill.append(line)
            self._spilled += len(line)
            return
        self.counters["dropped"] += 1
        if line[:1] in b"Nn":
            self._lost = True  # asked for again as soon as there is room
        elif length:
            self._out.line(
                'echo:Too many lines without waiting for ok, dropped: "%s"' % _printable(line[: min(length, 40)])
            )

    def _accept(self, line, early):
        # early: what acts on arrival has acted already
        facts = self.facts
        _check(line, len(line), facts)
        length = facts[_LENGTH]
        flags = facts[_FLAGS]
        if flags & _HAS_M and not early and self._emergency(line):
            return
        star = facts[_STAR]
        command = self._queue.free()
        if flags & _BINARY:
            self.counters["format_errors"] += 1
            if line[:1] in b"Nn":
                self._bad(b"checksum mismatch")
            else:
                self._out.raw(b"echo:Line with unprintable bytes ignored\nok\n")
            return
        if star >= 0 and flags & _COMMENT_STAR and line[:1] not in b"Nn":
            star = -1
        result = command.scan(line, star if star >= 0 else length)
        record = command.record
        if record[_HAS_LINE]:
            if star < 0:
                self.counters["checksum_errors"] += 1
                self._bad(b"No Checksum with line number")
                return
            if facts[_SUM] != facts[_XOR]:
                self.counters["checksum_errors"] += 1
                self._bad(b"checksum mismatch")
                return
            number = record[_LINE]
            if command.letter == 77 and command.number == 110:
                self.last = command.int("N", number)
            elif number != self.last + 1:
                self.counters["number_errors"] += 1
                self._bad(b"Line Number is not Last Line Number+1")
                return
            else:
                self.last = number
        elif star >= 0 and (facts[_SUM] >= 0 or line[:1] in b"Nn"):
            self.counters["checksum_errors"] += 1
            self._bad(b"No Line Number with checksum")
            return
        elif line[:1] in b"Nn" and result > EMPTY:
            # A damaged number behind the N
            self.counters["format_errors"] += 1
            self._bad(b"format error in the line number")
            return
        elif result == EMPTY:
            return
        elif command.letter == 77 and command.number == 110:
            self.last = command.int("N", self.last)
        self.lines += 1
        if result == OK and command.letter == 77:
            number = command.number
            if number == 108 or number == 410:
                command.done = True
                if not early:
                    self._on_arrival(number)
            elif number == 110:
                command.done = True
        self._queue.put()

    # Trouble

    def _emergency(self, line):
        # M112 counts wherever it stands as the line's command, numbered or not, with a right checksum or not
        if line.find(b"112") < 0 or _early_code(line, len(line)) != 112:
            return False
        self.counters["emergencies"] += 1
        self._on_emergency()
        return True

    def _bad(self, reason):
        self.drop_received()
        # What was put aside came after the bad line; its numbered lines will be sent again.
        if self._spill:
            self._spill = [line for line in self._spill if line[:1] not in b"Nn"]
            self._spilled = sum(len(line) for line in self._spill)
        self._lost = False
        self._note()
        self.counters["resends"] += 1
        self._out.raw(
            b"Error:%s, Last Line: %d\nResend: %d\nok\n" % (reason, self.last, self.last + 1)
        )

    def drop_received(self):
        """Throw away what the host has sent; what acts on arrival still acts."""
        hal = self._hal
        for _ in range(64):
            if not hal.poll(0):
                return
            line = hal.readline()
            if line.find(b"M") >= 0 or line.find(b"m") >= 0:
                if self._emergency(line):
                    return
                number = _early_code(line, len(line))
                if number in (108, 410):
                    self._on_arrival(number)


def _early_code(line, length):
    # Number of the M code that the line holds, whatever else is wrong with it; -1: none
    text = bytes(line[:length]).upper().strip()
    if text[:1] == b"N":
        i = 1
        while i < len(text) and text[i] in b"-0123456789 ":
            i += 1
        text = text[i:]
    if text[:1] != b"M":
        return -1
    i = 1
    while i < len(text) and 48 <= text[i] <= 57 and i < 5:
        i += 1
    if i == 1 or (i < len(text) and 48 <= text[i] <= 57):
        return -1
    return int(text[1:i])


def _printable(line):
    return "".join(chr(b) if 32 <= b < 127 else "?" for b in bytes(line))
