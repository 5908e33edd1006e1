"""The firmware's printer without hardware: its clock moves with motion and waits, heaters warm up as a model says.

What is simulated of heat: the twin's thermal model with the board's watts, under the firmware's own control. While all
heaters hold their targets nothing is computed.
"""

import re
import sys

from adder.board import load
from adder.codes.table import ROWS
from adder.command import EMPTY
from adder.errors import Refused
from adder.frame import UNIT
from adder.hal.host import Hal
from adder.printer import Printer
from adder.settings import scaled
from tools.twin.thermal import BED_120W, HOTEND_40W, ThermalModel

from .stepless import HOMING, MOTION, Stepless

CHECK_MS = 100  # the firmware's heater check
WAIT_MS = 20
LONGEST_HEATING_S = 4 * 3600
LINE_BYTES = 256  # what the firmware takes
REALTIME = {row[0] for row in ROWS if row[5] == "realtime"}
_WITHOUT_EFFECT = {"M108", "M110"}  # in a file
HEATING = {"M109", "M190", "M191"}
HOMING_CODES = {"G28", "G29", "G30"}
_SETTING = re.compile(r";\s*([a-z][a-z0-9_]*)\s+(-?\d+(?:\.\d+)?)(?:\s|$)")  # in M503's remarks
_PLANTS = {"hotend": HOTEND_40W, "bed": BED_120W}


class DryHal(Hal):
    """Nothing is sent, no timer runs, and what the firmware says goes to `on_text(line, error)`."""

    on_text = None

    def timer(self, period_ms, callback):
        pass

    def poll(self, timeout_ms):
        return False

    def write(self, data):
        if data != b"ok\n" and self.on_text:
            error = sys.exc_info()[1]  # the dispatcher writes a refusal while it handles it
            for line in bytes(data).decode("ascii").splitlines():
                self.on_text(line, isinstance(error, Refused))

    def pass_us(self, us):
        """Let so much time pass."""
        self._us += us


