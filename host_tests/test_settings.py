"""The table of settings: ranges, rounding, commands, M503 and back, defaults of boards."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adder import settings as module
from adder.board import BoardError
from adder.errors import Refused
from adder.settings import decimal, groups, scaled
from host_tests.settings_bench import command, make, shuffle, values
from tools import paths

SMALL_INT = 1 << 30
ROWS = [row for group in groups() for row in group]


def refused(function, *arguments):
    with pytest.raises(Refused) as caught:
        function(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_rows_are_sound(row):
    name, code, letter, unit, decimals, default, lowest, highest, title = row
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert (code == "") == (letter == "")
    assert code == "" or re.fullmatch(r"[GM][0-9]+( [A-Z][0-9]?)?", code)
    assert 0 <= decimals <= 6
    assert -SMALL_INT <= lowest <= default <= highest < SMALL_INT
    assert lowest < highest
    assert title.isascii() and unit.isascii() and title


def test_names_and_letters_are_unique():
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names))
    words = [(row[1], row[2]) for row in ROWS if row[1]]
    assert len(words) == len(set(words))


def test_rows_stay_in_flash():
    # mpy-cross makes a constant of a tuple only if all that it holds is constant
    for group in groups():
        assert type(group) is tuple
        for row in group:
            assert type(row) is tuple and all(type(item) in (str, int) for item in row)


@given(st.integers(-(10**9), 10**9), st.integers(0, 5))
def test_decimal_numbers_come_back(value, decimals):
    text = decimal(value, decimals)
    assert scaled(text, decimals) == value
    assert len(text.partition(".")[2]) >= min(decimals, 2)


@pytest.mark.parametrize(
    "text, decimals, value",
    [
        ("80", 3, 80000), ("80.", 3, 80000), (".5", 2, 50), ("-.5", 2, -50), ("0.0134", 3, 13), ("0.0135", 3, 14),
        ("-0.0135", 3, -14), ("1.5", 0, 2), ("1.49999", 0, 1), ("-1.5", 0, -2), ("007.10", 1, 71), (".6", 0, 1),
    ],
)
def test_rounding(text, decimals, value):
    assert scaled(text, decimals) == value


@pytest.mark.parametrize(
    "text", ["", "-", ".", "--1", "+1", "1e3", "nan", "inf", "1.2.3", " 1", "1 ", "0x10", "1_0", "9" * 19, "1\x00"]
)
def test_not_a_number(text):
    with pytest.raises(ValueError):
        scaled(text, 2)


def test_usual_printer_by_default():
    settings = make()
    assert settings.code_line("M92") == "M92 X80.00 Y80.00 Z400.00 E93.00"
    assert settings.code_line("M203") == "M203 X300.00 Y300.00 Z12.00 E60.00"
    assert settings.code_line("M204") == "M204 P1500 R2000 T2000"
    assert settings.code_line("M205") == "M205 B20000 S0.00 T0.00 J0.013 X10.00 Y10.00 Z0.40 E5.00 C0"
    assert [settings.text(name) for name in ("x_min", "x_max", "y_max", "z_max")] == ["0.00"] + ["200.00"] * 3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_limits_are_kept(row):
    settings = make()
    name, lowest, highest = row[0], row[6], row[7]
    for value in (lowest, highest):
        settings.set(name, value)
        assert settings.get(name) == value
    for value in (lowest - 1, highest + 1, SMALL_INT * 4):
        text = refused(settings.set, name, value)
        assert decimal(value, row[4]) in text and decimal(lowest, row[4]) in text and decimal(highest, row[4]) in text
        assert settings.get(name) == highest


def test_refusals_name_what_would_be_right():
    settings = make()
    assert refused(settings.set, "max_feedrate_x", 0) == "M203 X0.00 is out of range, should be 0.10 to 1000.00 mm/s"
    assert refused(settings.set, "x_max", 0) == "x_max 0.00 is out of range, should be 1.00 to 2000.00 mm"
    line = command("M92 X")
    assert refused(settings.set_from_command, "M92", line) == "M92 X has no value, should be 0.10 to 10000.00 steps/mm"
    line = command("M204 S0")
    text = refused(settings.set_from_command, "M204", line, (("S", "PT"),))
    assert text == "M204 S0 is out of range, should be 1 to 50000 mm/s^2"


def test_unknown_name():
    with pytest.raises(KeyError):
        make().set("steps_per_mm", 1)


def test_a_command_sets_its_letters():
    settings = make()
    before = values(settings)
    names = settings.set_from_command("M92", command("M92 X81.5 E93.4567 T0"))
    assert names == ["steps_per_mm_x", "steps_per_mm_e"]
    after = values(settings)
    assert (after["steps_per_mm_x"], after["steps_per_mm_e"]) == (81500, 93457)
    assert {name for name in after if after[name] != before[name]} == set(names)
    assert settings.code_line("M92") == "M92 X81.50 Y80.00 Z400.00 E93.457"
    assert settings.set_from_command("M92", command("M92")) == []


@pytest.mark.parametrize("line", ["M203 X200 Y2000", "M203 X200 Y", "M203 Y-1 X200", "M203 E0 X200"])
def test_all_letters_or_none(line):
    settings = make()
    before = values(settings)
    told = []
    settings.on_change("", told.append)
    refused(settings.set_from_command, "M203", command(line))
    assert values(settings) == before and told == []


def test_letters_that_stand_for_others():
    settings = make()
    settings.set_from_command("M204", command("M204 S900"), (("S", "PT"),))
    assert settings.code_line("M204") == "M204 P900 R2000 T900"
    settings.set_from_command("M204", command("M204 T1200 S800"), (("S", "PT"),))
    assert settings.code_line("M204") == "M204 P800 R2000 T1200"
    settings.set_from_command("M205", command("M205 X7"), (("X", "XY"),))
    assert (settings.text("jerk_x"), settings.text("jerk_y")) == ("7.00", "7.00")


def test_listeners_see_a_whole_change_once():
    settings = make()
    told = []
    settings.on_change("steps_", lambda name: told.append((name, settings.get("steps_per_mm_y"))))
    settings.on_change("jerk_", lambda name: told.append(name))
    settings.set_from_command("M92", command("M92 X100 Y100"))
    assert told == [("steps_per_mm_x", 100000)]
    told.clear()
    settings.set_from_command("M92", command("M92 X100 Y100"))
    assert told == []  # nothing changed
    settings.set("jerk_e", 1)
    settings.reset()
    assert told == ["jerk_e", ("steps_per_mm_x", 80000), "jerk_e"]


def replay(lines, settings):
    """What a host does with M503's lines: send them back, without the word echo and without remarks."""
    for line in lines:
        assert line.startswith("echo:")
        text = line[5:].strip()
        if not text.startswith(";"):
            parsed = command(text)
            codes = {row[1] for row in ROWS if row[1].split()[:1] == text.split()[:1]}
            # M593 X and M593 Y are codes of their own
            codes = [code for code in codes if all(parsed.has(letter[0]) for letter in code.split()[1:])]
            assert len(codes) == 1 and settings.set_from_command(codes[0], parsed)


