"""Heaters: sensors, control, protection, and the watchdog that proves that all this still runs.

Ten times a second `Heat.check` reads every sensor, asks each heater's guard whether all is well, and sets the outputs;
only then the watchdog is fed. So whatever stops the checks (a hung program, an endless loop in an interrupt) resets the
chip, and a reset lets every heater pin go low. A fault switches all heaters off first and is kept until `clear_fault`.
"""

from array import array

import micropython
from micropython import const

from adder import heatguard
from adder.errors import Refused
from adder.pid import Pid
from adder.thermistor import Thermistor

PERIOD_MS = const(100)
WATCHDOG_MS = const(2000)
_HISTORY = const(64)  # readings kept, 6.4 s
_PER_SECOND = const(10)
_TEXT_READINGS = const(6)

# Places in a heater's state: the last reading; its smoothed value times 16; place in the history and length of the
# window for the slope; what a wait asks for and where it stands
_LAST = const(0)
_SMOOTH = const(1)
_AT = const(2)
_WINDOW = const(3)
_NEAR = const(4)
_FAR = const(5)
_WAIT_CHECKS = const(6)
_INSIDE = const(7)
_WAIT_LEFT = const(8)
_SIZE = const(9)

# name, code, letter, unit, decimals, default, lowest, highest, title; values scaled by 10**decimals
SETTINGS = (
    ("pid_hotend_p", "M301", "P", "1/C", 2, 2220, 0, 40000, "hotend PID, proportional"),
    ("pid_hotend_i", "M301", "I", "1/Cs", 3, 1080, 0, 100000, "hotend PID, integral"),
    ("pid_hotend_d", "M301", "D", "s/C", 2, 11400, 0, 500000, "hotend PID, derivative"),
    ("pid_bed_p", "M304", "P", "1/C", 2, 6000, 0, 40000, "bed PID, proportional"),
    ("pid_bed_i", "M304", "I", "1/Cs", 3, 400, 0, 100000, "bed PID, integral"),
    ("pid_bed_d", "M304", "D", "s/C", 2, 30000, 0, 500000, "bed PID, derivative"),
    ("watch_time_hotend", "", "", "s", 0, 20, 5, 300, "hotend at full power must rise within"),
    ("watch_rise_hotend", "", "", "C", 1, 20, 5, 200, "hotend at full power must rise by"),
    ("watch_time_bed", "", "", "s", 0, 60, 10, 600, "bed at full power must rise within"),
    ("watch_rise_bed", "", "", "C", 1, 20, 5, 200, "bed at full power must rise by"),
    ("runaway_time_hotend", "", "", "s", 0, 40, 5, 300, "hotend may be too cold for"),
    ("runaway_drop_hotend", "", "", "C", 1, 80, 20, 300, "hotend is too cold if below its target by"),
    ("runaway_time_bed", "", "", "s", 0, 60, 10, 600, "bed may be too cold for"),
    ("runaway_drop_bed", "", "", "C", 1, 50, 20, 300, "bed is too cold if below its target by"),
    ("wait_window_hotend", "", "", "C", 1, 10, 2, 100, "M109 counts from within"),
    ("wait_hysteresis_hotend", "", "", "C", 1, 30, 5, 200, "M109 counts anew if off by"),
    ("wait_time_hotend", "", "", "s", 0, 3, 0, 600, "M109 ends after"),
    ("wait_window_bed", "", "", "C", 1, 10, 2, 100, "M190 counts from within"),
    ("wait_hysteresis_bed", "", "", "C", 1, 30, 5, 200, "M190 counts anew if off by"),
    ("wait_time_bed", "", "", "s", 0, 3, 0, 600, "M190 ends after"),
)

# heater: checks over which the slope is taken, change in them that counts as rest (0.01 degC), margin between the
# highest target and the maximum (0.01 degC), seconds in which it must not rise by 10 degC without power
_KINDS = {"hotend": (10, 40, 1500, 30), "bed": (40, 16, 1000, 120)}

