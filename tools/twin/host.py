"""The host's side of the serial line: numbering, checksums, one line per `ok`, resends.

Works on any `Wire`: the emulated board's USB, a serial port, or a test's own. Times are s of the wire's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from .expected import strip_line

SLICE_S = 0.05
MOST_RESENDS = 10
SHORTEST_S = 1e-6  # a wire cannot wait less: time would stand still


class Wire(Protocol):
    """Bytes to and from the printer."""

    def write(self, data: bytes) -> None:
        """Send bytes to the printer."""

    def wait(self, seconds: float) -> bytes:
        """Let time pass until bytes come, at most so long; gives the bytes, b"" if none came."""

    def now(self) -> float:
        """The wire's clock."""


class HostError(Exception):
    """The printer did not answer as a printer must; one line with what was sent and what came."""


@dataclass
class Line:
    """A reply line and when its last byte came."""

    text: str
    time: float


@dataclass
class Sent:
    """A line of a stream after its `ok`. `number` counts from 0 within the stream."""

    number: int
    text: str
    replies: list[str]
    time: float


@dataclass
class StreamCount:
    """How a stream went."""

    lines: int = 0
    resends: int = 0
    began: float = 0.0
    ended: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def lines_per_s(self) -> float:
        """Acknowledged lines per second of the wire's clock."""
        spent = self.ended - self.began
        return self.lines / spent if spent > 0 else 0.0


def framed(text: str, number: int | None, checksum: bool = True) -> str:
    """A line as it goes over the wire, without its newline."""
    if number is None:
        return text
    text = "N%d %s" % (number, text)
    if not checksum:
        return text
    value = 0
    for byte in text.encode("latin-1"):
        value ^= byte
    return "%s*%d" % (text, value)


def sendable(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a file that a host sends: no comments, no blank lines, plain ASCII."""
    for line in lines:
        text = strip_line(line)
        if text:
            yield text.encode("ascii", "replace").decode()


def is_ok(text: str) -> bool:
    """Whether a reply acknowledges a line."""
    return text == "ok" or text.startswith("ok ")


def resend_number(text: str) -> int | None:
    """The number that a resend request asks for, or None."""
    words = text.replace(":", " ").split()
    if len(words) >= 2 and words[0].lower() in ("resend", "rs"):
        digits = words[1].lstrip("Nn")
        if digits.isdigit():
            return int(digits)
    return None


class Host:
    """One side of a conversation with a printer."""

    def __init__(self, wire: Wire):
        self.wire = wire
        self.log: list[Line] = []
        self.on_line: Callable[[Line], None] | None = None
        self._rest = b""
        self._ready: list[Line] = []
        self.mangle: Callable[[bytes], bytes] | None = None  # damages what a stream sends, for tests

    def send(self, text: str) -> None:
        """Send one line as it is, without waiting."""
        self.wire.write(text.encode("latin-1") + b"\n")

    def _take(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for raw in whole:
            line = Line(raw.decode("utf-8", "backslashreplace").strip("\r "), self.wire.now())
            self.log.append(line)
            self._ready.append(line)
            if self.on_line:
                self.on_line(line)

    def next_line(self, timeout: float) -> Line | None:
        """The next reply line, or None if none comes in time."""
        end = self.wire.now() + timeout
        while not self._ready:
            left = end - self.wire.now()
            if left < SHORTEST_S:
                return None
            self._take(self.wire.wait(left))
        return self._ready.pop(0)

    def wait_for(self, prefix: str, timeout: float) -> list[str]:
        """Reply lines up to and with the first that begins with `prefix`."""
        seen, end = [], self.wire.now() + timeout
        while True:
            line = self.next_line(end - self.wire.now())
            if line is None:
                last = "the last line was %r" % seen[-1] if seen else "nothing came"
                raise HostError("no line %r within %g s; %s" % (prefix, timeout, last))
            seen.append(line.text)
            if line.text.startswith(prefix):
                return seen

    def command(self, text: str, timeout: float = 60.0) -> list[str]:
        """Send one un-numbered line; gives its reply lines, `ok` last."""
        self.send(text)
        replies, end = [], self.wire.now() + timeout
        while True:
            line = self.next_line(end - self.wire.now())
            if line is None:
                raise HostError("no ok to %r within %g s; replies so far: %s" % (text, timeout, replies[-3:]))
            replies.append(line.text)
            if is_ok(line.text):
                return replies

    def flush(self) -> list[str]:
        """What has come and was not asked for."""
        lines = [line.text for line in self._ready]
        self._ready.clear()
        return lines

    def stream(
        self,
        lines: Iterable[str],
        numbered: bool = True,
        checksums: bool = True,
        timeout: float = 60.0,
        count: StreamCount | None = None,
    ) -> Iterator[Sent | None]:
        """Send lines one per `ok`. Gives a `Sent` for each acknowledged line and None every 50 ms in between.

        Begins with `M110 N0` when numbered, so that the first line is N1. `timeout`: longest silence of the printer.
        """
        count = count if count is not None else StreamCount()
        count.began = count.ended = self.wire.now()
        if numbered:
            for reply in self.command(framed("M110 N0", 0, checksums), timeout):
                if resend_number(reply) is not None:
                    raise HostError("M110 N0 was refused: %s" % reply)
        history: list[str] = []
        source = iter(lines)
        at, exhausted, repeats = 0, False, 0
        while True:
            if at == len(history) and not exhausted:
                text = next(source, None)
                if text is None:
                    exhausted = True
                else:
                    history.append(text)
            if at == len(history):
                return
            wire_line = framed(history[at], at + 1 if numbered else None, checksums).encode("latin-1") + b"\n"
            if self.mangle and numbered:
                wire_line = self.mangle(wire_line)
            self.wire.write(wire_line)
            replies: list[str] = []
            for _ in self._until_ok(history[at], timeout, replies):
                yield None
            wanted = next((n for n in map(resend_number, replies) if n is not None), None)
            count.errors += [r for r in replies if r.startswith(("Error:", "!!")) and wanted is None]
            if wanted is None:
                at, repeats = at + 1, 0
                count.lines, count.ended = max(count.lines, at), self.wire.now()
                yield Sent(at - 1, history[at - 1], replies, self.wire.now())
            else:
                count.resends += 1
                repeats += 1
                if not 0 < wanted <= at + 1 or repeats > MOST_RESENDS:
                    raise HostError(
                        "resend of line %d asked for after sending N%d, %d in a row" % (wanted, at + 1, repeats)
                    )
                at = wanted - 1

    def _until_ok(self, text: str, timeout: float, replies: list[str]) -> Iterator[None]:
        """Collect replies up to `ok`; gives None every 50 ms without one."""
        quiet_since = self.wire.now()
        while True:
            line = self.next_line(SLICE_S)
            if line is None:
                if self.wire.now() - quiet_since > timeout:
                    raise HostError("no answer to %r for %g s; replies so far: %s" % (text, timeout, replies[-3:]))
                yield None
                continue
            quiet_since = self.wire.now()
            if "kill() called" in line.text:
                raise HostError("the printer halted at %r: %s" % (text, " / ".join([*replies[-2:], line.text])))
            if line.text == "start":
                raise HostError("the printer restarted at %r" % text)
            replies.append(line.text)
            if is_ok(line.text):
                return
