"""Load a board file and check it before any pin is touched.

A board file holds one dict, BOARD, of plain data; boards/README.md explains every key. `load` turns it into a `Board`
whose parts have attributes (`board.axes[0].step`), with every left-out key at its default. Nothing here drives a pin:
a board that does not pass ends with one BoardError and everything still as the reset left it.
"""

import sys

from adder import thermistor
from adder.errors import BoardError
from adder.parts import BOARD_KEYS, Board, Part

# Timing of step inputs in ns: pulse high, pulse low, direction set-up before the edge, direction hold after it.
# TMC: data sheets ask for about 100 ns and 20 ns; A4988, DRV8825, LV8729, TB6600, TB6560: their data sheets' minima,
# rounded up where a sheet gives a typical value only.
DRIVERS = {
    "tmc2209": (100, 100, 60, 60),
    "tmc2208": (100, 100, 60, 60),
    "tmc2130": (100, 100, 60, 60),
    "tmc5160": (100, 100, 60, 60),
    "a4988": (1000, 1000, 200, 200),
    "drv8825": (2000, 2000, 650, 650),
    "lv8729": (500, 500, 500, 500),
    "tb6600": (3000, 3000, 1500, 1500),
    "tb6560": (30000, 30000, 15000, 15000),
}
AXES = "XYZE"
HEATERS = ("hotend", "bed")
FANS = ("part", "hotend", "board")
PULLS = ("up", "down", "none")
SERVO_HZ = 50

# chip: pins, those with an ADC, lowest and highest PWM frequency in Hz
_CHIPS = {"rp2040": (range(30), range(26, 30), 8, 100000)}
_UART_TX = ((0, 12, 16, 28), (4, 8, 20, 24))  # RP2040, by UART number; RX is the pin after TX

_NEEDED = object()

# Rows: key, kind, default. Kinds "out", "in", "adc", "pwm" are pins; (low, high) is an integer in that range.
_AXIS = (
    ("step", "out", _NEEDED),
    ("dir", "out", _NEEDED),
    ("invert_dir", "flag", False),
    ("enable", "out", None),
    ("invert_enable", "flag", True),
    ("endstop", "in", None),
    ("endstop_pull", "pull", "up"),
    ("endstop_invert", "flag", False),
    ("driver", "driver", _NEEDED),
    ("pulse_high_ns", (0, 100000), None),
    ("pulse_low_ns", (0, 100000), None),
    ("dir_setup_ns", (0, 100000), None),
    ("dir_hold_ns", (0, 100000), None),
    ("tmc_address", (0, 3), None),
)
_HEATER = (
    ("pin", "pwm", _NEEDED),
    ("hz", "hz", 10),
    ("invert", "flag", False),
    ("sensor_pin", "adc", _NEEDED),
    ("thermistor", "thermistor", _NEEDED),
    ("pullup_ohm", (100, 1000000), 4700),
    ("max_c", (40, 500), _NEEDED),
    ("min_c", (-40, 30), 0),
    ("watts", (1, 5000), _NEEDED),
)
_FAN = (
    ("pin", "pwm", _NEEDED),
    ("hz", "hz0", 100),
    ("invert", "flag", False),
)
_SINGLES = (
    ("probe", (("pin", "in", _NEEDED), ("pull", "pull", "up"), ("invert", "flag", False))),
    ("servo", (("pin", "pwm", _NEEDED),)),
    ("neopixel", (("pin", "out", _NEEDED), ("count", (1, 256), 1))),
    ("runout", (("pin", "in", _NEEDED), ("pull", "pull", "up"), ("invert", "flag", False))),
    (
        "tmc_uart",
        (
            ("uart", (0, 1), _NEEDED),
            ("tx", "out", _NEEDED),
            ("rx", "in", _NEEDED),
            ("sense_mohm", (1, 1000), 110),
        ),
    ),
)
_TOP = ("name", "title", "chip", "reserved", "axes", "heaters", "fans", "defaults")


