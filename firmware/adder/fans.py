"""Fans: the part fan by M106 in step with the moves, the heat-break fan by temperature, the board fan by activity.

A fan that starts from rest below full speed gets full power for a moment (kick) so that it turns at all; speeds 1..255
are spread over what is above the minimum duty, 0 is off. A board without a fan of a kind simply has none to set.
"""

from micropython import const

from adder.errors import Refused

PERIOD_MS = const(100)
_HYSTERESIS_CC = const(500)

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("fan_min_duty", "", "", "", 0, 0, 0, 254, "part fan: duty (of 255) at which it just turns"),
    ("fan_kick_time", "", "", "ms", 0, 200, 0, 5000, "part fan: full power when starting, for"),
    ("fan_hotend_temp", "", "", "C", 0, 50, 30, 100, "heat-break fan runs from"),
    ("fan_board_time", "", "", "s", 0, 60, 0, 3600, "board fan runs on after motors and heaters, for"),
)


class Fan:
    """One fan: `speed` 0..255 as asked for."""

    def __init__(self, part, hal):
        self.name = part.name
        self.speed = 0
        self._kick = 0
        self.min_duty = 0
        self.kick_checks = 0
        if part.hz:
            self._pwm = hal.pwm(part.pin, part.hz, part.invert)
            self._pwm.duty(0)
            self._switch = None
        else:
            self._pwm = None
            self._switch = hal.output(part.pin, part.invert, 0)

    def set(self, speed):
        """Speed 0..255, now. Allocates nothing: it is called from within the step refill."""
        starts = self.speed == 0
        self.speed = speed
        if speed == 0:
            self._kick = 0
        elif starts and speed < 255 and self._pwm is not None:
            self._kick = self.kick_checks
        self._drive()

    def check(self):
        """Every 100 ms: end the kick."""
        if self._kick:
            self._kick -= 1
            if self._kick == 0:
                self._drive()

    def _drive(self):
        speed = self.speed
        if self._switch is not None:
            self._switch.set(1 if speed else 0)
        elif speed == 0:
            self._pwm.duty(0)
        elif self._kick:
            self._pwm.duty(65535)
        else:
            self._pwm.duty(257 * (self.min_duty + (255 - self.min_duty) * speed // 255))


class Fans:
    """All fans of a board; `part`, `hotend`, `board` are Fans or None."""

    def __init__(self, board, hal, settings, heat):
        self._hal = hal
        self._settings = settings
        self._heat = heat
        self._motion = None
        self.part = self._make(board, "part")
        self.hotend = self._make(board, "hotend")
        self.board = self._make(board, "board")
        self._hot = heat.by_name("hotend")
        self._rest = 0
        self._board_checks = 0
        self.refresh()
        settings.on_change("fan_", self.refresh)

    def _make(self, board, name):
        part = board.fan(name)
        return None if part is None else Fan(part, self._hal)

    def start(self, motion):
        """Start the regular check; `motion` tells whether motors are on."""
        self._motion = motion
        self._check = self.check
        self._timer = self._hal.timer(PERIOD_MS, self._check)

    def refresh(self, *_):
        """Settings have changed."""
        get = self._settings.get
        if self.part:
            self.part.min_duty = get("fan_min_duty")
            self.part.kick_checks = (get("fan_kick_time") + PERIOD_MS - 1) // PERIOD_MS
        self._on_cc = get("fan_hotend_temp") * 100
        self._board_checks = get("fan_board_time") * 1000 // PERIOD_MS

    def request(self, index, speed):
        """M106 P<index> S<speed>: fan 0 is the part fan; takes effect when the moves queued so far have been made."""
        if index != 0:
            raise Refused("fan P%d does not exist, should be P0 (part fan)" % index)
        if self.part is None:
            raise Refused("this board has no part fan; its file names none in 'fans'")
        if speed < 0 or speed > 255:
            raise Refused("fan speed S%d is out of range, should be 0 to 255" % speed)
        self._motion.at_move(self.part.set, speed)

    def off(self):
        """Stop the part fan now; the others follow temperature and activity."""
        if self.part:
            self.part.set(0)

    def check(self, _=None):
        """Every 100 ms: kick of the part fan, heat-break fan, board fan."""
        if self.part:
            self.part.check()
        if self.hotend:
            # After a fault nobody knows how hot the hotend is: cool the heat break.
            if self._hot.temperature_cc >= self._on_cc or self._heat.fault is not None:
                if self.hotend.speed == 0:
                    self.hotend.set(255)
            elif self.hotend.speed and self._hot.temperature_cc < self._on_cc - _HYSTERESIS_CC:
                self.hotend.set(0)
        if self.board:
            if self._motion.enabled or self._heat.any_on():
                self._rest = self._board_checks
                if self.board.speed == 0:
                    self.board.set(255)
            elif self._rest > 0:
                self._rest -= 1
            elif self.board.speed:
                self.board.set(0)
