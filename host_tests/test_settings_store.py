"""Settings in their store: saved values come back whole, names that come, go or change, what the user is told.

What the store makes of a torn or damaged flash by itself: test_store.py.
"""

import errno
import random
from binascii import crc32

import pytest

from adder.errors import Refused
from adder.store import Store
from host_tests import littlefs_flash
from host_tests.littlefs_flash import FileSystem, Flash
from host_tests.settings_bench import Files, make, shuffle, values

OLD, NEW = "settings.a", "settings.b"


def saved_twice(seed=1):
    """Files with two saves; gives them and the values of both."""
    files = Files()
    table = make(files.store())
    shuffle(table, random.Random(seed))
    table.save()
    first = values(table)
    shuffle(table, random.Random(seed + 1000))
    table.save()
    return files, first, values(table)


def loaded(store):
    table = make(store)
    lines = table.load()
    assert all(line.startswith("echo:") and "\n" not in line for line in lines)
    return values(table), lines


def framed(text, format_number=1, generation=7):
    """A valid file, made independently of the store."""
    body = f"adder-settings {format_number} {generation}\n{text}".encode()
    return body + f"crc32 {crc32(body)}\n".encode()


def checksum(data):
    return crc32(data[: data.rfind(b"crc32")])


def test_saved_and_loaded():
    files, first, second = saved_twice()
    assert first != second
    after, lines = loaded(files.store())
    assert after == second
    data = files.content[NEW]
    assert lines == [f"echo:V1 stored settings retrieved ({len(data)} bytes; crc {checksum(data)})"]


def test_answers_of_m500_and_m502():
    files = Files()
    table = make(files.store())
    line = table.save()
    data = files.content[OLD]
    assert line == f"echo:Settings Stored ({len(data)} bytes; crc {checksum(data)})"
    assert table.save() == line and files.writes == 1
    assert table.reset() == "echo:Hardcoded Default Settings Loaded"


def test_empty_store_means_defaults():
    after, lines = loaded(Files().store())
    assert after == values(make())
    assert lines == ["echo:No settings stored, defaults loaded"]


def test_no_file_system():
    with pytest.raises(Refused, match="no file system"):
        make().save()
    assert make().load() == ["echo:No settings stored, defaults loaded"]


def test_loading_undoes_changes_and_tells_who_listens():
    files, _, second = saved_twice()
    table = make(files.store())
    told = []
    table.on_change("", told.append)
    table.load()
    assert values(table) == second and len(told) == 1


def test_defaults_of_the_board_are_not_those_of_the_store():
    files, _, second = saved_twice()
    table = make(files.store(), defaults={"x_max": 250})
    table.load()
    assert table.get("x_max") == second["x_max"]
    table.reset()
    assert table.get("x_max") == 25000


def test_power_cut_at_every_flash_operation():
    """Random settings over random settings: every value is the new one, or every one the old."""
    outcomes = set()
    cuts = 0
    for seed in range(8):
        dice = random.Random(seed)
        flash = Flash(littlefs_flash.blank(24))
        table = make(Store("/settings", FileSystem(flash).open))
        old = values(table)
        for _ in range(seed):
            shuffle(table, dice)
            table.save()
            old = values(table)
        start = bytes(flash.data)
        shuffle(table, dice)
        new = values(table)
        assert new != old
        flash.operations = 0
        table.save()
        operations = flash.operations
        assert operations >= 3
        for operation in range(operations):
            for way in Flash.WAYS:
                outcomes.add(_cut_save(start, old, new, operation, way))
                cuts += 1
    assert outcomes == {"old", "new"}, "the cuts did not cut"
    assert cuts > 100


def _cut_save(start, old, new, operation, way):
    flash = Flash(start, (operation, way))
    table = make(Store("/settings", FileSystem(flash).open))
    table.load()
    for name, value in new.items():
        table.set(name, value)
    with pytest.raises(Refused):
        table.save()
    assert flash.dead
    after, _ = loaded(Store("/settings", FileSystem(Flash(flash.data)).open))
    assert after in (old, new), f"operation {operation} {way}: neither the old nor the new settings"
    return "old" if after == old else "new"


@pytest.mark.parametrize("tail", ["nothing", "erased", "old", "random"])
def test_cut_on_a_file_system_that_is_not_safe(tail):
    """Not littlefs: any number of bytes of the file may have got through, and anything may follow them."""
    files, _, second = saved_twice()
    whole = files.content[OLD]
    table = make(files.store())
    table.load()
    table.set("x_max", 4711)
    table.save()
    new = files.content[OLD]
    third = values(table)
    assert whole != new
    dice = random.Random(0)
    for done in range(len(new) + 1):
        rest = {
            "nothing": b"", "erased": b"\xff" * (len(new) - done), "old": whole[done:],
            "random": dice.randbytes(len(new) - done),
        }[tail]
        files.content[OLD] = new[:done] + rest
        after, lines = loaded(files.store())
        complete = files.content[OLD] == new
        assert after == (third if complete else second), done
        assert (len(lines) == 1) == (complete or files.content[OLD] == whole)


def test_a_write_that_fails_keeps_the_save_before():
    files, _, second = saved_twice()
    table = make(files.store())
    table.load()
    table.set("x_max", 4711)
    files.error = errno.ENOSPC
    with pytest.raises(Refused, match="file system is full; the save before is kept"):
        table.save()
    files.error = None
    files.cut = 100
    with pytest.raises(Refused, match="the save before is kept"):
        table.save()
    assert loaded(files.store())[0] == second
    table.save()
    assert loaded(files.store())[0] == {**second, "x_max": 4711}


