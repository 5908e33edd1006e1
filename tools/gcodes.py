"""python -m tools.gcodes: write docs/gcodes.md from the firmware's table of codes."""

import importlib.util
import itertools

from tools import paths
from tools.steps import main

PAGE = paths.ROOT / "docs" / "gcodes.md"

_HEAD = """\
# Codes

Written by `python -m tools.gcodes` from `firmware/adder/codes/table.py`; change that, not this page.

Letters in brackets say unit and, where there is one, what holds without the letter. Every line gets one `ok`, also one
that is refused; then an `echo:` line says what was wrong, and nothing of it was done. How a code is taken in turn:

| Word | Meaning |
| --- | --- |
| queued | in order with the moves; `ok` when there is room |
| drain | waits until all moves have been made, then acts |
| immediate | acts when its turn comes; moves go on |
| realtime | acts on arrival, ahead of waiting lines |
| +blocks | `ok` comes when all is done |
"""
_GROUPS = {"G": "G: moves and how they are meant", "M": "M: everything else", "T": "T: tools"}


def rows():
    """The rows of the firmware's table."""
    spec = importlib.util.spec_from_file_location("table", paths.FIRMWARE / "adder" / "codes" / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ROWS


def _letters(text):
    return "<br>".join(part.strip().replace("|", "\\|") for part in text.split(";")) if text else "none"


def page(table):
    """The whole page as text."""
    lines = [_HEAD.rstrip()]
    for kind, group in itertools.groupby(table, key=lambda row: row[0][0]):
        lines += ["", f"## {_GROUPS[kind]}", "", "| Code | Title | Letters | Taken |", "| --- | --- | --- | --- |"]
        for code, _, _, title, letters, buffered in group:
            name = "Tn" if code == "T" else code
            lines.append(f"| {name} | {title} | {_letters(letters)} | {buffered} |")
    return "\n".join(lines) + "\n"


def write():
    """Write the page."""
    PAGE.write_text(page(rows()))


if __name__ == "__main__":
    main(write)
