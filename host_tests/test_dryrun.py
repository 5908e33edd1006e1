"""The dry run against plain trapezoids in double precision, an independent reader of G-code, the firmware's loop."""

import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import image
from rich.console import Console

from examples import make_wall
from host_tests.models import planner
from host_tests.printer_bench import PrinterBench
from tools import paths
from tools.dryrun import __main__ as command
from tools.dryrun import source
from tools.dryrun.figures import Moves, collect
from tools.dryrun.run import DryRun
from tools.dryrun.show import show, with_progress
from tools.twin.expected import Machine, read_file

RING = paths.EXAMPLES / "ring.gcode"
LIMITS = "M201 X3000 Y2000 Z200 E5000\nM203 X300 Y250 Z12 E60\nM204 P1500 R2000 T1800\n"
MACHINE = Machine({"x": 80, "y": 80, "z": 400, "e": 93}, dict.fromkeys("xyz", (0.0, 200.0)), min_extrude=None)


def dry(text, **options):
    """Run, moves and figures of a file given as text or bytes."""
    run = DryRun(text if isinstance(text, bytes) else text.encode(), **options).run()
    moves = Moves(run)
    return run, moves, collect(run, moves, "test.gcode")


def hits(text, what=None, **options):
    """{text: line numbers} of what was remarked."""
    found = dry(text, **options)[0].hits.values()
    return {str(hit): hit.lines for hit in found if what in (None, hit.what)}


def trapezoid(length, speed, accel):
    """Time of a move from rest to rest."""
    if speed * speed / accel >= length:
        return 2 * math.sqrt(length / accel)
    return length / speed + speed / accel


def limited(way, speed, accel, speeds=(300, 250, 12, 60), accels=(3000, 2000, 200, 5000)):
    """The same for a way of X Y Z E under the limits of each axis."""
    length = math.hypot(*way[:3]) or abs(way[3])
    for axis in range(4):
        share = abs(way[axis]) / length
        if share:
            speed, accel = min(speed, speeds[axis] / share), min(accel, accels[axis] / share)
    return trapezoid(length, speed, accel)


# Times


@pytest.mark.parametrize(
    ("line", "way", "accel"),
    [
        ("G1 X150 F6000", (150, 0, 0, 0), 1800),
        ("G1 X3 F18000", (3, 0, 0, 0), 1800),
        ("G1 X40 Y30 F18000", (40, 30, 0, 0), 1800),
        ("G1 Z20 F6000", (0, 0, 20, 0), 1800),
        ("G1 X10 Z10 F6000", (10, 0, 10, 0), 1800),
        ("G1 E30 F6000", (0, 0, 0, 30), 2000),
        ("G1 X100 E8 F4800", (100, 0, 0, 8), 1500),
    ],
)
def test_single_moves_take_what_a_plain_trapezoid_takes(line, way, accel):
    feedrate = float(line.split("F")[1]) / 60
    _, moves, _ = dry("M302 P1\n" + LIMITS + line)
    assert moves.seconds.sum() == pytest.approx(limited(way, feedrate, accel), rel=1e-3)


_MOVE = st.tuples(*[st.integers(-400, 400).map(lambda n: n / 10)] * 3, st.integers(1, 250)).filter(
    lambda move: math.hypot(*move[:3]) > 0.3
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_MOVE, min_size=1, max_size=5))
def test_moves_with_stops_between_them_add_up(program):
    lines = ["G91", *("G1 X%.1f Y%.1f Z%.1f F%d\nM400" % (*move[:3], move[3] * 60) for move in program)]
    run, moves, figures = dry(LIMITS + "\n".join(lines))
    expected = sum(limited((*move[:3], 0), move[3], 1800) for move in program)
    assert moves.seconds.sum() == pytest.approx(expected, rel=2e-3, abs=1e-3)
    assert figures.print_s == pytest.approx(moves.seconds.sum() + figures.starting_s)
    assert figures.starts == len(program) and run.hits.keys().isdisjoint({"refused"})