# fault: what hosts know it by; what happened (%d: seconds); what to check
_FAULTS = (
    None,
    ("MAXTEMP triggered", "too hot", "thermistor shorted, or heater not switching off"),
    ("MINTEMP triggered", "too cold", "thermistor unplugged or broken, or room too cold"),
    ("Thermal Malfunction", "sensor jumps", "thermistor's plug and wires: a loose contact"),
    ("Heating failed", "no rise in %d s at full power", "heater's wires and supply, thermistor in its place"),
    ("Heating failed", "no rise in %d s", "PID gains too weak, or heater too weak"),
    ("Thermal Runaway", "falling for %d s at full power", "thermistor has come off, or heater unplugged"),
    ("Thermal Runaway", "too far below target for %d s", "thermistor in its place, fan on the block, PID gains"),
    ("Thermal Runaway", "too far above target for %d s", "heater not switching off, PID gains"),
    ("Thermal Runaway", "rising within %d s without power", "heater does not switch off: cut the power"),
)


def degrees(cc, places=1):
    """0.01 degC as text in degC, with 1 or 2 decimals, rounded."""
    if places == 1:
        tenths = (abs(cc) + 5) // 10
        text = "%d.%d" % (tenths // 10, tenths % 10)
    else:
        text = "%d.%02d" % (abs(cc) // 100, abs(cc) % 100)
    return "-" + text if cc < 0 and text.strip("0.") else text


class Heater:
    """One heater with its sensor.

    `name`; `target_cc` and `temperature_cc` (filtered) in 0.01 degC; `duty` 0..65535 as set last; `power` 0..127.
    """

    def __init__(self, heat, part, hal, settings):
        self._heat = heat
        self.name = part.name
        self.part = part
        window, rest, self._margin, stuck = _KINDS[part.name]
        self._pwm = hal.pwm(part.pin, part.hz, part.invert)
        self._pwm.duty(0)
        self._adc = hal.adc(part.sensor_pin)
        self.thermistor = Thermistor(part.thermistor, part.pullup_ohm)
        self.guard = heatguard.Guard(part.min_c * 100, part.max_c * 100, stuck)
        self.pid = Pid(window, rest)
        self._state = array("i", [0] * _SIZE)
        self._state[_WINDOW] = window
        self._history = array("i", [0] * _HISTORY)
        self.target_cc = 0
        self.duty = 0
        self.adc = 0
        self._settings = settings
        self.refresh()
        self.adc = self._adc.read()
        self._begin(self.thermistor.centi(self.adc))

    @property
    def power(self):
        """Power as M105 gives it behind `@:`, 0..127."""
        return self.duty >> 9

    @property
    def highest_cc(self):
        """Highest target that is accepted, 0.01 degC."""
        return self.guard.max_cc - self._margin

    def refresh(self):
        """Take over the settings."""
        get, name, guard = self._settings.get, self.name, self.guard
        self.pid.gains(get("pid_%s_p" % name), get("pid_%s_i" % name), get("pid_%s_d" % name))
        guard.limits(
            get("watch_time_" + name),
            get("watch_rise_" + name) * 10,
            get("runaway_time_" + name),
            get("runaway_drop_" + name) * 10,
        )
        state = self._state
        state[_NEAR] = get("wait_window_" + name) * 10
        state[_FAR] = get("wait_hysteresis_" + name) * 10
        state[_WAIT_CHECKS] = state[_WAIT_LEFT] = get("wait_time_" + name) * _PER_SECOND

    def set_target(self, cc):
        """Heat to `cc` (0.01 degC), 0: off. Refused if out of range, without a plausible sensor, or after a fault."""
        if cc < 0 or cc > self.highest_cc:
            raise Refused(
                "%s target %s C is out of range, should be 0 (off) to %s C (limit %s C less margin)"
                % (self.name, degrees(cc), degrees(self.highest_cc), degrees(self.guard.max_cc))
            )
        if cc and self._heat.fault:
            raise Refused("%s stays off until M999 clears the fault: %s" % (self.name, self._heat.fault))
        if cc and not self.plausible():
            low, high = degrees(self.guard.min_cc), degrees(self.guard.max_cc)
            raise Refused(
                "%s stays off: its sensor reads %s C, should read steadily between %s and %s C; check the thermistor"
                % (self.name, degrees(self._state[_LAST]), low, high)
            )
        if cc != self.target_cc:
            self.target_cc = cc
            self._state[_INSIDE] = 0
            self.guard.target(cc, self.temperature_cc)
        if cc == 0:
            self.off()

    def plausible(self):
        """Whether the sensor's reading is between the board's limits and steady enough to be believed."""
        return self.guard.min_cc < self._state[_LAST] < self.guard.max_cc and not self.guard.doubtful()

    def wants_cooling(self):
        """Whether the target lies below the reading, so that M109 S and M190 S do not wait."""
        return self.target_cc < self.temperature_cc - self._state[_NEAR]

    def settled(self):
        """For waits: the target is 0, or was reached within the window and kept within the hysteresis long enough."""
        return self.target_cc == 0 or (self._state[_INSIDE] != 0 and self._state[_WAIT_LEFT] <= 0)

    def off(self):
        """No target, no power, now. Allocates nothing; callable from anywhere, also twice."""
        self.target_cc = 0
        self.duty = 0
        self._pwm.duty(0)
        self.guard.target(0, 0)
        self.pid.reset()

    @micropython.native
    def check(self, locked):
        """Measure, judge, set the output; the kind of fault, or 0. `locked`: measure only, the output stays off."""
        adc = self._adc.read()
        self.adc = adc
        reading = self.thermistor.centi(adc)
        guard = self.guard
        state = self._state
        if locked:
            self.target_cc = 0
        target = self.target_cc
        if guard.believe(reading, state[_LAST]):
            now = _follow(state, self._history, reading)
            self.temperature_cc = now
        elif guard.lost():
            if target:
                state[_LAST] = reading  # for the fault's text; the history stays as it was
                return guard.jumped(reading)
            self._begin(reading)
            guard.restart(reading)
            now = reading
        else:
            now = self.temperature_cc
        kind = guard.check(target, state[_LAST], now, self.duty)
        if kind or target == 0 or guard.suspicious():
            duty = 0
        else:
            duty = self.pid.update(target, now, _change(state, self._history))
            _count_wait(state, target - now)
        self.duty = duty
        self._pwm.duty(duty)
        return kind

    def fault_text(self, kind):
        """One line: what, where, readings, limit, what to check."""
        title, happened, hint = _FAULTS[kind]
        if "%" in happened:
            happened = happened % self.guard.seconds
        readings = []
        for back in range(_TEXT_READINGS - 1, -1, -1):
            readings.append(degrees(self._history[(self._state[_AT] - back * _PER_SECOND) & 63]))
        ohm = self.thermistor.ohm(self.adc)
        pullup = self.thermistor.pullup_ohm
        if ohm < 0 or ohm > 300 * pullup:
            sensor = "open"
        elif ohm < pullup // 300:
            sensor = "shorted"
        else:
            sensor = "%d ohm" % ohm
        return "%s: %s %s, reads %s C, limit %s C, target %s C; 1 s apart: %s; sensor %s; check: %s" % (
            title,
            self.name,
            happened,
            degrees(self._state[_LAST]),
            degrees(self.guard.limit_cc),
            degrees(self.target_cc),
            " ".join(readings),
            sensor,
            hint,
        )

    def _begin(self, reading):
        """Start afresh from one reading."""
        self._state[_LAST] = reading
        self._state[_SMOOTH] = reading << 4
        self.temperature_cc = reading
        history = self._history
        for i in range(_HISTORY):
            history[i] = reading


@micropython.viper
def _follow(state, readings, reading: int) -> int:
    """Smooth a reading (a first-order filter of about 0.4 s, four more bits inside) and remember it."""
    s = ptr32(state)
    history = ptr32(readings)
    s[_LAST] = reading
    smooth = s[_SMOOTH]
    smooth += ((reading << 4) - smooth) >> 2
    s[_SMOOTH] = smooth
    now = (smooth + 8) >> 4
    at = (s[_AT] + 1) & 63
    s[_AT] = at
    history[at] = now
    return now


@micropython.viper
def _change(state, readings) -> int:
    """How far the smoothed reading moved within the window."""
    s = ptr32(state)
    history = ptr32(readings)
    at = s[_AT]
    return history[at] - history[(at - s[_WINDOW]) & 63]


@micropython.viper
def _count_wait(state, error: int):
    """A wait begins to count within the window, and anew once the hysteresis was left."""
    s = ptr32(state)
    if error < 0:
        error = 0 - error
    if s[_INSIDE] == 0:
        if error <= s[_NEAR]:
            s[_INSIDE] = 1
        s[_WAIT_LEFT] = s[_WAIT_CHECKS]
    elif error > s[_FAR]:
        s[_INSIDE] = 0
    elif s[_WAIT_LEFT] > 0:
        s[_WAIT_LEFT] -= 1


class Heat:
    """All heaters of a board. `heaters`: list of Heater; `fault`: None or the text of the fault that locked them."""

    def __init__(self, board, hal, settings):
        self._hal = hal
        self._dog = None
        self._timer = None
        self.fault = None
        self.checks = 0
        self.heaters = [Heater(self, part, hal, settings) for part in board.heaters]
        for prefix in ("pid_", "watch_", "runaway_", "wait_"):
            settings.on_change(prefix, self.refresh)

    def start(self):
        """Start the checks and the watchdog; from now on the checks must go on."""
        self._check = self.check
        self._timer = self._hal.timer(PERIOD_MS, self._check)
        self._dog = self._hal.watchdog(WATCHDOG_MS)

    def by_name(self, name):
        """The heater "hotend" or "bed"; None if the board has none of that name."""
        for heater in self.heaters:
            if heater.name == name:
                return heater
        return None

    def refresh(self, *_):
        """Settings have changed."""
        for heater in self.heaters:
            heater.refresh()

    def any_on(self):
        """Whether any heater has a target."""
        for heater in self.heaters:  # noqa: SIM110 - a generator would allocate
            if heater.target_cc:
                return True
        return False

    def all_off(self):
        """Every heater off now, each even if another one's output fails; from anywhere, also twice."""
        problem = None
        for heater in self.heaters:
            try:
                heater.off()
            except Exception as error:
                problem = error
        if problem:
            raise problem

    def clear_fault(self):
        """Unlock the heaters (M999); Refused while a sensor still reads its maximum or more."""
        for heater in self.heaters:
            if heater.temperature_cc >= heater.guard.max_cc:
                raise Refused(
                    "the fault stays: %s reads %s C, should be below %s C"
                    % (heater.name, degrees(heater.temperature_cc), degrees(heater.guard.max_cc))
                )
        self.fault = None

    def check(self, _=None):
        """Every 100 ms: all sensors, protection, control, outputs; the watchdog last."""
        try:
            locked = self.fault is not None
            for heater in self.heaters:
                kind = heater.check(locked)
                if kind and not locked:
                    self._fail(heater, kind)
                    locked = True
        except BaseException as error:
            # Also KeyboardInterrupt and MemoryError: nothing may leave a heater on unwatched.
            broken = self.fault is None
            if broken:
                self.fault = "Thermal Malfunction: the heater check failed"
            self.all_off()
            if broken:
                self.fault += ": %s; reset the board" % repr(error)
        self.checks = (self.checks + 1) & 0xFFFFFF
        # Not reached if a heater could not even be switched off: then the watchdog resets the chip.
        if self._dog is not None:
            self._dog.feed()

    def _fail(self, heater, kind):
        self.fault = _FAULTS[kind][0]  # should there be no memory for the whole text
        target = heater.target_cc
        self.all_off()
        heater.target_cc = target  # for the text only
        try:
            self.fault = heater.fault_text(kind)
        finally:
            heater.target_cc = 0
