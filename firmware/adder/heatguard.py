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

Temperatures are in 0.01 degC, times are counted in checks of 100 ms. The state is an array, so that viper code can work
on it: the rules of one heater take some 50 us instead of 500.
"""

from array import array

import micropython
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

_OFF = const(0)
_HEATING = const(1)
_COOLING = const(2)
_HOLDING = const(3)

# Places in the state
_MIN = const(0)
_MAX = const(1)
_WATCH = const(2)  # limits, as set
_RISE = const(3)
_HOLD = const(4)
_DROP = const(5)
_STUCK_WINDOW = const(6)
_PHASE = const(7)  # _OFF, _HEATING, _COOLING, _HOLDING
_DOUBT = const(8)
_TOO_HOT = const(9)  # how many checks in a row
_TOO_COLD = const(10)
_TOO_LOW = const(11)
_TOO_HIGH = const(12)
_FULL = const(13)  # full power: for so long, highest reading in it
_FULL_PEAK = const(14)
_WAITS = const(15)  # checks since the last rise, and the reading that it is counted from
_WAITS_FROM = const(16)
_UNPOWERED = const(17)  # no power: for so long; then the window in which nothing may rise
_STILL = const(18)
_STILL_FROM = const(19)
_LIMIT = const(20)  # of the fault found: limit crossed, and time it took
_TOOK = const(21)
_SIZE = const(22)


class Guard:
    """The watch over one heater; `stuck_window` in s: so long it must not rise by 10 degC without power."""

    def __init__(self, min_cc, max_cc, stuck_window):
        self.min_cc = min_cc
        self.max_cc = max_cc
        self._state = array("i", [0] * _SIZE)
        self._state[_MIN] = min_cc
        self._state[_MAX] = max_cc
        self._state[_STUCK_WINDOW] = stuck_window * PER_SECOND

    def limits(self, watch, rise, hold, drop):
        """Limits of SLOW and LOW: `watch` and `hold` in s, `rise` and `drop` in 0.01 degC."""
        state = self._state
        state[_WATCH] = watch * PER_SECOND
        state[_RISE] = rise
        state[_HOLD] = hold * PER_SECOND
        state[_DROP] = drop

    def target(self, cc, now):
        """A new target, 0 for off. What is counted goes on: repeating a command must not put off a fault."""
        state = self._state
        if cc <= 0:
            state[_PHASE] = _OFF
            return
        if state[_PHASE] == _OFF:
            state[_TOO_COLD] = state[_FULL] = state[_WAITS] = 0
            state[_WAITS_FROM] = now
        state[_PHASE] = _HEATING if cc >= now else _COOLING
        state[_TOO_LOW] = state[_TOO_HIGH] = 0

    def restart(self, now):
        """Readings start afresh at `now`: a sensor was plugged in."""
        state = self._state
        state[_DOUBT] = state[_UNPOWERED] = 0
        state[_STILL_FROM] = now

    def believe(self, reading, last):
        """Is `reading` possible after `last`? If it is not, `doubt` grows until `lost()`."""
        return _believe(self._state, reading, last)

    def lost(self):
        """Too many readings that cannot be: the sensor or its wiring is bad, or it was plugged in just now."""
        return self._state[_DOUBT] >= _DOUBT_LIMIT

    def doubtful(self):
        """Several readings of late could not be believed."""
        return self._state[_DOUBT] > _DOUBT_BAD

    def suspicious(self):
        """Something is wrong but not yet long enough for a fault: no power meanwhile."""
        state = self._state
        return state[_DOUBT] | state[_TOO_HOT] | state[_TOO_COLD]

    def check(self, target, reading, now, duty):
        """OK or the kind of fault.

        `reading` is this moment's temperature, `now` the filtered one; `duty` 0..65535 was on since the last check.
        """
        return _judge(self._state, target, reading, now, duty)

    def jumped(self, reading):
        """The kind of fault of a reading that left what is possible and did not come back."""
        state = self._state
        state[_TOOK] = _DOUBT_LIMIT // _DOUBT_BAD
        if reading >= self.max_cc:
            state[_LIMIT] = self.max_cc
            return MAXTEMP
        if reading <= self.min_cc:
            state[_LIMIT] = self.min_cc
            return MINTEMP
        state[_LIMIT] = reading
        return JUMP

    @property
    def limit_cc(self):
        """The limit that the fault crossed."""
        return self._state[_LIMIT]

    @property
    def seconds(self):
        """The time that the fault took to be sure of, in s."""
        return self._state[_TOOK] // PER_SECOND


@micropython.viper
def _believe(state, reading: int, last: int) -> bool:
    s = ptr32(state)
    jump = reading - last
    if jump > _JUMP_CC or jump < 0 - _JUMP_CC:
        s[_DOUBT] += _DOUBT_BAD
        return False
    if s[_DOUBT] > 0:
        s[_DOUBT] -= 1
    return True


@micropython.viper
def _judge(state, target: int, reading: int, now: int, duty: int) -> int:
    s = ptr32(state)
    if reading >= s[_MAX]:
        s[_TOO_HOT] += 1
        if s[_TOO_HOT] >= _MAX_CHECKS:
            s[_LIMIT] = s[_MAX]
            s[_TOOK] = _MAX_CHECKS
            return MAXTEMP
    else:
        s[_TOO_HOT] = 0

    if duty > 0:
        s[_UNPOWERED] = 0
    elif s[_UNPOWERED] < _STUCK_REST:
        # What the element and the sensor's lag still hold comes out first.
        s[_UNPOWERED] += 1
        s[_STILL] = 0
        s[_STILL_FROM] = now
    else:
        s[_STILL] += 1
        if now < s[_STILL_FROM] or s[_STILL] > s[_STUCK_WINDOW]:
            s[_STILL] = 0
            s[_STILL_FROM] = now
        elif now >= s[_STILL_FROM] + _STUCK_CC:
            s[_LIMIT] = s[_STILL_FROM] + _STUCK_CC
            s[_TOOK] = s[_STILL]
            return STUCK

    if s[_PHASE] == _OFF:
        return OK

    if reading <= s[_MIN]:
        s[_TOO_COLD] += 1
        if s[_TOO_COLD] >= _MIN_CHECKS:
            s[_LIMIT] = s[_MIN]
            s[_TOOK] = _MIN_CHECKS
            return MINTEMP
    else:
        s[_TOO_COLD] = 0

    if duty >= _FULL_DUTY:
        kind = int(_full_power(state, now))
    else:
        kind = int(_part_power(state, now))
    if kind != OK:
        return kind

    if s[_PHASE] == _HEATING:
        if now >= target - _NEAR_CC:
            s[_PHASE] = _HOLDING
    elif s[_PHASE] == _COOLING:
        if now <= target + _NEAR_CC:
            s[_PHASE] = _HOLDING
    else:
        return int(_holds(state, target, now))
    return OK


@micropython.viper
def _full_power(state, now: int) -> int:
    s = ptr32(state)
    if s[_FULL] == 0:
        s[_FULL_PEAK] = now
        s[_WAITS] = 0
        s[_WAITS_FROM] = now
    s[_FULL] += 1
    s[_WAITS] += 1
    if now > s[_FULL_PEAK]:
        s[_FULL_PEAK] = now
    elif s[_FULL] > _FALL_CHECKS and now <= s[_FULL_PEAK] - _FALL_CC:
        s[_LIMIT] = s[_FULL_PEAK] - _FALL_CC
        s[_TOOK] = s[_FULL]
        return FALL
    if now >= s[_WAITS_FROM] + s[_RISE]:
        s[_WAITS] = 0
        s[_WAITS_FROM] = now
    elif s[_WAITS] >= s[_WATCH]:
        s[_LIMIT] = s[_WAITS_FROM] + s[_RISE]
        s[_TOOK] = s[_WAITS]
        return SLOW
    return OK


@micropython.viper
def _part_power(state, now: int) -> int:
    s = ptr32(state)
    if s[_FULL] != 0:
        s[_FULL] = 0
        s[_WAITS] = 0
        s[_WAITS_FROM] = now
    if s[_PHASE] != _HEATING:
        return OK
    s[_WAITS] += 1
    if now >= s[_WAITS_FROM] + s[_RISE]:
        s[_WAITS] = 0
        s[_WAITS_FROM] = now
    elif s[_WAITS] >= 3 * s[_WATCH]:
        s[_LIMIT] = s[_WAITS_FROM] + s[_RISE]
        s[_TOOK] = s[_WAITS]
        return STALL
    return OK


@micropython.viper
def _holds(state, target: int, now: int) -> int:
    s = ptr32(state)
    if now < target - s[_DROP]:
        s[_TOO_LOW] += 1
        if s[_TOO_LOW] >= s[_HOLD]:
            s[_LIMIT] = target - s[_DROP]
            s[_TOOK] = s[_TOO_LOW]
            return LOW
    else:
        s[_TOO_LOW] = 0
    if now > target + _HIGH_CC:
        s[_TOO_HIGH] += 1
        if s[_TOO_HIGH] >= _HIGH_CHECKS:
            s[_LIMIT] = target + _HIGH_CC
            s[_TOOK] = s[_TOO_HIGH]
            return HIGH
    else:
        s[_TOO_HIGH] = 0
    return OK
