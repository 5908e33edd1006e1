"""The highest step rate of four motors at once, and what stepping costs the CPU.

The load: the emulated CPU is looked at every 20 us, whether it sleeps (waits for an interrupt) or works. What it works
while all four motors run at LOAD_RATE and no line comes, less what it works when nothing moves, is what stepping costs:
the timer, the feeder's service and the slicer.
"""

from __future__ import annotations

import numpy as np

from tools.twin.board_pins import BoardPins, BoardWire
from tools.twin.emulator import Board, Timeout
from tools.twin.host import Host, HostError
from tools.twin.plan import plan_for
from tools.twin.status import Status
from tools.twin.step_record import violations

from .rig import BenchError, Setup

# Per motor. Every rate runs on a board of its own, until one is not reached.
LOAD_RATE = 1_000_000
RATES = (LOAD_RATE, 2_000_000, 2_500_000, 3_000_000, 4_000_000, 4_800_000)
STEPS_PER_MM = 10_000  # so that a high step rate is an ordinary speed
MOVE_S = 0.5
WINDOW_S = 0.2
TOLERANCE = 0.005
COLD_ADC = 3900
SAMPLE_CYCLES = 2_503


class Bare:
    """A board with counters at its motors and nothing else around it: no edge is kept."""

    def __init__(self, setup: Setup):
        self.board = Board(setup.image, xip_miss=setup.xip_miss)
        self.board.adc.update({0: COLD_ADC, 1: COLD_ADC})
        self.host = Host(BoardWire(self.board, 0.0))
        self.plan = plan_for(setup.board)
        self.pins = BoardPins(self.board)
        self.motors = [
            self.board.add_motor(m.step, m.direction, dir_positive=m.positive_level) for m in self.plan.motors
        ]
        self.host.wait_for("start", 10.0)
        while self.host.next_line(0.05):
            pass  # remarks

    def command(self, *lines: str) -> None:
        for line in lines:
            bad = [reply for reply in self.host.command(line, 10.0)[:-1] if not reply.startswith("echo:busy")]
            if bad:
                raise BenchError("%s was answered with %s" % (line, bad[0]))

    def underruns(self) -> int:
        status = Status()
        for line in self.host.command("M122"):
            status.read(line)
        return int(status.number("slicer") or 0)

    def rates(self, seconds: float) -> list[float]:
        """Steps a second of every motor, counted from now on."""
        board = self.board
        before, began = [motor.steps for motor in self.motors], board.seconds
        board.run(seconds)
        spent = board.seconds - began
        return [(motor.steps - count) / spent for motor, count in zip(self.motors, before, strict=True)]

    def awake_percent(self, seconds: float) -> float:
        """Share of the time that the CPU does not sleep, by looking every 20 us."""
        board = self.board
        seen = [0, 0]
        end = board.cycle + round(seconds * 125e6)

        def look():
            seen[bool(board.chip.sleeping())] += 1
            if board.cycle + SAMPLE_CYCLES < end:
                board.schedule(board.cycle + SAMPLE_CYCLES, look)

        board.schedule(board.cycle + SAMPLE_CYCLES, look)
        board.run_cycles(end - board.cycle)
        return 100 * seen[0] / sum(seen)


def _begin(setup: Setup, rate: int) -> tuple[Bare, int]:
    """A board on which all four motors begin to run at `rate`; gives it and the steps that each will make."""
    bare = Bare(setup)
    names = "XYZE"
    bare.command(
        "M302 S0", "M92 " + " ".join("%s%d" % (a, STEPS_PER_MM) for a in names),
        "M203 " + " ".join("%s1000" % a for a in names), "M201 " + " ".join("%s50000" % a for a in names),
        "M204 P50000 R50000 T50000", "G91", "M83",
    )
    speed = rate / STEPS_PER_MM
    way = round(speed * MOVE_S, 1)
    bare.command("G1 X%.1f Y%.1f Z%.1f E%.1f F%.1f" % (way, way, way, way, speed * 60 * 3**0.5))
    steps = round(way * STEPS_PER_MM)
    bare.board.run_until(lambda: min(motor.steps for motor in bare.motors) > steps * 0.15, 2.0)
    return bare, steps


def _finish(bare: Bare, steps: int) -> None:
    """Let the move end; BenchError if anything was wrong with it."""
    bare.command("M400")
    made = [motor.pos for motor in bare.motors]
    if made != [steps] * 4:
        raise BenchError("%s steps made, %d asked for" % (made, steps))
    late = bare.underruns()
    if late:
        raise BenchError("%d underruns" % late)


def _try(setup: Setup, rate: int, result: dict) -> None:
    """One rate: what was counted goes into the result, at LOAD_RATE the load too. BenchError if not reached."""
    bare, steps = _begin(setup, rate)
    with bare.board:
        loaded = rate == LOAD_RATE
        if loaded:
            result["load_percent"] = bare.awake_percent(WINDOW_S)
        counted = bare.rates(WINDOW_S / 4 if loaded else WINDOW_S)
        if min(counted) < rate * (1 - TOLERANCE):
            raise BenchError("%d steps/s counted in the middle of the move" % min(counted))
        _finish(bare, steps)
        if loaded:
            result["stepping_load_percent"] = result["load_percent"] - bare.awake_percent(WINDOW_S)
        result["steps_per_s"] = round(sum(counted))


def _pulses(bare: Bare) -> tuple[float, int]:
    """Shortest time between two steps in the next 10 ms, ns, and pulses that the driver does not take."""
    pins = [(motor.step, motor.direction) for motor in bare.plan.motors]
    for pair in pins:
        for pin in pair:
            bare.pins.record(pin)
    bare.board.run(0.01)
    shortest, faults = float("inf"), 0
    for motor, (step, direction) in zip(bare.plan.motors, pins, strict=True):
        times, levels = bare.pins.edges(step)
        rises, falls = times[levels == 1], times[levels == 0]
        shortest = min(shortest, float(np.diff(rises).min()))
        turns = bare.pins.edges(direction)[0]
        faults += sum(violations(rises, falls, turns, bare.plan.timing[motor.name]).values())
    return shortest, faults


def step_rate(setup: Setup) -> dict:
    """Raises the rate until it is not reached; the CPU's load at the lowest one."""
    result: dict = {}
    best = 0
    for rate in RATES:
        try:
            _try(setup, rate, result)
        except (BenchError, HostError, Timeout) as error:
            if not best:
                raise
            result["steps_per_s_limit"] = "4 x %d steps/s: %s" % (rate, error)
            break
        best = rate
    bare, _ = _begin(setup, best)
    with bare.board:
        result["step_interval_ns"], result["step_faults"] = _pulses(bare)
    return result
