"""The twin as a serial port: a pseudo-terminal that hosts may open and close as they like.

Of a real USB port it keeps that closing drops DTR, that output without anybody listening is lost, and that opening it
resets nothing. The terminal is raw and without echo before, between and after its clients. Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path

SLICE_S = 0.002
MOST_WAITING = 4096  # bytes on their way to the board; more are left in the terminal, whose client then has to wait
_IN_OPEN, _IN_CLOSE = 0x20, 0x08 | 0x10
_EVENT = struct.Struct("iIII")


class _Opens:
    """Knows how often a file is open besides our own handle.

    inotify tells when to look. It may merge two opens into one event, so the processes' file tables are counted; where
    another user's processes hide theirs, the events have to do.
    """

    def __init__(self, path: str):
        libc = ctypes.CDLL(None, use_errno=True)
        self._path = path
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, path.encode(), _IN_OPEN | _IN_CLOSE) < 0:
            raise OSError(ctypes.get_errno(), "cannot watch %s: %s" % (path, os.strerror(ctypes.get_errno())))
        self._by_events = 0
        self.count = 0

    def changes(self) -> list[int]:
        """The counts since the last call as far as events tell; the last one is sure."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return []
        counts, at = [], 0
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            self._by_events = max(0, self._by_events + (1 if mask & _IN_OPEN else -1))
            counts.append(self._by_events)
        seen, hidden = self._look()
        if seen or not hidden:
            self._by_events = counts[-1] = seen
        self.count = counts[-1]
        return counts

    def _look(self) -> tuple[int, bool]:
        """Open handles besides one of ours, and whether some process did not let us look."""
        handles, hidden = -1, False
        for process in os.scandir("/proc"):
            if not process.name.isdigit():
                continue
            try:
                for handle in os.scandir(process.path + "/fd"):
                    try:
                        handles += os.readlink(handle.path) == self._path
                    except OSError:
                        continue  # closed meanwhile
            except PermissionError:
                hidden = True
            except OSError:
                continue  # the process ended meanwhile
        return max(handles, 0), hidden

    def close(self) -> None:
        os.close(self.fd)


class PtyPort:
    """A pseudo-terminal with a stable name. `path` is the device; `link`, if given, a symbolic link to it."""

    def __init__(self, link=None):
        self.master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        os.set_blocking(self.master, False)
        self._make_raw()
        self._opens = _Opens(self.path)
        self.link = None
        self._pending = bytearray()
        if link:
            self._make_link(Path(link))

    def _make_raw(self) -> None:
        tty.setraw(self._slave, termios.TCSANOW)

    def _make_link(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise ValueError("LINK=%s exists and is no symbolic link: give another name" % link)
        fresh = link.with_name(".%s.%d" % (link.name, os.getpid()))
        try:
            fresh.symlink_to(self.path)
            fresh.replace(link)
        except OSError as error:
            raise ValueError("LINK=%s cannot be made: %s" % (link, error.strerror)) from None
        self.link = link

    @property
    def clients(self) -> int:
        """How many have it open."""
        return self._opens.count

    def changed(self) -> list[bool]:
        """True and False for each time that the port became open or closed since the last call."""
        was_open, result = self._opens.count > 0, []
        for count in self._opens.changes():
            if (count > 0) != was_open:
                was_open = count > 0
                result.append(was_open)
                if not was_open:
                    self._after_last_client()
        return result

    def _after_last_client(self) -> None:
        """Leave nothing of a client behind: neither its lock nor its modes nor what it did not read."""
        fcntl.ioctl(self._slave, termios.TIOCNXCL)
        self._pending.clear()
        termios.tcflush(self._slave, termios.TCIFLUSH)
        self._make_raw()

    def receive(self, most: int = 4096) -> bytes:
        """What clients wrote, at most so much; b"" if nothing."""
        if most <= 0:
            return b""
        try:
            return os.read(self.master, most)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def send(self, data: bytes) -> None:
        """Output for the client; lost if there is none."""
        if not self.clients:
            return
        self._pending += data
        self.flush()

    def flush(self) -> None:
        """Pass on what the terminal had no room for before."""
        while self._pending:
            try:
                sent = os.write(self.master, self._pending)
            except BlockingIOError:
                return
            del self._pending[:sent]

    def wait(self, seconds: float) -> None:
        """Sleep until a client writes, at most so long."""
        select.select([self.master, self._opens.fd], [], [], max(seconds, 0))

    def close(self) -> None:
        """Remove the link and the terminal."""
        if self.link and self.link.is_symlink() and os.readlink(self.link) == self.path:
            self.link.unlink()
        self._opens.close()
        os.close(self.master)
        os.close(self._slave)


class LiveTwin:
    """Runs a `PrinterTwin` behind a port, in real time or, `fast`, as fast as it can.

    Call `serve` with something that tells when to end. `factor` is the emulated time per real time of late.
    """

    def __init__(self, twin, port: PtyPort, fast: bool = False):
        self.twin, self.port, self.fast = twin, port, fast
        self.factor = 1.0
        self.sent = self.received = 0
        self.events: list[str] = []
        self.damage: Callable[[bytes], bytes] | None = None  # what a bad cable makes of a host's bytes, for tests
        twin.board.usb.on_rx = self._on_rx
        self._clock_at = time.monotonic()
        self._twin_at = twin.now
        self._measured = (self._clock_at, self._twin_at)

    def _on_rx(self, data: bytes) -> None:
        self.sent += len(data)
        self.port.send(data)

    def step(self) -> None:
        """Run a little and keep the pace."""
        port, twin = self.port, self.twin
        # Bytes first: whoever wrote them had opened the port before, so that is noticed before they are answered.
        data = port.receive(MOST_WAITING - len(twin.board.usb.waiting))
        for opened in port.changed():
            self.events.append("port opened" if opened else "port closed")
            twin.board.usb.set_lines(dtr=opened, rts=opened)
            twin.board.run(SLICE_S)  # the board knows that it is open before the first byte comes
        if data:
            self.received += len(data)
            data = self.damage(data) if self.damage else data
            twin.board.write(data)
        twin.board.run(SLICE_S)
        port.flush()
        self._keep_pace()

    def _keep_pace(self) -> None:
        now, emulated = time.monotonic(), self.twin.now
        ahead = (emulated - self._twin_at) - (now - self._clock_at)
        if not self.fast and ahead > 0:
            self.port.wait(min(ahead, 0.05))
        if ahead < -0.25:  # never catch up on what this machine was too slow for
            self._clock_at, self._twin_at = now, emulated
        span = now - self._measured[0]
        if span >= 1.0:
            self.factor = (emulated - self._measured[1]) / span
            self._measured = (now, emulated)

    def serve(self, until) -> None:
        """Go on until `until()` is true."""
        while not until():
            self.step()
