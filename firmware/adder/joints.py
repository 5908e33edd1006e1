"""Moves of the motors themselves, as if each were an axis: homing of a delta or a SCARA, poses of arms.

In between X, Y and Z are the motors' positions, in 10 nm or 0.00001 degree; everything that moves, stops and takes
back steps works on them as on a Cartesian machine.
"""

from adder.frame import ACCEL_TRAVEL
from adder.kinematics.fixed import root
from adder.kinematics.linear import Motors


def begin(motion):
    """When all moves are made: motors are the axes from now on. Returns what `end` needs."""
    motion.drain()
    machine = motion.kinematics
    state = motion.frame.state
    if machine.linear:
        places = machine(state[0:4])
        scales = None
    else:
        places = [machine.motor_units(motor, motion.steps(motor) << 12) for motor in range(3)]
        scales = machine.motor_scales
    for motor in range(3):
        state[motor] = places[motor]
    motion.use(Motors(scales))
    return machine


def end(motion, machine):
    """At rest: X, Y and Z are the axes again, at the place where the motors have gone."""
    state = motion.frame.state
    if machine.linear:
        places = machine.inverse(state[0:4])
    else:
        places = machine.axes([machine.motor_position(motor, state[motor]) for motor in range(3)])
        steps = [motion.steps(motor) for motor in range(3)]
        if [(at + 2048) >> 12 for at in machine.place(places)] != steps:
            # What was asked for lies between two steps, and the motors are at the other one
            places = machine.axes([at << 12 for at in steps])
    for axis in range(3):
        state[axis] = places[axis]
    motion.use(machine)


def way(motion, axes, ways, speed):
    """Queue a move of these axes, without limits, as far as given and about as fast; False when it was dropped."""
    state = motion.frame.state
    request = motion.feeder.planner.request
    for i in range(8):
        request[i] = 0
    longest = 1
    square = 0
    targets = []
    for i in range(len(ways)):
        axis, delta = axes[i], ways[i]
        request[axis] = delta
        targets.append(state[axis] + delta)
        longest = max(longest, abs(delta))
        square += delta * delta
    motion.kinematics(request, 4)
    # Along the path, so that the axis with the longest way has that speed
    request[8] = min(speed * root(square) // longest, 0x0FFFFFFF)
    request[9] = state[ACCEL_TRAVEL]
    if not motion.queue():
        return False
    for i in range(len(ways)):
        state[axes[i]] = targets[i]
    return True


def go(motion, targets, speeds):
    """Motors 0, 1, ... go to these positions together, none faster than its speed (units per s)."""
    machine = begin(motion)
    try:
        state = motion.frame.state
        ways = [targets[motor] - state[motor] for motor in range(len(targets))]
        if any(ways):
            way(motion, range(len(ways)), ways, min(speeds))
            motion.drain()
    finally:
        end(motion, machine)