def test_a_straight_way_in_pieces_takes_as_long_as_in_one():
    whole = dry(LIMITS + "G1 X120 F9000")[1].seconds.sum()
    pieces = dry(LIMITS + "\n".join("G1 X%.1f F9000" % (0.4 * n) for n in range(1, 301)))[1]
    assert pieces.count == 300
    assert pieces.seconds.sum() == pytest.approx(whole, rel=2e-3)
    assert trapezoid(120, 150, 1800) == pytest.approx(whole, rel=1e-3)


def test_arcs_run_through_without_a_stop():
    _, moves, figures = dry("M302 P1\n" + LIMITS + "G1 X50 Y50 F3000\nM400\nG2 X60 Y50 I5 J0 F3000\nG3 I10 E3 F3000\n")
    way = math.pi * 5 + 2 * math.pi * 10
    arcs = moves.seconds[moves.line >= 7].sum()
    assert way / 50 < arcs < trapezoid(way, 50, 1500) * 1.05
    assert figures.starts == 2 and (figures.box["X"], figures.box["Y"]) == (
        pytest.approx((0, 80), abs=0.01), pytest.approx((0, 60), abs=0.01)
    )


def test_the_examples_time_by_an_independent_planner():
    """Every move of the file as the independent reader sees it, planned as a whole in double precision."""
    lines = RING.read_text().splitlines()
    accelerations, begun = {"retract": 1200.0, "travel": 1500.0}, []
    segments = read_file(lines, MACHINE).path
    homed = next(number for number, line in enumerate(lines, 1) if line.startswith("G28"))
    changes = {n: float(line.split("P")[1].split()[0]) for n, line in enumerate(lines, 1) if line.startswith("M204 P")}
    for segment in segments:
        if segment.line < homed:
            continue
        way = tuple(end - start for start, end in zip(segment.start, segment.end, strict=True))
        move = planner.Move(way, segment.feedrate)
        print_acceleration = [value for line, value in sorted(changes.items()) if line < segment.line][-1]
        begun.append(planner.Move(way, segment.feedrate, (accelerations | {"print": print_acceleration})[move.kind]))
    limits = planner.Limits((200, 200, 10, 60), (1500, 1500, 100, 5000))
    total = sum(block.duration for block in planner.plan(begun, limits))
    _, moves, _ = dry(RING.read_bytes())
    assert moves.seconds[moves.printing].sum() == pytest.approx(total, rel=5e-4)


def test_a_corner_is_not_taken_at_full_speed_nor_from_rest():
    moves = dry(LIMITS + "G1 X50 F9000\nG1 X50 Y50")[1]
    alone = trapezoid(50, 150, 1800)
    assert trapezoid(100, 150, 1800) < moves.seconds.sum() < 2 * alone


@pytest.mark.parametrize(("word", "seconds"), [("P1500", 1.5), ("S2", 2), ("S86400", 86400), ("P0", 0)])
def test_dwells_are_told_apart(word, seconds):
    _, moves, figures = dry("G1 X10 F3000\nG4 %s\nG1 X0" % word)
    assert figures.dwell_s == pytest.approx(seconds, rel=2e-3, abs=0.021)
    assert moves.seconds.sum() == pytest.approx(2 * trapezoid(10, 50, 2000), rel=1e-3)
    assert figures.total_s == pytest.approx(figures.print_s + figures.dwell_s)


@pytest.mark.parametrize("start", [(40.0, 30.0, 6.0), (199.0, 0.5, 187.0)])
def test_homing_by_settings_and_way(start):
    _, moves, figures = dry("G28", start_mm=start)
    expected = 0.0
    for way, speed, back, accel in ((start[0], 50, 5, 2000), (start[1], 50, 5, 2000), (start[2], 8, 2, 200)):
        expected += way / speed + speed / accel / 2  # a ramp at the beginning, none at the end
        expected += trapezoid(back, speed, accel)
        expected += back / (0.2 * speed) + 0.2 * speed / accel / 2
    assert figures.homing_s == pytest.approx(expected, rel=1e-2)
    assert figures.print_s == 0 and not moves.printing.any()


