"""The printer: owns all parts, boots them in a safe order, and runs the main loop.

The main loop waits for lines (`pump`) and runs what is in the queue. A handler that has to wait calls `pump` itself, so lines
are read, commands that act on arrival act, and reports go out, whatever is being waited for. Steps and heaters do not depend
on this loop: two soft timers serve them.
"""

import gc

from adder import lane
from adder.codes.dispatch import Dispatcher
from adder.fans import Fans
from adder.heat import Heat
from adder.link import Link
from adder.motion import Motion
from adder.output import Output
from adder.queue import CommandQueue
from adder.report import Reporter
from adder.settings import Settings, groups

HALTED = "Error:Printer halted. kill() called!"
_LOOK_MS = 50


class Printer:
    """One printer on one board; `run` never returns but for KeyboardInterrupt (back to the REPL)."""

    def __init__(self, board, hal, store=None):
        self.board = board
        self.hal = hal
        self.halted = False
        self.working = False  # a command is being run
        self.cancelled = False
        self.message = ""
        self._reads = 0  # odd while the main loop waits in C for a whole line
        self._seen = 0
        self._due = hal.ticks_ms()
        self._trouble = None  # text of a failure that the main loop has to announce
        self.out = Output(hal)
        self.settings = Settings(groups(), board.defaults, store)
        self._notes = self.settings.load() if store else ()
        self.heat = Heat(board, hal, self.settings)
        self.motion = Motion(board, hal, self.settings, self.pump)
        self.motion.hotend = self.heat.by_name("hotend")
        self.motion.report = self._remark
        self.fans = Fans(board, hal, self.settings, self.heat)
        self.report = Reporter(hal, self.out, self.settings, self.heat, self.motion)
        self.queue = CommandQueue()
        self.link = Link(hal, self.out, self.queue, self.emergency_stop, self._arrived)
        self.codes = Dispatcher(self)
        self._lane = lane.make(self.link, self.queue.first, self.motion, hal.write)

    def start(self):
        """Begin to supervise, then greet the host."""
        self.heat.start()
        self.fans.start(self.motion)
        self.motion.start(self._motion_failed)
        self.hal.timer(500, self._while_stuck)
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
                self.pump()
                if self.queue.count:
                    self.work()
        except BaseException as error:
            self.heat.all_off()
            self.motion.kill()
            if not isinstance(error, KeyboardInterrupt):
                self.out.raw(("Error:firmware failed: %r\n%s\n" % (error, HALTED)).encode())
            raise

    # Waiting

    def pump(self, timeout_ms=20):
        """Wait at most so long for a line, take it in, and say what is due. Never runs a queued command."""
        hal = self.hal
        if not self.link.regular and self.link.go_on():
            timeout_ms = 0
        if hal.poll(timeout_ms):
            self._reads += 1
            line = hal.readline()
            self._reads += 1
            if self.halted:
                self._take_halted(line)
            elif self.working or self.queue.count or not self._lane(line):
                self.link.take(line)
        now = hal.ticks_ms()
        if hal.ticks_diff(now, self._due) >= 0:
            self._due = hal.ticks_add(now, _LOOK_MS)
            self._look()

    def _look(self):
        # What need not be looked at for every line
        if not self.halted:
            if self.heat.fault:
                self.halt(self.heat.fault)
            elif self._trouble:
                self.halt(self._trouble)
            else:
                self.report.tick(self.working)
                self.motion.check_cold()
                self.motion.check_idle()

    def work(self):
        """Run the commands that wait."""
        queue = self.queue
        run = self.codes.run
        report = self.report
        report.busy_since = None
        self.working = True
        while queue.count and not self.halted:
            run(queue.first)
            report.busy_since = None
            if not self.halted:
                queue.drop()
        self.working = False

    def _while_stuck(self, _):
        # Every 500 ms. Somebody sent half a line and the main loop waits in C for the rest: reports go on from here.
        reads = self._reads
        if reads & 1 and reads == self._seen and not self.halted:
            self._look()
        self._seen = reads

    # What acts on arrival

    def _arrived(self, number):
        if number == 108:
            self.cancelled = True
        elif number == 410:
            self.motion.stop()

    def emergency_stop(self, reason=None):
        """M112: steps, heaters and motors off, and only then the words. Halted until a reset or M999."""
        self.halted = True
        self.motion.kill()
        self.heat.all_off()
        self.fans.off()
        self.queue.clear()
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
        # Everything but a restart is swallowed
        text = bytes(line).upper()
        at = text.find(b"M999")
        if at >= 0 and (at == 0 or text[:1] == b"N") and not text[at + 4 : at + 5].isdigit():
            self.restart()

    # Odds and ends

    def _remark(self, text):
        self.out.line("echo:" + text)

    def _motion_failed(self, error):
        # Called by the motion's timer: all is off already, the main loop says why
        self.heat.all_off()
        self._trouble = "motion failed: %r" % (error,)