@pytest.mark.parametrize("seed", range(20))
def test_m503_can_be_replayed(seed):
    settings = make()
    shuffle(settings, random.Random(seed), 0.8)
    other = make()
    replay(settings.gcode_lines(), other)
    for row in ROWS:
        if row[1]:
            assert other.get(row[0]) == settings.get(row[0]), row
    assert list(settings.gcode_lines(remarks=False)) == list(other.gcode_lines(remarks=False))


def test_m503_order_and_remarks():
    settings = make()
    lines = list(settings.gcode_lines())
    assert lines[:2] == ["echo:; Steps per unit:", "echo:  M92 X80.00 Y80.00 Z400.00 E93.00"]
    codes = [re.match("echo:  ([GM][0-9]+( [A-Z]0?(?= ))?)", line)[1] for line in lines if line.startswith("echo:  ")]
    assert codes[:5] == ["M92", "M203", "M201", "M204", "M205"]
    assert len(codes) == len(set(codes)) == len({row[1] for row in ROWS if row[1]})
    plain = list(settings.gcode_lines(remarks=False))
    assert plain == [line for line in lines if ";" not in line]
    # every setting is there, the ones without a code as a remark
    for row in ROWS:
        if not row[1]:
            assert [line for line in lines if line.startswith(f"echo:; {row[0]} {settings.text(row[0])}")], row


