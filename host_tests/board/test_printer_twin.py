"""The printer around the emulated board, first driven from MicroPython's prompt, then by the firmware."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import serial
from printrun import gcoder, printcore

from tools import paths
from tools.twin.print_job import PrintJob
from tools.twin.printer import PrinterTwin
from tools.twin.serial_port import LiveTwin, PtyPort

pytest_plugins = ["host_tests.board.twin_fixtures"]

PINS = (
    "from machine import Pin, PWM, ADC",
    "import time",
    "s=Pin(11,Pin.OUT);d=Pin(10,Pin.OUT);e=Pin(12,Pin.OUT,value=0);sw=Pin(4,Pin.IN,Pin.PULL_UP)",
)


def type_in(twin, *lines, seconds=0.5):
    for line in lines:
        twin.send(line + "\r")
    return twin.run(seconds)


# The board with MicroPython alone: what the pins do is known.


def test_the_switch_stops_a_loop_on_its_step(bare_twin):
    text = type_in(
        bare_twin, *PINS, "d(1)", "exec('n=0\\nwhile not sw():\\n s(1);s(0);n+=1')", "print('made', n)", seconds=1
    )
    wanted = round(6.3 * 80)
    assert "made %d" % wanted in text
    assert bare_twin.position_mm()["x"] == 0.0
    assert bare_twin.steps("x").net == -wanted
    times, signs = bare_twin.edges("x")
    assert len(times) == wanted and set(signs) == {-1}
    assert np.diff(times).min() > 1000


def test_driven_against_the_end(bare_twin):
    type_in(bare_twin, *PINS, "d(1)", "exec('for n in range(1000):\\n s(1);s(0)')", seconds=1)
    assert bare_twin.position_mm()["x"] == -2.0
    assert bare_twin.mechanics.lost_steps()["x"] == 1000 - round(8.3 * 80)
    type_in(bare_twin, "d(0)", "exec('for n in range(80):\\n s(1);s(0)')")
    assert bare_twin.position_mm()["x"] == -1.0


def test_a_driver_that_is_off_makes_no_steps(bare_twin):
    type_in(bare_twin, *PINS, "d(0)", "e(1)", "exec('for n in range(50):\\n s(1);s(0)')")
    steps = bare_twin.steps("x")
    assert (steps.total, steps.ignored) == (50, 50)
    assert bare_twin.position_mm()["x"] == 6.3


def test_direction_changes_without_set_up_are_counted(bare_twin):
    bare_twin.recorder._timing["x"].direction_setup = 20_000
    type_in(bare_twin, *PINS, "exec('for n in range(20):\\n d(n&1);s(1);s(0)')")
    quick = bare_twin.steps("x").violations["direction_setup"]
    type_in(bare_twin, "exec('for n in range(20):\\n d(n&1);time.sleep_us(200);s(1);s(0)')")
    slow = bare_twin.steps("x").violations["direction_setup"] - quick
    assert quick > 15 and slow == 0


def test_pwm_heats_and_the_adc_tells(bare_twin):
    read = "print('adc', ADC(27).read_u16())"
    cold = type_in(bare_twin, *PINS, read)
    type_in(bare_twin, "h=PWM(Pin(23));h.freq(10);h.duty_u16(32768)", seconds=40)
    assert bare_twin.temperature("hotend") == pytest.approx(22 + 20 * 40 / 13, abs=12)
    assert bare_twin.heater_on("hotend") and not bare_twin.heater_on("bed")
    hot = type_in(bare_twin, read, "h.duty_u16(0)")
    assert not bare_twin.heater_on("hotend")
    cold, hot = (int(next(line for line in lines if line.startswith("adc")).split()[1]) for lines in (cold, hot))
    assert cold > 62000 > 60000 > hot
    bare_twin.break_heater("hotend", "open")
    assert any(int(line.split()[1]) > 65200 for line in type_in(bare_twin, read) if line.startswith("adc"))


def test_the_pty_in_real_time(bare_twin, tmp_path):
    port = PtyPort(tmp_path / "port")
    live = LiveTwin(bare_twin, port)
    ended = threading.Event()
    thread = threading.Thread(target=live.serve, args=(ended.is_set,))
    thread.start()
    try:
        for _ in range(3):
            with serial.Serial(os.fspath(tmp_path / "port"), 115200, timeout=3, exclusive=True) as client:
                client.write(b"\r\nprint(6 * 7)\r\n")
                answer = client.read_until(b"\r\n42\r\n")
                assert answer.endswith(b"\r\n42\r\n")
        before, began = bare_twin.now, time.monotonic()
        time.sleep(0.5)
        assert bare_twin.now - before < 1.3 * (time.monotonic() - began)
    finally:
        ended.set()
        thread.join()
        port.close()


# The firmware.


def test_boot_and_command(twin):
    assert twin.command("M115")[-1] == "ok"
    assert twin.command("M105")[-1].startswith("ok T:2")


def test_homing_finds_the_switches(twin):
    twin.command("G28", timeout=120)
    position = twin.position_mm()
    for axis, scale in (("x", 80), ("y", 80), ("z", 400)):
        assert abs(position[axis]) <= 1.001 / scale
    assert sum(twin.mechanics.lost_steps().values()) == 0


def test_moves_end_where_they_should(twin):
    twin.command("G28", timeout=120)
    home = twin.position_mm()
    before = twin.snapshot().steps
    twin.stream(["G1 X20.0125 Y10 Z3 F9000", "G1 X1 Y30.5", "G91", "G1 X0.5 Y-0.25", "G90", "M400"])
    made = {axis: count - before[axis] for axis, count in twin.snapshot().steps.items()}
    assert made == {"x": 120, "y": 2420, "z": 1200, "e": 0}
    assert twin.position_mm()["x"] == pytest.approx(home["x"] + 1.5, abs=1e-6)
    for motor in "xyze":
        assert sum(twin.steps(motor).violations.values()) == 0


def test_a_small_print_is_judged_right(firmware_image, near_plan):
    lines = ["M104 S200", "G28", "M109 S200", "M83"]
    lines += ["G1 X%d Y%d E0.2 F4800" % (10 + n % 7, 10 + n % 5) for n in range(60)]
    lines += ["M104 S0", "G1 X5 Y5 Z1", "M84"]
    with PrinterTwin(firmware_image, plan=near_plan, thermal_speed=5) as twin:
        job = PrintJob(twin, lines)
        job.prepare()
        for _ in job.progress():
            pass
        result = job.finish()
    assert result.problems == []
    assert result.lines == len(lines)


def test_sensor_fault_switches_the_heater_off(twin):
    twin.command("M104 S200")
    twin.run(3)
    assert twin.heater_on("hotend")
    twin.break_heater("hotend", "open")
    assert twin.run_until(lambda: not twin.heater_on("hotend"), 5)
    lines = twin.run(1)
    assert any(line.startswith("Error:") for line in lines)


def test_settings_stay_in_the_flash_file(firmware_image, near_plan, tmp_path):
    kept = tmp_path / "flash.bin"
    for steps in ("80", "81.5"):
        with PrinterTwin(firmware_image, flash=kept, plan=near_plan) as twin:
            twin.boot()
            assert any("M92 X%s" % steps in line for line in twin.command("M503"))
            twin.command("M92 X81.5")
            twin.command("M500")


@pytest.fixture
def port(twin, tmp_path):
    """The firmware behind a terminal, as fast as it can: (its path, the `LiveTwin`)."""
    port = PtyPort(tmp_path / "port")
    live = LiveTwin(twin, port, fast=True)
    ended = threading.Event()
    thread = threading.Thread(target=live.serve, args=(ended.is_set,))
    thread.start()
    yield str(tmp_path / "port"), live
    ended.set()
    thread.join()
    port.close()


class BadCable:
    """Damages every n-th line; a host sends whole lines."""

    def __init__(self, every):
        self.every, self.lines, self.damaged = every, 0, 0

    def __call__(self, data):
        lines = data.split(b"\n")
        for number, line in enumerate(lines[:-1]):
            self.lines += 1
            if self.lines % self.every == 0 and line.startswith(b"N") and b"M110" not in line:
                self.damaged += 1
                middle = len(line) // 2
                lines[number] = line[:middle] + bytes([line[middle] ^ 3]) + line[middle + 1 :]
        return b"\n".join(lines)


def test_printcore_prints_with_one_line_in_a_hundred_damaged(twin, port):
    path, live = port
    live.damage = BadCable(every=100)
    lines = ["G91"] + ["G1 X%.4f Y%.4f F6000" % (0.0125 * (1 + n % 9), 0.0125 * (n % 7 - 2)) for n in range(600)]
    host = printcore.printcore(path, 115200)
    wait_for(lambda: host.online)
    host.startprint(gcoder.LightGCode([*lines, "M400"]))
    wait_for(lambda: not host.printing)
    wait_for(lambda: live.twin.board.usb.waiting == b"")
    time.sleep(0.5)
    host.disconnect()
    assert live.damage.damaged >= 5
    # A line lost, made twice or out of order would leave other sums behind.
    assert twin.steps("x").net == sum(1 + n % 9 for n in range(600))
    assert twin.steps("y").net == sum(n % 7 - 2 for n in range(600))


def test_a_stream_with_damaged_lines(twin):
    cable = BadCable(every=20)
    twin.host.mangle = cable
    lines = ["G91"] + ["G1 X%.4f F6000" % (0.0125 * (1 + n % 9)) for n in range(300)] + ["M400"]
    sent = twin.stream(lines)
    assert [item.text for item in sent] == lines
    assert twin.count.resends == cable.damaged > 10
    assert twin.steps("x").net == sum(1 + n % 9 for n in range(300))


def test_make_twin_ends_cleanly(plain_image, tmp_path):
    link, kept = tmp_path / "printer", tmp_path / "flash.bin"
    command = [
        sys.executable,
        "-m",
        "tools.twin",
        "--image",
        str(plain_image),
        "--link",
        str(link),
        "--flash",
        str(kept),
    ]
    process = subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(link.exists)
        with serial.Serial(str(link), 115200, timeout=5) as client:
            client.write(b"\r\nprint(6 * 7)\r\n")
            assert client.read_until(b"\r\n42\r\n").endswith(b"42\r\n")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=20)[0]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "/dev/pts/" in output and str(link) in output and "switched off" in output
    assert not link.is_symlink() and kept.stat().st_size == 2 * 1024 * 1024


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