class _Checks:
    """A board file on its way to a Board; every attribute of it that has no underscore is one of the Board."""

    def __init__(self, data):
        if not isinstance(data, dict):
            raise BoardError("board: BOARD is %s, should be a dict" % type(data).__name__)
        self.name = data.get("name", "?")
        for key in ("name", "title", "chip", "axes", "heaters"):
            if key not in data:
                self._wrong("key '%s' is missing" % key)
        for key in data:
            if key not in _TOP and key not in [single[0] for single in _SINGLES]:
                self._wrong("unknown key '%s'" % key)
        self.title = data["title"]
        self.chip = data["chip"]
        if self.chip not in _CHIPS:
            self._wrong("chip '%s' is unknown; known: %s" % (self.chip, _names(_CHIPS)))
        self.pins = {}
        self._reserved = data.get("reserved", ())
        self._pwm = []  # (pin, Hz, user) of what runs by PWM

        self.axes = []
        self._known(data["axes"], AXES, "axis")
        for letter in AXES:
            if letter not in data["axes"]:
                self._wrong("axis %s is missing in 'axes'" % letter)
            self.axes.append(self._axis(letter, data["axes"][letter]))

        self.heaters = self._group(data, "heaters", "heater", HEATERS, _HEATER)
        for heater in self.heaters:
            if heater.min_c >= heater.max_c:
                self._wrong("%s heater: min_c %d is not below max_c %d" % (heater.name, heater.min_c, heater.max_c))
            self._pwm.append((heater.pin, heater.hz, heater.name + " heater"))
        if "hotend" not in data["heaters"]:
            self._wrong("heater 'hotend' is missing in 'heaters'")
        self.fans = self._group(data, "fans", "fan", FANS, _FAN)
        for fan in self.fans:
            if fan.hz:
                self._pwm.append((fan.pin, fan.hz, fan.name + " fan"))

        for key, rows in _SINGLES:
            setattr(self, key, self._part(key, key, data[key], rows) if data.get(key) is not None else None)
        if self.servo:
            self._pwm.append((self.servo.pin, SERVO_HZ, "servo"))
        self._check_uart()
        self._check_slices()
        self.defaults = data.get("defaults", {})
        if not isinstance(self.defaults, dict):
            self._wrong("'defaults' is %s, should be a dict of setting: value" % type(self.defaults).__name__)

    def _wrong(self, text):
        raise BoardError("board %s: %s" % (self.name, text))

    def _known(self, group, names, what):
        if not isinstance(group, dict):
            self._wrong("%s group is %s, should be a dict" % (what, type(group).__name__))
        for key in group:
            if key not in names:
                self._wrong("unknown %s '%s'; known: %s" % (what, key, ", ".join(names)))

    def _group(self, data, key, what, names, rows):
        group = data.get(key, {})
        self._known(group, names, what)
        return [self._part("%s %s" % (name, what), name, group[name], rows) for name in names if name in group]

    def _axis(self, letter, values):
        axis = self._part("axis " + letter, letter, values, _AXIS)
        axis.letter = letter
        timing = DRIVERS[axis.driver]
        for i, key in enumerate(("pulse_high_ns", "pulse_low_ns", "dir_setup_ns", "dir_hold_ns")):
            if getattr(axis, key) is None:
                setattr(axis, key, timing[i])
        return axis

    def _part(self, where, name, values, rows):
        if not isinstance(values, dict):
            self._wrong("%s is %s, should be a dict" % (where, type(values).__name__))
        keys = [row[0] for row in rows]
        for key in values:
            if key not in keys:
                self._wrong("%s: unknown key '%s'; known: %s" % (where, key, ", ".join(keys)))
        part = Part(name)
        for key, kind, default in rows:
            value = values.get(key, default)
            if value is _NEEDED or (value is None and default is _NEEDED):
                self._wrong("%s: key '%s' is missing" % (where, key))
            if value is not None:
                self._check(where, key, kind, value)
            setattr(part, key, value)
        return part

    def _check(self, where, key, kind, value):
        place = "%s: %s" % (where, key)
        if isinstance(kind, tuple):
            if not _is_int(value) or not kind[0] <= value <= kind[1]:
                self._wrong("%s is %r, should be %d to %d" % (place, value, kind[0], kind[1]))
        elif kind in ("out", "in", "adc", "pwm"):
            self._pin("%s %s" % (where, key), kind, value)
        elif kind == "flag":
            if not isinstance(value, bool):
                self._wrong("%s is %r, should be True or False" % (place, value))
        elif kind == "pull":
            if value not in PULLS:
                self._wrong("%s is %r, should be one of %s" % (place, value, ", ".join(PULLS)))
        elif kind == "driver":
            if value not in DRIVERS:
                self._wrong("%s '%s' is unknown; known: %s" % (place, value, _names(DRIVERS)))
        elif kind == "thermistor":
            problem = thermistor.problem(value)
            if problem:
                self._wrong("%s %s" % (place, problem))
        else:  # "hz", "hz0": the latter also 0, switched without PWM
            low, high = _CHIPS[self.chip][2:4]
            if not _is_int(value) or not (low <= value <= high or (kind == "hz0" and value == 0)):
                also = "0 (switched) or " if kind == "hz0" else ""
                self._wrong("%s is %r, should be %s%d to %d Hz" % (place, value, also, low, high))

    def _pin(self, user, kind, pin):
        gpio, adc = _CHIPS[self.chip][:2]
        if not _is_int(pin) or pin not in gpio:
            self._wrong(
                "%s is pin %r, but the %s has GPIO %d-%d only" % (user, pin, self.chip, gpio[0], gpio[-1])
            )
        if kind == "adc" and pin not in adc:
            self._wrong(
                "%s is pin %d, but only GPIO %d-%d of the %s can measure" % (user, pin, adc[0], adc[-1], self.chip)
            )
        if pin in self._reserved:
            self._wrong("%s is pin %d, which the board itself uses; take another" % (user, pin))
        if pin in self.pins:
            self._wrong("pin %d is used twice: %s and %s; give each its own" % (pin, self.pins[pin], user))
        self.pins[pin] = user

    def _check_uart(self):
        bus = self.tmc_uart
        if bus is None:
            for axis in self.axes:
                if axis.tmc_address is not None:
                    self._wrong("axis %s has a tmc_address but the board has no 'tmc_uart'" % axis.letter)
            return
        if bus.tx not in _UART_TX[bus.uart] or bus.rx != bus.tx + 1:
            self._wrong(
                "tmc_uart: UART %d cannot use tx %d rx %d; tx may be %s, rx the pin after it"
                % (bus.uart, bus.tx, bus.rx, ", ".join([str(pin) for pin in _UART_TX[bus.uart]]))
            )
        owner = {}
        for axis in self.axes:
            address = axis.tmc_address
            if address is None:
                continue
            if address in owner:
                self._wrong(
                    "tmc_address %d is used twice: axis %s and axis %s" % (address, owner[address], axis.letter)
                )
            owner[address] = axis.letter

    def _check_slices(self):
        """RP2040: pins 2n and 2n+1 (and those 16 higher) share a PWM slice, which has one frequency and two outputs."""
        for i, (pin, hz, user) in enumerate(self._pwm):
            for other_pin, other_hz, other in self._pwm[:i]:
                if (pin >> 1) & 7 != (other_pin >> 1) & 7:
                    continue
                if pin & 1 == other_pin & 1:
                    self._wrong(
                        "%s (pin %d) and %s (pin %d) share one PWM output; move one to a pin of another slice"
                        % (other, other_pin, user, pin)
                    )
                if hz != other_hz:
                    self._wrong(
                        "%s (pin %d, %d Hz) and %s (pin %d, %d Hz) share a PWM slice; give both the same hz"
                        % (other, other_pin, other_hz, user, pin, hz)
                    )


def checked(data):
    """The Board of a board file's dict; BoardError if anything in it is wrong."""
    checks = _Checks(data)
    board = Board()
    for key in BOARD_KEYS:
        setattr(board, key, getattr(checks, key))
    return board


def load(name):
    """The checked Board of boards/<name>.py; BoardError if there is none or it does not pass.

    The module is dropped after reading, so that its dicts do not stay in RAM.
    """
    module = "boards." + name
    try:
        __import__(module)
    except ImportError:
        raise BoardError("board '%s': there is no boards/%s.py" % (name, name))
    loaded = sys.modules[module]
    try:
        data = loaded.BOARD
    except AttributeError:
        raise BoardError("board '%s': boards/%s.py defines no BOARD" % (name, name))
    finally:
        # Also the package: it holds the module as an attribute.
        del sys.modules[module]
        sys.modules.pop("boards", None)
    board = checked(data)
    if board.name != name:
        raise BoardError("board '%s': the file calls itself '%s'" % (name, board.name))
    return board


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _names(table):
    return ", ".join(sorted(table))