def test_m503_leaves_out_codes_that_do_not_exist():
    lines = list(make().gcode_lines(exists=lambda code: code != "M203"))
    assert not [line for line in lines if "M203" in line]
    assert "echo:; max_feedrate_x 300.00 mm/s (highest speed, X)" in lines


def test_defaults_of_a_board():
    board = {
        "steps_per_mm_z": 800, "steps_per_mm_e": "415.125", "x_max": 235.5, "kinematics": True, "x_min": -2.25,
    }
    settings = make(defaults=board)
    assert settings.code_line("M92") == "M92 X80.00 Y80.00 Z800.00 E415.125"
    assert (settings.get("x_max"), settings.get("kinematics"), settings.get("x_min")) == (23550, 1, -225)
    settings.set("x_max", 100)
    settings.reset()
    assert settings.get("x_max") == 23550


@pytest.mark.parametrize(
    "board, parts",
    [
        ({"steps_per_mm": 80}, ["steps_per_mm", "docs/settings.md"]),
        ({"x_max": 5000}, ["5000.00", "1.00 to 2000.00 mm"]),
        ({"x_max": "wide"}, ["x_max", "wide", "1.00 to 2000.00 mm"]),
        ({"x_max": None}, ["x_max", "None"]),
        ({"x_max": float("nan")}, ["x_max"]),
        ({"x_max": float("inf")}, ["x_max"]),
        ({"x_max": (1, 2)}, ["x_max"]),
    ],
)
def test_wrong_defaults_of_a_board(board, parts):
    with pytest.raises(BoardError) as caught:
        make(defaults=board)
    text = str(caught.value)
    assert all(part in text for part in parts), text
    assert "\n" not in text


@pytest.mark.parametrize("name", paths.board_names())
def test_boards_that_ship(name):
    board = __import__("boards." + name, fromlist=["BOARD"]).BOARD
    make(defaults=board["defaults"])


def test_every_setting_has_a_place_in_the_table():
    assert groups()[0] is module.SETTINGS
    found = set()
    for path in (paths.FIRMWARE / "adder").rglob("*.py"):
        if re.search(r"^SETTINGS = ", path.read_text(), re.M):
            name = ".".join(path.relative_to(paths.FIRMWARE / "adder").with_suffix("").parts)
            found.add(name.removesuffix(".__init__"))
    listed = {group_module for group_module in found if _rows_of(group_module) in groups()}
    assert listed == found


def _rows_of(name):
    return __import__("adder." + name, fromlist=["SETTINGS"]).SETTINGS


def test_every_setting_is_used():
    """Somewhere in the firmware, outside the rows, each name is read, whole or as a prefix of an axis or a heater."""
    code = "\n".join(path.read_text() for path in (paths.FIRMWARE / "adder").rglob("*.py"))
    code = re.sub(r"^SETTINGS = \(\n.*?^\)\n", "", code, flags=re.S | re.M)
    for name, title in [(row[0], row[8]) for row in ROWS]:
        start, _, end = name.rpartition("_")
        forms = [f'"{name}"', f'"{start}_"', f'"_{end}"']
        if name.startswith("pid_"):
            forms.append(f'"pid_%s_{end}"')
        used = any(form in code for form in forms)
        assert used != ("without effect" in title), name
