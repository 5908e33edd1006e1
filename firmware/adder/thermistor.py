"""Thermistors: resistance to temperature, and the table that turns an ADC reading into 0.01 degC without floats.

Two formulas, both with T in kelvin:
  beta            1/T = 1/T25 + ln(R / R25) / beta
  Steinhart-Hart  1/T = a + b ln R + c (ln R)^3      (S. R. Steinhart, J. S. Hart, Deep-Sea Research 15, 1968)
Steinhart-Hart is given by three points of the maker's table, from which a, b and c follow. A sensor is a preset's name
or a tuple: ("beta", ohms at 25 degC, beta in K) or ("steinhart", T1, R1, T2, R2, T3, R3) in degC and ohm.
"""

from array import array
from math import log

import micropython
from micropython import const

PRESETS = {
    # TDK/EPCOS data sheet B57560G (G560, G1560), R/T characteristic 8304
    "EPCOS 100K B57560G104F": ("steinhart", 25, 100000, 150, 1641.9, 250, 226.15),
    # Semitec leaflet "GT-2 glass thermistors"
    "ATC Semitec 104GT-2": ("steinhart", 20, 126800, 150, 1360, 300, 80.65),
    # Keenovo "NTC thermistor R-T table", what is usually sold as "100K 3950" for hotends and silicone beds
    "Generic 3950": ("steinhart", 25, 100000, 150, 1770, 250, 230),
    # by definition of the name
    "NTC 100K beta 3950": ("beta", 100000, 3950),
}

_KELVIN = 273.15
_T25 = 298.15

# The table has narrow cells where the curve bends most (near a short and near an open circuit), wide ones between:
# 128 cells of 32 counts, 224 of 256, 128 of 32; one more entry closes the last cell.
_LOW_END = const(4096)
_HIGH_END = const(61440)
_FINE_SHIFT = const(5)
_WIDE_SHIFT = const(8)
_WIDE_AT = const(128)
_HIGH_AT = const(352)
_CELLS = const(480)
_OFFSET = const(10000)  # entries are unsigned: 0.01 degC + 100 degC
LOWEST_CC = -6000  # what is colder reads as this
HIGHEST_CC = 50000  # what is hotter reads as this
FULL_SCALE = 65535


def problem(sensor):
    """What is wrong with `sensor` (a preset's name or a tuple), or None."""
    if isinstance(sensor, str):
        if sensor in PRESETS:
            return None
        return "'%s' is unknown; known: %s" % (sensor, ", ".join(sorted(PRESETS)))
    if isinstance(sensor, tuple) and len(sensor) == 3 and sensor[0] == "beta":
        if 10 <= sensor[1] <= 10000000 and 1000 <= sensor[2] <= 10000:
            return None
        return "%r should have 10 to 10000000 ohm at 25 C and a beta of 1000 to 10000" % (sensor,)
    if isinstance(sensor, tuple) and len(sensor) == 7 and sensor[0] == "steinhart":
        _, t1, r1, t2, r2, t3, r3 = sensor
        if -60 <= t1 < t2 < t3 <= 600 and r1 > r2 > r3 > 0:
            return None
        return "%r should have rising temperatures of -60 to 600 C and falling resistances" % (sensor,)
    return '%r should be a preset, ("beta", R25, beta) or ("steinhart", T1, R1, T2, R2, T3, R3)' % (sensor,)


class Thermistor:
    """A thermistor to ground with a pull-up to the ADC's reference. Raises ValueError for a sensor that is none."""

    def __init__(self, sensor, pullup_ohm=4700):
        wrong = problem(sensor)
        if wrong:
            raise ValueError("thermistor " + wrong)
        if isinstance(sensor, str):
            sensor = PRESETS[sensor]
        self.pullup_ohm = pullup_ohm
        if sensor[0] == "beta":
            # The same form with c = 0.
            self._b = 1.0 / sensor[2]
            self._a = 1.0 / _T25 - self._b * log(sensor[1])
            self._c = 0.0
        else:
            self._from_points(*sensor[1:])
        self._table = array("H", bytes(2 * (_CELLS + 1)))
        self._build()

    def _from_points(self, t1, r1, t2, r2, t3, r3):
        """a, b, c through three points: differences of 1/T over differences of ln R, taken twice."""
        l1, l2, l3 = log(r1), log(r2), log(r3)
        y1, y2, y3 = 1.0 / (t1 + _KELVIN), 1.0 / (t2 + _KELVIN), 1.0 / (t3 + _KELVIN)
        s2 = (y2 - y1) / (l2 - l1)
        s3 = (y3 - y1) / (l3 - l1)
        self._c = (s3 - s2) / ((l3 - l2) * (l1 + l2 + l3))
        self._b = s2 - self._c * (l1 * l1 + l1 * l2 + l2 * l2)
        self._a = y1 - (self._b + l1 * l1 * self._c) * l1

    def celsius(self, ohm):
        """Temperature in degC at `ohm`, by the formula; for set-up and tests, it uses floats."""
        x = log(ohm)
        return 1.0 / (self._a + (self._b + self._c * x * x) * x) - _KELVIN

    def adc_at(self, celsius):
        """The ADC reading (0..65535) at a temperature, by bisection over the table; for limits and messages."""
        low, high, wanted = 0, FULL_SCALE, int(celsius * 100)
        while low < high:
            middle = (low + high) >> 1
            if self.centi(middle) > wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def ohm(self, adc):
        """Resistance in ohm at an ADC reading (0..65535), -1 where it is beyond measuring."""
        if adc >= FULL_SCALE:
            return -1
        return int(self.pullup_ohm * adc / (FULL_SCALE - adc))

    def centi(self, adc):
        """Temperature in 0.01 degC at ADC reading `adc` (0..65535); integers only, nothing allocated."""
        return _look_up(self._table, adc)

    def _build(self):
        table = self._table
        for i in range(_CELLS + 1):
            if i < _WIDE_AT:
                adc = i << _FINE_SHIFT
            elif i < _HIGH_AT:
                adc = _LOW_END + ((i - _WIDE_AT) << _WIDE_SHIFT)
            else:
                adc = _HIGH_END + ((i - _HIGH_AT) << _FINE_SHIFT)
            table[i] = self._entry(adc) + _OFFSET

    def _entry(self, adc):
        if adc <= 0:
            return HIGHEST_CC
        if adc >= FULL_SCALE:
            return LOWEST_CC
        # The formula leaves its range far above 500 degC, where 1/T would reach 0: held by a floor.
        x = log(self.pullup_ohm * adc / (FULL_SCALE - adc))
        y = self._a + (self._b + self._c * x * x) * x
        if y < 1.0 / (_KELVIN + HIGHEST_CC / 100):
            return HIGHEST_CC
        centi = int(100 * (1.0 / y - _KELVIN) + 1000.5) - 1000
        return max(LOWEST_CC, centi)


@micropython.viper
def _look_up(entries, adc: int) -> int:
    table = ptr16(entries)
    if adc < _LOW_END:
        i = adc >> _FINE_SHIFT
        part = adc & 31
        shift = _FINE_SHIFT
    elif adc < _HIGH_END:
        i = _WIDE_AT + ((adc - _LOW_END) >> _WIDE_SHIFT)
        part = adc & 255
        shift = _WIDE_SHIFT
    else:
        i = _HIGH_AT + ((adc - _HIGH_END) >> _FINE_SHIFT)
        part = adc & 31
        shift = _FINE_SHIFT
    here = table[i]
    # Entries fall as the reading rises.
    return here - _OFFSET - (((here - table[i + 1]) * part) >> shift)
