"""The two ways in which a command ends badly. A text says what was wrong, with which value, and what would be right."""


class Refused(Exception):
    """Bad input: nothing was changed. The dispatcher prints `echo:<text>` and `ok`, and the printer goes on."""


class Fault(Exception):
    """What must stop a print: heaters off first, then `Error:<text>` and the line that says that the printer halted."""


class BoardError(Exception):
    """A board file that cannot be used; the text is one line with the place, the value and what would be right."""
