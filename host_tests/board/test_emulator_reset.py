"""Resets of the emulated board: pins are seen to let go, the watchdog is off afterwards, flash stays."""

import pytest

from tools.twin.emulator import CYCLES_PER_SECOND, Board
from tools.twin.repl import Repl

HEATER_ON = """
from machine import Pin, PWM, WDT
import machine, time
heater = Pin(23, Pin.OUT, value=1)
fan = PWM(Pin(17), freq=1000, duty_u16=32768)
"""


def watched(plain_image):
    repl = Repl(Board(plain_image))
    board = repl.board
    repl.exec(HEATER_ON)
    log = {"edges": [], "duty": [], "resets": []}
    board.on_edge(23, lambda level, cycle: log["edges"].append((level, cycle)))
    board.on_duty(17, lambda duty, cycle: log["duty"].append((duty, cycle)))
    board.on_reset.append(lambda: log["resets"].append(board.cycle))
    assert board.level(23) == 1 and board.driven(23)
    assert board.pwm_duty(17) == pytest.approx(0.5, abs=0.001)
    return repl, board, log


def test_watchdog_fires_in_time_and_pins_let_go(plain_image):
    repl, board, log = watched(plain_image)
    repl.start("wdt = WDT(timeout=500)\ntime.sleep_ms(300)\nwdt.feed()\nt = 1\nwhile True: pass")
    start = board.cycle
    board.run_until(lambda: log["resets"], 2)
    waited = (log["resets"][0] - start) / CYCLES_PER_SECOND
    assert waited == pytest.approx(0.8, abs=0.01)
    assert log["edges"] == [(0, log["resets"][0])]
    assert not board.driven(23)
    assert log["duty"][-1] == (0.0, log["resets"][0])
    # the board comes up again, and no second reset follows
    again = Repl(board)
    board.run(10)
    assert len(log["resets"]) == 1
    assert again.exec("import machine; print(machine.reset_cause() == machine.WDT_RESET)") == "True\n"


def test_feeding_keeps_it_from_firing(plain_image):
    repl, board, log = watched(plain_image)
    repl.exec("wdt = WDT(timeout=200)\nfor _ in range(20):\n    time.sleep_ms(100)\n    wdt.feed()")
    assert not log["resets"]
    assert board.level(23) == 1


def test_machine_reset(plain_image):
    _repl, board, log = watched(plain_image)
    gone = []
    board.usb.on_gone = lambda: gone.append(board.cycle)
    board.write(b"machine.reset()\x04")
    board.run_until(lambda: log["resets"], 1)
    assert gone == log["resets"]
    assert log["edges"] == [(0, log["resets"][0])]
    assert Repl(board).exec("print(1)") == "1\n"


def test_pio_and_dma_stop_at_a_reset(plain_image):
    repl, board, _log = watched(plain_image)
    repl.exec(
        """
import rp2
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def p():
    set(pins, 1)
    set(pins, 0)
sm = rp2.StateMachine(0, p, freq=1_000_000, set_base=Pin(2))
sm.active(1)
"""
    )
    record = board.record([2])
    board.run(0.001)
    assert len(record.edges(2)) == pytest.approx(1000, abs=2)
    board.reset()
    record.clear()
    board.run(0.01)
    assert not [t for t in record.edges(2) if t > 0]
    assert not board.chip.read(0x50200000)


@pytest.mark.parametrize("how", ["reset", "power_cycle"])
def test_button_and_power(plain_image, how):
    repl, board, log = watched(plain_image)
    repl.exec("f = open('kept', 'w'); f.write('yes'); f.close()\nmachine.mem32[0x40058010] = 77")
    getattr(board, how)()
    assert log["edges"][0][0] == 0
    again = Repl(board)
    assert again.exec("import machine; print(open('kept').read(), machine.mem32[0x40058010])") == "yes 0\n"
    assert again.exec("print(machine.reset_cause() == machine.PWRON_RESET)") == "True\n"


def test_button_pressed_within_a_callback(plain_image):
    _, board, log = watched(plain_image)
    board.schedule(board.cycle + 12_345, board.reset)
    pressed = board.cycle + 12_345
    board.run(0.01)
    assert len(log["resets"]) == 1
    assert 0 <= log["resets"][0] - pressed < 20
    assert Repl(board).exec("print('up')") == "up\n"


def test_scratch_registers_outlive_a_watchdog_reset(plain_image):
    repl, board, log = watched(plain_image)
    repl.start("machine.mem32[0x40058010] = 4711\nmachine.reset()")
    board.run_until(lambda: log["resets"], 1)
    assert Repl(board).exec("import machine; print(machine.mem32[0x40058010])") == "4711\n"
