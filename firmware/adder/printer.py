"""The printer: owns all parts, boots them in a safe order, and runs the main loop.

The main loop waits for lines and runs what is in the queue. A handler that has to wait calls `pump`, so lines are read,
commands that act on arrival act, and reports go out, whatever is being waited for. Steps and heaters do not depend on
this loop: soft timers serve them.
"""

import gc

from micropython import const

from adder.codes.dispatch import Dispatcher
from adder.command import OK
from adder.fans import Fans
from adder.heat import Heat
from adder.link import LINE_BYTES, ODD, Link
from adder.motion import Motion
from adder.output import Output
from adder.queue import CommandQueue
from adder.report import Reporter
from adder.settings import Settings, groups

HALTED = "Error:Printer halted. kill() called!"
BEAT_MS = const(100)
_STUCK_BEATS = const(10)
_SILENT_BEATS = const(50)
_WAIT_MS = const(20)
_M = const(77)
_G = const(71)


def _short_way():
    # Plain moves past the queue (adder/lane.py); where code is not frozen there is no room for that
    if __file__.endswith(".mpy"):
        return lambda *_: 0
    from adder.lane import lane

    return lane


class Printer:
    """One printer on one board; `run` never returns but for KeyboardInterrupt (back to the REPL)."""

    def __init__(self, board, hal, store=None):
        self.board = board
        self.hal = hal
        self.halted = False
        self._aside = False  # halted, or Ctrl-C is allowed: a line has to be looked at before it is taken in
        self._interruptible = False
        self.cancelled = False
        self.message = ""
        self._due = False  # set ten times a second: look after what is not a line
        self._line = bytearray(LINE_BYTES)  # the line that came last
        self._view = memoryview(self._line)
        self._heard = False  # a line since somebody looked last
        self._beats_silent = 0
        self._beats_stuck = 0
        self._trouble = None
        self.out = Output(hal)
        self.settings = Settings(groups(), board.defaults, store)
        self._notes = self.settings.load() if store else ()
        self.heat = Heat(board, hal, self.settings)
        self.motion = Motion(board, hal, self.settings, self.pump)
        self.motion.hotend = self.heat.by_name("hotend")
        self.motion.report = self._remark
        self.motion.on_hit = (self._wake_up, self._abort_print)
        self.fans = Fans(board, hal, self.settings, self.heat)
        self.queue = CommandQueue()
        self.motion.counters.queue = self.queue
        self.inactivity_ms = 0  # M85: longest time without a line and without motion, 0 any
        self._lines = 0
        self._active_ms = 0
        self.report = Reporter(hal, self.out, self.settings, self.heat, self.motion)
        self.report.queue = self.queue
        self.link = Link(hal, self.out, self.queue, self.emergency_stop, self._arrived)
        self.codes = Dispatcher(self)
        self._lane = _short_way()

    def start(self):
        """Begin to supervise, then greet the host."""
        self.hal.interrupt_character(False)
        self.heat.start()
        self.fans.start(self.motion)
        self.motion.start(self._motion_failed)
        self._beat_callback = self._beat
        self.hal.timer(BEAT_MS, self._beat_callback)
        gc.collect()
        self.out.line("start")
        for note in self._notes:
            self.out.line(note)
        self._notes = ()

    def run(self):
        """Boot, then serve the host for ever."""
        try:
            self.start()
            while True:
                try:
                    self._serve()
                except Exception as error:
                    # A mistake in the firmware: nobody knows what it left undone
                    if not self.halted:
                        self.halt("firmware failed: %r; reset the board" % (error,))
        except BaseException:
            self.heat.all_off()
            self.motion.kill()
            raise

    def _serve(self):
        # The main loop: `pump` and `work` in one, without their calls, for it decides how many lines a second are taken
        receive = self.hal.receive
        line = self._line
        take = self.link.take
        plain_move = self._lane
        write = self.hal.write
        link = self.link.state
        frame = self.motion.frame.state
        planner = self.motion.feeder.planner
        state, blocks, request, limits = planner.state, planner.blocks, planner.request, planner.limits
        queue = self.queue
        run = self.codes.run
        while True:
            size = receive(line, _WAIT_MS)
            if size:
                self._heard = True
                if self._aside and self._wake():
                    self._take_halted(bytes(self._view[:size]))
                elif plain_move(link, frame, state, blocks, request, limits, line, size):
                    write(b"ok\n")
                else:
                    take(bytes(self._view[:size]))
                    while queue.count:
                        run(queue.first())
                        queue.drop()
            if link[ODD]:
                self.link.go_on()
                self.work()
            if self._due:
                self._look_after()

    # Waiting

    def pump(self, timeout_ms=_WAIT_MS):
        """Wait at most so long for a line, take it in, and say what is due. Never runs a queued command."""
        size = self.hal.receive(self._line, timeout_ms)
        if size:
            self._heard = True
            line = bytes(self._view[:size])
            if self._aside and self._wake():
                self._take_halted(line)
            else:
                self.link.take(line)
        if self._due:
            self._look_after()

    def work(self):
        """Run the commands that wait."""
        queue = self.queue
        while queue.count:
            self.codes.run(queue.first())
            queue.drop()
            if self.link.odd:
                self.link.go_on()

    def _beat(self, _):
        # Soft timer. When the main loop waits for the rest of a line, it does its work instead.
        if self._due and self.hal.in_line:
            self._beats_stuck += 1
            self._look_for_faults()
            if self._beats_stuck >= _STUCK_BEATS and not self.halted:
                self.report.tick()
            if self._beats_stuck >= _SILENT_BEATS:
                self._allow_interrupt()
        else:
            self._beats_stuck = 0
        self._due = True

    def _look_after(self):
        # What has to be done now and then, not with every line
        self._due = False
        if self.motion.hit:
            self.motion.watch.settle()
        self._look_for_faults()
        if not self.halted:
            self.report.tick()
            self.motion.check_cold()
            self.motion.check_drivers()
            if not self.queue.count:
                self.motion.check_idle()
        if self._heard:
            self._heard = False
            self._beats_silent = 0
        else:
            self._beats_silent += 1
            if self._beats_silent >= _SILENT_BEATS:
                self._allow_interrupt()

    # Ctrl-C

    def _allow_interrupt(self):
        # The host has been silent for long. While nothing is going on, Ctrl-C leads to the REPL.
        working = self.queue.count or self.heat.any_on() or (self.motion.busy() and not self.halted)
        if not (working or self._interruptible):
            self._interruptible = self._aside = True
            self.hal.interrupt_character(True)

    def _wake(self):
        # A line has come: from now on Ctrl-C is a byte like any other. True when halted.
        if self._interruptible:
            self._interruptible = False
            self._aside = self.halted
            self.hal.interrupt_character(False)
        return self.halted

    def _look_for_faults(self):
        if not self.halted:
            trouble = self.heat.fault or self._trouble
            if not trouble and self.inactivity_ms:
                trouble = self._inactive()
            if trouble:
                self.halt(trouble)

    def _inactive(self):
        # Why the printer is to be shut down, if nobody has asked anything of it for too long
        now = self.hal.ticks_ms()
        if self.queue.count or self.motion.busy() or self._lines != self.link.lines:
            self._lines = self.link.lines
            self._active_ms = now
        elif self.hal.ticks_diff(now, self._active_ms) >= self.inactivity_ms:
            return "no command for %d s, which M85 allows; everything is off" % (self.inactivity_ms // 1000)
        return None

    # What acts on arrival

    def _arrived(self, number):
        if number == 108:
            self.cancelled = True
        elif number == 124:
            self.motion.stop_now()
            self.motion.homed = 0
            self.queue.skip(_is_move)
        elif number == 410:
            self.motion.stop()

    def emergency_stop(self, reason=None):
        """M112: steps, heaters and motors off, and only then the words. Halted until a reset or M999."""
        self.halted = self._aside = True
        self.motion.kill()
        self.heat.all_off()
        self.fans.off()
        self.queue.clear()
        self.link.stop()
        text = HALTED + "\n"
        if reason:
            text = "Error:" + reason + "\n" + text
        self.out.raw(text.encode())

    def halt(self, reason):
        """A fault: everything off, then the reason."""
        self.emergency_stop(reason)

    def restart(self):
        """M999: start anew, as after switching on."""
        self.heat.all_off()
        self.hal.reset()

    def _take_halted(self, line):
        # Everything but a restart is swallowed; line number and checksum do not matter any more
        command = self.queue.slot
        if command.scan(line) == OK and command.letter == _M and command.number == 999:
            self.restart()

    # Odds and ends

    def _remark(self, text):
        self.out.line("echo:" + text)

    def _wake_up(self):
        # From a soft timer: the main loop has something to look after
        self._due = True

    def _abort_print(self):
        # M540: what still waits of the print is not made, and the host is asked to end it
        self.queue.skip(_is_move)
        self.heat.all_off()
        self.fans.off()
        self.out.line("// action:cancel")

    def _motion_failed(self, error):
        # Called by the motion's timer: the motors are off already, the main loop says why
        self.heat.all_off()
        self._trouble = "motion failed: %r" % (error,)


def _is_move(command):
    # G0 to G3 and G28
    return command.letter == _G and (0 <= command.number <= 3 or command.number == 28)
