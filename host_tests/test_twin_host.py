"""The host's side of the line against a small printer of the tests' own."""

import re

import pytest

from tools.twin.host import Host, HostError, StreamCount, framed, resend_number, sendable
from tools.twin.status import Status, read_settings


class FakePrinter:
    """A wire whose other end checks numbers and checksums and answers 1 ms later."""

    def __init__(self):
        self.time = 0.0
        self.executed = []
        self.replies = b""
        self.last = 0
        self.answer = lambda text: []
        self.silent = False

    def write(self, data):
        for raw in data.split(b"\n"):
            if raw and not self.silent:
                self.replies += b"".join(line.encode() + b"\n" for line in self.handle(raw.decode("latin-1")))

    def handle(self, text):
        match = re.fullmatch(r"N(-?\d+) (.*)\*(\d+)", text)
        if match:
            number, text = int(match[1]), match[2]
            good = framed(text, number) == match[0]
            if not good or (number != self.last + 1 and not text.startswith("M110")):
                return ["Error:checksum mismatch, Last Line: %d" % self.last, "Resend: %d" % (self.last + 1), "ok"]
            self.last = number
        elif text.startswith("N") or "*" in text:
            return ["Error:No Checksum with line number, Last Line: 0", "Resend: %d" % (self.last + 1), "ok"]
        if not text.startswith("M110"):
            self.executed.append(text)
        return [*self.answer(text), "ok"]

    def wait(self, seconds):
        self.time += min(seconds, 0.001) if self.replies else seconds
        data, self.replies = self.replies[:7], self.replies[7:]  # in pieces, as bytes come
        return data

    def now(self):
        return self.time


def test_reference_lines_of_the_protocol():
    assert framed("M110 N0", 0) == "N0 M110 N0*125"
    assert framed("M110 N-1", -1) == "N-1 M110 N-1*125"
    assert framed("M115", 1) == "N1 M115*39"
    assert framed("G28", 0) == "N0 G28*19"
    assert framed("G28", None) == "G28"


def test_what_a_host_sends_of_a_file():
    lines = ["; head", "", "G1 X1 ; move", " M117 \u00fcber ", "(only)", "G1 (middle) Y2"]
    assert list(sendable(lines)) == ["G1 X1", "M117 ?ber", "G1  Y2"]


@pytest.mark.parametrize("text", ["Resend: 12", "Resend:12", "rs 12", "rs N12", "resend: N12"])
def test_resend_requests(text):
    assert resend_number(text) == 12


def test_no_resend_request():
    assert resend_number("ok") is None and resend_number("Resend: x") is None


def test_stream_executes_each_line_once_in_order():
    printer, count = FakePrinter(), StreamCount()
    lines = ["G1 X%d" % n for n in range(50)]
    sent = [s for s in Host(printer).stream(lines, count=count) if s]
    assert printer.executed == lines
    assert [s.number for s in sent] == list(range(50))
    assert (count.lines, count.resends, count.errors) == (50, 0, [])
    assert count.lines_per_s > 0


def test_damaged_lines_are_sent_again():
    printer, count = FakePrinter(), StreamCount()
    host = Host(printer)
    calls = []

    def mangle(data):
        calls.append(data)
        return data.replace(b"G1", b"G7") if len(calls) % 5 == 0 else data

    host.mangle = mangle
    lines = ["G1 X%d" % n for n in range(60)]
    list(host.stream(lines, count=count))
    assert printer.executed == lines
    assert count.resends == len(calls) // 5 > 10
    assert count.errors == []


def test_errors_that_are_no_resend_are_kept():
    printer, count = FakePrinter(), StreamCount()
    printer.answer = lambda text: ["Error:something else"] if text == "G1 X2" else []
    list(Host(printer).stream(["G1 X%d" % n for n in range(4)], count=count))
    assert count.errors == ["Error:something else"]


def test_a_printer_that_is_silent_halts_or_restarts():
    printer = FakePrinter()
    printer.answer = lambda text: ["Error:too hot", "Error:Printer halted. kill() called!"]
    with pytest.raises(HostError, match="halted at 'G1': Error:too hot"):
        list(Host(printer).stream(["G1"], numbered=False))
    printer.answer = lambda text: ["start"]
    with pytest.raises(HostError, match="restarted at 'G1'"):
        list(Host(printer).stream(["G1"], numbered=False))
    printer.silent = True
    with pytest.raises(HostError, match="no answer to 'G1' for 5 s"):
        list(Host(printer).stream(["G1"], numbered=False, timeout=5))
    with pytest.raises(HostError, match="no ok to 'M105' within 3 s"):
        Host(printer).command("M105", timeout=3)


def test_a_printer_that_asks_for_ever_or_for_nonsense():
    printer = FakePrinter()
    host = Host(printer)
    host.mangle = lambda data: b"garbage*1\n"
    with pytest.raises(HostError, match="11 in a row"):
        list(host.stream(["G1"]))
    printer = FakePrinter()
    printer.answer = lambda text: ["Resend: 99"] if text == "G1" else []
    with pytest.raises(HostError, match="resend of line 99"):
        list(Host(printer).stream(["G1"]))


def test_pauses_are_seen_while_a_line_takes_long():
    printer = FakePrinter()
    host = Host(printer)
    seen = []

    class Slow(FakePrinter):
        def wait(self, seconds):
            if self.time < 1.0:
                self.time += seconds
                return b""
            return super().wait(seconds)

    host = Host(Slow())
    for event in host.stream(["G4 S1"], numbered=False):
        seen.append(event)
    assert seen.count(None) >= 19 and seen[-1].text == "G4 S1"


def test_command_and_wait_for():
    printer = FakePrinter()
    printer.answer = lambda text: ["echo:hello"]
    host = Host(printer)
    assert host.command("M118 hello") == ["echo:hello", "ok"]
    printer.replies = b"noise\nstart\n"
    assert host.wait_for("start", 5) == ["noise", "start"]
    with pytest.raises(HostError, match="no line 'start' within 2 s; nothing came"):
        host.wait_for("start", 2)


def test_reports():
    status = Status()
    status.read("ok T:210.2 /210.0 B:59.9 /60.0 @:64 B@:12")
    status.read("X:1.00 Y:-2.50 Z:0.20 E:3.25 Count X:80 Y:-200 Z:80")
    status.read("echo:underruns:0 heap_free:123456 queue:12/32 buffer_ms: 180")
    assert status.temperatures == {"T": (210.2, 210.0), "B": (59.9, 60.0)}
    assert status.position == {"x": 1.0, "y": -2.5, "z": 0.2, "e": 3.25}
    assert status.counts == {"x": 80, "y": -200, "z": 80}
    assert (status.number("queue"), status.number("buffer_ms"), status.number("none")) == (12, 180, None)
    status.read("echo:busy: processing")
    assert status.number("busy") is None


def test_settings_out_of_m503():
    lines = ["echo:; Steps per mm", "echo:  M92 X80.00 Y80.00 Z400.00 E93.00", "M203 X300 Y300", "ok"]
    assert read_settings(lines)["M92"] == {"x": 80.0, "y": 80.0, "z": 400.0, "e": 93.0}
    assert read_settings(lines)["M203"]["y"] == 300.0
