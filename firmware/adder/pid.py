"""PID control of a heater in integers, ten times a second.

The usual position form, with two deliberate differences from the textbook:
  - the derivative is taken from the measurement, so a new target gives no kick;
  - the integral only moves while the temperature is nearly at rest. While it still rises, the error says nothing about
    the power that will hold the target, and what was summed up then comes out as overshoot. Instead, when full power
    ends, the integral starts at the power that the heating curve itself predicts (see `_predict`).

Gains are in Marlin's units, output 0..255: Kp per degC, Ki per degC and second, Kd per degC/s, here scaled by 100, 1000
and 100.
Inside, output is in 1e-4 (P, D) and 1e-5 (I) of those 255 steps. Every intermediate stays below 2**30, so nothing is
allocated on the board.
"""

from array import array

import micropython
from micropython import const

P_DECIMALS = const(2)
I_DECIMALS = const(3)
D_DECIMALS = const(2)
P_HIGHEST = const(40000)  # scaled: 400.00, so that P_HIGHEST * _ERROR_LIMIT stays below 2**30
I_HIGHEST = const(100000)  # 100.000
D_HIGHEST = const(500000)  # 5000.00

FULL = const(65535)
_FULL_SUM = const(2550000)
_FULL_INTEGRAL = const(25500000)
_ERROR_LIMIT = const(25000)
_CHANGE_LIMIT = const(2000)
_TERM_LIMIT = const(500000000)
# The integral works on errors up to this; beyond it the output is full or zero anyway.
_INTEGRAL_ERROR = const(2000)
_ROOM_CC = const(2500)
_PER_SECOND = const(10)
# Prediction needs a stretch of heating at full power: that many checks and that much rise.
_STRETCH_CHECKS = const(50)
_STRETCH_CC = const(1500)
# Share of the predicted power to start with: coming up to the target from below is the safer error.
_PREDICTED_PERCENT = const(90)

# Places in the state
_KP = const(0)
_KI = const(1)
_KD = const(2)
_WINDOW = const(3)
_REST = const(4)
_INTEGRAL = const(5)
_STRETCH = const(6)  # full power for so many checks; the steepest rise in it, and at which temperature
_STEEPEST = const(7)
_STEEPEST_AT = const(8)
_SIZE = const(9)


class Pid:
    """One controller.

    It is told how far the temperature moved in the last `window` checks; less than `rest` (0.01 degC) counts as being
    at rest until the heater is known better.
    """

    def __init__(self, window, rest):
        self._state = array("i", [0] * _SIZE)
        self._state[_WINDOW] = window
        self._state[_REST] = rest

    def gains(self, kp, ki, kd):
        """Set the gains, scaled as in the module's text; ranges are checked by the settings."""
        self._state[_KP] = kp
        self._state[_KI] = ki
        self._state[_KD] = kd

    def reset(self):
        """Forget the past; when the heater goes off."""
        self._state[_INTEGRAL] = 0
        self._state[_STRETCH] = 0

    def update(self, target, now, change):
        """Duty 0..65535, to be called every 100 ms; all in 0.01 degC, `change` over the last `window` calls."""
        return _update(self._state, target - now, now, change)


@micropython.viper
def _update(state, error: int, now: int, change: int) -> int:
    s = ptr32(state)
    # Limits by comparison: min() and max() would make objects.
    if error > _ERROR_LIMIT:
        error = _ERROR_LIMIT
    elif error < 0 - _ERROR_LIMIT:
        error = 0 - _ERROR_LIMIT
    if change > _CHANGE_LIMIT:
        change = _CHANGE_LIMIT
    elif change < 0 - _CHANGE_LIMIT:
        change = 0 - _CHANGE_LIMIT
    pull = s[_KP] * error
    if pull > _TERM_LIMIT:
        pull = _TERM_LIMIT
    elif pull < 0 - _TERM_LIMIT:
        pull = 0 - _TERM_LIMIT
    brake = s[_KD] * change // s[_WINDOW] * _PER_SECOND
    if brake > _TERM_LIMIT:
        brake = _TERM_LIMIT
    elif brake < 0 - _TERM_LIMIT:
        brake = 0 - _TERM_LIMIT
    if s[_STRETCH] > 0 and pull - brake + s[_INTEGRAL] // 10 < _FULL_SUM:
        _predict(state, now, change)
    total = pull - brake + s[_INTEGRAL] // 10

    if total >= _FULL_SUM:
        # Full power: note the steepest rise and where it was.
        if s[_STRETCH] == 0:
            s[_STEEPEST] = 0
        s[_STRETCH] += 1
        if change > s[_STEEPEST]:
            s[_STEEPEST] = change
            s[_STEEPEST_AT] = now
        duty = FULL
        useful = error < 0
    elif total <= 0:
        duty = 0
        useful = error > 0
    else:
        duty = total * 257 // 10000
        useful = True
    # Anti-windup: never further into a limit, and only at rest.
    if useful and change < s[_REST] and change > 0 - s[_REST]:
        if error > _INTEGRAL_ERROR:
            error = _INTEGRAL_ERROR
        elif error < 0 - _INTEGRAL_ERROR:
            error = 0 - _INTEGRAL_ERROR
        integral = s[_INTEGRAL] + s[_KI] * error // 10
        if integral > _FULL_INTEGRAL:
            integral = _FULL_INTEGRAL
        elif integral < 0:
            integral = 0
        s[_INTEGRAL] = integral
    return duty


@micropython.viper
def _predict(state, now: int, change: int):
    """Full power has ended: start the integral at the power that will hold about this temperature.

    With power P, heat capacity C and losses k above the room's temperature A: slope = (P - k (T - A)) / C. Two
    points of the curve give k / C, and with it the share of P that holds T:
        lost = (slope1 - slope2) (T2 - A) / (T2 - T1),  share = lost / (slope2 + lost)
    """
    s = ptr32(state)
    stretch = s[_STRETCH]
    s[_STRETCH] = 0
    rise = now - s[_STEEPEST_AT]
    if stretch < _STRETCH_CHECKS or rise < _STRETCH_CC:
        return
    s[_REST] = s[_STEEPEST] >> 3 if s[_STEEPEST] >= 16 else 2
    lost = (s[_STEEPEST] - change) * (now - _ROOM_CC) // rise
    if lost > 0 and change > 0:
        s[_INTEGRAL] = lost * (10 * _PREDICTED_PERCENT) // (change + lost) * (_FULL_INTEGRAL // 1000)