def test_homing_a_corexy():
    text = "G28\nG1 X20 Y30 F6000\nG28 X"
    cartesian, corexy = (dry(text, settings="; kinematics %d" % kind, start_mm=(40.0, 30.0, 6.0)) for kind in (0, 1))
    assert corexy[2].homing_s == pytest.approx(cartesian[2].homing_s, rel=0.02)
    assert [corexy[0].printer.position_mm(axis) for axis in range(3)] == [0, 30, 0]
    x = corexy[2].axes[0]
    assert x.step_rate == pytest.approx(80 * 100 * (20 + 30) / math.hypot(20, 30), rel=1e-2)
    assert not [hit for hit in corexy[0].hits.values() if hit.what == "refused"]


DELTA = "M92 X80 Y80 Z80\nM203 X300 Y300 Z300\nM201 Z3000\n; kinematics 2\n"


def test_a_deltas_towers():
    text = "M302 P1\nG28\nG1 Z20 F6000\nG1 X60 Y20 E3 F3000\nG1 X-60 Y-20 F12000\nG28\nG1 X500"
    run, _, figures = dry(text, settings=DELTA)
    towers = [(124 * math.cos(math.radians(a)), 124 * math.sin(math.radians(a))) for a in (210, 330, 90)]

    def heights(x, y):
        return np.array([math.sqrt(250**2 - (x - tx) ** 2 - (y - ty) ** 2) for tx, ty in towers])

    unit = np.array([120, 40]) / math.hypot(120, 40)
    ends = [np.array(end) for end in ((60.0, 20.0), (-60.0, -20.0))]
    rates = [np.abs(heights(*(end + unit * 1e-4)) - heights(*(end - unit * 1e-4))) / 2e-4 * 200 * 80 for end in ends]
    reached = figures.tool_speed / 200
    for axis, rate in zip(figures.axes[:3], np.max(rates, axis=0) * reached, strict=True):
        if axis.step_rate_line == 5:
            assert axis.step_rate == pytest.approx(rate, rel=0.01)
    assert sum(axis.step_rate_line == 5 for axis in figures.axes) >= 2
    assert {hit.lines[0] for hit in run.hits.values() if hit.what == "refused"} == {7}
    assert figures.homing_s > 30 and run.printer.position_mm(2) == pytest.approx(250, abs=0.1)


def test_after_homing_the_axes_are_where_the_settings_say():
    run, _, figures = dry("G28\nG1 X20 Y30 Z5 F3000\nG28 X\nG1 Z7")
    assert [run.printer.position_mm(axis) for axis in range(3)] == [0, 30, 7]
    assert not run.hits or all(hit.what in ("speed", "acceleration") for hit in run.hits.values())
    again = dry("G28\nG1 X20 F3000\nG28 X", start_mm=(20.0, 1.0, 1.0))[0]
    way = sum(seconds for seconds in Moves(again).seconds[-3:])
    first = dry("G28 X", start_mm=(20.0, 1.0, 1.0))[2].homing_s
    assert way == pytest.approx(first, rel=1e-3)  # from where it stands, not from the middle
    assert figures.homing_s > 0


def test_heating_takes_what_the_whole_firmware_takes_on_the_same_model():
    bench = PrinterBench()
    bench.run(100)
    begin = bench.hal.ticks_ms()
    bench.say("M190 S45\n", 600_000)
    bed = (bench.hal.ticks_ms() - begin) / 1000
    bench.say("M109 S120\n", 600_000)
    both = (bench.hal.ticks_ms() - begin) / 1000
    bench.close()
    _, _, figures = dry("M190 S45\nM109 S120")
    assert figures.heating_s == pytest.approx(both, rel=0.03)
    assert dry("M190 S45")[2].heating_s == pytest.approx(bed, rel=0.03)
    assert dry("M190 S45\nM109 S120", hot=True)[2].heating_s < 8


def test_a_heater_that_is_too_weak_in_the_model_does_not_end_the_run():
    run = DryRun(b"M190 S90\nG1 X5 F3000")
    model = run.printer.models["bed"]
    model.plant = model.plant.but(watts=20)
    run.run()
    (hit,) = [hit for hit in run.hits.values() if hit.what == "remark"]
    assert hit.lines == [1] and ("Heating failed" in hit.text or "Runaway" in hit.text)
    assert run.printer.heat.by_name("bed").temperature_cc == pytest.approx(9000, abs=100)
    assert Moves(run).count == 1 and run.halted_at is None


# What was not done as asked