class DryPrinter(Printer):
    """A printer that runs lines one after the other.

    `start_mm`: how far X, Y and Z are from their lower ends before the first homing; `hot`: heaters are at any target
    at once. `waits`: (line, kind, seconds, blocks made before) with kind "heating", "dwell", "starting" (after a
    rest), "settling" (of filters, before one) or "waiting".
    `on_note(what, text)` gets what is to be told about the present line: what is "refused", "remark" or "halt".
    """

    def __init__(self, board, start_mm=(100.0, 100.0, 10.0), hot=False, room_c=22.0):
        import adder.motion

        hal, parts = DryHal(), load(board)
        self.models = {}
        for part in parts.heaters:
            plant = _PLANTS[part.name].but(watts=part.watts, thermistor=part.thermistor, pullup_ohm=part.pullup_ohm)
            self.models[part.name] = model = ThermalModel(plant, room_c)
            hal.adc_values[part.sensor_pin] = lambda model=model: round(model.ratio() * 65535)
        plain = adder.motion.Feeder
        adder.motion.Feeder = Stepless
        try:
            super().__init__(parts, hal)
        finally:
            adder.motion.Feeder = plain
        self.hot = hot
        self.waits = []
        self.on_note = None
        self.line = 0
        self._code = ""
        self._machine = self.motion.kinematics  # not while motors are homed as axes
        self._start_mm = start_mm
        self._warm_us = 0
        self.feeder = feeder = self.motion.feeder
        feeder.position = self.motion.frame.state
        feeder.machine = lambda: self.motion.kinematics
        feeder.way_to_switch = self._way_to_switch
        feeder.on_switch = self._on_switch
        self.motion.report = self._motion_remark
        self.start()
        self.hal.on_text = self._said

    # What is said

    def _note(self, what, text):
        if self.on_note:
            self.on_note(what, text)

    def _said(self, text, refused):
        if refused:
            self._note("refused", text[5:] if text.startswith("echo:") else text)
        elif text.startswith("Error:") and not self.halted:
            self._note("halt", text[6:])
        elif text.startswith("echo:") and self._code in ("G0", "G1", "G2", "G3"):
            self._note("remark", text[5:])

    def _motion_remark(self, text):
        self.motion._warned = 0  # every move that it holds for is to be counted
        self._note("remark", text)

    # Lines

    def run_line(self, line):
        """One line of a file, bytes without comment; False when the printer has halted."""
        feeder = self.feeder
        if len(line) > LINE_BYTES:
            self._note("refused", "a line of %d bytes: the firmware takes %d" % (len(line), LINE_BYTES))
            return True
        command = self.queue.slot
        if command.scan(line) == EMPTY:
            return True
        letter = command.letter
        code = self._code = "%c%d" % (letter, command.number) if letter else ""
        if code in REALTIME:
            return self._act(code)
        feeder.kind = HOMING if code in HOMING_CODES else MOTION
        self._machine = self.motion.kinematics
        self.queue.put()
        try:
            self.codes.run(command)
        except Exception as error:  # as the firmware's own loop does
            self.halt("firmware failed: %r" % (error,))
        finally:
            self.queue.drop()
        return not self.halted

    def take_settings(self, text):
        """What M503 printed on the printer: its commands, and by name the settings that have none."""
        for line in text.splitlines():
            line = line.removeprefix("echo:").strip()
            named = _SETTING.match(line)
            if named and named[1] in self.settings.names():
                try:
                    self.settings.set(named[1], scaled(named[2], self.settings.decimals(named[1])))
                except (Refused, ValueError) as error:
                    self._note("refused", "%s: %s" % (named[1], error))
            elif line and line[0] in "GMgm":
                self.run_line(line.split(";")[0].encode("ascii", "replace"))

    def _act(self, code):
        if code == "M112":
            self._note("halt", "M112: the printer stops here, all off")
            return False
        if code == "M999":
            self._note("halt", "M999: the board restarts here")
            return False
        if code not in _WITHOUT_EFFECT:
            self._note("remark", "%s acts the moment it arrives, ahead of what waits then; left out here" % code)
        return True

    def end(self):
        """Make all moves that wait."""
        if not self.halted:
            self.feeder.kind = MOTION
            self.motion.drain()

    def emergency_stop(self, reason=None):
        """The firmware halts: what waits is forgotten."""
        if reason:
            self._note("halt", reason)
        super().emergency_stop()

    # Time

    def pump(self, timeout_ms=WAIT_MS):
        """Somebody waits: for room in the planner, for the end of moves, or for something else that takes time."""
        feeder = self.feeder
        if not (timeout_ms or feeder.flush or feeder.planner.full()):
            return
        if feeder.planner.waiting() and not feeder.dead:
            start = feeder.start_us()
            if start:
                self.waits.append([self.line, "starting", start / 1e6, len(feeder.rows)])
            self._pass(start + feeder.take())
            settle = feeder.settle_us()
            if settle:
                self.waits.append([self.line, "settling", settle / 1e6, len(feeder.rows)])
                self._pass(settle)
            return
        if self.report.paused:
            self._note("remark", "%s waits for the user; not counted" % self._code)
            self.cancelled = True
            return
        waits = self.waits
        kind = "heating" if self._code in HEATING else "dwell" if self._code == "G4" else "waiting"
        if not waits or waits[-1][:2] != [self.line, kind]:
            waits.append([self.line, kind, 0.0, len(feeder.rows)])
        wait = waits[-1]
        if kind == "heating":
            us = CHECK_MS * 1000 - self._warm_us
            if wait[2] > LONGEST_HEATING_S:
                self._note("remark", "%s: not reached within %d h" % (self._code, LONGEST_HEATING_S // 3600))
                self.cancelled = True
        else:
            us = max(timeout_ms * 1000, int(wait[2] * 1000))  # a thousandth of what has passed: long waits cost little
        wait[2] += us / 1e6
        self._pass(us)

    def _pass(self, us):
        self.hal.pass_us(us)
        self._warm_us += us
        while self._warm_us >= CHECK_MS * 1000:
            if self._steady():
                self._warm_us %= CHECK_MS * 1000
                return
            self._warm_us -= CHECK_MS * 1000
            self._warm()

    def _steady(self):
        # Nothing changes: every heater is at its target, or off and cold
        for heater in self.heat.heaters:
            if heater.target_cc:
                if not heater.settled() or abs(heater.temperature_cc - heater.target_cc) > 100:
                    return False
            elif self.models[heater.name].block > self.models[heater.name].ambient + 1:
                return False
        return True

    def _warm(self):
        for heater in self.heat.heaters:
            model = self.models[heater.name]
            if self.hot and heater.target_cc:
                model.block = model.sensor = heater.target_cc / 100
                heater._begin(heater.target_cc)
            else:
                model.step(CHECK_MS / 1000, heater.duty / 65535)
        targets = [heater.target_cc for heater in self.heat.heaters]
        self.heat.check()
        if self.heat.fault:
            # The model is not the printer: a heater that is too weak in it is said, and taken as hot
            fault, self.heat.fault = self.heat.fault, None
            self._note("remark", "the heaters' model does not reach its target: %s" % fault.split(";")[0])
            self.hot = True
            for heater, target in zip(self.heat.heaters, targets, strict=True):
                heater.set_target(target)

    # Switches

    def _axis_of(self, pin):
        for axis in range(3):
            if self.board.axes[axis].endstop == pin:
                return axis
        return None

    def _way_to_switch(self, pin, start):
        axis = self._axis_of(pin)
        if axis is None:
            return 10.0
        if not self._machine.linear:  # its motors are homed as axes, and are believed to be where they are
            return abs(self._machine.switches[axis] - start[axis]) / UNIT
        low, high = (self.settings.get("xyz"[axis] + end) / 100 for end in ("_min", "_max"))
        at = min(max(self._start_mm[axis], 0.0), high - low)
        return high - low - at if self.settings.get("home_to_max_" + "xyz"[axis]) else at

    def _on_switch(self, pin, closed):
        axis = self._axis_of(pin)
        if axis is not None:
            self.hal.levels[pin] = int(closed) ^ int(bool(self.board.axes[axis].endstop_invert))

    def position_mm(self, axis):
        """Where the axis is in the machine, mm."""
        return self.motion.frame.state[axis] / UNIT
