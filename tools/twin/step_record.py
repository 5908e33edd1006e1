"""From recorded pin edges to signed motor steps, and what the driver's data sheet says about them.

Times are ns (int64). Everything works on whole arrays: a print makes millions of edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .mechanics import MotorPlan
from .pins import Pins


@dataclass
class DriverTiming:
    """Smallest times that a driver needs, in ns: step high, step low, direction before and after a step."""

    step_high: int = 100
    step_low: int = 100
    direction_setup: int = 20
    direction_hold: int = 20


@dataclass
class Steps:
    """The steps of one motor: times (ns), +1/-1, and which of them the driver could make."""

    times: np.ndarray
    signs: np.ndarray
    enabled: np.ndarray
    violations: dict[str, int] = field(default_factory=dict)

    @property
    def net(self) -> int:
        """Commanded position in steps: all step edges with their signs."""
        return int(self.signs.sum(dtype=np.int64))

    @property
    def total(self) -> int:
        """Number of step edges."""
        return len(self.times)

    @property
    def ignored(self) -> int:
        """Step edges while the driver was off."""
        return int(len(self.enabled) - np.count_nonzero(self.enabled))

    def after(self, time_ns: int) -> Steps:
        """The part later than a time; the violations stay those of the whole."""
        first = int(np.searchsorted(self.times, time_ns, side="right"))
        return Steps(self.times[first:], self.signs[first:], self.enabled[first:], dict(self.violations))


def levels_at(times, edge_times, edge_levels, before: int):
    """Level of a pin at each of `times`: that of its last edge at or before it, `before` ahead of the first."""
    if not len(edge_times):
        return np.full(len(times), before, dtype=np.uint8)
    index = np.searchsorted(edge_times, times, side="right") - 1
    return np.where(index < 0, before, edge_levels[np.maximum(index, 0)]).astype(np.uint8)


def decode(pulse, direction, enable, plan: MotorPlan, timing: DriverTiming, start=(0, 0)) -> Steps:
    """Signed steps out of three recordings, each (times, levels). `enable` None: the driver is always on.

    `start` has the levels of direction and enable before their first edge.
    """
    times, levels = pulse
    rising = levels == 1
    rises, falls = times[rising], times[~rising]
    dir_level = levels_at(rises, *direction, before=start[0])
    signs = np.where(dir_level == plan.positive_level, 1, -1).astype(np.int8)
    if enable is None:
        enabled = np.ones(len(rises), dtype=bool)
    else:
        enabled = levels_at(rises, *enable, before=start[1]) == plan.enable_level
    return Steps(rises, signs, enabled, violations(rises, falls, direction[0], timing))


def violations(rises, falls, dir_edges, timing: DriverTiming) -> dict[str, int]:
    """How often each time of the data sheet was not kept."""
    return {
        "step_high": _too_close(rises, falls, timing.step_high),
        "step_low": _too_close(falls, rises, timing.step_low),
        "direction_setup": _too_close(dir_edges, rises, timing.direction_setup),
        # A direction edge in the same instant as a step has been counted as set-up.
        "direction_hold": _too_close(rises, dir_edges, timing.direction_hold, side="right"),
    }


def _too_close(first, second, least_ns: int, side: str = "left") -> int:
    """How many of `first` are followed by one of `second` sooner than `least_ns` after."""
    if not len(first) or not len(second):
        return 0
    index = np.searchsorted(second, first, side=side)
    followed = index < len(second)
    gaps = second[index[followed]] - first[followed]
    return int(np.count_nonzero(gaps < least_ns))


class Recorder:
    """Records the pins of a set of motors from now on and hands out their steps."""

    def __init__(self, pins: Pins, motors, timing: dict[str, DriverTiming] | None = None):
        self._pins = pins
        self._plans = {plan.name: plan for plan in motors}
        self._timing = timing or {}
        self._start = {}
        self._cache: dict[str, tuple[int, Steps]] = {}
        for plan in motors:
            for pin in (plan.step, plan.direction, plan.enable):
                if pin is not None:
                    pins.record(pin)
            enable = 0 if plan.enable is None else pins.level(plan.enable)
            self._start[plan.name] = (pins.level(plan.direction), enable)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._plans)

    def steps(self, name: str) -> Steps:
        """All steps of a motor so far."""
        plan = self._plan(name)
        pulse = self._pins.edges(plan.step)
        cached = self._cache.get(name)
        if cached and cached[0] == len(pulse[0]):
            return cached[1]
        enable = None if plan.enable is None else self._pins.edges(plan.enable)
        timing = self._timing.get(name, DriverTiming())
        steps = decode(pulse, self._pins.edges(plan.direction), enable, plan, timing, self._start[name])
        self._cache[name] = (len(pulse[0]), steps)
        return steps

    def _plan(self, name: str) -> MotorPlan:
        if name not in self._plans:
            raise KeyError("no motor %r on this board; it has %s" % (name, ", ".join(self._plans)))
        return self._plans[name]
