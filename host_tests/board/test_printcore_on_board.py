"""Printrun's printcore prints over the pseudo-terminal while bits flip on the line: all is done once, in order."""

import math
import random
import threading
import time

import numpy as np
import pytest
from printrun import gcoder, printcore

from host_tests.board.printers import check_drivers, printer
from tools.twin.expected import read_file
from tools.twin.serial_port import LiveTwin, PtyPort

LIMIT_S = 90  # printcore waits for ever


class NoisyPort(PtyPort):
    """Damages a share of the lines on their way to the printer: a flipped bit, a lost or a doubled byte.

    A line's end always arrives: without it neither side would ever go on.
    """

    def __init__(self, link, share, seed):
        super().__init__(link)
        self.share = share
        self.dice = random.Random(seed)
        self.lines = 0
        self.damaged = []
        self._line = b""

    def receive(self, most=4096):
        *whole, self._line = (self._line + super().receive(most)).splitlines(keepends=True) or [b""]
        if self._line.endswith(b"\n"):
            whole, self._line = [*whole, self._line], b""
        return b"".join(self._damage(line) for line in whole)

    def _damage(self, line):
        self.lines += 1
        if self.dice.random() >= self.share or self.lines < 3 or len(line) < 2:
            return line
        at = self.dice.randrange(len(line) - 1)
        kind = self.dice.randrange(4)
        if kind == 0:
            changed = line[:at] + line[at + 1 :]
        elif kind == 1:
            changed = line[:at] + line[at : at + 1] + line[at:]
        else:
            changed = line[:at] + bytes([line[at] ^ 1 << self.dice.randrange(7)]) + line[at + 1 :]
        self.damaged.append((line, changed))
        return changed


def program(seed, count):
    """Relative and absolute moves, so that one too many or too few, or in another order, shows in steps or path."""
    dice = random.Random(seed)
    lines = ["M302 P1", "G90", "M83", "G1 X60 Y60 F9000"]
    for number in range(count):
        x, y = 60 + dice.uniform(-15, 15), 60 + dice.uniform(-15, 15)
        if number % 10 == 5:
            lines += ["G91", "G1 X%.3f Y%.3f E0.3 F7800" % (dice.uniform(-3, 3), dice.uniform(-3, 3)), "G90", "M83"]
        else:
            lines.append("G1 X%.3f Y%.3f E%.4f F%d" % (x, y, dice.uniform(0.01, 0.2), dice.choice((9000, 12000))))
    return lines


@pytest.mark.parametrize("seed, share", [(1, 0.01), (2, 0.01), (3, 0.05)])
def test_every_line_is_done_once_and_in_order(seed, share, tmp_path):
    lines = program(seed, 200)
    with printer(start={"x": 20, "y": 20, "z": 5}) as twin:
        port = NoisyPort(tmp_path / "port", share, seed)
        live = LiveTwin(twin, port, fast=True)
        ended = threading.Event()
        thread = threading.Thread(target=live.serve, args=(ended.is_set,), daemon=True)
        thread.start()
        host = printcore.printcore()
        heard = []
        host.recvcb = heard.append
        limit = time.monotonic() + LIMIT_S
        try:
            host.connect(str(tmp_path / "port"), 115200)
            _wait(lambda: host.online, limit, heard)
            host.startprint(gcoder.LightGCode(lines))
            _wait(lambda: not host.printing, limit, heard)
        finally:
            stopper = threading.Thread(target=host.disconnect, daemon=True)
            stopper.start()
            stopper.join(10)
            ended.set()
            thread.join(10)
            port.close()
        twin.board.usb.on_rx = None
        steps = -1
        while steps != (steps := sum(twin.steps(motor).total for motor in "xyze")):
            twin.board.run(1.0)
        expected = read_file(lines, twin.machine())
        made = {motor: twin.steps(motor).net for motor in "xyze"}
        assert port.damaged, "nothing was damaged"
        assert not expected.wrong_motors(made), (made, expected.net_steps(), port.damaged)
        assert twin.position_mm()["x"] == pytest.approx(20 + expected.position["x"], abs=0.013)
        check_drivers(twin)
        check_order(twin.track().path(0.5), expected.path)
        resends = sum(line.startswith("Resend") for line in heard)
        print("%d lines, %d damaged, %d resends" % (port.lines, len(port.damaged), resends))
        assert len(port.damaged) - 2 <= resends <= 3 * len(port.damaged)


def check_order(path, segments):
    """The tool came by the ends of all segments in their order, and went no further than they are long."""
    points = np.stack([path["x"], path["y"]], axis=1)
    at = 0
    for segment in segments:
        near = np.flatnonzero(np.hypot(*(points[at:] - segment.end[:2]).T) < 0.25)
        assert len(near), "the end of line %d was not reached in its turn" % segment.line
        at += int(near[0])
    went = np.hypot(*np.diff(points, axis=0).T).sum()
    asked = sum(math.dist(segment.start[:2], segment.end[:2]) for segment in segments)
    assert went == pytest.approx(asked, rel=0.003)


def _wait(condition, limit, heard):
    while not condition():
        assert time.monotonic() < limit, "not in time; heard last: %s" % heard[-5:]
        time.sleep(0.02)
