"""A feeder that makes no steps: it takes the planner's blocks as the slicer does, and writes down how long each takes.

The only module of the dry run that knows the arrays of planner and trapezoid. Blocks are sealed by the firmware's own
`_seal`, which settles their phases; the slices and words that would follow take the same time and are left out. The
host is taken to be fast: blocks are taken when the planner is full or somebody waits for the end.

Units as in adder/planner.py: 10 nm, 10 nm/s, mm/s^2, (mm/s)^2 / 256; durations in 64 ns.
"""

from array import array
from collections import deque
from math import hypot, sqrt

from adder import bend, planner, trapezoid
from adder.feeder import START_BLOCKS, Feeder

MOTION, HOMING = 0, 1
ROW = (
    "line", "kind", "up", "cruise", "down", "entry_v2", "leave_v2", "gain_v2", "speed", "accel", "length",
    "dx", "dy", "dz", "de", "x", "y", "z", "steps_x", "steps_y", "steps_z", "steps_e",
)  # fmt: skip
UNIT_S = 64e-9
_AT_ONCE = 8  # blocks that are taken together: look-ahead runs once for them
# From the end of all moves to the next one's begin, measured on the emulated board: to notice the end and to refill,
# for every line until there are enough to start with, and to make the first slices of a bent path
_REST_US = 42_000
_LINE_US = 500
_BENT_US = 20_000

_FIXED_V2, _TAIL, _DIRTY, _FEED = planner._FIXED_V2, planner._TAIL, planner._DIRTY, planner._FEED
_LENGTH, _SPEED, _ACCEL, _GAIN = planner._LENGTH, planner._SPEED, planner._ACCEL, planner._GAIN_V2
_MASK, _STRIDE, _STEPS = planner._MASK, planner._STRIDE, planner._STEPS
_R_ACCEL, _R_TOP = planner._R_ACCEL, planner._R_TOP
_R_ASKED, _R_ALLOWED = planner._R_ASKED, planner._R_ALLOWED
_UP, _CRUISE, _DOWN = (trapezoid._PHASES + phase * trapezoid._STRIDE + trapezoid._P_TIME for phase in range(3))


