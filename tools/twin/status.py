"""What a printer's reports say: temperatures, position, diagnostic values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TEMPERATURE = re.compile(r"(?:^|\s)(T|B):\s*(-?[\d.]+)(?:\s*/\s*(-?[\d.]+))?")
_COORDINATE = re.compile(r"\b([XYZE]):\s*(-?[\d.]+)")
_PAIR = re.compile(r"([a-z][a-z0-9_]*):\s*(\S+)")
_RANGE = re.compile(r";\s*([xyz])_(min|max)\s+(-?[\d.]+)")
_SETTING = re.compile(r"M(\d+)((?: +[A-Z]-?[\d.]+)+)")


@dataclass
class Status:
    """The newest figures out of reports, None where nothing was reported yet."""

    temperatures: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    position: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def read(self, text: str) -> bool:
        """Take what is known from one reply line: temperatures, positions, `echo:` key:value pairs.

        Whether there were temperatures in it.
        """
        temperatures = _TEMPERATURE.findall(text)
        for name, actual, target in temperatures:
            self.temperatures[name] = (float(actual), float(target) if target else None)
        if "X:" in text and "E:" in text:
            head, _, tail = text.partition("Count")
            for axis, value in _COORDINATE.findall(head):
                self.position[axis.lower()] = float(value)
            for axis, value in _COORDINATE.findall(tail):
                self.counts[axis.lower()] = int(value)
        elif text.startswith("echo:") and ":" in text[5:]:
            for key, value in _PAIR.findall(text[5:]):
                self.values[key] = value
        return bool(temperatures)

    def number(self, key: str) -> float | None:
        """A diagnostic value as a number; of "12/32" the first."""
        text = self.values.get(key, "").partition("/")[0]
        try:
            return float(text)
        except ValueError:
            return None


def read_settings(lines) -> dict[str, dict[str, float]]:
    """Settings out of the lines of M503: {"M92": {"x": 80.0, ...}, ..., "min": {"x": 0.0, ...}, "max": ...}."""
    found: dict[str, dict[str, float]] = {}
    for line in lines:
        for axis, end, value in _RANGE.findall(line):
            found.setdefault(end, {})[axis] = float(value)
        match = _SETTING.search(line)
        if match:
            words = {word[0].lower(): float(word[1:]) for word in match[2].split()}
            found.setdefault("M" + match[1], {}).update(words)
    return found
