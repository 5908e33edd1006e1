"""A bench for the heaters: the firmware's heat.py closed over the twin's thermal models, on a clock of its own.

Time only moves in `run`, in steps of the firmware's 100 ms check; whoever tests sees every output that was set.
"""

from adder.board import load
from adder.heat import PERIOD_MS, SETTINGS, Heat
from adder.settings import Settings
from tools.twin.thermal import BED_120W, HOTEND_40W, ThermalModel


def settings_of(rows, changes):
    """The settings of these rows with some values (scaled) changed."""
    settings = Settings((rows,))
    for name, value in changes.items():
        settings.set(name, value)
    return settings


class Output:
    """A PWM output; `broken` makes it fail."""

    def __init__(self):
        self.value = None
        self.broken = False

    def duty(self, value):
        if self.broken:
            raise OSError("pwm")
        assert type(value) is int and 0 <= value <= 65535, value
        self.value = value


class Sensor:
    """An ADC pin behind a thermal model."""

    def __init__(self, model):
        self.model = model
        self.broken = None

    def read(self):
        if self.broken:
            raise self.broken
        return self.model.adc_mean(16)


class Dog:
    def __init__(self, bench):
        self.bench = bench
        self.fed_ms = bench.ms

    def feed(self):
        self.fed_ms = self.bench.ms


class Bench:
    """SKR Pico with hotend and bed; `fan` is the part fan's duty 0..1, a number or a function of seconds."""

    def __init__(self, hotend=HOTEND_40W, bed=BED_120W, ambient=22.0, seed=1, **settings):
        self.ms = 0
        self.board = load("skr_pico")
        self.models = {
            "hotend": ThermalModel(hotend, ambient, seed=seed),
            "bed": ThermalModel(bed, ambient, seed=seed + 1),
        }
        self.outputs = {}
        self.sensors = {}
        self.fan = 0.0
        self.trace = {"hotend": [], "bed": []}  # (s, sensor's true temperature, duty)
        self.dog = None
        self.settings = settings_of(SETTINGS, settings)
        self.heat = Heat(self.board, self, self.settings)
        self.hotend = self.heat.by_name("hotend")
        self.bed = self.heat.by_name("bed")
        self.heat.start()

    # what heat.py asks of the hardware
    def pwm(self, pin, hz, invert):
        output = Output()
        self.outputs[self._heater_at("pin", pin)] = output
        return output

    def adc(self, pin):
        name = self._heater_at("sensor_pin", pin)
        self.sensors[name] = Sensor(self.models[name])
        return self.sensors[name]

    def timer(self, period_ms, callback):
        assert period_ms == PERIOD_MS
        self.callback = callback
        return self

    def watchdog(self, timeout_ms):
        self.dog_ms = timeout_ms
        self.dog = Dog(self)
        return self.dog

    def ticks_ms(self):
        return self.ms

    def _heater_at(self, key, pin):
        return next(part.name for part in self.board.heaters if getattr(part, key) == pin)

    # what a test does
    def seconds(self):
        return self.ms / 1000

    def run(self, seconds, until=None):
        """Let time pass; stops early when `until()` is true. Gives the seconds that passed."""
        start = self.ms
        while self.ms < start + 1000 * seconds - 1e-6:
            fan = self.fan(self.seconds()) if callable(self.fan) else self.fan
            for name, model in self.models.items():
                model.step(0.1, self.outputs[name].value / 65535, fan)
                self.trace[name].append((self.seconds(), model.sensor, self.outputs[name].value))
            self.ms += 100
            self.callback(None)
            if until and until():
                break
        return (self.ms - start) / 1000

    def heat_to(self, name, celsius, seconds=600):
        """Set a target and wait as M109 does; fails if it does not settle in time."""
        heater = self.heat.by_name(name)
        heater.set_target(round(celsius * 100))
        took = self.run(seconds, heater.settled)
        assert heater.settled(), f"{name} at {heater.temperature_cc / 100} after {took} s, {self.heat.fault}"
        return took

    def low(self):
        """Both heater pins are low, and no target is left."""
        return all(output.value == 0 for output in self.outputs.values()) and not self.heat.any_on()
