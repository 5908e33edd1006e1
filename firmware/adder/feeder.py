"""Keeps the step streams filled: called by a soft timer, it moves blocks through the slicer into the step driver.

It decides when motion starts (as soon as the planner knows enough, or somebody waits for the end), keeps about 200 ms
of steps ahead, notices when the streams have ended, and counts an underrun when they ended in the middle of a motion.
"""

from adder.planner import Planner
from adder.slicer import SLICES, Slicer

AHEAD_US = 200_000  # motion that is kept ready in the step driver
FULL_US = 192_000  # so much is enough for now
START_BLOCKS = 40  # start when so many blocks wait,
START_MS = 60  # or the first one has waited so long
KEEP_BLOCKS = 24  # left to the planner while more than
LOW_US = 50_000  # of steps are ready: a block that is sealed as the last one ends at rest
SLOW_US = 30_000  # with less than this ready, what comes is stretched (M205 B)
READY_US = 160_000  # motion starts with so much ready, or all there is
PIECE = 8  # slices made before somebody looks at the clock
SERVICE_US = 600  # the main loop waits no longer than this, or a piece, for one service;
URGENT_US = 3_000  # the same before the start and while less than LOW_US is ready
MARGIN_US = 3_000  # closer to the end than this, the streams are left to end


class Feeder:
    """Planner, slicer and step streams as one; `stream` is the hal's."""

    def __init__(self, hal, stream):
        self.hal = hal
        self.stream = stream
        self.planner = Planner()
        self.slicer = Slicer(self.planner, stream)
        self.running = False
        self.dead = False  # after an emergency stop
        self.hold = False  # no new slices (homing, recovery)
        self.flush = False  # somebody waits for the end: start at once
        self.underruns = 0
        self.lowest_ahead_us = AHEAD_US
        self._end_us = 0  # when the streams will end
        self._rest = 0
        self._waiting_since = None
        self._start = 0  # slice with which the streams will be started,
        self._ready_us = 0  # and what is ready for that
        self._more = False
        self._events = []
        self._event_number = 0
        self._undone = [0, 0, 0, 0]
        self._steps = [0, 0, 0, 0]
        self.made = [0, 0, 0, 0]  # steps of the motors when everything was dropped last
        self._braked = None  # called when everything has come to rest after `brake`

    @property
    def bend(self):
        """What bends the path (adder/bend.py), loaded when it is first needed: code that is not frozen takes RAM."""
        if self.slicer.bend is None:
            from adder.bend import Bend

            self.slicer.bend = Bend()
        return self.slicer.bend

    @property
    def bends(self):
        """Whether `bend` has been needed yet."""
        return self.slicer.bend is not None

    # Events: functions that belong between two moves

    def at_move(self, function, value):
        """Run function(value) when the motion queued so far has been made; at once when nothing moves."""
        if not self.busy():
            function(value)
            return
        self._event_number += 1
        self._events.append((self._event_number, function, value))
        self.planner.next_event(self._event_number)

    def _run_events(self, number):
        events = self._events
        while events and events[0][0] <= number:
            _, function, value = events.pop(0)
            function(value)

    def set_feed(self, percent):
        """Feedrate percentage from the next slice on."""
        self.slicer.set_feed(percent)
        if percent == 0:
            self.flush = True

    @property
    def braking(self):
        """On the way to rest, or there: see `brake`."""
        return self._braked is not None

    def brake(self, braked):
        """Come to rest as fast as the accelerations allow, then call braked()."""
        self._braked = braked
        self.set_feed(0)

    def end_braking(self):
        """Everything was dropped: nobody waits for the rest any more."""
        self._braked = None

    # State

    def busy(self):
        """Moves are queued or being made."""
        # In this order: while this looks the timer may take the last block there is, and then start the streams
        return not self.slicer.idle() or self._ready_us > 0 or self.running

    def ahead_us(self):
        """Motion left in the step driver."""
        if not self.running:
            return 0
        left = self.hal.ticks_diff(self._end_us, self.hal.ticks_us())
        return left if left > 0 else 0

    # Work

    def service(self, _=None):
        """Refill; never blocks. Runs in the soft timer, and from wherever somebody waits."""
        if self.dead or self.hold:
            return
        if self.running:
            self._refill()
        elif self._braked:
            braked = self._braked
            self._braked = None
            braked()
        elif self._ready_us or not self.slicer.idle():
            self._consider_start()
        elif self._events:
            self._run_events(self._event_number)

    def _consider_start(self):
        now = self.hal.ticks_ms()
        if self._waiting_since is None:
            self._waiting_since = now
        if (
            self.flush
            or self._ready_us
            or self.planner.waiting() >= START_BLOCKS
            or self.hal.ticks_diff(now, self._waiting_since) >= START_MS
        ):
            slicer = self.slicer
            if self._ready_us == 0:
                slicer.restart()
                self._start = slicer.slices()
                self._rest = 0
            ready = self._fill(self._ready_us, slicer.slices() - self._start)
            self._ready_us = ready
            if ready == 0 or (ready < READY_US and self._more):
                return
            self.stream.end(slicer.slices())
            self.stream.start(self._start)
            self._end_us = self.hal.ticks_add(self.hal.ticks_us(), ready)
            self._ready_us = 0
            self.running = True

    def _fill(self, left, ahead):
        # Slices for what is missing, `left` us and `ahead` slices being there, piece by piece; returns what is there
        # then. `_more` tells that only the clock has ended it.
        hal = self.hal
        slicer = self.slicer
        began = hal.ticks_us()
        keep = 0 if self.flush else KEEP_BLOCKS
        self._more = True
        while left < AHEAD_US:
            room = SLICES - 8 - ahead
            if room > PIECE:
                room = PIECE
            low = LOW_US - left
            made = slicer.fill((AHEAD_US - left) * 125 // 8, room, keep, low * 125 // 8 if low > 0 else 0)
            ahead += made
            # 64 ns units -> us, the rest kept so that nothing drifts
            total = slicer.added() * 8 + self._rest
            self._rest = total % 125
            left += total // 125
            if made < PIECE:
                self._more = False
                break
            if hal.ticks_diff(hal.ticks_us(), began) >= (SERVICE_US if self.running and left > LOW_US else URGENT_US):
                break
        return left

    def _refill(self):
        left = self.hal.ticks_diff(self._end_us, self.hal.ticks_us())
        if left >= FULL_US and not self._events:
            return
        stream = self.stream
        slicer = self.slicer
        ahead = stream.slices_ahead(slicer.slices())
        if ahead < 0:
            if stream.stopped():
                self._ended()
            return
        if self._events:
            # The DMA is at most a few slices ahead of the pins
            self._run_events(slicer.due_events(slicer.slices() - ahead - 4))
            left = self.hal.ticks_diff(self._end_us, self.hal.ticks_us())
        if left >= FULL_US or slicer.idle():
            return
        if left < self.lowest_ahead_us:
            self.lowest_ahead_us = left if left > 0 else 0
        if left < MARGIN_US or ahead < 8:
            return
        more = self._fill(left, ahead)
        if more != left:
            stream.end(slicer.slices())
            self._end_us = self.hal.ticks_add(self._end_us, more - left)
        # Short moves become slower as what is ready runs down
        low = 0
        if more < SLOW_US and not self.flush and self.planner.waiting() < START_BLOCKS:
            low = (SLOW_US - more) * 256 // SLOW_US
        self.planner.set_low(low)

    def _ended(self):
        self.running = False
        self.planner.set_low(0)
        self._waiting_since = None
        if self.slicer.moving():
            self.underruns += 1
        if self.slicer.idle():
            self._run_events(self._event_number)
            self.flush = False

    def set_invert(self, flags):
        """Which motors have their direction pin low for positive steps."""
        for motor in range(4):
            self.stream.invert[motor] = 1 if flags[motor] else 0
        self.slicer.set_invert(self.stream.invert)

    # Stopping

    def kill(self):
        """Stop all steps at once; nothing moves until a reset."""
        self.stream.kill()
        self.dead = True
        self.running = False
        self._events.clear()

    def abandon(self):
        """Stop all steps at once and drop everything queued.

        Returns for each motor the steps that were planned but not made; the step counts are right again afterwards.
        With a kinematics that is not linear `made` tells where the motors are, and `place` has to follow.
        """
        self.hold = True
        slicer = self.slicer
        planner = self.planner
        stream = self.stream
        stream.kill()
        undone = self._undone
        steps = self._steps
        for motor in range(4):
            made = slicer.steps(motor)
            if self.running or self._ready_us:
                made -= stream.left(motor, slicer.written(motor))
            steps[motor] = made - slicer.extra(motor)
            if motor == 2:
                made_z = made
        stream.recover(slicer.slices(), slicer.written)
        slicer.clear()
        planner.clear()
        slicer.place(steps)
        # The mesh is not as high here as where the motors were going to
        for _ in range(4):
            off = made_z - slicer.steps(2)
            if off == 0 or (self.bends and self.bend.curved()):
                break
            steps[2] += off
            slicer.place(steps)
        for motor in range(4):
            self.made[motor] = steps[motor]
            undone[motor] = planner.planned(motor) - steps[motor]
            planner.set_planned(motor, steps[motor])
        self.running = False
        self.flush = False
        self._ready_us = 0
        self._waiting_since = None
        self._run_events(self._event_number)
        self.hold = False
        return undone

    def place(self, units):
        """Declare where the axes of the blocks are (4, 10 nm); nothing is queued or moving."""
        steps = self._steps
        for motor in range(4):
            steps[motor] = self.planner.place(motor, units[motor])
        self.slicer.place(steps)

    def shift(self, motor, steps, rate):
        """Babysteps, made within the slices to come: see Slicer.shift."""
        self.slicer.bend = self.bend  # which makes them
        self.planner.shift(motor, steps)
        self.slicer.shift(motor, steps, rate)
        self.flush = self.flush or not self.running

    def motor_steps(self, motor):
        """Where the motor is now, in steps; within a slice or two while it moves."""
        steps = self.slicer.steps(motor)
        if self.running or self._ready_us:
            steps -= self.stream.pending(motor, self.slicer.written(motor))
        return steps
