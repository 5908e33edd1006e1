"""The command queue: a ring of preallocated commands, one for every source (USB, files, macros)."""

from micropython import const

from adder.command import Command

SIZE = const(16)


class CommandQueue:
    """First in, first out. A source scans into `slot` and calls `put`; the main loop runs `first`, then calls `drop`.

    `slot` is always there; only when `full()` its command must not be put. A command that is being run is still in the
    ring, so what its handler lets in meanwhile does not touch it. `count`: commands in the ring; `done`: taken out.
    """

    def __init__(self):
        self._ring = [Command() for _ in range(SIZE + 1)]
        self._in = 0
        self._out = 0
        self.slot = self._ring[0]
        self.count = 0
        self.done = 0

    def __len__(self):
        return self.count

    def full(self):
        return self.count >= SIZE

    def put(self):
        """The command in `slot` is complete."""
        self._in = n = (self._in + 1) % (SIZE + 1)
        self.slot = self._ring[n]
        self.count += 1

    def first(self):
        """The oldest command, or None."""
        return self._ring[self._out] if self.count else None

    def drop(self):
        """The oldest command is done with."""
        if self.count:
            self._out = (self._out + 1) % (SIZE + 1)
            self.count -= 1
            self.done += 1

    def skip(self, wanted):
        """Commands that wait behind the one that is run are only acknowledged, if wanted(command) says so."""
        for ahead in range(1, self.count):
            command = self._ring[(self._out + ahead) % (SIZE + 1)]
            if wanted(command):
                command.finish()

    def clear(self):
        """Forget everything that waits."""
        self._out = self._in
        self.count = 0
