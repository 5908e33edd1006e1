"""The printer around a board: which motor, switch and heater hangs on which pin, and what they are like.

The pins come from boards/<name>.py; what the machine is like (lengths, steps per mm, where things stand at power-up)
is said here, and nothing of it comes from the firmware.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field

from tools.paths import board_names

from .mechanics import AxisPlan, MotorPlan
from .step_record import DriverTiming
from .thermal import BED_120W, HOTEND_40W, Plant

# Smallest times by the makers' data sheets, ns: step high, step low, direction set-up, direction hold. Where a sheet
# gives no minimum for one of them the value is that of its timing diagram's example.
DATA_SHEETS = {
    "tmc2208": DriverTiming(100, 100, 20, 20),
    "tmc2209": DriverTiming(100, 100, 20, 20),
    "tmc2130": DriverTiming(100, 100, 20, 20),
    "tmc5160": DriverTiming(100, 100, 20, 20),
    "a4988": DriverTiming(1000, 1000, 200, 200),
    "drv8825": DriverTiming(1900, 1900, 650, 650),
    "lv8729": DriverTiming(500, 500, 500, 500),
    "tb6600": DriverTiming(2200, 2200, 1000, 1000),
    "tb6560": DriverTiming(30000, 30000, 15000, 15000),
}
_TIMES = {
    "step_high": "pulse_high_ns",
    "step_low": "pulse_low_ns",
    "direction_setup": "dir_setup_ns",
    "direction_hold": "dir_hold_ns",
}

STEPS_PER_MM = {"x": 80.0, "y": 80.0, "z": 400.0, "e": 93.0}
# Ends in mm seen from the switch, which sits at 0, and where the carriage stands at power-up.
TRAVEL = {"x": (-2.0, 203.0, 31.7), "y": (-2.0, 203.0, 18.3), "z": (-1.0, 203.0, 4.1)}


@dataclass
class HeaterPlan:
    """A heater with its sensor and the fan that cools it. Pins by GPIO; `inverted`: low means on."""

    name: str
    pin: int
    inverted: bool
    sensor_pin: int
    plant: Plant
    fan_pin: int | None = None
    fan_inverted: bool = False


@dataclass
class PrinterPlan:
    """Everything that is connected to a board."""

    board: str
    axes: list[AxisPlan]
    motors: list[MotorPlan]
    timing: dict[str, DriverTiming]
    heaters: list[HeaterPlan]
    fans: dict[str, tuple[int, bool]]
    kinematics: str = "cartesian"
    steps_per_mm: dict[str, float] = field(default_factory=lambda: dict(STEPS_PER_MM))

    def axis(self, name: str) -> AxisPlan:
        """The axis of that name."""
        return next(axis for axis in self.axes if axis.name == name)


def board_data(name: str) -> dict:
    """The dict of boards/<name>.py; ValueError with the known names if there is none."""
    if name not in board_names():
        raise ValueError("no board %r; there are: %s" % (name, ", ".join(board_names())))
    return importlib.import_module("boards." + name).BOARD


def plan_for(board: str, kinematics: str = "cartesian", steps_per_mm: dict[str, float] | None = None) -> PrinterPlan:
    """A printer of common size around a board."""
    data = board_data(board)
    scale = STEPS_PER_MM | (steps_per_mm or {})
    axes, motors, timing = [], [], {}
    for letter, part in data["axes"].items():
        name = letter.lower()
        axes.append(_axis(name, part, scale[name]))
        motors.append(_motor(name, part))
        timing[name] = _timing(part)
    fans = {name: (part["pin"], part.get("invert", False)) for name, part in data.get("fans", {}).items()}
    heaters = [_heater(name, part, fans) for name, part in data["heaters"].items()]
    return PrinterPlan(board, axes, motors, timing, heaters, fans, kinematics, scale)


def _axis(name: str, part: dict, steps_per_mm: float) -> AxisPlan:
    if name not in TRAVEL:
        return AxisPlan(name, steps_per_mm)
    low, high, start = TRAVEL[name]
    return AxisPlan(
        name,
        steps_per_mm,
        low,
        high,
        start,
        switch=0.0,
        switch_pin=part.get("endstop"),
        closed_level=0 if part.get("endstop_invert", False) else 1,
    )


def _motor(name: str, part: dict) -> MotorPlan:
    return MotorPlan(
        name,
        part["step"],
        part["dir"],
        part.get("enable"),
        positive_level=0 if part.get("invert_dir", False) else 1,
        enable_level=0 if part.get("invert_enable", True) else 1,
    )


def _timing(part: dict) -> DriverTiming:
    sheet = DATA_SHEETS[part["driver"]]
    return DriverTiming(**{ours: part.get(theirs, getattr(sheet, ours)) for ours, theirs in _TIMES.items()})


def _heater(name: str, part: dict, fans) -> HeaterPlan:
    plant = HOTEND_40W if name == "hotend" else BED_120W
    plant = plant.but(watts=part["watts"], thermistor=part["thermistor"], pullup_ohm=part.get("pullup_ohm", 4700))
    fan_pin, fan_inverted = fans.get("part", (None, False)) if name == "hotend" else (None, False)
    return HeaterPlan(name, part["pin"], part.get("invert", False), part["sensor_pin"], plant, fan_pin, fan_inverted)
