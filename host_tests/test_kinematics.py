"""Delta and SCARA against double precision: positions, what can be reached, how fast motors turn, bad geometry."""

import io
import itertools
import math
import os
import random
import re
import subprocess
from array import array
from contextlib import redirect_stdout

import numpy as np
import pytest

from adder import kinematics
from adder.kinematics import fixed
from adder.kinematics.delta import Delta
from adder.kinematics.scara import Scara
from host_tests.kinematics_model import DELTA, SCARA, DeltaModel, ScaraModel
from tools import paths

MM = 100_000
SINE = 1 / 8  # the least for rods and arms: they hold nothing where they lie flatter


def made(kind, values):
    """The kinematics with these settings."""
    machine = kind()
    machine.configure(lambda name, decimals: round(values[name] * 10**decimals))
    return machine


def units(place):
    return array("i", [round(value * MM) for value in place])


def a_delta(dice):
    """Settings of a delta that can be built, of any size."""
    rod = dice.uniform(80, 600)
    radius = rod * dice.uniform(0.2, 0.6)
    steps = dice.choice((40, 80, 100, 160, 200, 53.333))
    return DELTA | {
        "steps_per_mm_x": steps, "steps_per_mm_y": steps, "steps_per_mm_z": steps, "delta_rod": round(rod, 3),
        "delta_radius": round(radius, 3),
        "delta_print_radius": round((rod * 0.992 - radius) * dice.uniform(0.3, 0.999), 3),
        "delta_height": round(dice.uniform(50, 500), 3), "delta_angle_x": round(dice.uniform(-5, 5), 3),
        "delta_angle_y": round(dice.uniform(-1, 1), 3), "delta_angle_z": dice.choice((0, 0.123)),
        "endstop_trim_x": round(dice.uniform(-2, 2), 3), "endstop_trim_y": round(dice.uniform(-2, 0), 3),
    }  # fmt: skip


def a_scara(dice):
    first = dice.uniform(60, 300)
    return SCARA | {
        "scara_arm_1": round(first, 3), "scara_arm_2": round(first * dice.uniform(0.5, 1.7), 3),
        "steps_per_mm_x": dice.choice((44.444, 103.69, 400, 1000)),
        "steps_per_mm_y": dice.choice((44.444, 106.65, 900)),
        "scara_inner_radius": dice.choice((0, 20.5, 50)), "scara_shoulder_x": round(dice.uniform(-200, 200), 3),
        "scara_shoulder_y": round(dice.uniform(-200, 200), 3),
    }  # fmt: skip


def reach_of(values):
    """Least and greatest distance from the shoulder by the arms alone."""
    a, b = values["scara_arm_1"], values["scara_arm_2"]
    swing = 2 * a * b * math.sqrt(1 - SINE**2)
    return math.sqrt(a * a + b * b - swing), math.sqrt(a * a + b * b + swing)


def delta_places(dice, values, count):
    """Places anywhere on the bed, many of them at its edge, at heights that all carriages reach."""
    model = DeltaModel(values)
    bed = values["delta_print_radius"]
    for _ in range(count):
        r = bed * (math.sqrt(dice.random()) if dice.random() < 0.7 else 1 - 1e-6)
        turn = dice.uniform(0, math.tau)
        x, y = r * math.cos(turn), r * math.sin(turn)
        room = min(s - m for s, m in zip(model.switches(), model.motors(x, y, 0.0), strict=True))
        if room > 0:
            yield x, y, room * dice.choice((0, dice.random(), 1 - 1e-6))


def scara_places(dice, values, count):
    model = ScaraModel(values)
    least, most = reach_of(values)
    least = max(least, values["scara_inner_radius"]) + 1e-4
    for _ in range(count):
        r = dice.choice((least, dice.uniform(least, most), most - 1e-4))
        turn = math.radians(dice.uniform(-89.9, 269.9))
        x = (r * math.cos(turn) + values["scara_shoulder_x"]) / values["scara_scale_x"]
        y = (r * math.sin(turn) + values["scara_shoulder_y"]) / values["scara_scale_y"]
        yield x, y, dice.uniform(0, 200) / values["scara_scale_z"]
    assert model.polar(x, y)[0] == pytest.approx(r)


KINDS = {"delta": (Delta, DeltaModel, a_delta, delta_places), "scara": (Scara, ScaraModel, a_scara, scara_places)}


