"""The command queue: a ring of preallocated commands, one for every source (USB, files, macros)."""

from adder.command import Command

SIZE = 16


class CommandQueue:
    """First in, first out. A source scans into `free()` and then calls `put()`; the dispatcher takes `first()` and `drop()`."""

    def __init__(self):
        self._ring = [Command() for _ in range(SIZE)]
        self._head = 0
        self._count = 0

    def __len__(self):
        return self._count

    def full(self):
        return self._count == SIZE

    def free(self):
        """The record to fill next; only when not full."""
        return self._ring[(self._head + self._count) % SIZE]

    def put(self):
        """The record from `free` is complete."""
        self._count += 1

    def first(self):
        """The oldest command, or None."""
        return self._ring[self._head] if self._count else None

    def drop(self):
        """The oldest command is done with."""
        self._head = (self._head + 1) % SIZE
        self._count -= 1

    def clear(self):
        self._count = 0
