"""Endstops outside homing: moves that end at one (G1 S1), and a watch over ordinary moves (M120, M540).

G1 S1: the step driver of each motor looks at its axis' endstop before every step by itself, as in homing, and stops at
once; the others are stopped some ms later. The position is known to the step for all of them.

The watch is kept by the motion's timer, every 8 ms. An axis that moves away from its closed endstop, or stands on it,
is none of its business: it compares where the axis is with where it was when the endstop had just closed. So it stops
the machine within some 15 ms. The timer only stops the steps; the main loop then finds out the position.
"""

from array import array

from adder import frame, joints
from adder.errors import Refused
from adder.frame import AXES, UNIT, E
from adder.report import millimetres

_POLL_MS = 2
_STEPS = 3  # further towards a closed endstop than this is a move towards it
_LOWER = "xyz"
_MOTORS = -1  # `hit` of a move with S1


class Watch:
    """`active`: the timer has to call `look`. `hit`: the main loop has to call `settle`."""

    def __init__(self, motion):
        self._motion = motion
        self.on = False  # M120
        self.abort = False  # M540 S1
        self.active = False
        self.hit = 0  # bit per axis whose endstop has stopped the motion, _MOTORS
        self.checked = False  # a move with S1 is being made
        self._paused = False
        self._closed = 0
        self._nearest = array("i", [0, 0, 0])
        self._wake_up = self._abort = None

    def start(self, wake_up, abort):
        """`wake_up()`: somebody has to call `settle`; `abort()`: ends the print."""
        self._wake_up = wake_up
        self._abort = abort

    def set(self, on, abort):
        """M120, M121: watch, or not. M540: an endstop also ends the print."""
        self.on = on
        self.abort = abort
        self.pause(self._paused)

    def pause(self, paused):
        """While homing and in moves with S1 nothing is watched here."""
        self._paused = paused
        self._closed = 0
        self.active = self.checked or (not paused and (self.on or self.abort))

    def look(self):
        """Called by the timer: stops the steps if an axis moves into its endstop."""
        motion = self._motion
        feeder = motion.feeder
        if feeder.hold or feeder.dead or not feeder.running:
            self._closed = 0
            return
        if self.checked:
            if feeder.stream.halted():
                self._freeze(_MOTORS)
            return
        closed = 0
        for axis in range(3):
            if motion.endstop(axis):
                closed |= 1 << axis
        hit = self._approached(closed) if closed else 0
        self._closed = closed
        if hit:
            self._freeze(hit)

    def _approached(self, closed):
        # Which axes have moved towards their endstops since these closed
        motion = self._motion
        planner = motion.feeder.planner
        places = [planner.units(motor, motion.feeder.motor_steps(motor)) for motor in range(4)]
        if motion.kinematics.linear:  # otherwise an endstop belongs to a motor
            motion.kinematics.inverse(places)
        hit = 0
        for axis in range(3):
            bit = 1 << axis
            if closed & bit:
                place = places[axis] if motion.settings.get("home_to_max_" + _LOWER[axis]) else -places[axis]
                if not self._closed & bit or place < self._nearest[axis]:
                    self._nearest[axis] = place
                elif place - self._nearest[axis] > planner.units(axis, _STEPS):
                    hit |= bit
        return hit

    def _freeze(self, hit):
        feeder = self._motion.feeder
        feeder.hold = True
        feeder.stream.kill()
        self.hit = hit
        self._wake_up()

    def settle(self):
        """Called by the main loop after a hit: drops the queue, finds out where the machine is, and says so."""
        motion = self._motion
        hit = self.hit
        self.hit = 0
        if motion.feeder.dead:
            return
        motion.stop_now()
        if hit == _MOTORS:
            return
        words = ["%s:%s" % (AXES[axis], millimetres(motion.position_u(axis))) for axis in range(3) if hit >> axis & 1]
        motion.report("endstops hit: %s; motion stopped, queued moves dropped" % " ".join(words))
        if self.abort:
            self._abort()