def test_soft_endstops_are_named_line_by_line():
    found = hits("G28\nG1 X250 F6000\nG1 X100\nG1 X100 Y-3\nG1 X300", "remark")
    assert found == {
        "X: the move ends at the limit, 0.00 to 200.00 mm (M211 S0 lifts it)": [2, 5],
        "Y: the move ends at the limit, 0.00 to 200.00 mm (M211 S0 lifts it)": [4],
    }


def test_cold_extrusion_is_named_until_the_hotend_is_warm():
    text = "G1 X1 E1 F600\nM104 S200\nG1 X2 E2\nM109 S200\nG1 X3 E3\n"
    run, _, figures = dry(text)
    (hit,) = [hit for hit in run.hits.values() if hit.what == "remark"]
    assert hit.lines == [1, 3] and "cold extrusion" in hit.text
    assert figures.filament_mm == pytest.approx(1.0)


def test_limits_of_axes_with_what_was_asked_for():
    found = hits("M302 P1\nM203 X100 E30\nM201 Y900\nM204 P5000 T1000\nG1 X50 F9000\nG1 Y50 E0.1\nG1 E20 F6000")
    assert found == {
        "X: speed of up to 150 mm/s asked for, M203 allows 100": [5],
        "Y: acceleration of up to 5000 mm/s\u00b2 asked for, M201 allows 900": [6],
        "E: speed of up to 100 mm/s asked for, M203 allows 30": [7],
    }


def test_the_drivers_step_rate():
    found = hits("M92 X10000\nM203 X1000\nG1 X150 F60000", "step rate", board="pico")
    (text,) = found
    assert text.startswith("X: step rate of up to 10000000 steps/s asked for, the driver allows") and found[text] == [3]


def test_refused_lines_with_their_text_and_number():
    found = hits("G1 X5 F3000\nG999\n\n; remark\nG1 X--3\nM203 X0\nG1 F0\nG1 X" + "1" * 300 + "\nG1 X6", "refused")
    assert sorted(line for lines in found.values() for line in lines) == [2, 5, 6, 7, 8]
    texts = {lines[0]: text for text, lines in found.items()}
    assert texts[2] == 'Unknown command: "G999"' and "X--3" in texts[5] and "out of range" in texts[6]
    assert texts[7] == "F0: feedrate must be above 0 mm/min" and "304 bytes" in texts[8]


def test_the_same_remark_with_other_values_is_told_once():
    lines = ["M302 P1", "G92 E0", *("M203 X%d.5" % (5000 + n) for n in range(40)), "G990", "G991"]
    found = hits("\n".join(lines), "refused")
    assert len(found) == 3
    (_, _, figures), screen = dry("\n".join(lines)), io.StringIO()
    show(figures, [], Console(file=screen, width=200))
    assert "lines 3, 4, 5, 6, 7 and 35 more: M203 X5000.5" in screen.getvalue().replace("M203 X 5000.5", "M203 X5000.5")


def test_the_run_ends_where_the_printer_halts():
    run, moves, figures = dry("G1 X5 F3000\nM400\nM112\nG1 X9")
    assert figures.halted_at == 3 and moves.count == 1
    assert any(hit.what == "halt" and hit.lines == [3] for hit in run.hits.values())


def test_numbered_lines_and_what_acts_on_arrival():
    run, moves, _ = dry("N1 G1 X5 F3000*99\nM110 N0\nM108\nM105\nM115\nM114\nM503\nN2 G1 X6*1\n")
    assert moves.count == 2 and not run.hits


# Ways


def test_box_and_filament_of_the_example_by_an_independent_reader():
    lines = RING.read_text().splitlines()
    expected = read_file(lines, MACHINE)
    _, moves, figures = dry(RING.read_bytes())
    segments = [segment for segment in expected.path if segment.line > expected.homings[0][0]]
    assert figures.moves == len(segments)
    ends = np.array([segment.end for segment in segments])
    starts = np.array([segment.start for segment in segments])
    both = np.concatenate([starts, ends])[:, :3]
    moved = np.concatenate([starts[(starts != ends)[:, :3].any(axis=1)], ends[(starts != ends)[:, :3].any(axis=1)]])
    for index, axis in enumerate("XYZ"):
        assert figures.box[axis] == pytest.approx((moved[:, index].min(), moved[:, index].max()))
        assert figures.box[axis] == pytest.approx((both[:, index].min(), both[:, index].max()))
    assert figures.filament_mm == pytest.approx(expected.position["e"], abs=1e-4)
    assert figures.filament_mm3 == pytest.approx(figures.filament_mm * math.pi * 1.75**2 / 4)
    extruding = sum(math.dist(s.start[:3], s.end[:3]) for s in segments if s.extrudes)
    assert figures.extruding_mm == pytest.approx(extruding, rel=1e-6)
    steps = moves.steps.sum(axis=0, where=moves.printing[:, None])
    assert list(steps) == list(expected.net_steps().values())


