"""Motion as G-code sees it: coordinates, modes, limits, homing. Below it: planner, slicer, step streams.

Three frames: what G-code says (units, absolute or relative, offsets of G92), the machine's frame (10 nm from the origin that
homing sets), and motor steps. The position kept here is that of the end of the queue.
"""

from adder import kinematics
from adder.errors import Fault, Refused
from adder.feeder import Feeder

AXES = "XYZE"
_LOWER = "xyze"
X, Y, Z, E = 0, 1, 2, 3
_UNIT = 100_000  # 10 nm in a mm
_SPEED_MAX = 0x0FFFFFFF
_SERVICE_MS = 5
_USED = 1 << 23 | 1 << 24 | 1 << 25 | 1 << 4 | 1 << 5  # X Y Z E F

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("extrude_min_c", "M302", "S", "degC", 0, 170, 0, 500, "Lowest hotend temperature for extrusion"),
    ("homing_slow_percent", "", "", "%", 0, 20, 2, 100, "Speed of the second touch when homing"),
)


class Motion:
    """The machine's motion; `axes` are the board's, `pump` waits a little and lets the printer go on."""

    def __init__(self, board, hal, settings, pump):
        self.board = board
        self.hal = hal
        self.settings = settings
        self._pump = pump
        self.absolute = True
        self.absolute_e = True
        self.inch = False
        self.homed = 0
        self.feedrate = 1500 * _UNIT // 60  # 10 nm/s
        self.feed_percent = 100
        self.flow_percent = 100
        self.last_activity_ms = hal.ticks_ms()
        self.clipped = 0  # moves that were shortened to the limits
        self.hotend = None  # set by the printer: refuses cold extrusion
        self.report = None  # function(text) for remarks to the host
        self.position = [0, 0, 0, 0]  # machine frame, 10 nm
        self.offset = [0, 0, 0, 0]  # G92: G-code value = position - offset
        self._target = [0, 0, 0, 0]
        self._flow_rest = 0
        self._enabled = 0
        self._warned = 0
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
        self.apply_settings()
        settings.on_change("", self.apply_settings)

    def start(self, on_failure):
        """Start to serve the step streams; `on_failure(error)` is called when that breaks down, with the motors off."""
        self._on_failure = on_failure
        self._service = self._serve
        self.hal.timer(_SERVICE_MS, self._service)

    def _serve(self, _):
        try:
            self.feeder.service()
        except Exception as error:
            self.kill()
            self._on_failure(error)

    # Settings

    def _get(self, name, decimals):
        # A setting as an integer scaled by 10**decimals
        have = self.settings.decimals(name)
        value = self.settings.get(name)
        if have > decimals:
            return value // 10 ** (have - decimals)
        return value * 10 ** (decimals - have)

    def apply_settings(self, _=None):
        """Take limits and scales over from the settings; queued moves keep theirs."""
        get = self._get
        planner = self.feeder.planner
        self.kinematics = kinematics.select(get("kinematics", 0))
        self.accel_print = get("acceleration_print", 0)
        self.accel_retract = get("acceleration_retract", 0)
        self.accel_travel = get("acceleration_travel", 0)
        # Marlin's minimum speeds, mm/s -> 10 nm/s
        self.min_speed_print = get("min_feedrate_print", 5)
        self.min_speed_travel = get("min_feedrate_travel", 5)
        self.extrude_min_cc = get("extrude_min_c", 2)
        drivers = self.board.axes
        for axis in range(4):
            name = _LOWER[axis]
            driver = drivers[axis]
            planner.set_axis(
                axis,
                min(get("max_feedrate_" + name, 5), _SPEED_MAX),
                get("max_acceleration_" + name, 0),
                get("jerk_" + name, 3) * 64 // 1000,
                get("steps_per_mm_" + name, 3),
                1_000_000_000 // (driver.pulse_high_ns + driver.pulse_low_ns),
            )
        planner.set_junction(get("junction_deviation", 3), get("classic_jerk", 0))
        self._low = [get(name + "_min", 5) for name in "xyz"]
        self._high = [get(name + "_max", 5) for name in "xyz"]
        self.soft_endstops = bool(get("soft_endstops", 0))
        self.feeder.set_invert(
            [drivers[axis].invert_dir != bool(get("invert_dir_" + _LOWER[axis], 0)) for axis in range(4)]
        )

    def rescale(self):
        """After a change of steps per mm: the machine stands where it stood, counted in the new steps."""
        self._place_all()

    # Position

    def position_u(self, axis):
        """End of the last queued move in G-code's frame, 10 nm."""
        return self.position[axis] - self.offset[axis]

    def steps(self, motor):
        """Motor position now, steps."""
        return self.feeder.motor_steps(motor)

    def set_position(self, axis, value):
        """G92: the end of the queue has this value (10 nm) in G-code's frame from now on. Nothing moves."""
        if axis == E:
            self.position[E] = value
        else:
            self.offset[axis] = self.position[axis] - value

    def _place_all(self):
        # Motors' step counts from the machine position; only at rest
        motors = self.kinematics(self.position)
        for motor in range(4):
            self.feeder.place(motor, motors[motor])

    # Moves

    def move(self, c):
        """G0, G1: queue a straight move; waits (pumping) while the planner is full.

        Raises Refused for a feedrate that is not above zero; targets outside the limits are clipped.
        """
        inch = self.inch
        bare = (c.mask ^ c.valued_mask) & _USED
        if bare:
            for letter in "XYZEF":
                if bare >> (ord(letter) - 65) & 1:
                    raise Refused("%s has no number; leave the letter out or give it one" % letter)
        if c.valued("F"):
            feed = c.scaled("F", 3)
            if inch:
                feed = feed * 127 // 5
            if feed <= 0:
                raise Refused("F%s: feedrate must be above 0 mm/min" % c.show("F"))
            feed = feed * 5 // 3  # um/min -> 10 nm/s
            self.feedrate = min(max(feed, 1), _SPEED_MAX)
        position = self.position
        target = self._target
        moved = False
        for axis in (X, Y, Z):
            letter = AXES[axis]
            if c.valued(letter):
                value = c.length(letter, inch)
                if self.absolute:
                    target[axis] = value + self.offset[axis]
                else:
                    target[axis] = position[axis] + value
                moved = True
            else:
                target[axis] = position[axis]
        if c.valued("E"):
            value = c.length("E", inch)
            target[E] = value if self.absolute_e else position[E] + value
            moved = True
        else:
            target[E] = position[E]
        if moved:
            self._queue(target)

    def _queue(self, target):
        position = self.position
        if self.soft_endstops:
            self._clip(target)
        delta_e = target[E] - position[E]
        if delta_e and self.hotend and self.extrude_min_cc and self.hotend.temperature_cc < self.extrude_min_cc:
            # The path is made, the filament stays: what Marlin does
            self._remark(
                "cold extrusion prevented: hotend at %d C, at least %d C needed (M302)"
                % (self.hotend.temperature_cc // 100, self.extrude_min_cc // 100),
                8,
            )
            position[E] = target[E]
            delta_e = 0
        if delta_e and self.flow_percent != 100:
            delta_e = delta_e * self.flow_percent + self._flow_rest
            self._flow_rest = delta_e % 100
            delta_e //= 100
        dx = target[X] - position[X]
        dy = target[Y] - position[Y]
        dz = target[Z] - position[Z]
        speed = self.feedrate
        if self.feed_percent != 100:
            speed = speed * self.feed_percent // 100
            if speed > _SPEED_MAX:
                speed = _SPEED_MAX
        if dx or dy or dz:
            if delta_e:
                accel = self.accel_print
                least = self.min_speed_print
            else:
                accel = self.accel_travel
                least = self.min_speed_travel
        else:
            if not delta_e:
                return
            accel = self.accel_retract
            least = self.min_speed_print
        if speed < least:
            speed = least
        self._plan(dx, dy, dz, delta_e, speed, accel)
        position[X] = target[X]
        position[Y] = target[Y]
        position[Z] = target[Z]
        position[E] = target[E]

    def _plan(self, dx, dy, dz, de, speed, accel):
        feeder = self.feeder
        planner = feeder.planner
        if self._enabled != 15:
            self.enable(15, True)
        while planner.full():
            self._pump()
            if feeder.dead:
                return
        request = planner.request
        request[0] = dx
        request[1] = dy
        request[2] = dz
        request[3] = de
        self.kinematics(request, 4)
        request[8] = speed
        request[9] = accel
        parts = planner.add()
        self.last_activity_ms = self.hal.ticks_ms()
        if parts > 1:
            for part in range(parts):
                self._plan(
                    dx * (part + 1) // parts - dx * part // parts,
                    dy * (part + 1) // parts - dy * part // parts,
                    dz * (part + 1) // parts - dz * part // parts,
                    de * (part + 1) // parts - de * part // parts,
                    speed,
                    accel,
                )

    def _clip(self, target):
        for axis in (X, Y, Z):
            if not self.homed >> axis & 1:
                continue
            value = target[axis]
            if value < self._low[axis]:
                limit = self._low[axis]
            elif value > self._high[axis]:
                limit = self._high[axis]
            else:
                continue
            target[axis] = limit
            self.clipped += 1
            self._remark(
                "%s%.2f is outside %.2f..%.2f: the move ends at the limit"
                % (AXES[axis], value / _UNIT, self._low[axis] / _UNIT, self._high[axis] / _UNIT),
                1 << axis,
            )

    def _remark(self, text, bit):
        # Once per kind until motion has come to rest, so that a file full of such moves does not flood the host
        if self.report and not self._warned & bit:
            self._warned |= bit
            self.report(text)

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
            self._pump()
        feeder.flush = False
        self._warned = 0
        self.last_activity_ms = self.hal.ticks_ms()

    def at_move(self, function, value):
        """Run function(value) when the motion queued so far has been made."""
        self.feeder.at_move(function, value)

    def stop(self):
        """M410: stop now and drop the queue; the position is known to the step."""
        undone = self.feeder.abandon()
        self._take_back(undone)

    def _take_back(self, undone):
        units = [self.feeder.planner.units(motor, undone[motor]) for motor in range(4)]
        self.kinematics.inverse(units)
        for axis in range(4):
            self.position[axis] -= units[axis]

    def kill(self):
        """Stop all steps at once and let the motors go; the position is lost."""
        self.feeder.kill()
        for pin in self._enable_pins:
            if pin:
                pin.set(0)
        self._enabled = 0
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
            self._enabled |= axes
        else:
            self._enabled &= ~axes
            self.homed &= ~axes
        self.last_activity_ms = self.hal.ticks_ms()

    def enabled(self):
        """Bit mask of the motors that are on."""
        return self._enabled

    def check_idle(self):
        """Let the motors go after `motor_timeout` seconds without a move (0: never)."""
        if self._enabled and not self.feeder.busy():
            timeout = self._get("motor_timeout", 0)
            idle = self.hal.ticks_diff(self.hal.ticks_ms(), self.last_activity_ms)
            if timeout and idle > timeout * 1000:
                self.enable(15, False)

    # Homing

    def endstop(self, axis):
        """State of an axis' endstop: 1 triggered, 0 open, None if the board has none."""
        switch = self._endstops[axis]
        return None if switch is None else switch.value()

    def home(self, axes):
        """G28: home the axes of a bit mask (0: all). Raises Fault when an endstop is not found, or never opens."""
        self.drain()
        if not axes:
            axes = 7
        order = (X, Y, Z)
        self.homed &= ~axes
        for axis in order:
            if axes >> axis & 1:
                if self._endstops[axis] is None:
                    raise Refused("G28 %s: the board has no endstop for it" % AXES[axis])
        for axis in order:
            if axes >> axis & 1 and not self.feeder.dead:
                self._home_axis(axis)

    def _home_axis(self, axis):
        letter = AXES[axis]
        get = self._get
        name = _LOWER[axis]
        fast = get("home_feedrate_" + name, 5)
        slow = fast * get("homing_slow_percent", 0) // 100
        back = get("homing_backoff_" + name, 5)
        to_max = get("home_to_max_" + name, 0)
        sign = 1 if to_max else -1
        travel = (self._high[axis] - self._low[axis]) * 5 // 4 + 10 * _UNIT
        if not self._seek(axis, sign * travel, fast):
            raise Fault(
                "Homing failed: %s endstop not reached within %d mm; check switch, wiring and motor"
                % (letter, travel // _UNIT)
            )
        self._shift(axis, -sign * back, fast)
        if self.endstop(axis):
            raise Fault(
                "Homing failed: %s endstop still triggered after backing off %.1f mm; check switch and wiring"
                % (letter, back / _UNIT)
            )
        if not self._seek(axis, sign * back * 2, slow):
            raise Fault(
                "Homing failed: %s endstop not reached again within %.1f mm; check the switch"
                % (letter, back * 2 / _UNIT)
            )
        self.position[axis] = self._high[axis] if to_max else self._low[axis]
        self.offset[axis] = 0
        self._place_all()
        self.homed |= 1 << axis

    def _shift(self, axis, delta, speed):
        # A plain move of one axis, no limits
        deltas = [0, 0, 0, 0]
        deltas[axis] = delta
        self._plan(deltas[0], deltas[1], deltas[2], 0, speed, self.accel_travel)
        self.position[axis] += delta
        self.drain()

    def _seek(self, axis, delta, speed):
        # Move one axis until its endstop closes; True when it did. The state machines watch the pin by themselves.
        feeder = self.feeder
        stop = self.board.axes[axis]
        motors = self.kinematics.motors(axis)
        stream = feeder.stream
        stream.watch(motors, stop.endstop, stop.endstop_invert)
        try:
            deltas = [0, 0, 0, 0]
            deltas[axis] = delta
            self._plan(deltas[0], deltas[1], deltas[2], 0, speed, self.accel_travel)
            self.position[axis] += delta
            feeder.flush = True
            found = False
            while feeder.busy() and not feeder.dead:
                feeder.flush = True
                if stream.halted():
                    found = True
                    self._take_back(feeder.abandon())
                    break
                self._pump(2)
        finally:
            stream.watch(0, stop.endstop, stop.endstop_invert)
            feeder.flush = False
        return found