class Stepless(Feeder):
    """Stands in for `adder.feeder.Feeder`.

    `rows`: for every block the numbers named in ROW, one after the other; x y z are where it ends. `units`: time of all
    blocks. `on_limit(what, axis, asked, allowed)` is called when a limit slows a move: "speed" (mm/s), "acceleration"
    (mm/s^2) or "step rate" (steps/s). Switches close where they did the last time; before that
    `way_to_switch(pin, start)` says how far away they are, in mm, from `start` (X Y Z in 10 nm). `on_switch(pin,
    closed)` is called when one changes.
    """

    def __init__(self, hal, stream):
        super().__init__(hal, stream)
        self.rows = array("q")
        self.units = 0
        self.line = 0
        self.kind = MOTION
        self.position = None  # X Y Z, 10 nm: the frame's array
        self.machine = None  # function: the kinematics in use
        self.on_limit = None
        self.way_to_switch = None
        self.on_switch = None
        self._pending = deque()
        self._resting = True
        self._plan = self.planner.add
        self.planner.add = self._add
        self._phase_state = array("i", [0] * 512)  # what `_seal` fills in
        self._watched = {}  # pin: motors that it stops, a bit for each
        self._closed = {}  # pin: motor positions where its switch closes
        self._made = [0, 0, 0, 0]
        self._left = None  # steps of a seek that were not made
        self._stopped = 0  # motors that switches have stopped in it
        stream.watch = self._watch
        stream.halted = self._halted

    # What the firmware calls

    def service(self, _=None):
        """Nothing happens by itself."""

    def busy(self):
        """Moves wait, or a seek has ended that nobody has noticed yet."""
        return not self.dead and (self._left is not None or self.planner.waiting() > 0)

    def at_move(self, function, value):
        """Fans and the like: at once, for nobody sees them."""
        function(value)

    def set_feed(self, percent):
        """M220: for all that waits. A hold (0 %) would never end here and is left out."""
        if percent:
            self.planner.set_feed(percent)

    def brake(self, braked):
        """M410 and the like: at rest already."""
        braked()

    def motor_steps(self, motor):
        """Every block is made the moment it is taken."""
        machine = self.machine()
        if motor > 2 or machine.linear:
            return self.planner.planned(motor)
        return machine.place(self.position[0:3])[motor] >> 12

    def kill(self):
        self.dead = True
        self._pending.clear()
        self.planner.clear()

    def abandon(self):
        """Drop what waits; the steps that were planned but not made."""
        undone = self._left or [0, 0, 0, 0]
        self._left = None
        blocks = self.planner.blocks
        for at in range(self.planner.state[_TAIL], self.planner.state[_TAIL] + self.planner.waiting()):
            for motor in range(4):
                undone[motor] += blocks[(at & _MASK) * _STRIDE + _STEPS + motor]
        for motor in range(4):
            self.planner.set_planned(motor, self.planner.planned(motor) - undone[motor])
        self._pending.clear()
        self.planner.clear()
        machine = self.machine()
        if not machine.linear:
            place = machine.place([self.position[axis] - self.planner.units(axis, undone[axis]) for axis in range(3)])
            self.made = [steps >> 12 for steps in place] + [0]
        return undone

    def _watch(self, motors, pin=None, low=False):
        if motors:
            self._watched[pin] = motors
        else:
            self._watched.clear()

    def _halted(self):
        return 0 if self._left is None else self._stopped

    def step_rate_limit(self, motor):
        """Highest rate that the motor's driver takes, steps/s."""
        return self.planner.limits[planner._L_STEP_RATE + motor]

    # Blocks in

    def _add(self):
        request = self.planner.request
        accel = request[_R_ACCEL]
        result = self._plan()
        if result == 0:
            position = self.position
            dx, dy, dz, de = request[0:4]
            self._pending.append(
                (self.line, self.kind, dx, dy, dz, de, position[0] + dx, position[1] + dy, position[2] + dz)
            )
            if request[_R_ALLOWED] < accel << 8 or request[_R_TOP] < request[_R_ASKED]:
                self._slowed(request, accel)
        return result

    def _slowed(self, request, accel):
        if self.on_limit is None or self.kind != MOTION:
            return
        limits = self.planner.limits
        length = max(hypot(*request[0:3]), abs(request[3]))
        speed = request[_R_ASKED] * self.planner.state[_FEED] / 100
        for axis in range(4):
            share = abs(request[axis]) / length
            asked, allowed = speed * share, limits[planner._L_SPEED + axis]
            if asked > allowed * 1.0001:
                self.on_limit("speed", axis, asked / 1e5, allowed / 1e5)
            asked, allowed = accel * share, limits[planner._L_ACCEL + axis]
            if asked > allowed * 1.0001:
                self.on_limit("acceleration", axis, asked, allowed)
            steps = abs(request[4 + axis]) * limits[planner._L_STEPS_MM + axis] / 1e8
            asked, allowed = speed * steps / length, limits[planner._L_STEP_RATE + axis]
            if asked > allowed * 1.0001:
                self.on_limit("step rate", axis, asked, allowed)

    # Blocks out

    def start_us(self):
        """How long it takes until blocks that wait begin to be made: 0 when others are being made, or when homing."""
        if not self._resting or not self._pending or self._pending[0][1] != MOTION:
            return 0
        bent = _BENT_US if self.bend.active else 0
        return _REST_US + _LINE_US * min(self.planner.waiting(), START_BLOCKS) + bent

    def settle_us(self):
        """How long the filters go on when all blocks have been made."""
        active = self._resting and self.kind == MOTION and self.bend.active
        return self.bend.state[bend._SPAN] * self.bend.grid * 8 // 125 if active else 0

    def take(self):
        """Take some blocks, or all when somebody waits; how long they last, us."""
        planner = self.planner
        before = self.units
        self._resting = self.flush or not planner.full()
        if self._watched:
            self._seek()
        elif self._resting:
            while planner.waiting():
                self._seal(planner.waiting())
        else:
            self._seal(_AT_ONCE)
        return (self.units - before) * 8 // 125

    def _seal(self, count):
        planner = self.planner
        pl, blk, st = planner.state, planner.blocks, self._phase_state
        seal, popleft, extend = trapezoid._seal, self._pending.popleft, self.rows.extend
        made, bent = self._made, not self.machine().linear
        for _ in range(count):
            if pl[_DIRTY]:
                planner.look_ahead()
            b = (pl[_TAIL] & _MASK) * _STRIDE
            entry = pl[_FIXED_V2]
            seal(st, pl, blk)
            up, cruise, down = st[_UP], st[_CRUISE], st[_DOWN]
            line, kind, dx, dy, dz, de, x, y, z = popleft()
            steps = blk[b + _STEPS : b + _STEPS + 4]
            extend((
                line, kind, up, cruise, down, entry, pl[_FIXED_V2],
                blk[b + _GAIN], blk[b + _SPEED], blk[b + _ACCEL], blk[b + _LENGTH],
                dx, dy, dz, de, x, y, z, *steps,
            ))  # fmt: skip
            self.units += up + cruise + down
            if self._closed and bent:
                self._closed.clear()  # the steps of blocks are not those of the motors
            if self._closed:
                for motor in range(4):
                    made[motor] += steps[motor]
        for pin, at in self._closed.items():
            if at != made:
                self.on_switch(pin, False)

    # Homing: a move, in one block or several, that is cut short where the switch closes

    def _seek(self):
        planner = self.planner
        planner.look_ahead()
        blk = planner.blocks
        tail = planner.state[_TAIL]
        waiting = [(at & _MASK) * _STRIDE for at in range(tail, tail + planner.waiting())]
        b = waiting[0]
        length, speed = sum(blk[at + _LENGTH] for at in waiting) / 1e5, blk[b + _SPEED] / 1e5
        accel = blk[b + _ACCEL] / 256
        steps = [sum(blk[at + _STEPS + motor] for at in waiting) for motor in range(4)]
        line, kind = self._pending[0][:2]
        dx, dy, dz, de = (sum(part[2 + axis] for part in self._pending) for axis in range(4))
        x, y, z = self._pending[-1][6:9]
        start, furthest = (x - dx, y - dy, z - dz), max(abs(dx), abs(dy), abs(dz)) / 1e5
        shares = {
            pin: self._share(pin, motors, steps) if pin in self._closed else self.way_to_switch(pin, start) / furthest
            for pin, motors in self._watched.items()
        }
        last = min(max(shares.values()), 1.0)
        way = last * length
        ramp = speed * speed / (2 * accel)
        up = sqrt(2 * way / accel) if way < ramp else speed / accel
        cruise = 0 if way < ramp else (way - ramp) / speed
        self.rows.extend((
            line, kind, round(up / UNIT_S), round(cruise / UNIT_S), 0, 0, 0,
            blk[b + _GAIN], blk[b + _SPEED], blk[b + _ACCEL], round(length * 1e5),
            dx, dy, dz, de, *(round(p - d * (1 - last)) for p, d in ((x, dx), (y, dy), (z, dz))), *steps,
        ))  # fmt: skip
        self.units += round((up + cruise) / UNIT_S)
        planner.clear()
        self._pending.clear()
        done = [round(n * last) for n in steps]
        self._stopped = 0
        for pin, share in shares.items():
            if share <= 1.0:
                self._stopped |= self._watched[pin]
                for motor in range(4):
                    if self._watched[pin] >> motor & 1:
                        done[motor] = round(steps[motor] * share)
        for motor in range(4):
            self._made[motor] += done[motor]
        for pin, share in shares.items():
            if share <= 1.0:
                self._closed[pin] = list(self._made)
                self.on_switch(pin, True)
        if self._stopped:
            self._left = [n - d for n, d in zip(steps, done, strict=True)]

    def _share(self, pin, motors, steps):
        # Part of the move that leads to where the switch closed before; above 1: beyond its end
        at = self._closed[pin]
        motors = [motor for motor in range(4) if motors >> motor & 1]
        square = sum(steps[motor] ** 2 for motor in motors) or 1
        return max(sum((at[motor] - self._made[motor]) * steps[motor] for motor in motors) / square, 0.0)