def test_highest_speeds_rates_and_their_lines():
    _, _, figures = dry("M302 P1\nG1 X100 F6000\nM400\nG1 X20 Y60 F3000\nG1 E5 F600\n")
    x, y, z, e = figures.axes
    assert (x.speed, x.speed_line) == (pytest.approx(100, rel=1e-3), 2)
    assert (x.step_rate, x.step_rate_line) == (pytest.approx(8000, rel=1e-3), 2)
    assert y.speed == pytest.approx(50 * 0.6, rel=1e-3) and y.speed_line == 4
    assert z.speed == 0 and z.speed_line == 0 and e.speed == pytest.approx(10, rel=1e-3)
    assert x.acceleration == pytest.approx(2000, rel=1e-3)


def test_settings_as_m503_prints_them():
    text = "echo:; Steps per unit:\necho:  M92 X160.00 Y80.00 Z400.00 E93.00\necho:; x_max 50.00 mm (highest X)\n"
    run, moves, _ = dry("G28\nG1 X70 F3000", settings=text + "echo:; y_max 9999 mm\n", start_mm=(1, 1, 1))
    assert run.printer.position_mm(0) == 50
    assert moves.steps_x[moves.printing].sum() == 50 * 160
    (hit,) = [hit for hit in run.hits.values() if hit.what == "refused"]
    assert hit.where() == "settings" and "y_max" in hit.text


# Layers

LAYER = "G1 Z%.1f F600\nG1 X10 Y%d E%d F3000\nG1 X0\n"


@pytest.mark.parametrize(
    "mark", [";LAYER_CHANGE\n;Z:%.1f\n", ";LAYER:%.0f\n", "; layer %.0f, Z = 1\n", ";Z:%.1f\n", "; CHANGE_LAYER\n"]
)
def test_layers_by_the_slicers_marks(mark):
    text = "M302 P1\nM83\nG1 X5 F3000\n;LAYER_COUNT:3\n"
    begins = []
    for number in range(1, 4):
        begins.append(text.count("\n") + 1)
        text += (mark % (0.2 * number) if "%" in mark else mark) + LAYER % (0.2 * number, number, number)
    _, _, figures = dry(text)
    assert [layer.line for layer in figures.layers] == begins and figures.layers_by == "marks"
    assert [layer.filament_mm for layer in figures.layers] == pytest.approx([1, 2, 3])
    assert [layer.z_mm for layer in figures.layers] == pytest.approx([0.2, 0.4, 0.6])
    total = figures.before_layers_s + sum(layer.seconds for layer in figures.layers)
    assert total == pytest.approx(figures.print_s) and figures.before_layers_s > 0


def test_without_marks_layers_come_from_the_height_of_extrusion():
    text = "M302 P1\nM83\n" + LAYER % (0.2, 1, 1) + "G1 Z1 F600\nG1 X50\nG1 Z0.2\nG1 X4 E1\n" + LAYER % (0.4, 5, 1)
    _, _, figures = dry(text)
    assert figures.layers_by == "height"
    assert [layer.z_mm for layer in figures.layers] == pytest.approx([0.2, 0.4])


def test_ends_of_lines_do_not_matter():
    text = RING.read_bytes()
    one = dry(text)[2]
    for other in (text.replace(b"\n", b"\r\n"), text.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + text):
        two = dry(other.removeprefix(b"\xef\xbb\xbf"))[2]
        assert two.print_s == one.print_s and [hit.lines for hit in two.hits] == [hit.lines for hit in one.hits]
        assert [layer.line for layer in two.layers] == [layer.line for layer in one.layers]


