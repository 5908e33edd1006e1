"""How soon everything stops: M112 in the middle of fast motion, and the endstop while homing."""

from __future__ import annotations

import random

import numpy as np

from tools.twin.printer import PrinterTwin

from .rig import BenchError, Setup, command

NS_PER_CYCLE = 8
TRIALS = 30
HOMINGS = 2
# Where the carriages stand before homing, mm from the switches.
PLACES = ((9.37, 6.11, 2.53), (4.03, 8.92, 3.71), (7.5, 2.2, 1.9))


def _edges_after(twin: PrinterTwin, time_ns: int) -> np.ndarray:
    """Times of the step edges of all motors after a time, ns."""
    times = np.concatenate([twin.edges(motor)[0] for motor in "xyze"])
    return np.sort(times[times > time_ns])


def _fast_motion(twin: PrinterTwin, trial: int, dice: random.Random) -> None:
    """Four motors at 20,000 to 60,000 steps/s until some moment: in one long move; with lines that wait in all queues;
    or while short moves are streamed and temperatures reported."""
    command(
        twin, "M302 S0", "M203 X500 Y500 Z100 E500", "M201 X5000 Y5000 Z5000 E5000", "M204 P5000 T5000",
        "G92 X0 Y0 Z0 E0", "M104 S250", "M107", "G1 F30000",
    )
    kind = trial % 3
    if kind == 0:
        command(twin, "G1 X160 Y150 Z40 E70 F18000")
        twin.run(dice.uniform(0.15, 0.45))
        return
    command(twin, "G91", "M83")
    if kind == 1:
        # The host sends on without waiting: what acts on arrival must overtake all of it.
        for _ in range(60):
            twin.send("G1 X2.5 Y2.4 Z0.6 E1.1")
        twin.run(dice.uniform(0.2, 0.45))
        return
    command(twin, "M155 S1")
    last = twin.now + dice.uniform(0.4, 1.2)
    turns = (1, -1)
    for _ in twin.streaming("G1 X0.4 Y%.1f Z0.1 E0.2 F12000" % (0.3 * turns[k % 40 // 20]) for k in range(2000)):
        if twin.now > last:
            break
    twin.board.run(dice.uniform(0, 0.006))


def emergency_stop(setup: Setup) -> dict:
    """At many moments, each on a fresh board: the last byte of M112 to the last step, and to the heater's pin off for
    good."""
    steps_us, heat_us = [], []
    for trial in range(TRIALS):
        with setup.twin(0.0, setup.wide_plan()) as twin:
            duties: list[tuple[int, float]] = []
            heater = twin.plan.heaters[0]
            twin.pins.watch_duty(heater.pin, lambda time_ns, duty, kept=duties: kept.append((time_ns, duty)))
            _fast_motion(twin, trial, random.Random(trial))
            before = twin.pins.now_ns()
            twin.send("M112")
            twin.run(0.3)
            sent = twin.board.usb.last_out * NS_PER_CYCLE
            if not len(_edges_after(twin, before - 1_000_000)) or not any(duty for _, duty in duties):
                raise BenchError("nothing moved or nothing heated when M112 came")
            if sent < before or duties[-1][1]:
                raise BenchError("M112 was not taken, or the heater is still on")
            late = _edges_after(twin, sent)
            steps_us.append(float(late[-1] - sent) / 1000 if len(late) else 0.0)
            heat_us.append((duties[-1][0] - sent) / 1000)
    return {
        "estop_us": max(steps_us),
        "estop_mean_us": sum(steps_us) / TRIALS,
        "estop_heat_us": max(heat_us),
    }


def _closings(twin: PrinterTwin) -> list[tuple[str, int]]:
    """From now on notes when a switch closes: (axis, ns)."""
    noted: list[tuple[str, int]] = []
    by_pin = {axis.switch_pin: axis for axis in twin.plan.axes if axis.switch_pin is not None}
    plain = twin.pins.set_input

    def set_input(pin, level):
        axis = by_pin.get(pin)
        if axis and level == axis.closed_level:
            noted.append((axis.name, twin.pins.now_ns()))
        plain(pin, level)

    twin.pins.set_input = set_input
    return noted


def overshoot(setup: Setup) -> dict:
    """Homes all axes from several places; steps made in the direction of the switch after it has closed."""
    worst, count = 0, 0
    for place in PLACES[:HOMINGS]:
        with setup.twin() as twin:
            for axis, mm in zip("xyz", place, strict=True):
                twin.mechanics.place(axis, mm)
            noted = _closings(twin)
            command(twin, "G28")
            command(twin, "G1 X%.2f Y%.2f Z%.2f F6000" % place, "G28")
            for axis, closed_ns in noted:
                times, signs = twin.edges(axis)
                after = signs[np.searchsorted(times, closed_ns, side="right") :]
                turn = np.flatnonzero(after > 0)
                worst = max(worst, int(turn[0]) if len(turn) else len(after))
                count += 1
    if count < 6 * HOMINGS * 2:
        raise BenchError("%d closings of switches seen, two for each axis and homing were expected" % count)
    return {"endstop_overshoot_steps": worst}
