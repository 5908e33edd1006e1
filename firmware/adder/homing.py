"""Homing (G28): each axis finds its endstop fast, backs off, touches it again slowly, and knows where it is.

While a motor homes, its step driver looks at the endstop's pin before every step by itself (adder/hal), so it stops
within one step whatever the CPU is doing; the steps that were not made are read back from it. Where the kinematics is
not linear, motors are homed instead of axes: the carriages of a delta all together, each to its own switch.
"""

from adder import frame, joints
from adder.errors import Fault, Refused
from adder.frame import AXES, UNIT

_LOWER = "xyz"
_POLL_MS = 2
_TOGETHER_MS = 100  # after the first of several motors has found its switch the others may go on for so long


def home(motion, axes):
    """Home the axes of a bit mask (X 1, Y 2, Z 4; 0: all). Fault when an endstop is not found, or never opens."""
    motion.drain()
    machine = motion.kinematics
    if machine.problem:
        raise Refused(machine.problem)
    groups = machine.groups(axes & 7 or 7)
    axes = 0
    for group in groups:
        for axis in group:
            axes |= 1 << axis
            if motion.endstop(axis) is None:
                raise Refused("G28 %s: the board has no endstop for it" % AXES[axis])
    motion.homed &= ~axes
    if machine.linear:
        _home_groups(motion, machine, groups)
        return
    joints.begin(motion)
    try:
        if _home_groups(motion, machine, groups):
            _leave_switches(motion, machine)
    finally:
        joints.end(motion, machine)


def _home_groups(motion, machine, groups):
    for group in groups:
        if not _home_group(motion, machine, group):
            break  # stopped by M410 or M112
    else:
        return True
    return False


def _leave_switches(motion, machine):
    # The carriages of a delta go to equal heights, none above its switch
    place = machine.home()
    if place:
        heights = machine.place(place)
        state = motion.frame.state
        ways = [machine.motor_units(motor, heights[motor]) - state[motor] for motor in range(3)]
        if any(ways):
            joints.way(motion, range(3), ways, motion.setting("home_feedrate_x", 5))
            motion.drain()


class _Axis:
    """How one axis, or motor, is homed."""

    def __init__(self, motion, machine, axis):
        get = motion.setting
        name = _LOWER[axis]
        state = motion.frame.state
        self.axis = axis
        self.fast = get("home_feedrate_" + name, 5)
        self.slow = self.fast * get("homing_slow_percent", 0) // 100
        self.back = get("homing_backoff_" + name, 5)
        if machine.linear:
            to_max = get("home_to_max_" + name, 0)
            self.sign = 1 if to_max else -1
            self.travel = (state[frame.HIGH + axis] - state[frame.LOW + axis]) * 5 // 4 + 10 * UNIT
            self.place = state[(frame.HIGH if to_max else frame.LOW) + axis]
        else:
            self.sign = machine.signs[axis]
            self.travel = machine.travels[axis]
            self.place = machine.switches[axis]
        self.unit = "degrees" if machine.turns(axis) else "mm"


def _home_group(motion, machine, group):
    # Axes that move together; True when they are homed
    state = motion.frame.state
    plans = [_Axis(motion, machine, axis) for axis in group]
    stops = motion.stops

    def stopped():
        return motion.feeder.dead or motion.stops != stops

    travel = max([plan.travel for plan in plans])
    left = _seek(motion, plans, travel, min([plan.fast for plan in plans]), stopped)
    if stopped():
        return False
    if left:
        raise Fault(
            "Homing failed: %s endstop not reached within %d %s; check switch, wiring and motor"
            % (AXES[left[0].axis], travel // UNIT, left[0].unit)
        )
    back = max([plan.back for plan in plans])
    joints.way(motion, group, [-plan.sign * back for plan in plans], min([plan.fast for plan in plans]))
    motion.drain()
    if stopped():
        return False
    for plan in plans:
        if motion.endstop(plan.axis):
            raise Fault(
                "Homing failed: %s endstop still triggered after backing off %.1f %s; check switch and wiring"
                % (AXES[plan.axis], back / UNIT, plan.unit)
            )
    left = _seek(motion, plans, back * 2, min([plan.slow for plan in plans]), stopped)
    if stopped():
        return False
    if left:
        raise Fault(
            "Homing failed: %s endstop not reached again within %.1f %s; check the switch"
            % (AXES[left[0].axis], back * 2 / UNIT, left[0].unit)
        )
    for plan in plans:
        state[plan.axis] = plan.place
        motion.frame.origin(plan.axis)
        motion.homed |= 1 << plan.axis
        motion.babysteps[plan.axis] = 0
    motion.place_motors()
    return True


def _seek(motion, plans, travel, speed, stopped):
    # Move axes until the endstop of each closes; returns those whose endstop did not
    while plans and not stopped():
        found = _seek_some(motion, plans, travel, speed)
        if not found:
            break
        plans = [plan for plan in plans if plan not in found]
    return plans


def _seek_some(motion, plans, travel, speed):
    # Move until one endstop closes, and a little longer for the others; returns those that did
    feeder = motion.feeder
    stream = feeder.stream
    hal = motion.hal
    found = []
    first_ms = None
    for plan in plans:
        stop = motion.board.axes[plan.axis]
        plan.motors = motion.kinematics.motors(plan.axis)
        stream.watch(plan.motors, stop.endstop, stop.endstop_invert)
    try:
        joints.way(motion, [plan.axis for plan in plans], [plan.sign * travel for plan in plans], speed)
        while feeder.busy() and not feeder.dead:
            feeder.flush = True
            halted = stream.halted()
            if halted:
                if first_ms is None:
                    first_ms = hal.ticks_ms()
                some = [plan for plan in plans if plan.motors & halted]
                if len(some) == len(plans) or hal.ticks_diff(hal.ticks_ms(), first_ms) >= _TOGETHER_MS:
                    motion.take_back(feeder.abandon())
                    found = some
                    break
            motion.pump(_POLL_MS)
    finally:
        stream.watch(0)
        feeder.flush = False
    return found