@pytest.mark.parametrize("kind", KINDS)
def test_motors_stand_where_double_precision_says(kind, record_property):
    """Any machine, any place: within a tenth of a step, and back again."""
    build, model_of, values_of, places_of = KINDS[kind]
    dice = random.Random(7)
    worst = back = 0.0
    for _ in range(120):
        values = values_of(dice)
        machine, model = made(build, values), model_of(values)
        assert machine.problem is None, machine.problem
        for place in places_of(dice, values, 60):
            there = units(place)
            assert machine.reach(there, there) is None
            motors = list(machine.place(there))
            exact = model.motors(*(value / MM for value in there))
            errors = [m / 4096 - e * s for m, e, s in zip(motors, exact, model.scale, strict=True)]
            worst = max(worst, *map(abs, errors))
            again = machine.axes(motors)
            back = max(back, max(abs(a - b) for a, b in zip(again, there, strict=True)) / MM)
    record_property(kind + "_error_steps", worst)
    print("%s: %.4f steps, back %.5f mm" % (kind, worst, back))
    assert worst < 0.1
    assert back < 0.0005


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_steps_are_fine(kind):
    """Rounding the end of a block to a virtual step moves motors by little, even where arms are stretched."""
    build, model_of, _, places_of = KINDS[kind]
    values = {"delta": DELTA, "scara": SCARA}[kind]
    machine, model = made(build, values), model_of(values)
    step = [1000 / scale for scale in machine.scales]
    dice = random.Random(3)
    for place in places_of(dice, values, 200):
        rounded = [round(value / size) * size for value, size in zip(place, step, strict=True)]
        for exact, other, scale in zip(model.motors(*place), model.motors(*rounded), model.scale, strict=True):
            if not math.isnan(other):
                assert abs(exact - other) * scale < 0.35


@pytest.mark.parametrize("kind", KINDS)
def test_motors_are_never_faster_than_said(kind):
    """The ratio is an upper bound on straight ways, and not a useless one."""
    build, model_of, values_of, places_of = KINDS[kind]
    dice = random.Random(5)
    used = 0.0
    for number in range(60):
        values = values_of(dice) if number else {"delta": DELTA, "scara": SCARA}[kind]
        machine, model = made(build, values), model_of(values)
        places = list(places_of(dice, values, 20))
        for start, end in itertools.pairwise(places):
            here, there = units(start), units(end)
            if dice.random() < 0.3:
                there[2] = here[2]
            if machine.reach(here, there) is not None:
                continue
            t = np.linspace(0, 1, 400)
            a, b = np.array(here) / MM, np.array(there) / MM
            motors = model.motors(*(a[:, None] + (b - a)[:, None] * t))[: 3 if kind == "delta" else 2]
            fastest = max(np.abs(np.diff(motor)).max() * 399 / math.dist(a, b) for motor in motors)
            ratio = machine.ratio(here, there) / 256
            assert fastest <= ratio * 1.001
            used = max(used, fastest / ratio)
            # The same, as the planner's request is slowed down by it
            limits = [dice.uniform(5, 300) for _ in range(3)]
            machine.limit([round(limit * MM) for limit in limits], [10**6] * 3, 10**6)
            request = array("i", [*(b - a for a, b in zip(here, there, strict=True)), *([0] * 13)])
            request[8] = asked = round(dice.uniform(1, 1000) * MM)
            machine.slow(here, request)
            least = min(min(limits[: len(motors)]), *(10**6 / scale for scale in model.scale[: len(motors)]))
            assert request[8] <= asked and fastest * request[8] / MM <= least * 1.001
            assert request[8] >= min(asked, least * MM / ratio * 0.9) - 1
    assert used > 0.7


def test_a_lift_moves_delta_towers_as_fast_as_the_nozzle():
    machine = made(Delta, DELTA)
    assert machine.ratio(units((10, 20, 0)), units((10, 20, 50))) == 256


def straight(model, start, end, count=2000):
    t = np.linspace(0, 1, count)
    a, b = np.array(start), np.array(end)
    return model.motors(*(a[:, None] + (b - a)[:, None] * t))


