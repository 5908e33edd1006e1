"""Homing (G28): each axis finds its endstop fast, backs off, touches it again slowly, and knows where it is.

While a motor homes, its step driver looks at the endstop's pin before every step by itself (adder/hal), so it stops
within one step whatever the CPU is doing; the steps that were not made are read back from it.
"""

from adder import frame
from adder.errors import Fault, Refused
from adder.frame import AXES, UNIT

_LOWER = "xyz"
_POLL_MS = 2


def home(motion, axes):
    """Home the axes of a bit mask (X 1, Y 2, Z 4; 0: all). Fault when an endstop is not found, or never opens."""
    motion.drain()
    axes = axes & 7 or 7
    for axis in range(3):
        if axes >> axis & 1 and motion.endstop(axis) is None:
            raise Refused("G28 %s: the board has no endstop for it" % AXES[axis])
    motion.homed &= ~axes
    for axis in range(3):
        if axes >> axis & 1 and not motion.feeder.dead and not _home_axis(motion, axis):
            return  # stopped by M410 or M112


def _home_axis(motion, axis):
    letter = AXES[axis]
    get = motion.setting
    name = _LOWER[axis]
    state = motion.frame.state
    fast = get("home_feedrate_" + name, 5)
    slow = fast * get("homing_slow_percent", 0) // 100
    back = get("homing_backoff_" + name, 5)
    to_max = get("home_to_max_" + name, 0)
    sign = 1 if to_max else -1
    travel = (state[frame.HIGH + axis] - state[frame.LOW + axis]) * 5 // 4 + 10 * UNIT
    stops = motion.stops
    if not _seek(motion, axis, sign * travel, fast):
        if motion.feeder.dead or motion.stops != stops:
            return False
        raise Fault(
            "Homing failed: %s endstop not reached within %d mm; check switch, wiring and motor"
            % (letter, travel // UNIT)
        )
    _shift(motion, axis, -sign * back, fast)
    motion.drain()
    if motion.feeder.dead or motion.stops != stops:
        return False
    if motion.endstop(axis):
        raise Fault(
            "Homing failed: %s endstop still triggered after backing off %.1f mm; check switch and wiring"
            % (letter, back / UNIT)
        )
    if not _seek(motion, axis, sign * back * 2, slow):
        if motion.feeder.dead or motion.stops != stops:
            return False
        raise Fault(
            "Homing failed: %s endstop not reached again within %.1f mm; check the switch" % (letter, back * 2 / UNIT)
        )
    state[axis] = state[frame.HIGH + axis] if to_max else state[frame.LOW + axis]
    motion.frame.origin(axis)
    motion.place_motors()
    motion.homed |= 1 << axis
    return True


def _shift(motion, axis, delta, speed):
    # A move of one axis without limits
    request = motion.feeder.planner.request
    for i in range(8):
        request[i] = 0
    request[axis] = delta
    motion.kinematics(request, 4)
    request[8] = speed
    request[9] = motion.frame.state[frame.ACCEL_TRAVEL]
    if motion.queue():
        motion.frame.state[axis] += delta


def _seek(motion, axis, delta, speed):
    # Move one axis until its endstop closes; True when it did
    feeder = motion.feeder
    stop = motion.board.axes[axis]
    stream = feeder.stream
    found = False
    stream.watch(motion.kinematics.motors(axis), stop.endstop, stop.endstop_invert)
    try:
        _shift(motion, axis, delta, speed)
        while feeder.busy() and not feeder.dead:
            feeder.flush = True
            if stream.halted():
                motion.take_back(feeder.abandon())
                found = True
                break
            motion.pump(_POLL_MS)
    finally:
        stream.watch(0)
        feeder.flush = False
    return found
