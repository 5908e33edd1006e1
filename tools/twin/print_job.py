"""One file printed on the twin: streamed like a host does, followed by the independent model, judged at the end.

Times are s of emulated time, temperatures degC, lengths mm.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .expected import AXES, Expected, strip_line
from .host import HostError, Line, Sent, sendable
from .printer import PrinterTwin
from .status import Status, read_settings
from .trajectory import Excess, corner_distances, path_deviation

POLL_S = 2.0
WAIT_TOLERANCE = 5.0  # the sensor may be so far from the target when a wait ends
PATH_TOLERANCE_MM = 0.1  # steps of three axes and the time between two samples make about 0.03
MOST_SAMPLES = 200_000
OVERSHOOT = 15.0  # the block may get so much hotter than the highest target
HEATER_NAMES = {"T": "hotend", "B": "bed"}
LINE_TIMEOUT_S = 120.0
_WAIT = re.compile(r"^M(109|190)\b", re.IGNORECASE)
_LONG = re.compile(r"^(M109|M190|G28|G4)\b", re.IGNORECASE)
_HOME = re.compile(r"^G28\b", re.IGNORECASE)


@dataclass
class MotorResult:
    """One motor at the end: steps since its axis was homed (E: since the beginning)."""

    name: str
    made: int
    expected: int
    wrong: int  # 0, or the difference where rounding does not explain it
    total: int
    ignored: int
    lost: int
    violations: int


@dataclass
class PrintResult:
    """All figures of a print. `problems`: why it is not right; empty if it is."""

    lines: int = 0
    resends: int = 0
    began: float = 0.0
    ended: float = 0.0
    wall_s: float = 0.0
    waited_s: float = 0.0
    motors: list[MotorResult] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    highest_targets: dict[str, float] = field(default_factory=dict)
    peak_speed: dict[str, float] = field(default_factory=dict)
    peak_acceleration: dict[str, float] = field(default_factory=dict)
    limits: dict[str, dict[str, float]] = field(default_factory=dict)
    excesses: list[Excess] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    least_ahead_ms: float | None = None
    path_error_mm: float | None = None  # None: not measured
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def board_s(self) -> float:
        """Time on the board from the first line to the end of all motion."""
        return self.ended - self.began

    @property
    def lines_per_s(self) -> float:
        """Acknowledged lines per second, without the time of waits and homing."""
        spent = self.board_s - self.waited_s
        return self.lines / spent if spent > 0 else 0.0


class PrintJob:
    """Prints a file on a twin. `progress()` runs it step by step; then `finish()` judges."""

    def __init__(self, twin: PrinterTwin, lines: list[str], poll: bool = True):
        self.twin = twin
        self.status = Status()
        self.reported: dict[str, tuple[list[float], list[float]]] = {}
        self.targets: dict[str, tuple[list[float], list[float]]] = {}
        self.result = PrintResult()
        self.machine = twin.machine()
        self.expected = Expected(self.machine)
        self.done = 0
        self.text = ""
        self.origin: tuple[int, dict[str, float]] | None = None  # when all axes were homed first, and where
        self._lines = lines
        self._commands = [(number, text) for number, line in enumerate(lines) for text in sendable([line])]
        self._reference = dict.fromkeys(AXES, 0)
        self._homed: set[str] = set()
        self._path_from = 0
        self._fed = 0
        self._poll = poll
        self._polled = 0.0
        self._answered_at = 0.0
        self._began_wall = time.monotonic()
        twin.host.on_line = self._on_line

    @property
    def total(self) -> int:
        """Commands in the file."""
        return len(self._commands)

    def _on_line(self, line: Line) -> None:
        if not self.status.read(line.text):
            return
        for letter, (actual, target) in self.status.temperatures.items():
            name = HEATER_NAMES[letter]
            for kept, value in ((self.reported, actual), (self.targets, target)):
                times, values = kept.setdefault(name, ([], []))
                if value is not None:
                    times.append(line.time)
                    values.append(value)

    # Running

    def prepare(self) -> None:
        """Boot, ask for the settings, switch reports on."""
        self.twin.boot()
        settings = read_settings(self.twin.command("M503"))
        if "M92" in settings:
            self.machine.steps_per_mm.update({a: v for a, v in settings["M92"].items() if a in AXES})
        low, high = settings.get("min", {}), settings.get("max", {})
        self.machine.limits = {axis: (low[axis], high[axis]) for axis in low if axis in high}
        self.expected = Expected(self.machine)
        self.twin.command("M155 S1")

    def progress(self) -> Iterator[None]:
        """Print; gives control back after every line and every 50 ms of waiting."""
        self.result.began = self._answered_at = self.twin.now
        kinds: list[int | None] = []  # per sent line its number in the file, None for what was put in between
        for sent in self.twin.streaming(self._with_polls(kinds), timeout=LINE_TIMEOUT_S):
            if sent:
                self._acknowledged(sent, kinds[sent.number])
            yield
        self.result.ended = self.twin.now

    def _with_polls(self, kinds) -> Iterator[str]:
        for number, text in self._commands:
            if self._poll and self.twin.now - self._polled >= POLL_S:
                self._polled = self.twin.now
                kinds.append(None)
                yield "M122"
            kinds.append(number)
            yield text
        kinds.append(None)
        yield "M400"

    def _acknowledged(self, sent: Sent, number: int | None) -> None:
        spent, self._answered_at = sent.time - self._answered_at, sent.time
        if number is None:
            if any("Unknown command" in reply for reply in sent.replies):
                self._poll = False
            return
        while self._fed <= number:
            self.expected.feed(self._lines[self._fed])
            self._fed += 1
        self.done += 1
        self.text = sent.text
        for reply in sent.replies:
            if "Unknown command" in reply:
                self.result.notes.append("line %d: %s" % (number + 1, reply))
        if _LONG.match(sent.text):
            self.result.waited_s += spent
        if _HOME.match(sent.text):
            self._after_homing()
        if _WAIT.match(sent.text):
            self._after_wait(number, sent.text)

    def _after_homing(self) -> None:
        """Motors stand now: from here their steps are counted anew."""
        axes = set(self.expected.homings[-1][1])
        self._homed |= axes
        if self.machine.kinematics == "corexy" and axes & {"x", "y"}:
            axes |= {"x", "y"}
        for motor in axes:
            self._reference[motor] = self.twin.steps(motor).net
        if self.origin is None and self._homed >= {"x", "y", "z"}:
            self.origin = (self.twin.pins.now_ns(), dict(self.expected.position))
            self._path_from = len(self.expected.path)

    def _after_wait(self, number: int, text: str) -> None:
        name = "hotend" if text.upper().startswith("M109") else "bed"
        target = self.expected.targets[name]
        sensor = self.twin.heater(name).model.sensor
        cooling = "R" not in text.upper() and sensor > target
        if abs(sensor - target) > WAIT_TOLERANCE and not cooling:
            self.result.problems.append(
                "line %d: %s ended with the %s at %.1f \u00b0C, target %g \u00b0C"
                % (number + 1, text, name, sensor, target)
            )

    # Judging

    def finish(self, error: Exception | None = None) -> PrintResult:
        """The figures and what is wrong with them; `error` ended the print early."""
        result = self.result
        if error:
            result.problems.append(str(error))
            result.ended = self.twin.now
        else:
            self._ask_figures()
        result.wall_s = time.monotonic() - self._began_wall
        result.lines, result.resends = self.done, self.twin.count.resends
        result.problems += ["the firmware reported: %s" % text for text in self.twin.count.errors]
        result.notes += self.expected.notes
        result.values = dict(self.status.values)
        result.least_ahead_ms = self.status.number("lowest_ahead_ms")
        self._judge_motors()
        self._judge_heat(complete=error is None)
        self._measure()
        return result

    def _ask_figures(self) -> None:
        try:
            for question in ("M105", "M114", "M122"):
                self.twin.command(question)
            self.result.limits = read_settings(self.twin.command("M503"))
        except HostError as error:
            self.result.problems.append(str(error))

    def _judge_motors(self) -> None:
        result, twin = self.result, self.twin
        lost = twin.mechanics.lost_steps()
        made = {motor: twin.steps(motor).net - self._reference[motor] for motor in twin.recorder.names}
        wrong = self.expected.wrong_motors(made)
        wanted = self.expected.net_steps()
        for motor in twin.recorder.names:
            steps = twin.steps(motor)
            broken = sum(steps.violations.values())
            result.motors.append(
                MotorResult(
                    motor,
                    made[motor],
                    wanted[motor],
                    wrong.get(motor, 0),
                    steps.total,
                    steps.ignored,
                    lost[motor],
                    broken,
                )
            )
            name = motor.upper()
            if motor in wrong:
                result.problems.append(
                    "motor %s made %d steps, the file asks for %d" % (name, made[motor], wanted[motor])
                )
            if steps.ignored:
                result.problems.append("motor %s got %d steps while it was off" % (name, steps.ignored))
            if lost[motor]:
                result.problems.append("axis %s lost %d steps against an end" % (name, lost[motor]))
            if broken:
                which = ", ".join("%s %d times" % item for item in steps.violations.items() if item[1])
                result.problems.append("motor %s: the driver's times were not kept: %s" % (name, which))
        self._judge_places()

    def _judge_places(self) -> None:
        """Homed axes must really stand where the file ends, within the two steps that finding a switch may cost."""
        places = self.twin.position_mm()
        for axis in sorted(self._homed):
            off = places[axis] - self.expected.position[axis]
            if abs(off) * self.machine.steps_per_mm[axis] > 2.01:
                self.result.problems.append(
                    "axis %s stands at %.3f mm, the file ends at %.3f mm"
                    % (axis.upper(), places[axis], self.expected.position[axis])
                )

    def _judge_heat(self, complete: bool) -> None:
        for name, heater in self.twin.heaters.items():
            heater.catch_up()
            peak, waited = heater.model.peak, self.expected.waited[name]
            highest = max([self.expected.targets[name], waited, *self.targets.get(name, ((), ()))[1]])
            self.result.peaks[name] = peak
            self.result.highest_targets[name] = highest
            if highest and peak > highest + OVERSHOOT:
                self.result.problems.append(
                    "the %s got %.1f \u00b0C hot, its highest target was %g \u00b0C" % (name, peak, highest)
                )
            if not highest and peak > heater.model.ambient + 5:
                self.result.problems.append("the %s got %.1f \u00b0C hot without a target" % (name, peak))
            if complete and waited and peak < waited - WAIT_TOLERANCE:
                self.result.problems.append(
                    "the %s got only %.1f \u00b0C hot, its target was %g \u00b0C" % (name, peak, waited)
                )

    def _measure(self) -> None:
        """Speeds and accelerations after homing, out of the edges, beside the limits that were set."""
        since = self.origin[0] if self.origin else -1
        track = self.twin.track(since)
        for axis in track.axes:
            self.result.peak_speed[axis] = track.peak_speed(axis)[0]
            self.result.peak_acceleration[axis] = track.peak_acceleration(axis, 40.0)[0]
        limits = self.result.limits
        jerk = {axis: 2 * value for axis, value in limits.get("M205", {}).items()}
        found = track.check_limits(limits.get("M203", {}), limits.get("M201", {}), jerk)
        self._measure_path()
        worst = {}  # one per limit and axis is enough to say
        for excess in found:
            kept = worst.setdefault((excess.what, excess.axis), excess)
            if excess.measured / excess.allowed > kept.measured / kept.allowed:
                worst[excess.what, excess.axis] = excess
        self.result.excesses = list(worst.values())

    def _measure_path(self) -> None:
        """How far the tool was from the commanded path, if all axes were homed once and for all."""
        segments = self.expected.path[self._path_from :]
        later = [axes for line, axes in self.expected.homings if segments and line > segments[0].line]
        if self.origin is None or later or not segments:
            return
        track, path = path_of(self)
        span_ms = (track.end_ns - track.start_ns) / 1e6
        if span_ms / 2.0 > MOST_SAMPLES:
            path = track.path(span_ms / MOST_SAMPLES)
        path = _moving(path)
        beside = path_deviation(path, segments).max()
        missed = corner_distances(path, segments, PATH_TOLERANCE_MM).max()
        error = float(max(beside, missed if missed > PATH_TOLERANCE_MM else 0.0))
        self.result.path_error_mm = error
        if error > PATH_TOLERANCE_MM:
            self.result.problems.append("the tool was up to %.2f mm away from the path of the file" % error)


def _moving(path):
    """A path without the points at which it stands still."""
    steps = sum(np.abs(np.diff(path[axis])) for axis in "xyz")
    keep = np.concatenate([[True], steps > 0])
    return {axis: path[axis][keep] for axis in "xyz"}


def path_of(job: PrintJob):
    """The track and path of a job from where all axes were homed (or from power-up), for pictures."""
    since, origin = job.origin or (-1, None)
    track = job.twin.track(since, origin)
    return track, track.path(2.0)


def read_gcode(name: str) -> list[str]:
    """The lines of a G-code file; ValueError in one line that says what is wrong with it."""
    if not name.strip():
        raise ValueError("FILE is empty: give the path of a G-code file, as in FILE=part.gcode")
    path = Path(name)
    if path.is_dir():
        raise ValueError("%s is a directory, not a G-code file" % path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ValueError("%s does not exist: give the path of a G-code file" % path) from None
    except OSError as error:
        raise ValueError("%s cannot be read: %s" % (path, error.strerror)) from None
    if not data.strip():
        raise ValueError("%s is empty: nothing to print" % path)
    odd = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in data[:65536])
    if odd or b"\0" in data:
        raise ValueError("%s is a binary file, not G-code (a UF2 or STL perhaps?)" % path)
    lines = data.decode("utf-8-sig", "replace").splitlines()
    if not any(re.match(r"[GMTgmt]\s*\d", strip_line(line)) for line in lines):
        raise ValueError("%s has no line of G-code in its %d lines" % (path, len(lines)))
    return lines
