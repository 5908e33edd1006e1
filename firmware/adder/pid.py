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


class Pid:
    """One controller.

    It is told how far the temperature moved in the last `window` checks; less than `rest` (0.01 degC) counts as being
    at rest until the heater is known better.
    """

    def __init__(self, window, rest):
        self._kp = self._ki = self._kd = 0
        self._window = window
        self._rest = rest
        self._integral = 0
        self._steepest = 0
        self._steepest_at = 0
        self._stretch = 0

    def gains(self, kp, ki, kd):
        """Set the gains, scaled as in the module's text; ranges are checked by the settings."""
        self._kp, self._ki, self._kd = kp, ki, kd

    def reset(self):
        """Forget the past; when the heater goes off."""
        self._integral = 0
        self._stretch = 0

    def update(self, target, now, change):
        """Duty 0..65535, to be called every 100 ms; all in 0.01 degC, `change` over the last `window` calls."""
        error = target - now
        if error > _ERROR_LIMIT:
            error = _ERROR_LIMIT
        elif error < -_ERROR_LIMIT:
            error = -_ERROR_LIMIT
        if change > _CHANGE_LIMIT:
            change = _CHANGE_LIMIT
        elif change < -_CHANGE_LIMIT:
            change = -_CHANGE_LIMIT
        pull = self._kp * error
        if pull > _TERM_LIMIT:
            pull = _TERM_LIMIT
        elif pull < -_TERM_LIMIT:
            pull = -_TERM_LIMIT
        brake = self._kd * change // self._window * _PER_SECOND
        if brake > _TERM_LIMIT:
            brake = _TERM_LIMIT
        elif brake < -_TERM_LIMIT:
            brake = -_TERM_LIMIT
        total = pull - brake + self._integral // 10

        if total >= _FULL_SUM:
            self._learn(now, change)
            duty = FULL
            room = error < 0
        else:
            if self._stretch:
                self._predict(now, change)
            if total <= 0:
                duty = 0
                room = error > 0
            else:
                duty = total * 257 // 10000
                room = True
        if room and -self._rest < change < self._rest:
            self._integrate(error)
        return duty

    def _integrate(self, error):
        if error > _INTEGRAL_ERROR:
            error = _INTEGRAL_ERROR
        elif error < -_INTEGRAL_ERROR:
            error = -_INTEGRAL_ERROR
        self._integral += self._ki * error // 10
        if self._integral > _FULL_INTEGRAL:
            self._integral = _FULL_INTEGRAL
        elif self._integral < 0:
            self._integral = 0

    def _learn(self, now, change):
        """Full power: note the steepest rise and where it was."""
        if self._stretch == 0:
            self._steepest = 0
        self._stretch += 1
        if change > self._steepest:
            self._steepest = change
            self._steepest_at = now

    def _predict(self, now, change):
        """Full power has ended: start the integral at the power that will hold about this temperature.

        With power P, heat capacity C and losses k above the room's temperature A: slope = (P - k (T - A)) / C. Two
        points of the curve give k / C, and with it the share of P that holds T:
            lost = (slope1 - slope2) (T2 - A) / (T2 - T1),  share = lost / (slope2 + lost)
        """
        long_enough = self._stretch >= _STRETCH_CHECKS
        self._stretch = 0
        rise = now - self._steepest_at
        if not long_enough or rise < _STRETCH_CC:
            return
        self._rest = max(2, self._steepest >> 3)
        lost = (self._steepest - change) * (now - _ROOM_CC) // rise
        if lost <= 0 or change <= 0:
            return
        self._integral = lost * (10 * _PREDICTED_PERCENT) // (change + lost) * (_FULL_INTEGRAL // 1000)