def test_full_flash():
    flash = Flash(littlefs_flash.blank(8))
    files = FileSystem(flash)
    table = make(Store("/settings", files.open))
    table.save()
    old = values(table)
    with pytest.raises(OSError) as caught:
        for number in range(100):
            with files.open(f"/fill{number}", "wb") as stream:
                stream.write(bytes(4000))
    assert caught.value.errno == errno.ENOSPC
    table.set("x_max", 4711)
    with pytest.raises(Refused, match="full"):
        table.save()
    assert loaded(Store("/settings", FileSystem(Flash(flash.data)).open))[0] == old


# Damaged and foreign files: what the user is told


def test_one_damaged_file():
    files, first, second = saved_twice()
    files.content[NEW] = files.content[NEW][:-1]
    after, lines = loaded(files.store())
    assert after == first
    assert lines[1:] == [
        f"echo:{NEW} is damaged or incomplete: its checksum is wrong",
        f"echo:Settings come from {OLD}, a save that is whole",
    ]
    files, first, second = saved_twice()
    files.content[OLD] = b"\x00\xff"
    after, lines = loaded(files.store())
    assert after == second
    assert lines[1:] == [f"echo:{OLD} holds no settings", f"echo:Settings come from {NEW}, a save that is whole"]


def test_both_damaged():
    files, _, _ = saved_twice()
    files.content = {OLD: b"", NEW: files.content[NEW][5:]}
    after, lines = loaded(files.store())
    assert after == values(make())
    assert lines == [
        f"echo:{OLD} holds no settings", f"echo:{NEW} holds no settings",
        "echo:No stored settings can be used, defaults loaded",
    ]


def test_foreign_format():
    files, first, _ = saved_twice()
    files.content[NEW] = framed("x_max 100.00\n", format_number=2, generation=99)
    after, lines = loaded(files.store())
    assert after == first
    assert f"echo:{NEW} is of format 2, should be 1" in lines
    # The next save is newer than the foreign one, and the last own save was kept while it was written.
    table = make(files.store())
    table.load()
    table.set("x_max", 4711)
    own = files.content[OLD]
    table.save()
    assert files.content[OLD] == own
    assert files.content[NEW].startswith(b"adder-settings 1 100\n")


def test_valid_checksum_over_nonsense():
    """Whatever the lines of a valid file say: no crash, and every value within its range."""
    dice = random.Random(1)
    names = make().names()
    pieces = [*names, " ", "\n", "-", ".", "1", "999999999999", "1e9", "\u00e9", "x", "  ", "crc32 1"]
    for _ in range(300):
        files = Files()
        files.content = {OLD: framed("".join(dice.choice(pieces) for _ in range(60)))}
        table = make(files.store())
        table.load()
        for name, value in values(table).items():
            row = table.row(name)
            assert row[6] <= value <= row[7]
        table.save()
        assert loaded(files.store())[0] == values(table)


# Names and values of other versions


def test_unknown_names_are_kept():
    files = Files()
    files.content[OLD] = framed("x_max 123.45\nlaser_power 50 W\nfuture_thing 1.5\n")
    table = make(files.store())
    lines = table.load()
    assert table.get("x_max") == 12345
    assert lines[1:] == ["echo:2 settings of another version are kept, not used"]
    table.set("x_max", 100)
    table.save()
    assert b"\nlaser_power 50 W\nfuture_thing 1.5\n" in files.content[NEW]
    table.reset()
    table.save()
    assert b"\nlaser_power 50 W\nfuture_thing 1.5\n" in files.content[OLD]


def test_missing_names_take_defaults():
    files = Files()
    files.content[OLD] = framed("x_max 123.45\n")
    after, lines = loaded(files.store())
    assert after == {**values(make()), "x_max": 12345} and len(lines) == 1


@pytest.mark.parametrize("value", ["99999.00", "-5.00", "abc", "", "1e2", "123.45 mm", "nan"])
def test_values_out_of_range_take_defaults(value):
    files = Files()
    files.content[OLD] = framed(f"x_max {value}\ny_max 150.00\n")
    after, lines = loaded(files.store())
    assert after == {**values(make()), "y_max": 15000}
    assert lines[1:] == [f"echo:Stored x_max {value} is out of range, should be 1.00 to 2000.00 mm; now 200.00"]


def test_many_bad_values_do_not_flood_the_host():
    files = Files()
    files.content[OLD] = framed("".join(f"{name} -999999\n" for name in make().names()))
    after, lines = loaded(files.store())
    assert after == values(make()) and len(lines) == 10 and "more" in lines[-1]


def test_more_or_fewer_decimals_than_this_version_has():
    files = Files()
    files.content[OLD] = framed("x_max 123.456\nmax_acceleration_x 1000.00\njerk_x 5\n")
    after, _ = loaded(files.store())
    assert (after["x_max"], after["max_acceleration_x"], after["jerk_x"]) == (12346, 1000, 500)


def test_renamed_settings_migrate():
    files = Files()
    files.content[OLD] = framed("bed_width 123.45\nbed_depth 150.00\ny_max 99.00\nother 1\n")
    table = make(files.store(), renamed=(("bed_width", "x_max"), ("bed_depth", "y_max"), ("gone", "never")))
    lines = table.load()
    assert table.get("x_max") == 12345 and table.get("y_max") == 9900
    assert "echo:Setting bed_width is called x_max now" in lines
    assert not [line for line in lines if "bed_depth" in line]  # both there: the new name counts
    table.save()
    assert b"bed_width" not in files.content[NEW] and b"\nother 1\n" in files.content[NEW]


def test_renamed_and_out_of_range():
    files = Files()
    files.content[OLD] = framed("bed_width 99999\n")
    table = make(files.store(), renamed=(("bed_width", "x_max"),))
    lines = table.load()
    assert table.get("x_max") == 20000
    assert any("bed_width 99999 is out of range" in line for line in lines)
