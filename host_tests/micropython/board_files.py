"""Every board file passes its check on MicroPython, and curves give the same temperatures as on CPython."""

import os

from adder import board

for name in os.listdir("boards"):
    if name.endswith(".py"):
        data = __import__("boards." + name[:-3], None, None, ("BOARD",)).BOARD
        known = board.checked(data)
        assert known.name == name[:-3], (known.name, name)
        assert len(known.axes) == 4

try:
    board.checked({"name": "x"})
except board.BoardError as error:
    assert "missing" in str(error), error
else:
    raise AssertionError("a board without anything passed")

print("passed")
