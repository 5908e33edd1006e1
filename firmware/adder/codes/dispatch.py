"""From a parsed command to its handler: the one place that knows the table, and the one that acknowledges."""

from adder.codes.table import ROWS
from adder.errors import Fault, Refused

_G = ord("G")


def _key(letter, number):
    return letter << 16 | number


class Dispatcher:
    """Finds handlers in the table's rows; a handler's module is imported at start."""

    def __init__(self, printer):
        self._printer = printer
        self._handlers = {}
        self._any_tool = None
        for code, module, function, _, _, _ in ROWS:
            handler = None
            if module:
                package = __import__("adder.codes." + module, None, None, (function,))
                handler = getattr(package, function)
            if code == "T":
                self._any_tool = handler
                continue
            number, _, sub = code[1:].partition(".")
            self._handlers[_key(ord(code[0]), int(number)) << 4 | int(sub or 0)] = handler

    def known(self, code):
        """Whether there is a command of that name ("M92")."""
        return any(row[0] == code for row in ROWS)

    def run(self, c):
        """Run one command and acknowledge it."""
        p = self._printer
        if c.error is None and not c.done:
            own_ok = None
            try:
                record = c.record
                if record[0] == _G and 0 <= record[1] < 2 and not record[2]:
                    p.motion.move(c)
                else:
                    handler = self._find(c)
                    if handler is None:
                        p.out.line('echo:Unknown command: "%s"' % shown(c))
                    else:
                        own_ok = handler(p, c)
            except Refused as refusal:
                p.out.line("echo:" + str(refusal))
            except Fault as fault:
                p.halt(str(fault))
                return
            if own_ok or p.halted:
                return
        elif c.error is not None:
            p.out.line("echo:" + c.error)
        p.out.ok()

    def _find(self, c):
        if c.letter == 84:
            return self._any_tool
        if c.number < 0 or c.number > 65535:
            return None
        return self._handlers.get(_key(c.letter, c.number) << 4 | c.sub)


def shown(c):
    """The command as the host wrote it, without number, checksum and comment, at most 60 characters."""
    text = "".join(chr(b) if 32 <= b < 127 else "?" for b in bytes(c.line))
    text = text.split(";")[0]
    star = text.rfind("*")
    if star >= 0:
        text = text[:star]
    text = text.strip(" ?")
    if text[:1] in "Nn" and c.line_number() is not None:
        text = text[1:].lstrip("-0123456789 ")
    return text[:60]