def test_reach_of_deltas():
    """What is refused cannot be made, what is not can be; both sides are hit often."""
    dice = random.Random(11)
    refused = allowed = on_the_way = 0
    for _ in range(150):
        values = a_delta(dice)
        machine, model = made(Delta, values), DeltaModel(values)
        bed, height = values["delta_print_radius"], values["delta_height"]
        starts = list(delta_places(dice, values, 12))
        for start in starts:
            r, turn = bed * dice.uniform(0, 1.2), dice.uniform(0, math.tau)
            end = [r * math.cos(turn), r * math.sin(turn), dice.choice((1, height)) * dice.uniform(-0.1, 1.1)]
            here, there = units(start), units(end)
            heights = straight(model, start, end)
            over = max((h - s).max() for h, s in zip(heights, model.switches(), strict=True))
            at_end = max(h[-1] - s for h, s in zip(heights, model.switches(), strict=True))
            margin = 0.03  # mm: what is that near may go either way
            if abs(r - bed) < margin or abs(end[2]) < margin or abs(over) < margin:
                continue
            why = machine.reach(here, there)
            if r > bed or end[2] < 0 or over > 0:
                refused += 1
                assert why and re.match(r"(?:[XYZ]-?\d+\.\d\d ){3}cannot be reached: ", why), (why, end)
                if r < bed and end[2] > 0 and at_end < -margin:
                    on_the_way += 1
                    assert "on the way" in why
            else:
                allowed += 1
                assert why is None, (why, start, end)
    assert min(refused, allowed) > 200 and on_the_way > 5, (refused, allowed, on_the_way)


def test_reach_of_scaras():
    dice = random.Random(12)
    counts = dict.fromkeys(("away", "height", "behind", "hole", "allowed"), 0)
    for _ in range(150):
        values = a_scara(dice)
        machine, model = made(Scara, values), ScaraModel(values)
        least, most = reach_of(values)
        least = max(least, values["scara_inner_radius"])
        for start in scara_places(dice, values, 12):
            size = dice.choice((5, 50, most * 1.1))
            end = [start[0] + dice.uniform(-size, size), start[1] + dice.uniform(-size, size), dice.uniform(-5, 205)]
            here, there = units(start), units(end)
            t = np.linspace(0, 1, 20001)
            xs, ys = start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t
            r, phi = model.polar(xs, ys)
            margin = 0.2
            if min(abs(r[-1] - most), abs(r.min() - least), abs(end[2]), abs(end[2] - 200)) < margin:
                continue
            why = machine.reach(here, there)
            if not least < r[-1] < most:
                kind, word = "away", "from the shoulder, should be"
            elif not 0 <= end[2] <= 200:
                kind, word = "height", "should be Z"
            elif np.abs(np.diff(phi)).max() > 180:
                kind, word = "behind", "behind"
            elif r.min() < least:
                kind, word = "hole", "the way passes"
            else:
                kind, word = "allowed", ""
            counts[kind] += 1
            if kind == "allowed":
                assert why is None, (why, start, end)
            else:
                assert word in why, (why, kind)
    assert min(counts.values()) > 20, counts


def test_refusals_name_the_place_and_the_limit():
    machine = made(Delta, DELTA)
    here = units((0, 0, 10))
    assert machine.reach(here, units((80, 60.5, 5))) == (
        "X80.00 Y60.50 Z5.00 cannot be reached: 100.30 mm from the middle, should be at most 90.00 (M665 B)"
    )
    assert machine.reach(here, units((0, 0, -1))) == (
        "X0.00 Y0.00 Z-1.00 cannot be reached: should be at least Z0.00 (M211 S0 lifts it)"
    )
    assert machine.reach(here, units((0, 0, -1)), False) is None
    assert machine.reach(here, units((0, 0, -30)), False) is not None
    text = machine.reach(here, units((0, 0, 251)))
    assert text.startswith("X0.00 Y0.00 Z251.00 cannot be reached: ") and "at most Z250.00 there (M665 H)" in text
    machine = made(Scara, SCARA)
    here = units((100, 100, 0))
    text = machine.reach(here, units((100, 300, 0)))
    assert text == "X100.00 Y300.00 Z0.00 cannot be reached: 356.00 mm from the shoulder, should be 50.00 to 299.41"
    assert "50.00" in machine.reach(here, units((100, -50, 0)))


