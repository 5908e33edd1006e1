"""Pins and time of the emulated board: edges, PWM, inputs, interrupts, sleep, counted cycles of the CPU."""

import itertools

import pytest

from tools.twin.emulator import CYCLES_PER_SECOND, Board, Timeout

STEPPER = """
import rp2, time
from machine import Pin
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def steps():
    pull()
    mov(x, osr)
    label('loop')
    set(pins, 1) [9]
    set(pins, 0) [9]
    jmp(x_dec, 'loop')
"""


@pytest.mark.parametrize("freq, tick", [(125_000_000, 1), (12_500_000, 10), (1_000_000, 125), (50_000_000, 2.5)])
def test_500_steps_made_while_the_cpu_sleeps_are_500(micropython, freq, tick):
    micropython.exec(STEPPER)
    board = micropython.board
    record = board.record([2])
    motor = board.add_motor(2, 3)
    micropython.exec(
        f"sm = rp2.StateMachine(0, steps, freq={freq}, set_base=Pin(2))\nsm.active(1)\nsm.put(499)\ntime.sleep_ms(100)"
    )
    rises = record.rising(2)
    assert len(rises) == 500
    assert rises[-1] - rises[0] == int(499 * 21 * tick)
    assert motor.steps == 500
    assert motor.pos == -500, "the direction pin is low"


def test_sleep_lasts_as_long_as_asked(micropython):
    board = micropython.board
    micropython.exec("from machine import Pin\nimport time\nled = Pin(25, Pin.OUT)")
    record = board.record([25])
    micropython.exec("led(1); time.sleep_ms(250); led(0)")
    rise, fall = record.edges(25)
    assert (-fall - rise) / CYCLES_PER_SECOND == pytest.approx(0.25, abs=0.0002)


def test_a_loop_of_inline_assembler_takes_its_counted_cycles(micropython):
    """subs and a taken branch: three cycles a round."""
    micropython.exec(
        """
import time
@micropython.asm_thumb
def spin(r0):
    label(loop)
    sub(r0, 1)
    bne(loop)
def took(n):
    t = time.ticks_us(); spin(n); return time.ticks_us() - t
took(10)
"""
    )
    short, long = (int(micropython.exec(f"print(took({n}))")) for n in (1000, 1_001_000))
    assert long - short == pytest.approx(1_000_000 * 3 / 125, abs=3)


def test_pwm_edges_and_duty(micropython):
    board = micropython.board
    record = board.record([21])
    duties = []
    board.on_duty(21, lambda duty, cycle: duties.append(round(duty, 3)))
    micropython.exec("from machine import Pin, PWM\np = PWM(Pin(21), freq=1000, duty_u16=16384)")
    board.run(0.1)
    rises = record.rising(21)
    assert len(rises) == pytest.approx(100, abs=12)
    tail = rises[-50:]
    assert tail[-1] - tail[0] == pytest.approx(49 * 125_000, rel=0.001)
    assert max(b - a for a, b in itertools.pairwise(tail)) - 125_000 in (0, 1)
    highs = {-e - record.edges(21)[i - 1] for i, e in enumerate(record.edges(21)) if e < 0 and i > 10}
    assert max(highs) == pytest.approx(125_000 / 4, rel=0.001)
    assert duties[-1] == 0.25 and board.pwm_duty(21) == pytest.approx(0.25, abs=0.001)
    micropython.exec("p.duty_u16(0)")
    assert duties[-1] == 0.0
    micropython.exec("p.duty_u16(65535)")
    assert duties[-1] == 1.0
    micropython.exec("p.deinit(); Pin(21, Pin.OUT, value=0)")
    assert duties[-1] == 0.0


def test_an_input_interrupts_the_cpu(micropython):
    board = micropython.board
    board.set_input(4, 0)
    micropython.exec(
        """
from machine import Pin
seen = []
pin = Pin(4, Pin.IN)
out = Pin(25, Pin.OUT, value=0)
pin.irq(lambda p: out(1), Pin.IRQ_RISING, hard=True)
"""
    )
    record = board.record([25])
    micropython.start("import time\ntime.sleep(0.2)")
    board.run(0.1)
    now = board.cycle
    board.set_input(4, 1)
    micropython.finish()
    delay = (record.edges(25)[0] - now) / 125
    assert 1 < delay < 60, "microseconds"
    assert micropython.exec("print(pin())") == "1\n"


def test_pulls(micropython):
    board = micropython.board
    micropython.exec("from machine import Pin\np = Pin(9, Pin.IN, Pin.PULL_UP)")
    assert board.level(9) == 1
    assert micropython.exec("print(p())") == "1\n"
    board.set_input(9, 0)
    assert micropython.exec("print(p())") == "0\n"
    board.set_input(9, None)
    micropython.exec("p.init(Pin.IN, Pin.PULL_DOWN)")
    assert board.level(9) == 0


def test_motor_counts_by_direction_and_enable_and_calls_at_its_watch(micropython):
    board = micropython.board
    calls = []

    def on_watch(motor):
        calls.append((motor.pos, board.cycle))
        motor.high = 1000

    motor = board.add_motor(2, 3, enable=4, on_watch=on_watch)
    motor.high = 25
    record = board.record([2])
    micropython.exec(
        STEPPER
        + """
enable, direction = Pin(4, Pin.OUT, value=0), Pin(3, Pin.OUT, value=1)
sm = rp2.StateMachine(0, steps, freq=1_000_000, set_base=Pin(2))
sm.active(1)
sm.put(39); time.sleep_ms(5)
direction(0); sm.put(9); time.sleep_ms(5)
enable(1); sm.put(4); time.sleep_ms(5)
"""
    )
    assert (motor.pos, motor.steps, motor.ignored) == (30, 50, 5)
    assert calls == [(25, record.rising(2)[24])]


def test_timer_interrupts_come_on_time(micropython):
    board = micropython.board
    record = board.record([25])
    micropython.exec(
        """
from machine import Pin, Timer
led = Pin(25, Pin.OUT)
t = Timer(period=10, callback=lambda t: led.toggle())
"""
    )
    board.run(1.0)
    edges = [abs(e) for e in record.edges(25)][1:]
    gaps = [b - a for a, b in itertools.pairwise(edges)]
    assert 97 <= len(gaps) <= 100
    assert all(abs(gap - 1_250_000) < 20_000 for gap in gaps)


def test_run_until_says_when_it_does_not_happen(plain_image):
    board = Board(plain_image)
    with pytest.raises(Timeout, match=r"0\.01 s"):
        board.run_until(lambda: False, 0.01)


def test_an_error_in_a_callback_comes_out_of_run(micropython):
    def broken(level, cycle):
        raise ZeroDivisionError("in the test")

    micropython.board.on_edge(25, broken)
    with pytest.raises(ZeroDivisionError, match="in the test"):
        micropython.exec("from machine import Pin\nPin(25, Pin.OUT, value=1)")


def test_two_runs_are_the_same_to_the_cycle(plain_image):
    from tools.twin.repl import Repl

    def once():
        repl = Repl(Board(plain_image))
        record = repl.board.record([25])
        repl.exec("from machine import Pin\nfor i in range(50): Pin(25, Pin.OUT, value=i & 1)")
        return repl.board.cycle, repl.board.chip.instructions(), list(record.edges(25))

    assert once() == once()