def move(motion, c):
    """G0 and G1 with S: 0 as without it, 1 until an endstop of a moving axis closes, 2 motors instead of axes."""
    kind = c.scaled("S", 3, -1)
    if kind == 0:
        motion.plain_move(c)
    elif kind == 1000:
        _until_endstop(motion, c)
    elif kind == 2000:
        _of_motors(motion, c)
    else:
        raise Refused("S%s: should be 0, 1 (until an endstop closes) or 2 (motors instead of axes)" % c.show("S"))


def _until_endstop(motion, c):
    axes = [axis for axis in range(3) if c.has(AXES[axis])]
    if axes and not motion.kinematics.linear:
        axes = [0, 1, 2]  # every motor has to do with every axis, and an endstop of its own
    axes = [axis for axis in axes if motion.endstop(axis) is not None]
    if not axes:
        raise Refused("G1 S1: none of the axes that move has an endstop; S0 moves without")
    motion.drain()
    feeder = motion.feeder
    watch = motion.watch
    stream = feeder.stream
    free = 7
    others = []  # axes whose motors look at another switch
    try:
        for axis in axes:
            motors = motion.kinematics.motors(axis) if motion.kinematics.linear else 1 << axis
            part = motion.board.axes[axis]
            if motors & free:
                stream.watch(motors & free, part.endstop, part.endstop_invert)
                free &= ~motors
            else:
                others.append(axis)
        watch.checked = True
        watch.pause(True)
        motion.plain_move(c)
        while feeder.busy() and not feeder.dead:
            feeder.flush = True
            if stream.halted() or _closed(motion, others):
                motion.stop_now()
                break
            motion.pump(_POLL_MS)
    finally:
        watch.checked = False
        watch.pause(False)
        stream.watch(0)
        feeder.flush = False


def _closed(motion, axes):
    return any(motion.endstop(axis) for axis in axes)


def _of_motors(motion, c):
    if motion.kinematics.number == 0:
        motion.plain_move(c)
        return
    if motion.absolute:
        raise Refused("G1 S2: motors have no coordinates, only ways; G91 first")
    if c.has("E"):
        raise Refused("G1 S2 E%s: S2 moves the motors of X, Y and Z only" % c.show("E"))
    state = motion.frame.state
    speed = state[frame.FEEDRATE]
    if c.has("F"):
        speed = min(c.scaled("F", 3, 0) * 5 // 3, frame.SPEED_MAX)
        if speed <= 0:
            raise Refused("F%s: feedrate must be above 0 mm/min" % c.show("F"))
    ways = [c.length(letter, motion.inch) if c.valued(letter) else 0 for letter in "XYZ"]
    if not motion.kinematics.linear:
        _of_joints(motion, ways, speed)
        return
    axes = motion.kinematics.inverse(ways + [0])
    for axis in range(3):
        place = state[axis] + axes[axis]
        low, high = state[frame.LOW + axis], state[frame.HIGH + axis]
        if motion.soft_endstops and motion.homed >> axis & 1 and axes[axis] and not low <= place <= high:
            raise Refused(
                "G1 S2 would take %s to %.2f mm, should be %.2f to %.2f mm (M211 S0 lifts it)"
                % (AXES[axis], place / UNIT, low / UNIT, high / UNIT)
            )
    motion.drain()
    request = motion.feeder.planner.request
    for axis in range(4):
        request[axis] = axes[axis]
        request[4 + axis] = ways[axis] if axis < E else 0
    request[8] = state[frame.FEEDRATE] = speed
    request[9] = state[frame.ACCEL_TRAVEL]
    if any(ways) and motion.queue():
        motion.frame.advance(axes)


def _of_joints(motion, ways, speed):
    # The towers of a delta, the arms of a SCARA (degrees for mm); once homed, only to where the machine may be
    motion.drain()
    machine = motion.kinematics
    targets = [machine.motor_units(motor, motion.steps(motor) << 12) + ways[motor] for motor in range(3)]
    place = array("i", machine.axes([machine.motor_position(motor, targets[motor]) for motor in range(3)]))
    why = machine.problem
    if motion.homed == 7:
        why = machine.reach(place, place, motion.soft_endstops)
    if why:
        raise Refused("G1 S2: " + why)
    motion.frame.state[frame.FEEDRATE] = speed
    joints.go(motion, targets, (speed,))
