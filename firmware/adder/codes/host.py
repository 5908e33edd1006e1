"""Codes between printer and host: messages, reports by themselves, restart, tools."""

from adder.codes.common import plain, value
from adder.errors import Refused

_REPORTS = 7  # 1 temperatures, 2 fans (their speed is not measured: nothing is sent), 4 position
# A line that begins so would mean something else to a host.
_SPECIAL = ("ok", "start", "rs", "resend", "error", "fatal", "!!", "wait", "busy", "//", "debug_", "grbl ")


def m113(p, c):
    """M113: time between busy lines."""
    if not p.settings.set_from_command("M113", c):
        p.out.line(p.settings.code_line("M113"))


def m117(p, c):
    """M117: keep a message."""
    p.message = plain(c.text)


def m118(p, c):
    """M118: send a text to the host, with A1 as a remark or action, with E1 as an echo."""
    text = plain(c.text)
    action = echo = False
    while len(text) > 1 and text[0] in "AEP" and text[1].isdigit():
        word, _, rest = text.partition(" ")
        if not word[1:].isdigit():
            break
        if word[0] == "A":
            action = word != "A0"
        elif word[0] == "E":
            echo = word != "E0"
        text = rest.strip()
    if action:
        text = "//" + text
    elif echo or not text or _is_special(text.lower()):
        text = "echo:" + text
    p.out.line(text)


def _is_special(text):
    return any(text.startswith(word) for word in _SPECIAL)


def m155(p, c):
    """M155: reports at an interval."""
    report = p.report
    seconds = value(c, "S", 0, 0, 255, "s") if c.has("S") else report.interval_s
    kinds = value(c, "C", 0, 0, _REPORTS) if c.has("C") else 1
    if c.has("S") or c.has("C"):
        report.automatic(seconds, kinds)


def m999(p, c):
    """M999: leave the stopped state."""
    p.restart()


def t(p, c):
    """T: the only tool is T0."""
    number = c.number
    if number == 0:
        return
    if number > 0 or not c.text:
        raise Refused("T%d Invalid extruder" % number)
    raise Refused("T%s not available: this printer has no multi-material unit" % plain(c.text))
