"""The command queue: a ring of preallocated commands, one for every source (USB, files, macros)."""

from adder.command import Command

SIZE = 16


class CommandQueue:
    """First in, first out. A source scans into `free()` and then calls `put()`; the dispatcher takes `first` and `drop()`.

    `count` commands wait; `first` is the oldest record.
    """

    def __init__(self):
        self._ring = [Command() for _ in range(SIZE)]
        self._head = 0
        self.count = 0
        self.first = self._ring[0]

    def __len__(self):
        return self.count

    def full(self):
        return self.count == SIZE

    def free(self):
        """The record to fill next; only when not full."""
        return self._ring[(self._head + self.count) % SIZE]

    def put(self):
        """The record from `free` is complete."""
        self.count += 1

    def drop(self):
        """The oldest command is done with."""
        self.count -= 1
        self._head = (self._head + 1) % SIZE
        self.first = self._ring[self._head]

    def clear(self):
        self.count = 0
        self.first = self._ring[self._head]
