"""Thermistor curves against the makers' tables (tools/twin/thermal.py holds them with their sources)."""

import itertools
import math

import pytest

from adder.thermistor import FULL_SCALE, PRESETS, Thermistor, problem
from tools.twin.thermal import EPCOS_8304, GENERIC_3950, SEMITEC_104GT2, resistance

PUBLISHED = [
    ("EPCOS 100K B57560G104F", EPCOS_8304),
    ("ATC Semitec 104GT-2", SEMITEC_104GT2),
    ("Generic 3950", GENERIC_3950),
]


def adc(ohm, pullup=4700):
    return round(FULL_SCALE * ohm / (ohm + pullup))


@pytest.mark.parametrize("name, table", PUBLISHED)
def test_formula_meets_the_published_table(name, table):
    sensor = Thermistor(name)
    for celsius, ohm in table.items():
        if -20 <= celsius <= 300:
            limit = 0.1 if celsius >= 0 else 0.2
            assert abs(sensor.celsius(ohm) - celsius) <= limit, (celsius, sensor.celsius(ohm))


@pytest.mark.parametrize("name, table", PUBLISHED)
def test_reading_meets_the_published_table(name, table):
    """The whole way, ADC counts to 0.01 degC. One count of 65535 is 0.07 degC at 300 degC."""
    sensor = Thermistor(name)
    for celsius, ohm in table.items():
        if 0 <= celsius <= 300:
            assert abs(sensor.centi(adc(ohm)) / 100 - celsius) <= 0.15, celsius
        elif celsius >= -20:
            assert abs(sensor.centi(adc(ohm)) / 100 - celsius) <= 0.3, celsius


def test_beta_meets_a_table_for_a_thermistor_of_that_name():
    """Readings (10 bit, pull-up 4.7 kOhm) and whole degC as commonly published for a QWG-104F-3950."""
    table = {61: 258, 101: 221, 151: 195, 201: 176, 301: 150, 421: 128, 531: 111, 611: 100, 711: 85, 831: 65, 921: 45}
    sensor = Thermistor("NTC 100K beta 3950")
    for reading, celsius in table.items():
        assert abs(sensor.celsius(4700 * reading / (1024 - reading)) - celsius) <= 1.0, reading


@pytest.mark.parametrize("pullup", [1000, 2200, 4700, 10000])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_table_follows_the_formula(name, pullup):
    sensor = Thermistor(name, pullup)
    worst = 0
    for reading in range(1, FULL_SCALE):
        exact = sensor.celsius(pullup * reading / (FULL_SCALE - reading))
        if 0 <= exact <= 300:
            worst = max(worst, abs(sensor.centi(reading) / 100 - exact))
    assert worst <= 0.1, worst


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_hotter_never_reads_colder(name):
    sensor = Thermistor(name)
    readings = [sensor.centi(reading) for reading in range(FULL_SCALE + 1)]
    assert all(a >= b for a, b in itertools.pairwise(readings))
    assert readings[0] == 50000 and readings[FULL_SCALE] < -5500, "short and open are beyond any limit"


def test_pullup_matters():
    ohm = EPCOS_8304[200]
    assert abs(Thermistor("EPCOS 100K B57560G104F", 2200).centi(adc(ohm, 2200)) / 100 - 200) < 0.2
    assert Thermistor("EPCOS 100K B57560G104F", 4700).centi(adc(ohm, 2200)) / 100 < 175


def test_ohm_and_reading_at_a_temperature():
    sensor = Thermistor("EPCOS 100K B57560G104F")
    assert abs(sensor.ohm(adc(456.11)) - 456) <= 1
    assert sensor.ohm(FULL_SCALE) == -1
    assert abs(sensor.adc_at(210) - adc(456.11)) <= 3


@pytest.mark.parametrize(
    "sensor, word",
    [
        ("NTC", "unknown"),
        (("beta", 0, 3950), "ohm"),
        (("beta", 100000, 10), "beta"),
        (("steinhart", 25, 100000, 150, 200000, 250, 226), "falling"),
        (("steinhart", 150, 1641, 25, 100000, 250, 226), "rising"),
        ((), "should be"),
        (None, "should be"),
    ],
)
def test_bad_sensors(sensor, word):
    assert word in problem(sensor)
    with pytest.raises(ValueError, match=word):
        Thermistor(sensor)


def test_the_twin_agrees_with_the_tables_it_holds():
    for name, table in PUBLISHED:
        for celsius, ohm in table.items():
            assert math.isclose(resistance(name, celsius), ohm, rel_tol=1e-9)
    # between the points: half way the logarithm is nearly the mean
    assert math.isclose(resistance("EPCOS 100K B57560G104F", 202.5), 526.6, rel_tol=2e-3)
