"""From a parsed command to its handler: the one place that knows the table, and the one that acknowledges."""

from micropython import const

from adder.codes.table import ROWS
from adder.command import DONE, KEY, REFUSED
from adder.errors import Fault, Refused

_OK = b"ok\n"
_T = const(84)
_G0 = const(71 << 20)
_G1 = const((71 << 20) | 16)


def _key(code):
    # "G92.1" as the key that the scanner makes of it: letter << 20 | number << 4 | sub
    number, _, sub = code[1:].partition(".")
    return ord(code[0]) << 20 | int(number) << 4 | int(sub or 0)


class Dispatcher:
    """Finds handlers in the table's rows; a handler's module is imported when its first code comes."""

    def __init__(self, printer):
        self._printer = printer
        self._write = printer.hal.write
        self._move = printer.motion.move
        self._handlers = {}
        self._any_tool = None
        for number in range(len(ROWS)):
            code = ROWS[number][0]
            if code == "T":
                self._any_tool = number
            else:
                self._handlers[_key(code)] = number

    def _find(self, number):
        # The handler of a row; rows without one act on arrival
        _, module, function, _, _, _ = ROWS[number]
        if not module:
            return None
        return getattr(__import__("adder.codes." + module, None, None, (function,)), function)

    def run(self, c):
        """Run one command and acknowledge it, unless it halted the printer."""
        key = c.record[KEY]
        p = self._printer
        try:
            if key == _G1 or key == _G0:  # a tuple costs more
                self._move(c)
            elif self._run(c, key):
                return
        except Refused as refusal:
            p.out.line("echo:" + str(refusal))
        except Fault as fault:
            p.halt(str(fault))
        if not p.halted:
            self._write(_OK)

    def _run(self, c, key):
        # True: the handler has acknowledged it already
        if key == DONE:
            return False
        if key == REFUSED:
            raise Refused(c.error)
        handler = self._handlers.get(key)
        if handler is None:
            if c.letter != _T:
                raise Refused('Unknown command: "%s"' % c.shown())
            handler = self._any_tool
        if type(handler) is int:
            handler = self._find(handler)
            if c.letter == _T:
                self._any_tool = handler
            else:
                self._handlers[key] = handler
        return handler(self._printer, c)
