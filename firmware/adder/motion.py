"""Motion as G-code sees it: moves, modes, limits, motors, and what waits for them. Homing is in adder/homing.py.

    G-code --frame--> request --planner--> blocks --slicer--> words --stream--> edges
"""

from adder import correction, filter_settings, frame, kinematics
from adder.counters import Counters
from adder.errors import Refused
from adder.feeder import Feeder
from adder.frame import AXES, CLIPPED, MOVES, RETRACTS, TOO_COLD, UNIT, E, Frame

_LOWER = "xyze"
_SERVICE_MS = 8

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("extrude_min_c", "M302", "S", "degC", 0, 170, 0, 500, "Lowest hotend temperature for extrusion"),
    ("homing_slow_percent", "", "", "%", 0, 20, 2, 100, "Speed of the second touch when homing"),
)


def _field(index):
    # A number in the frame's array, by name
    def get(self):
        return self.frame.state[index]

    def put(self, value):
        self.frame.state[index] = value

    return property(get, put)


def _mode(bit, meaning):
    # A mode bit, by name: set means `meaning`
    def get(self):
        return bool(self.frame.state[frame.MODES] & bit) == meaning

    def put(self, value):
        self.frame.mode(bit, bool(value) == meaning)

    return property(get, put)


class Motion:
    """The machine's motion; `pump` waits a little and lets the printer go on."""

    absolute = _mode(frame.RELATIVE, False)
    absolute_e = _mode(frame.RELATIVE_E, False)
    inch = _mode(frame.INCH, True)
    soft_endstops = _mode(frame.SOFT_ENDSTOPS, True)
    flow_percent = _field(frame.FLOW_PERCENT)
    homed = _field(frame.HOMED)  # bit per axis
    enabled = _field(frame.ENABLED)  # bit per motor that is on

    def __init__(self, board, hal, settings, pump):
        self.board = board
        self.hal = hal
        self.settings = settings
        self.pump = pump
        self.frame = Frame()
        self._target = memoryview(self.frame.state)[frame.TARGET : frame.TARGET + 3]
        self.last_activity_ms = hal.ticks_ms()
        self.clipped = 0  # moves that were shortened to the limits
        self.hotend = None  # set by the printer: refuses cold extrusion
        self.report = None  # function(text) for remarks to the host
        self.held = False  # see `hold`
        self.stops = 0  # how often everything queued was dropped
        self._warned = 0
        self._feed_percent = 100
        self.babysteps = [0, 0, 0]  # sums since the axes were homed, 10 nm
        self._babystep_rest = [0, 0, 0]
        self._bent = None  # settings of what bends the path, as they are in effect,
        self._shape = None  # and the kinematics
        self.kinematics = None
        drivers = board.axes
        self.feeder = Feeder(
            hal,
            hal.step_stream(
                [(axis.step, axis.dir, axis.invert_dir) for axis in drivers],
                max(axis.pulse_high_ns for axis in drivers),
                max(axis.pulse_low_ns for axis in drivers),
                max(axis.dir_setup_ns for axis in drivers),
            ),
        )
        self._enable_pins = [
            None if axis.enable is None else hal.output(axis.enable, axis.invert_enable, False)
            for axis in drivers
        ]
        self._endstops = [
            None
            if axis.endstop is None
            else hal.input(axis.endstop, axis.endstop_pull, axis.endstop_invert)
            for axis in drivers
        ]
        self._on_failure = None
        self._arcs = None
        self.counters = Counters(hal, self.feeder)
        self._watch = None
        self._retraction = None
        self.on_hit = None  # functions (wake_up, abort) for the watch over endstops, set by the printer
        self.apply_settings()
        settings.on_change("", self.apply_settings)
        settings.guard(self._check_machine)

    def start(self, on_failure):
        """Start to serve the step streams; `on_failure(error)` is called when that breaks down, with the motors off."""
        self._on_failure = on_failure
        self._service = self._serve
        self.hal.timer(_SERVICE_MS, self._service)

    def _serve(self, _):
        try:
            self.counters.serve()
            if self._watch and self._watch.active:
                self._watch.look()
        except Exception as error:
            self.kill()
            self._on_failure(error)

    @property
    def watch(self):
        """Endstops outside homing (adder/endstops.py), loaded when it is first needed."""
        if self._watch is None:
            from adder.endstops import Watch

            self._watch = Watch(self)
            self._watch.start(*self.on_hit)
        return self._watch

    @property
    def hit(self):
        """A watched endstop has stopped the motion: `watch.settle` has to be called."""
        return self._watch is not None and self._watch.hit

    @property
    def retraction(self):
        """G10 and G11 (adder/retraction.py), loaded when they are first needed."""
        if self._retraction is None:
            from adder.retraction import Retraction

            self._retraction = Retraction(self)
        return self._retraction

    @property
    def arcs(self):
        """G2 and G3 (adder/arc.py), loaded when they are first needed: code that is not frozen takes RAM."""
        if self._arcs is None:
            from adder.arc import Arcs

            self._arcs = Arcs(self)
        return self._arcs

    @property
    def feed_percent(self):
        """Feedrate percentage (M220); it acts on everything that has not become steps yet."""
        return self._feed_percent

    @feed_percent.setter
    def feed_percent(self, percent):
        self._feed_percent = percent
        if not (self.feeder.braking or self.held):
            self.feeder.set_feed(percent)

    # Settings

    def setting(self, name, decimals):
        """A setting as an integer scaled by 10**decimals."""
        have = self.settings.decimals(name)
        value = self.settings.get(name)
        if have > decimals:
            return value // 10 ** (have - decimals)
        return value * 10 ** (decimals - have)

    def apply_settings(self, _=None):
        """Take limits and scales over from the settings; queued moves keep theirs."""
        get = self.setting
        planner = self.feeder.planner
        state = self.frame.state
        kind = get("kinematics", 0)
        if self.kinematics is None or self.kinematics.number != kind:
            self.kinematics = kinematics.select(kind)
        self.kinematics.configure(get)
        state[frame.KINEMATICS] = kind
        state[frame.ACCEL_PRINT] = get("acceleration_print", 0)
        state[frame.ACCEL_RETRACT] = get("acceleration_retract", 0)
        state[frame.ACCEL_TRAVEL] = get("acceleration_travel", 0)
        state[frame.MIN_PRINT] = get("min_feedrate_print", 5)
        state[frame.MIN_TRAVEL] = get("min_feedrate_travel", 5)
        self.extrude_min_cc = get("extrude_min_c", 2)
        drivers = self.board.axes
        for axis in range(4):
            name = _LOWER[axis]
            driver = drivers[axis]
            planner.set_axis(
                axis,
                min(get("max_feedrate_" + name, 5), frame.SPEED_MAX),
                get("max_acceleration_" + name, 0),
                get("jerk_" + name, 3) * 64 // 1000,
                self.kinematics.scale(axis, get("steps_per_mm_" + name, 3)),
                min(self.feeder.stream.max_step_rate, 1_000_000_000 // (driver.pulse_high_ns + driver.pulse_low_ns)),
            )
            if axis < E:
                low, high = self.kinematics.limits(axis, get(name + "_min", 5), get(name + "_max", 5))
                state[frame.LOW + axis] = low
                state[frame.HIGH + axis] = high
        if not self.kinematics.linear:
            self.kinematics.limit(
                [min(get("max_feedrate_" + name, 5), frame.SPEED_MAX) for name in "xyz"],
                [1_000_000_000 // (d.pulse_high_ns + d.pulse_low_ns) for d in drivers[0:3]],
                self.feeder.stream.max_step_rate,
            )
        self.frame.configure(get)
        planner.set_filament_speed(self.frame.filament_speed)
        planner.set_advance(get("advance_k", 4))
        deviation_um = get("junction_deviation", 3)
        planner.set_junction(deviation_um, deviation_um == 0)
        planner.set_shortest(get("min_segment_us", 0))
        self.soft_endstops = get("soft_endstops", 0)
        self.feeder.set_invert(
            [drivers[axis].invert_dir != bool(get("invert_dir_" + _LOWER[axis], 0)) for axis in range(4)]
        )
        self._bend()

    def _check_machine(self, names):
        # Refused when changed settings make no machine
        kinematics.check(self.setting, names)

    def use(self, machine):
        """At rest: another kinematics; X, Y and Z have got their places in it already."""
        self.kinematics = machine
        for axis in range(3):
            scale = machine.scale(axis, self.setting("steps_per_mm_" + _LOWER[axis], 3))
            self.feeder.planner.set_scale(axis, scale)
        self._shape = None
        self._bend()

    def _bend(self):
        # What bends the path follows the settings, at rest
        feeder = self.feeder
        if feeder.busy() or feeder.dead:
            return
        chosen = filter_settings.values(self.setting)
        shape = self.kinematics.shape()
        if chosen != self._bent or shape != self._shape:
            self._bent = chosen
            if feeder.bends or filter_settings.any_on(chosen) or not self.kinematics.linear:
                filter_settings.configure(feeder.bend, chosen)
                feeder.bend.kinematics(self.kinematics)
                feeder.slicer.bent()
            if shape != self._shape:
                if self._shape:
                    self.homed = 0
                self._shape = shape
                self.place_motors()

    def rescale(self):
        """After a change of steps per mm: the machine stands where it stood, counted in the new steps."""
        self.place_motors()

    # Position

    def position_u(self, axis):
        """End of the last queued move in G-code's frame, 10 nm."""
        return self.frame.value(axis)

    def steps(self, motor):
        """Motor position now, steps."""
        return self.motor_steps()[motor]

    def motor_steps(self):
        """Positions of all motors now, steps; good to a slice or two while they move."""
        feeder = self.feeder
        held, feeder.hold = feeder.hold, True  # or the timer could add steps between two numbers that belong together
        steps = [feeder.motor_steps(motor) for motor in range(4)]
        feeder.hold = held
        return steps

    def real_position_u(self):
        """Where the motors have taken the four axes by now, G-code coordinates in 10 nm.

        E is the end of the queue less what is still to be made: it keeps its meaning whatever M221 and G92 said.
        """
        planner = self.feeder.planner
        extra = self.feeder.slicer.extra
        steps = self.motor_steps()
        for motor in range(4):
            steps[motor] -= extra(motor)
        if self.kinematics.linear:
            units = [planner.units(motor, steps[motor]) for motor in range(4)]
            self.kinematics.inverse(units)
        else:
            units = self.kinematics.axes([steps[motor] << 12 for motor in range(3)])
        return self.frame.values_at(units[0:3], planner.units(E, planner.planned(E) - steps[E]))

    def set_position(self, axis, value):
        """G92: the end of the queue has this value (10 nm) in G-code's frame from now on. Nothing moves."""
        self.frame.declare(axis, value)

    def place_motors(self):
        """Take the motors' step counts from the machine's position; only at rest."""
        units = self.frame.drives()
        self.feeder.place(self.kinematics(units) if self.kinematics.linear else units)

    def _undone_e(self, units):
        # What is left of E's undone way when a retraction was among it
        return self._retraction.undone(units) if self._retraction else units

    def take_back(self, undone):
        """The position is where the motors are: `undone` steps per motor were planned but not made."""
        if not self.kinematics.linear:
            made = self.feeder.made
            undone_e = self._undone_e(self.feeder.planner.units(E, undone[E]))
            self.frame.advance((0, 0, 0, -undone_e))
            self.frame.set_drives(self.kinematics.axes([made[motor] << 12 for motor in range(3)]))
            self.place_motors()
            return
        units = [self.feeder.planner.units(motor, undone[motor]) for motor in range(4)]
        self.kinematics.inverse(units)
        units[E] = self._undone_e(units[E])
        self.frame.advance([-way for way in units])

    # Moves

    def move(self, c):
        """G0, G1: queue a straight move; waits (pumping) while the planner is full.

        Raises Refused for a letter that is wrong; targets outside the limits are clipped. S1 and S2: adder/endstops.py.
        """
        if c.has("S"):
            from adder import endstops

            endstops.move(self, c)
        else:
            self.plain_move(c)

    def plain_move(self, c):
        """G0, G1, whatever S says."""
        self.check_cold()
        if self.feeder.braking:
            self.wait_for_rest()
        if not self.kinematics.linear:
            self._check_reach(c)
        request = self.feeder.planner.request
        result = self.frame.resolve(c, request)
        if result > MOVES:
            if result & RETRACTS:
                self.retraction.automatic()
                return
            self._explain(result)
        if result & MOVES and self.queue():
            self.frame.taken()

    def queue(self):
        """Plan the planner's request; True when it was queued, False when everything was dropped while it waited."""
        feeder = self.feeder
        planner = feeder.planner
        if self.enabled != 15:
            self.enable(15, True)
        if planner.full():
            stops = self.stops
            request = planner.request[0:10]
            while planner.full():
                self.pump()
                if feeder.dead or self.stops != stops:
                    return False
            planner.request[0:10] = request
        if feeder.dead:
            return False
        if not self.kinematics.linear:
            self.kinematics.slow(self.frame.state, planner.request)
        parts = planner.add()
        if parts > 1:
            return self._queue_parts(parts)
        return True

    def _queue_parts(self, parts):
        # A move too long for one block: equal parts, whose ends are exact. The position follows part by part, so that
        # it is right if the rest is dropped.
        request = self.feeder.planner.request
        kept = self.frame.keep()
        whole = request[0:10]
        for part in range(parts):
            for i in range(8):
                request[i] = whole[i] * (part + 1) // parts - whole[i] * part // parts
            way = request[0:4]
            request[8] = whole[8]
            request[9] = whole[9]
            if not self.queue():
                return False
            self.frame.advance(way)
        self.frame.put_back(kept)
        return True

    def _check_reach(self, c):
        # Refused when a kinematics that is not linear cannot get there
        state = self.frame.state
        frame._targets(c.record, state)
        why = self.kinematics.reach(state, self._target, self.soft_endstops)
        if why:
            raise Refused(why)

    def _explain(self, result):
        state = self.frame.state
        for axis in range(3):
            if result & CLIPPED << axis:
                self.clipped += 1
                self._remark(
                    "%s: the move ends at the limit, %.2f to %.2f mm (M211 S0 lifts it)"
                    % (AXES[axis], state[frame.LOW + axis] / UNIT, state[frame.HIGH + axis] / UNIT),
                    1 << axis,
                )
        if result & TOO_COLD:
            self._remark(
                "cold extrusion prevented: hotend at %d C, at least %d C needed (M302)"
                % (self.hotend.temperature_cc // 100, self.extrude_min_cc // 100),
                8,
            )

    def _remark(self, text, bit):
        # Once per kind until motion has come to rest, so that a file full of such moves does not flood the host
        if self.report and not self._warned & bit:
            self._warned |= bit
            self.report(text)

    def babystep(self, axis, units):
        """M290: move an axis by `units` (10 nm) over and above the path, at once, whatever moves; whole steps.

        The position in G-code stays; what is less than a step is kept for the next time.
        """
        feeder = self.feeder
        planner = feeder.planner
        self.babysteps[axis] += units
        ways = [0, 0, 0, 0]
        ways[axis] = units + self._babystep_rest[axis]
        motors = self.kinematics(ways) if self.kinematics.linear else ways
        if self.enabled != 15:
            self.enable(15, True)
        # No faster than the axis may start from rest
        jerk = self.setting("jerk_" + _LOWER[axis], 5)
        for motor in range(3):
            if motors[motor]:
                steps = planner.steps(motor, motors[motor])
                if motor == axis:
                    self._babystep_rest[axis] = ways[axis] - planner.units(motor, steps)
                feeder.shift(motor, steps, planner.steps(motor, jerk * 4096 // 1000))

    # Waiting and stopping

    def busy(self):
        """Moves are queued or being made."""
        return self.feeder.busy()

    def drain(self):
        """Return when everything queued has been made."""
        feeder = self.feeder
        feeder.flush = True
        while feeder.busy() and not feeder.dead:
            feeder.flush = True
            self.pump()
        feeder.flush = False
        self._bend()
        self._warned = 0
        self.last_activity_ms = self.hal.ticks_ms()

    def at_move(self, function, value):
        """Run function(value) when the motion queued so far has been made."""
        self.feeder.at_move(function, value)

    def hold(self):
        """Come to rest within the acceleration limits and stay; what is queued waits for `resume`."""
        self.held = True
        if not self.feeder.braking:
            self.feeder.set_feed(0)

    def resume(self):
        """Go on after `hold`."""
        self.held = False
        if not self.feeder.braking:
            self.feeder.set_feed(self._feed_percent)

    def stop(self):
        """M410: come to rest within the acceleration limits and drop the queue; the position is known to the step."""
        self.stops += 1
        feeder = self.feeder
        if feeder.busy() and not feeder.braking and not feeder.dead:
            feeder.brake(self._braked)

    def _braked(self):
        self.take_back(self.feeder.abandon())
        self.held = False
        if self._retraction:
            self._retraction.forget_hop()
        self.feeder.set_feed(self._feed_percent)

    def stop_now(self):
        """Stop without deceleration and drop the queue; what was not made is known, what the motors lost is not."""
        self.stops += 1
        self.take_back(self.feeder.abandon())
        if self._retraction:
            self._retraction.forget_hop()
        self.feeder.end_braking()
        self.held = False
        self.feeder.set_feed(self._feed_percent)

    def wait_for_rest(self):
        """After `stop`: until the motion has come to rest."""
        while self.feeder.braking and not self.feeder.dead:
            self.pump()

    def kill(self):
        """Stop all steps at once and let the motors go; the position is lost."""
        self.feeder.kill()
        for pin in self._enable_pins:
            if pin:
                pin.set(0)
        self.enabled = 0
        self.homed = 0

    # Motors

    def enable(self, axes, on):
        """Switch the motors of a bit mask (X 1, Y 2, Z 4, E 8) on or off; axes let go are not homed any more."""
        for axis in range(4):
            if axes >> axis & 1:
                pin = self._enable_pins[axis]
                if pin:
                    pin.set(1 if on else 0)
        if on:
            self.enabled |= axes
        else:
            self.enabled &= ~axes
            for axis in range(3):
                if self.kinematics.motors(axis) & axes:
                    self.homed &= ~(1 << axis)
        self.last_activity_ms = self.hal.ticks_ms()

    def check_drivers(self):
        """Say which motor's driver could not follow a move."""
        slowed = self.feeder.planner.take_slowed()
        if slowed:
            motor, wanted, most = slowed
            self._remark(
                "%s: a move asks for %d steps/s and is made slower, the driver takes %d" % (AXES[motor], wanted, most),
                1 << 16 + motor,
            )

    def check_cold(self):
        """Take over whether the hotend is too cold to extrude."""
        hotend = self.hotend
        least = self.extrude_min_cc
        self.frame.state[frame.COLD] = 1 if hotend and least and hotend.temperature_cc < least else 0

    def check_idle(self):
        """Let the motors go after `motor_timeout` seconds without a move (0: never)."""
        if self.feeder.busy():
            self.last_activity_ms = self.hal.ticks_ms()
        elif self.enabled:
            timeout = self.setting("motor_timeout", 0)
            idle = self.hal.ticks_diff(self.hal.ticks_ms(), self.last_activity_ms)
            if timeout and idle > timeout * 1000:
                self.enable(15, False)

    # Homing

    def endstop(self, axis):
        """State of an axis' endstop: 1 triggered, 0 open, None if the board has none."""
        switch = self._endstops[axis]
        return None if switch is None else switch.value()

    def home(self, axes):
        """G28: home the axes of a bit mask (0: all); see adder/homing.py."""
        self.drain()
        state = self.frame.state
        kept = correction.suspend(state, axes & 4 or not axes & 7)
        if self._watch:
            self._watch.pause(True)
        try:
            from adder import homing

            homing.home(self, axes)
        finally:
            if self._watch:
                self._watch.pause(False)
            correction.resume(state, kept)