@pytest.mark.parametrize("change, words", [
    ({"delta_rod": 200}, "M665 L200.00 R124.00 B90.00: rods too short, L should be at least 215.7"),
    ({"delta_rod": 20}, "M665 L20.00 R124.00 B90.00: rods too short, L should be at least 215.7"),
    ({"steps_per_mm_z": 400}, "M92 X80.00 Y80.00 Z400.00: a delta needs the same steps per mm on its towers"),
    (dict.fromkeys(("steps_per_mm_x", "steps_per_mm_y", "steps_per_mm_z"), 5000), "M92 X5000.00: should be at most "),
])  # fmt: skip
def test_deltas_that_cannot_be(change, words):
    machine = made(Delta, DELTA | change)
    assert machine.problem.startswith(words), machine.problem
    assert machine.reach(units((0, 0, 1)), units((0, 0, 2))) == machine.problem
    limit = re.search(r"at (?:least|most) (\d+\.\d+)", machine.problem)
    if limit:
        changed = {name: float(limit[1]) for name in change}
        assert made(Delta, DELTA | changed).problem is None, "the limit that is named is right"


@pytest.mark.parametrize("change, words", [
    ({"scara_inner_radius": 290}, "SCARA arms of 150.00 and 150.00 mm do not reach beyond the inner radius of 290.00"),
    ({"steps_per_mm_y": 1101}, "M92 X103.69 Y1101.00: should be at most 1100 steps per degree"),
    ({"steps_per_mm_z": 9000}, "M92 Z9000.00: should be at most "),
])  # fmt: skip
def test_scaras_that_cannot_be(change, words):
    machine = made(Scara, SCARA | change)
    assert machine.problem.startswith(words), machine.problem
    assert machine.reach(units((100, 100, 1)), units((100, 100, 2))) == machine.problem


def test_homing_ends_below_the_switches():
    for trims in ((0, 0, 0), (-0.5, -0.2, 0), (0.4, -1, 0.1)):
        values = DELTA | {"endstop_trim_" + axis: trim for axis, trim in zip("xyz", trims, strict=True)}
        machine, model = made(Delta, values), DeltaModel(values)
        home = machine.home()
        assert machine.reach(units((0, 0, 0)), array("i", home)) is None
        heights = model.motors(*(value / MM for value in home))
        room = [s - h for s, h in zip(model.switches(), heights, strict=True)]
        assert min(room) >= -1e-4
        assert home[:2] == [0, 0] and home[2] == round((250 - max(0, *trims)) * MM)
        assert [s / MM for s in machine.switches] == pytest.approx(model.switches(), abs=2e-5)


def test_select():
    names = [kinematics.select(number) for number in range(4)]
    assert [(kind.name, kind.number, kind.linear) for kind in names] == [
        ("Cartesian", 0, True), ("CoreXY", 1, True), ("delta", 2, False), ("SCARA", 3, False),
    ]  # fmt: skip
    assert [[kind.motors(axis) for axis in range(4)] for kind in names] == [
        [1, 2, 4, 8], [3, 3, 4, 8], [7, 7, 7, 8], [3, 3, 4, 8],
    ]  # fmt: skip


def test_default_settings_make_machines():
    rows = {row[0]: row[5] / 10 ** row[4] for row in kinematics.SETTINGS}
    assert made(Delta, DELTA | {name: rows[name] for name in rows if name in DELTA}).problem is None
    assert made(Scara, SCARA | {name: rows[name] for name in rows if name in SCARA}).problem is None


def test_roots_and_sines():
    dice = random.Random(1)
    for _ in range(3000):
        n = dice.getrandbits(dice.randint(1, 130))
        assert fixed.root(n) == math.isqrt(n)
        angle = dice.randint(-10**8, 10**8)
        sine, cosine = fixed.sine_cosine(angle)
        assert abs(sine / 2**30 - math.sin(math.radians(angle / 1e5))) < 2e-9
        assert abs(cosine / 2**30 - math.cos(math.radians(angle / 1e5))) < 2e-9
    assert fixed.root(-5) == fixed.root(0) == 0


def test_the_same_on_micropython():
    """The script that the board runs, too (host_tests/board/test_board_agrees.py)."""
    script = paths.ROOT / "host_tests/board/twice/kinematics.py"
    here = io.StringIO()
    with redirect_stdout(here):
        exec(compile(script.read_text(), str(script), "exec"), {"__name__": "twice"})
    done = subprocess.run(
        [paths.UNIX, script], env={**os.environ, "MICROPYPATH": str(paths.FIRMWARE)}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == here.getvalue()
