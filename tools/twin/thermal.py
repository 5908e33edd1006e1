"""The printer's heaters as physics: element, block, sensor, thermistor, ADC.

Independent of the firmware: double precision, its own constants, and thermistors by the makers' tables (not by the
formulas that the firmware uses), so that an error on either side shows.

Three stores of heat in a row. `E` is the power that leaves the heating element, `T` the block or plate, `S` what the
sensor has followed so far:

    dE/dt = (duty * watts - E) / element_s
    dT/dt = (E - load_w - (loss + fan * fan_loss) * (T - ambient)) / capacity
    dS/dt = (T - S) / sensor_s

Units: W, J/K, W/K, s, degC, ohm; duty and fan 0.0..1.0; ADC readings 0..4095 (one conversion) or 0..65535.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, replace

KELVIN = 273.15

# TDK/EPCOS data sheet B57560G (G560, G1560), R/T characteristic 8304 times 100 kOhm; degC: ohm.
EPCOS_8304 = {
    -50: 6956000, -45: 4894500, -40: 3485300, -35: 2510200, -30: 1827500, -25: 1344300,
    -20: 998530, -15: 748670, -10: 566360, -5: 432120, 0: 332400, 5: 257690,
    10: 201270, 15: 158340, 20: 125420, 25: 100000, 30: 80239, 35: 64776,
    40: 52598, 45: 42950, 50: 35262, 55: 29100, 60: 24136, 65: 20114,
    70: 16841, 75: 14164, 80: 11963, 85: 10147, 90: 8640.7, 95: 7386.7,
    100: 6338.3, 105: 5458.4, 110: 4717, 115: 4090.1, 120: 3558.1, 125: 3105,
    130: 2717.9, 135: 2386.1, 140: 2100.8, 145: 1854.8, 150: 1641.9, 155: 1457.3,
    160: 1296.7, 165: 1156.6, 170: 1034.1, 175: 926.64, 180: 832.24, 185: 749.07,
    190: 675.64, 195: 610.64, 200: 552.99, 205: 501.75, 210: 456.11, 215: 415.37,
    220: 378.95, 225: 346.31, 230: 317.01, 235: 290.67, 240: 266.93, 245: 245.51,
    250: 226.15, 255: 208.62, 260: 192.73, 265: 178.29, 270: 165.16, 275: 153.19,
    280: 142.28, 285: 132.31, 290: 123.19, 295: 114.83, 300: 107.16,
}  # fmt: skip

# Semitec leaflet "GT-2 glass thermistors", column 104GT; degC: ohm.
SEMITEC_104GT2 = {
    -50: 8743000, -40: 4218000, -30: 2132000, -20: 1127000, -10: 620000, 0: 353700,
    10: 208600, 20: 126800, 30: 79360, 40: 50960, 50: 33490, 60: 22510,
    70: 15440, 80: 10800, 90: 7686, 100: 5556, 110: 4082, 120: 3043,
    130: 2298, 140: 1758, 150: 1360, 160: 1064, 170: 841.4, 180: 671.4,
    190: 540.8, 200: 439.3, 210: 359.7, 220: 296.9, 230: 246.8, 240: 206.5,
    250: 174.0, 260: 147.5, 270: 125.8, 280: 107.9, 290: 93.05, 300: 80.65,
}  # fmt: skip

# Keenovo "NTC thermistor R-T table": the three points that are commonly cited.
GENERIC_3950 = {25: 100000, 150: 1770, 250: 230}

TABLES = {
    "EPCOS 100K B57560G104F": EPCOS_8304,
    "ATC Semitec 104GT-2": SEMITEC_104GT2,
    "Generic 3950": GENERIC_3950,
}
# degC, 1/T, ln R: what the interpolation runs on
_POINTS = {
    name: [(t, 1 / (t + KELVIN), math.log(table[t])) for t in sorted(table)] for name, table in TABLES.items()
}

FAULTS = ("open", "short", "fallen", "loose", "stuck_on", "dead")


def resistance(sensor, celsius: float) -> float:
    """Ohms of a thermistor: `sensor` is a name in TABLES, "NTC 100K beta 3950" or ("beta", ohm at 25 degC, beta)."""
    if sensor == "NTC 100K beta 3950":
        sensor = ("beta", 100000, 3950)
    if isinstance(sensor, tuple):
        if sensor[0] != "beta":
            raise ValueError(f"the twin knows no thermistor {sensor!r}")
        return sensor[1] * math.exp(sensor[2] * (1 / (celsius + KELVIN) - 1 / 298.15))
    if sensor not in TABLES:
        raise ValueError(f"the twin knows no thermistor {sensor!r}")
    return _from_table(_POINTS[sensor], celsius)


def _from_table(points, celsius):
    """ln R over 1/T: a parabola (Newton's divided differences) through the three nearest points of the table."""
    middle = min(max(bisect_left(points, (celsius,)), 1), len(points) - 2)
    (_, x0, y0), (_, x1, y1), (_, x2, y2) = points[middle - 1 : middle + 2]
    x = 1 / (max(celsius, -150.0) + KELVIN)
    first = (y1 - y0) / (x1 - x0)
    second = ((y2 - y1) / (x2 - x1) - first) / (x2 - x0)
    return math.exp(y0 + (x - x0) * (first + (x - x1) * second))


@dataclass(frozen=True)
class Plant:
    """What a heater is made of; see the module's text for the equations and units."""

    watts: float
    capacity: float
    loss: float
    fan_loss: float
    element_s: float
    sensor_s: float
    fallen_s: float  # time constant of the sensor in still air, where it hangs after falling out
    thermistor: object = "EPCOS 100K B57560G104F"
    pullup_ohm: float = 4700.0
    noise_lsb: float = 2.0  # standard deviation of one 12-bit conversion

    def but(self, **changes) -> Plant:
        """The same plant with other values."""
        return replace(self, **changes)


# E3D-V6 class: aluminium block, nozzle and cartridge, about 13 J/K; about 12 W hold 210 degC; the fan adds 40 %.
HOTEND_40W = Plant(
    watts=40, capacity=13.0, loss=0.065, fan_loss=0.026, element_s=2.0, sensor_s=1.5, fallen_s=7.0
)
# 220 x 220 x 3 mm aluminium with a sheet of steel, 0.4 kg and 350 J/K; about 90 W hold 120 degC.
BED_120W = Plant(
    watts=120,
    capacity=350.0,
    loss=0.95,
    fan_loss=0.10,
    element_s=4.0,
    sensor_s=5.0,
    fallen_s=15.0,
    thermistor="NTC 100K beta 3950",
)


class ThermalModel:
    """One heater with its sensor. `speed` makes heat run faster than time, for demonstrations."""

    _LONGEST_STEP = 0.02

    def __init__(self, plant: Plant, ambient: float = 22.0, speed: float = 1.0, seed: int = 1):
        self.plant = plant
        self.ambient = ambient
        self.speed = speed
        self.element_w = 0.0
        self.block = ambient
        self.sensor = ambient
        self.peak = ambient
        self.fault: str | None = None
        self._random = random.Random(seed)

    def break_part(self, fault: str | None) -> None:
        """From now on one of FAULTS ("loose": the contact comes and goes), or None: well."""
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"fault {fault!r} is unknown; known: {', '.join(FAULTS)}")
        self.fault = fault

    def step(self, dt: float, duty: float, fan: float = 0.0, load_w: float = 0.0) -> None:
        """Let `dt` seconds pass with the heater and the fan at these duties; `load_w` leaves with the filament."""
        if self.fault == "stuck_on":
            duty = 1.0
        elif self.fault == "dead":
            duty = 0.0
        plant = self.plant
        left = dt * self.speed
        steps = max(1, math.ceil(left / self._LONGEST_STEP))
        h = left / steps
        cooling = plant.loss + fan * plant.fan_loss
        for _ in range(steps):
            self.element_w += h * (duty * plant.watts - self.element_w) / plant.element_s
            self.block += h * (self.element_w - load_w - cooling * (self.block - self.ambient)) / plant.capacity
            if self.fault == "fallen":
                self.sensor += h * (self.ambient - self.sensor) / plant.fallen_s
            else:
                self.sensor += h * (self.block - self.sensor) / plant.sensor_s
        self.peak = max(self.peak, self.block)

    def ratio(self) -> float:
        """Voltage at the ADC pin over its reference, without noise."""
        fault = self.fault
        if fault == "loose":
            fault = "open" if self._random.random() < 0.5 else None
        if fault == "open":
            return 1.0
        if fault == "short":
            return 0.0
        ohm = resistance(self.plant.thermistor, self.sensor)
        return ohm / (ohm + self.plant.pullup_ohm)

    def adc(self) -> int:
        """One 12-bit conversion, 0..4095, with noise."""
        return self._convert(self.ratio())

    def adc_mean(self, samples: int = 16) -> int:
        """Mean of conversions one right after the other, scaled to 0..65535."""
        ratio = self.ratio()
        total = sum(self._convert(ratio) for _ in range(samples))
        return round(total * 65535 / (4095 * samples))

    def _convert(self, ratio):
        noisy = ratio * 4095 + self._random.gauss(0.0, self.plant.noise_lsb)
        return min(4095, max(0, round(noisy)))
