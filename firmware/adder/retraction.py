"""Firmware retraction: G10 pulls the filament back and lifts the nozzle, G11 does the reverse.

What is pulled is no part of any coordinate: E and Z keep their values in G-code and M114. Lengths are mm of filament;
neither flow percentage nor volumetric extrusion changes them. A retraction that is pending is not made again.
"""

from adder import correction, frame
from adder.errors import Refused
from adder.frame import UNIT, E

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("retract_length", "M207", "S", "mm", 3, 3000, 0, 100000, "retraction: length"),
    ("retract_swap_length", "M207", "W", "mm", 3, 13000, 0, 200000, "retraction: length of a swap, G10 S1"),
    ("retract_feedrate", "M207", "F", "mm/min", 2, 270000, 600, 6000000, "retraction: feedrate"),
    ("retract_hop", "M207", "Z", "mm", 3, 0, 0, 50000, "retraction: hop of the nozzle"),
    ("recover_length", "M208", "S", "mm", 3, 0, -10000, 50000, "recovery: more than was retracted"),
    ("recover_swap_length", "M208", "W", "mm", 3, 0, -10000, 50000, "recovery: more than was retracted in a swap"),
    ("recover_feedrate", "M208", "F", "mm/min", 2, 48000, 600, 6000000, "recovery: feedrate"),
    ("recover_swap_feedrate", "M208", "R", "mm/min", 2, 48000, 600, 6000000, "recovery: feedrate of a swap"),
    ("auto_retract", "M209", "S", "", 0, 0, 0, 1, "moves of E alone, 0.1 to 10 mm, are retractions: 0 no, 1 yes"),
)


class Retraction:
    """What is retracted now; `motion` makes the moves.

    `pending`: a G10 has been made and no G11; `pulled`: the filament that it pulled back, 10 nm.
    """

    def __init__(self, motion):
        self._motion = motion
        self.pending = False
        self.pulled = 0
        self._swap = False

    def retract(self, swap):
        """G10: pull back, by the length of a swap if so, then lift. Refused when the hotend is too cold.

        False when M410 or M112 dropped it.
        """
        if self.pending:
            return True
        motion = self._motion
        motion.wait_for_rest()
        self._check_cold("G10")
        length = motion.setting("retract_swap_length" if swap else "retract_length", 5)
        if not self._move_filament(-length, "retract_feedrate"):
            return False
        self.pending = True
        self.pulled = length
        self._swap = swap
        return self._hop(motion.setting("retract_hop", 5))

    def recover(self):
        """G11: lower, then push back what was pulled and what M208 adds. Refused when the hotend is too cold.

        False when M410 or M112 dropped it.
        """
        if not self.pending:
            return True
        self._motion.wait_for_rest()
        self._check_cold("G11")
        kind = "recover_swap_" if self._swap else "recover_"
        if not self._hop(0):
            return False
        length = max(self.pulled + self._motion.setting(kind + "length", 5), 0)
        if not self._move_filament(length, kind + "feedrate"):
            return False
        self.pending = False
        self.pulled = 0
        return True

    def automatic(self):
        """M209: the move of E alone in TARGET becomes a retraction or a recovery; E has its value afterwards."""
        place = self._motion.frame
        state = place.state
        target = state[frame.TARGET + E]
        if self.retract(False) if target < state[E] else self.recover():
            place.declare(E, state[frame.E_BASE] * UNIT + target)

    def forget_hop(self):
        """Z is where its drive is: nothing is lowered by the next G11."""
        correction.forget_hop(self._motion.frame.state)

    def undone(self, way):
        """Of the filament's way (10 nm) that was planned and not made, what is no part of a pending retraction."""
        if self.pending and way < 0:
            part = min(self.pulled, -way)
            self.pulled -= part
            way += part
        return way

    def _check_cold(self, code):
        motion = self._motion
        motion.check_cold()
        if motion.frame.state[frame.COLD]:
            raise Refused(
                "%s: cold extrusion prevented, hotend at %d C, at least %d C needed (M302)"
                % (code, motion.hotend.temperature_cc // 100, motion.extrude_min_cc // 100)
            )

    def _move_filament(self, way, feedrate):
        # Move E's motor alone; False when M410 or M112 dropped it
        motion = self._motion
        if not way:
            return True
        request = motion.feeder.planner.request
        for i in range(8):
            request[i] = 0
        request[E] = way
        request[8] = min(motion.setting(feedrate, 2) * 1000 // 60, frame.SPEED_MAX)
        request[9] = motion.frame.state[frame.ACCEL_RETRACT]
        motion.kinematics(request, 4)
        return motion.queue()

    def _hop(self, height):
        # Lift or lower the nozzle to `height` above Z; False when M410 or M112 dropped it
        motion = self._motion
        state = motion.frame.state
        if state[frame.HOP] == height:
            return True
        request = motion.feeder.planner.request
        for i in range(8):
            request[i] = 0
        state[frame.TARGET : frame.TARGET + 4] = state[0:4]
        correction.set_hop(state, height)
        if correction.correct(state, request) > 0:
            request[8] = min(motion.setting("max_feedrate_z", 5), frame.SPEED_MAX)
            request[9] = state[frame.ACCEL_TRAVEL]
            motion.kinematics(request, 4)
            if not motion.queue():
                self.forget_hop()
                return False
        correction.hopped(state)
        return True
