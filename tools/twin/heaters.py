"""The heaters of the printer in emulated time: duty and fan in, ADC readings out, a record of what happened.

A thermal model is moved on only when somebody looks (an ADC conversion, a change of a duty, a question), each time
with the duty that held since the last look. Times in ns, temperatures in degC, duties 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .pins import Pins
from .plan import HeaterPlan
from .thermal import ThermalModel

RECORD_NS = 100_000_000
FILAMENT_J_PER_MM3_K = 0.0025  # density 1.24 g/cm3 times about 2 J/(g K)


@dataclass
class History:
    """What a heater did: times (ns), block and sensor temperature (degC), duty over the time before."""

    times: list[int] = field(default_factory=list)
    block: list[float] = field(default_factory=list)
    sensor: list[float] = field(default_factory=list)
    duty: list[float] = field(default_factory=list)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The four columns as arrays, time in s."""
        return (
            np.array(self.times) / 1e9,
            np.array(self.block),
            np.array(self.sensor),
            np.array(self.duty),
        )


class HeaterTwin:
    """One heater on its pins. `melting` tells how much filament goes through it, mm3/s (hotend only)."""

    def __init__(
        self,
        pins: Pins,
        plan: HeaterPlan,
        speed: float = 1.0,
        ambient: float = 22.0,
        seed: int = 1,
        melting: Callable[[int, int], float] | None = None,
    ):
        self.plan = plan
        self.model = ThermalModel(plan.plant, ambient, speed, seed)
        self.history = History()
        self.on_energy_ns = 0.0  # full-power time that the heater got so far
        self._pins = pins
        self._melting = melting
        self._time = pins.now_ns()
        self._duty = self._read(plan.pin, plan.inverted)
        self._fan = 0.0
        self._recorded_at = self._time
        self._recorded_on = 0.0
        self._record()
        pins.on_adc(plan.sensor_pin, self._convert)
        pins.watch_duty(plan.pin, self._on_duty)

    def _read(self, pin: int, inverted: bool) -> float:
        duty = self._pins.duty(pin)
        return 1.0 - duty if inverted else duty

    def _on_duty(self, time_ns: int, duty: float) -> None:
        self.catch_up(time_ns)
        self._duty = 1.0 - duty if self.plan.inverted else duty

    def set_fan(self, time_ns: int, duty: float) -> None:
        """The fan that cools this heater changed its duty."""
        self.catch_up(time_ns)
        self._fan = duty

    def _convert(self, time_ns: int) -> int:
        self.catch_up(time_ns)
        return self.model.adc()

    def catch_up(self, time_ns: int | None = None) -> None:
        """Let the model come up to a time, now if none is given."""
        time_ns = self._pins.now_ns() if time_ns is None else time_ns
        spent = time_ns - self._time
        if spent <= 0:
            return
        load = 0.0
        if self._melting:
            volume = self._melting(self._time, time_ns)
            load = volume * FILAMENT_J_PER_MM3_K * max(self.model.block - self.model.ambient, 0.0)
        self.model.step(spent / 1e9, self._duty, self._fan, load)
        self.on_energy_ns += spent * self._duty
        self._time = time_ns
        if time_ns - self._recorded_at >= RECORD_NS:
            self._record()

    def _record(self) -> None:
        spent = self._time - self._recorded_at
        mean = (self.on_energy_ns - self._recorded_on) / spent if spent else self._duty
        self.history.times.append(self._time)
        self.history.block.append(self.model.block)
        self.history.sensor.append(self.model.sensor)
        self.history.duty.append(mean)
        self._recorded_at, self._recorded_on = self._time, self.on_energy_ns

    @property
    def temperature(self) -> float:
        """True temperature of the block now."""
        self.catch_up()
        return self.model.block

    @property
    def duty(self) -> float:
        """Duty on the heater's pin now, whatever a fault makes of it."""
        return self._read(self.plan.pin, self.plan.inverted)

    def break_part(self, fault: str | None) -> None:
        """Break it, or repair it with None; the faults are `thermal.FAULTS`."""
        self.catch_up()
        self.model.break_part(fault)


class FilamentFlow:
    """Volume per second through the nozzle out of the extruder's motor, for the heat that it takes along."""

    def __init__(self, position: Callable[[], int], steps_per_mm: float, diameter: float = 1.75):
        self._position = position
        self._mm3_per_step = 3.141592653589793 * diameter**2 / 4 / steps_per_mm
        self._last = position()

    def __call__(self, since_ns: int, until_ns: int) -> float:
        position = self._position()
        moved, self._last = position - self._last, position
        return max(moved, 0) * self._mm3_per_step / ((until_ns - since_ns) / 1e9)
