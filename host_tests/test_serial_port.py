"""The pseudo-terminal that hosts open: raw, without echo, whole over any number of opens and closes."""

import fcntl
import os
import termios
import time

import pytest
import serial

from tools.twin.serial_port import LiveTwin, PtyPort


@pytest.fixture
def port(tmp_path):
    port = PtyPort(tmp_path / "printer")
    yield port
    port.close()


def receive(port, least=1):
    data, end = b"", time.monotonic() + 2
    while len(data) < least and time.monotonic() < end:
        data += port.receive()
    return data


def test_bytes_pass_unchanged_both_ways(port):
    everything = bytes(range(256))
    with serial.Serial(port.path, 115200, timeout=2) as client:
        assert port.changed() == [True]
        client.write(everything)
        assert receive(port, 256) == everything
        port.send(everything)
        assert client.read(256) == everything
        assert port.receive() == b""  # no echo


def test_raw_and_silent_before_a_client_opens_it(port):
    fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    local = termios.tcgetattr(fd)[3]
    assert not local & (termios.ECHO | termios.ICANON | termios.ISIG)
    os.close(fd)


def test_it_survives_any_number_of_opens(port):
    for number in range(20):
        with serial.Serial(port.path, 9600 * (1 + number % 3), timeout=2, parity="O" if number % 2 else "N") as client:
            port.changed()
            client.write(b"M105\n")
            assert receive(port, 5) == b"M105\n"
            port.send(b"ok\n")
            assert client.readline() == b"ok\n"
        assert port.changed()[-1] is False
        assert port.receive() == b"" and port.clients == 0


def test_a_client_leaves_nothing_behind(port):
    fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    port.changed()
    modes = termios.tcgetattr(fd)
    modes[3] |= termios.ECHO | termios.ICANON
    termios.tcsetattr(fd, termios.TCSANOW, modes)
    fcntl.ioctl(fd, termios.TIOCEXCL)
    port.send(b"never read\n")
    assert receive(port) == b"never read\n"  # the echo that this client asked for
    os.close(fd)
    port.changed()
    port.send(b"nobody listens\n")
    with serial.Serial(port.path, timeout=0.2, exclusive=True) as client:
        port.changed()
        assert client.read(100) == b""
        port.send(b"fresh\n")
        assert client.readline() == b"fresh\n"
        assert port.receive() == b""


def test_output_that_has_no_room_yet_is_kept_in_order(port):
    sent = b"".join(b"line %d\n" % number for number in range(4000))
    with serial.Serial(port.path, timeout=2) as client:
        port.changed()
        port.send(sent)
        got = b""
        while len(got) < len(sent):
            chunk = client.read(1000)
            assert chunk
            got += chunk
            port.flush()
        assert got == sent


def test_two_clients_count_as_open_until_both_are_gone(port):
    first = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    second = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    assert port.changed() == [True] and port.clients == 2
    os.close(first)
    assert port.changed() == []
    os.close(second)
    assert port.changed() == [False]


def test_link(tmp_path):
    link = tmp_path / "printer"
    link.symlink_to("/nowhere")  # left by one that was killed
    port = PtyPort(link)
    assert os.readlink(link) == port.path
    port.close()
    assert not link.is_symlink()


def test_wrong_links_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="exists and is no symbolic link"):
        PtyPort(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ValueError, match="cannot be made"):
        PtyPort(tmp_path / "no" / "such" / "folder")


class FakeUsb:
    def __init__(self):
        self.waiting = bytearray()
        self.lines = []

    def set_lines(self, dtr, rts):
        self.lines.append(dtr)


class FakeBoard:
    """Runs a hundred times faster than real time and echoes."""

    def __init__(self):
        self.usb = FakeUsb()
        self.now = 0.0

    def run(self, seconds):
        self.now += seconds

    def write(self, data):
        self.usb.on_rx(data)


class FakeTwin:
    def __init__(self):
        self.board = FakeBoard()

    @property
    def now(self):
        return self.board.now


def test_real_time_pace_and_control_lines(port):
    twin = FakeTwin()
    live = LiveTwin(twin, port)
    with serial.Serial(port.path, timeout=2) as client:
        client.write(b"hello\n")
        end = time.monotonic() + 0.5
        live.serve(lambda: time.monotonic() > end)
        assert client.readline() == b"hello\n"
    assert 0.45 < twin.now < 0.55
    live.step()
    assert twin.board.usb.lines == [True, False]
    assert live.events == ["port opened", "port closed"]
    assert (live.received, live.sent) == (6, 6)


def test_as_fast_as_it_can(port):
    twin = FakeTwin()
    live = LiveTwin(twin, port, fast=True)
    end = time.monotonic() + 1.2
    live.serve(lambda: time.monotonic() > end)
    assert twin.now > 3 and live.factor > 2