def test_a_file_of_one_line():
    _, moves, figures = dry("G1 X10 F3000")
    assert moves.count == 1 and not figures.layers and figures.print_s > 0
    _, moves, figures = dry("M105")
    assert moves.count == 0 and figures.print_s == 0 and figures.box is None


def test_short_segments_of_a_curved_wall():
    run, moves, figures = dry("".join(make_wall.lines(2000)), hot=True)
    assert moves.extrudes.sum() == 2000
    assert 0.15 < np.median(moves.length_mm[moves.extrudes]) < 0.5
    assert figures.layers[1].seconds == pytest.approx(figures.layers[0].seconds, rel=0.4)
    assert {hit.what for hit in run.hits.values()} <= {"speed", "acceleration"}


# The command


def call(capsys, *words):
    """Exit code, what was written to stdout and to stderr."""
    code = command.run(list(words))
    caught = capsys.readouterr()
    return code, caught.out, caught.err


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("missing.gcode", None, "does not exist"),
        ("empty.gcode", b"", "is empty"),
        ("blank.gcode", b"\n \n", "is empty"),
        ("part.uf2", b"UF2\n\x57\x51\x5d\x9e\0\0", "is a binary file"),
        ("part.stl", b"solid part\nfacet normal 0 0 1\n", "no line of G-code"),
        ("comments.gcode", b"; nothing\n; but remarks\n", "no line of G-code"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, capsys, name, data, says):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    code, out, err = call(capsys, str(path), "--out", str(tmp_path))
    assert code == 2 and not out and err.count("\n") == 1 and says in err and name in err


def test_other_words_that_are_wrong(tmp_path, capsys):
    for words in ((str(tmp_path),), ("",), (str(RING), "--board", "none"), (str(RING), "--settings", "nowhere.txt")):
        code, out, err = call(capsys, *words, "--out", str(tmp_path))
        assert code == 2 and not out and err.startswith("error: ") and err.count("\n") == 1


def test_figures_pictures_and_tables_of_the_example(tmp_path, capsys):
    code, out, _ = call(capsys, "--out", str(tmp_path), "--json")
    assert code == 0
    data = json.loads((tmp_path / "dryrun.json").read_text())
    assert data["file"] == "ring.gcode" and len(data["layers"]) == 5 and data["lines"] == 1395
    assert data["total_s"] == pytest.approx(
        sum(data[name + "_s"] for name in ("print", "homing", "heating", "dwell", "waiting")), abs=1e-3
    )
    assert "print time" in out and "5 layers" in out and "lines/s" in out
    assert "Z: speed of up to 150 mm/s asked for, M203 allows 10" in " ".join(out.split())
    for name in ("dryrun_path.png", "dryrun_speed.png"):
        pixels = image.imread(tmp_path / name)[..., :3]
        inked = (pixels.min(axis=2) < 0.9).mean()
        assert min(pixels.shape[:2]) > 500 and 0.01 < inked < 0.8, (name, inked)


def test_pictures_of_files_with_next_to_nothing_in_them(tmp_path, capsys):
    for text in ("M105\n", "G1 X1 F600\n", "M302 P1\nG1 E5 F600\n", "G28\n"):
        path = tmp_path / "small.gcode"
        path.write_text(text)
        assert call(capsys, str(path), "--out", str(tmp_path))[0] == 0


def test_progress_of_a_long_run():
    text = io.StringIO()
    run = DryRun("".join(make_wall.lines(3000)).encode(), hot=True)
    with_progress(run, Console(file=text, width=100), patience_s=0.0)
    shown = [int(line.split("%")[0]) for line in text.getvalue().splitlines()]
    assert shown == sorted(shown) and len(shown) > 3 and run.done == len(run.lines)
    moves = Moves(run)
    screen = io.StringIO()
    show(collect(run, moves, "wall.gcode"), [], Console(file=screen, width=110))
    assert "wall.gcode" in screen.getvalue() and "Axes" in screen.getvalue()


def test_reading_keeps_the_numbers_of_lines():
    assert source.split(b"a\r\nb\n\nc") == [b"a\r", b"b", b"", b"c"]
    assert source.split(b"a\rb\r") == [b"a", b"b"]
