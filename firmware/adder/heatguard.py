"""Watch over one heater: is its sensor plausible, does it heat when told to, does it stay off when told to?

Called at every heater check with what was measured and what power was on since the last check; answers 0 or the kind of
fault. Each rule has one limit with a margin to what healthy printers do (noise, fan, draught, a cold room):

  MAXTEMP   the sensor reads the board's maximum or more, also with the heater off; a shorted sensor does so too
  MINTEMP   a target is set and the sensor reads the board's minimum or less; an open sensor does so too
  JUMP      readings change faster than any heater could, again and again: a loose contact
  SLOW      full power, but not `rise` within `watch` seconds
  STALL     not at full power and not `rise` within three such times, though the target was never reached
  FALL      falls by 10 degC although at full power: the sensor has come off, or the heater is dead
  LOW       held the target once and is now `drop` below it for `hold` seconds
  HIGH      held the target once and is now 15 degC above it for 3 s
  STUCK     no power for 10 s, but rises by 10 degC: the output does not switch off
"""

from micropython import const

OK = const(0)
MAXTEMP = const(1)
MINTEMP = const(2)
JUMP = const(3)
SLOW = const(4)
STALL = const(5)
FALL = const(6)
LOW = const(7)
HIGH = const(8)
STUCK = const(9)

# Checks come every 100 ms; times here are counted in checks.
PER_SECOND = const(10)
_MAX_CHECKS = const(3)
_MIN_CHECKS = const(5)
_FALL_CC = const(1000)
_FALL_CHECKS = const(30)
_HIGH_CC = const(1500)
_HIGH_CHECKS = const(30)
_STUCK_CC = const(1000)
_STUCK_REST = const(100)
_NEAR_CC = const(200)
_FULL_DUTY = const(64200)  # 98 %
# A reading that differs more than this from the last good one is not believed at once: even 80 W in a tiny block make
# less than 2 degC in 100 ms, and a sensor that comes off cools by less than 5 degC.
_JUMP_CC = const(1000)
_DOUBT_BAD = const(2)
_DOUBT_LIMIT = const(10)

OFF = const(0)
HEATING = const(1)
COOLING = const(2)
HOLDING = const(3)


class Guard:
    """State of the watch; `stuck_window` is the time in s in which a heater without power must not rise by 10 degC."""

    def __init__(self, min_cc, max_cc, stuck_window):
        self.min_cc = min_cc
        self.max_cc = max_cc
        self.watch = 20
        self.rise = 200
        self.hold = 40
        self.drop = 800
        self._stuck_checks = stuck_window * PER_SECOND
        self.state = OFF
        self.doubt = 0
        self._too_hot = 0
        self._too_cold = 0
        self._full = 0
        self._full_base = 0
        self._full_peak = 0
        self._slow = 0
        self._slow_base = 0
        self._low = 0
        self._high = 0
        self._unpowered = 0
        self._stuck_base = 0
        self._stuck = 0
        self.limit = 0  # limit that was crossed, 0.01 degC; for the fault's text
        self.seconds = 0  # and in which time

    def believe(self, reading, last):
        """Is `reading` (0.01 degC) possible after `last`? If it is not, `doubt` grows until `lost()`."""
        if -_JUMP_CC <= reading - last <= _JUMP_CC:
            if self.doubt:
                self.doubt -= 1
            return True
        self.doubt += _DOUBT_BAD
        return False

    def restart(self, now):
        """Readings start afresh at `now`: a sensor was plugged in."""
        self.doubt = self._unpowered = 0
        self._stuck_base = now

    def lost(self):
        """Too many readings that cannot be: the sensor or its wiring is bad, or it was plugged in just now."""
        return self.doubt >= _DOUBT_LIMIT

    def target(self, cc, now):
        """A new target, 0 for off. What is counted goes on: repeating a command must not put off a fault."""
        if cc <= 0:
            self.state = OFF
            return
        if self.state == OFF:
            self._too_cold = self._full = self._slow = 0
            self._slow_base = now
        self.state = HEATING if cc >= now else COOLING
        self._low = self._high = 0

    def check(self, target, reading, now, duty):
        """OK or the kind of fault.

        `reading` is this moment's temperature, `now` the filtered one, both in 0.01 degC; `duty` 0..65535 was on since
        the last check.
        """
        if reading >= self.max_cc:
            self._too_hot += 1
            if self._too_hot >= _MAX_CHECKS:
                return self.name_fault(MAXTEMP, self.max_cc, _MAX_CHECKS)
        else:
            self._too_hot = 0
        if duty:
            self._unpowered = 0
        elif self._rises_unpowered(now):
            return self.name_fault(STUCK, self._stuck_base + _STUCK_CC, self._stuck)
        if self.state == OFF:
            return OK
        if reading <= self.min_cc:
            self._too_cold += 1
            if self._too_cold >= _MIN_CHECKS:
                return self.name_fault(MINTEMP, self.min_cc, _MIN_CHECKS)
        else:
            self._too_cold = 0
        kind = self._full_power(now) if duty >= _FULL_DUTY else self._part_power(now)
        if kind:
            return kind
        if self.state == HEATING:
            if now >= target - _NEAR_CC:
                self.state = HOLDING
        elif self.state == COOLING:
            if now <= target + _NEAR_CC:
                self.state = HOLDING
        else:
            return self._holds(target, now)
        return OK

    def suspicious(self):
        """Something is wrong but not yet long enough for a fault: no power meanwhile."""
        return self.doubt or self._too_hot or self._too_cold

    def name_fault(self, kind, limit, checks=0):
        """Note the limit (0.01 degC) and the time of a fault for its text; gives back `kind`."""
        self.limit = limit
        self.seconds = checks // PER_SECOND
        return kind

    def _rises_unpowered(self, now):
        self._unpowered += 1
        if self._unpowered <= _STUCK_REST:
            # What the element and the sensor's lag still hold comes out first.
            self._stuck = 0
            self._stuck_base = now
            return False
        self._stuck += 1
        if now < self._stuck_base or self._stuck > self._stuck_checks:
            self._stuck = 0
            self._stuck_base = now
        return now >= self._stuck_base + _STUCK_CC

    def _full_power(self, now):
        if self._full == 0:
            self._full_base = self._full_peak = now
            self._slow = 0
        self._full += 1
        self._slow += 1
        if now > self._full_peak:
            self._full_peak = now
        elif self._full > _FALL_CHECKS and now <= self._full_peak - _FALL_CC:
            return self.name_fault(FALL, self._full_peak - _FALL_CC, self._full)
        if now >= self._full_base + self.rise:
            self._full_base = now
            self._slow = 0
        elif self._slow >= self.watch * PER_SECOND:
            return self.name_fault(SLOW, self._full_base + self.rise, self._slow)
        return OK

    def _part_power(self, now):
        if self._full:
            self._full = self._slow = 0
            self._slow_base = now
        if self.state != HEATING:
            return OK
        if now >= self._slow_base + self.rise:
            self._slow = 0
            self._slow_base = now
        self._slow += 1
        if self._slow >= 3 * self.watch * PER_SECOND:
            return self.name_fault(STALL, self._slow_base + self.rise, self._slow)
        return OK

    def _holds(self, target, now):
        if now < target - self.drop:
            self._low += 1
            if self._low >= self.hold * PER_SECOND:
                return self.name_fault(LOW, target - self.drop, self._low)
        else:
            self._low = 0
        if now > target + _HIGH_CC:
            self._high += 1
            if self._high >= _HIGH_CHECKS:
                return self.name_fault(HIGH, target + _HIGH_CC, self._high)
        else:
            self._high = 0
        return OK
