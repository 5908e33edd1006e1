"""The file: its bytes as lines, and the marks that slicers leave between layers."""

from __future__ import annotations

import re
from pathlib import Path

_CODE = re.compile(rb"^[ \t]*(?:N[ \t]*\d+[ \t]*)?[GMTgmt][ \t]*\d", re.MULTILINE)
# What begins a layer, by slicer; the first kind that a file has counts.
_MARKS = (
    re.compile(rb";\s*(?:LAYER_CHANGE|CHANGE_LAYER)\b"),  # PrusaSlicer, SuperSlicer, Orca; Bambu
    re.compile(rb";\s*LAYER:\s*-?\d+"),  # Cura, ideaMaker
    re.compile(rb";\s*(?:layer\s+\d+\b|BEGIN_LAYER_OBJECT)"),  # Simplify3D, KISSlicer
    re.compile(rb";\s*Z:\s*-?[\d.]+"),
)
_VALUES = {
    "diameter_mm": re.compile(rb";\s*filament_diameter\s*=\s*([\d.]+)"),
    "density": re.compile(rb";\s*filament_density\s*=\s*([\d.]+)"),
}


class Unreadable(Exception):
    """Why a file cannot be run, in one line."""


def _bytes(name: str, variable: str, what: str) -> bytes:
    if not name.strip():
        raise Unreadable("%s is empty: give the path of %s" % (variable, what))
    path = Path(name)
    if path.is_dir():
        raise Unreadable("%s is a directory, not %s" % (path, what))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Unreadable("%s does not exist: give the path of %s" % (path, what)) from None
    except (OSError, ValueError) as error:
        raise Unreadable("%s cannot be read: %s" % (path, getattr(error, "strerror", error))) from None


def read_settings(name: str) -> str:
    """What M503 printed; Unreadable says what is wrong with the file."""
    return _bytes(name, "SETTINGS", "a file with what M503 printed").decode("ascii", "replace")


def read(name: str) -> bytes:
    """A G-code file; Unreadable says what is wrong with it."""
    data = _bytes(name, "FILE", "a G-code file, as in FILE=part.gcode")
    path = Path(name)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise Unreadable("%s is empty: nothing to print" % path)
    if b"\0" in data or sum(byte < 32 and byte not in b"\t\n\r\f" for byte in data[:65536]):
        raise Unreadable("%s is a binary file, not G-code (a UF2 or STL perhaps?)" % path)
    if not _CODE.search(data.replace(b"\r", b"\n") if b"\n" not in data else data):
        raise Unreadable("%s has no line of G-code" % path)
    return data


def split(data: bytes) -> list[bytes]:
    """Lines without their ends: LF, CR LF, or CR alone."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


class Comments:
    """Collects what comments say: `layers()` the lines at which layers begin, `values` of the filament."""

    def __init__(self):
        self.values: dict[str, float] = {}
        self._marks: list[list[int]] = [[] for _ in _MARKS]

    def look(self, comment: bytes, line: int) -> None:
        """A comment, from its semicolon on."""
        for kind, mark in enumerate(_MARKS):
            if mark.match(comment):
                self._marks[kind].append(line)
                return
        if b"filament_d" in comment:
            for name, pattern in _VALUES.items():
                found = pattern.match(comment)
                if found and float(found[1]) > 0:
                    self.values.setdefault(name, float(found[1]))

    def layers(self) -> list[int]:
        """Lines of the marks; empty if the file has none."""
        return next((marks for marks in self._marks if marks), [])
