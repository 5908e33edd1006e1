"""The settings' store: whatever happens to the flash, the last save or the one before it comes back, whole."""

import random
from binascii import crc32

import littlefs_flash
import pytest
from hypothesis import given
from hypothesis import strategies as st
from littlefs_flash import FileSystem, Flash

from adder.errors import Refused
from adder.store import Store


class Files(dict):
    """Files in memory: {path: bytes}; `open` like MicroPython's."""

    def open(self, path, mode):
        if mode == "rb" and path not in self:
            raise OSError(2, "ENOENT")
        return _MemoryFile(self, path)


class _MemoryFile:
    def __init__(self, files, path):
        self.files, self.path, self.at = files, path, 0

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def read(self, size):
        data = self.files[self.path][self.at : self.at + size]
        self.at += size
        return data

    def write(self, data):
        self.files[self.path] = bytes(data)
        return len(data)


def store(files):
    return Store("/settings", files.open)


def text_of(number):
    """A save that fills more than one program operation and more than an inlined file."""
    return "".join("setting_%d %d.%02d\n" % (i, number, i) for i in range(90))


@pytest.fixture
def files():
    return Files()


def test_nothing_stored_is_no_fault(files):
    s = store(files)
    assert s.read() is None
    assert s.notes == []


def test_a_save_comes_back(files):
    s = store(files)
    assert s.write("a 1\nb 2\n") is True
    size, crc = s.size, s.crc
    again = store(files)
    assert again.read() == "a 1\nb 2\n"
    assert (again.size, again.crc, again.notes) == (size, crc, [])
    (data,) = files.values()
    assert len(data) == size
    body, last = data.rsplit(b"crc32 ", 1)
    assert int(last) == crc == crc32(body)


def test_what_did_not_change_is_not_written(files):
    store(files).write("a 1\n")
    store(files).write("a 2\n")
    before = dict(files)
    s = store(files)
    assert s.write("a 2\n") is False
    assert s.size and s.crc
    assert files == before


def test_two_files_take_turns(files):
    for number in range(7):
        before = dict(files)
        s = store(files)
        s.write("a %d\n" % number)
        assert sum(before.get(path) != files[path] for path in files) == 1
        assert store(files).read() == "a %d\n" % number
    assert len(files) == 2


@pytest.mark.parametrize("keep", [0, 1, 20, -1])
def test_a_truncated_save_gives_the_one_before(files, keep):
    store(files).write("a 1\n")
    store(files).write("a 2\n")
    files["/settings.b"] = files["/settings.b"][:keep]
    s = store(files)
    assert s.read() == "a 1\n"
    assert any("/settings.b" in note for note in s.notes)
    assert any("come from /settings.a" in note for note in s.notes)
    assert s.write("a 3\n")
    assert files["/settings.b"].startswith(b"adder-settings 1 2\na 3\n")
    assert store(files).read() == "a 3\n"


def test_every_truncation_and_every_flipped_bit_is_seen(files):
    store(files).write("a 1\n")
    store(files).write("steps 80.00\nspeed 12.50\n")
    whole = files["/settings.b"]
    damaged = [whole[:at] for at in range(len(whole))]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in range(8)
    ]
    for data in damaged:
        files["/settings.b"] = data
        s = store(files)
        assert s.read() == "a 1\n", data
        assert s.notes


def sealed(text):
    data = text.encode() if isinstance(text, str) else text
    return data + b"crc32 %d\n" % crc32(data)


@pytest.mark.parametrize(
    "data",
    [
        sealed("adder-settings 2 9\na 1\n"),
        sealed("adder-settings 0 9\na 1\n"),
        sealed("adder-settings 1\na 1\n"),
        sealed("adder-settings x y\na 1\n"),
        sealed("adder-settings  \n"),
        sealed("adder-settings "),
        sealed(b"adder-settings 1 9\n\xff\xfe\x80 1\n"),
        sealed("other 1 9\na 1\n"),
        b"adder-settings 1 9\n" + b"\xff" * 40000,
        sealed(b"adder-settings 1 9\n" + b"a 1\n" * 20000),
        b"",
        b"\x00" * 100,
        b"crc32 0\n",
    ],
)
def test_foreign_files(files, data):
    files["/settings.a"] = data
    s = store(files)
    assert s.read() is None
    assert len(s.notes) == 1
    assert s.write("a 5\n")
    assert store(files).read() == "a 5\n"
    # Whatever generation a foreign file names, ours is the newer one from now on.
    assert s.write("a 6\n")
    assert store(files).read() == "a 6\n"


@given(st.binary(max_size=300), st.binary(max_size=300), st.booleans())
def test_random_bytes_never_crash(one, two, seal):
    files = Files()
    if seal:
        one, two = sealed(b"adder-settings " + one), sealed(b"adder-settings 1 3\n" + two)
    files["/settings.a"], files["/settings.b"] = one, two
    s = store(files)
    s.read()
    s.write("a 1\n")
    assert store(files).read() == "a 1\n"


@given(st.binary(min_size=1, max_size=60), st.integers(0, 400))
def test_random_bytes_in_the_newest(noise, at):
    files = Files()
    store(files).write("a 1\n" * 50)
    store(files).write("a 2\n" * 50)
    whole = files["/settings.b"]
    files["/settings.b"] = (whole[:at] + noise + whole[at + len(noise) :])[: max(len(whole), at)]
    text = store(files).read()
    assert text == ("a 2\n" * 50 if files["/settings.b"] == whole else "a 1\n" * 50)


def test_too_long_is_refused(files):
    s = store(files)
    s.write("a 1\n")
    with pytest.raises(Refused, match="should be at most"):
        s.write("a 1\n" * 10000)
    assert store(files).read() == "a 1\n"


def test_what_reads_back_damaged_is_refused(files):
    s = store(files)
    s.write("a 1\n")
    s.write("a 2\n")

    class Worn(_MemoryFile):
        def write(self, data):
            self.files[self.path] = data[:-1] + b"?"

    def worn(path, mode):
        return Worn(files, path) if mode == "wb" else files.open(path, mode)

    with pytest.raises(Refused, match=r"/settings\.a: it reads back damaged; the save before is kept"):
        Store("/settings", worn).write("a 3\n")
    assert store(files).read() == "a 2\n"


# In littlefs, with power cuts


def saved(flash, text):
    """Save on this flash; True if the store said that it is done."""
    try:
        Store("/settings", FileSystem(flash).open).write(text)
    except Refused:
        return False
    return True


def loaded(data):
    s = Store("/settings", FileSystem(Flash(data)).open)
    return s.read()


def before_save(number):
    """The flash after so many saves, texts 0 to number - 1."""
    flash = Flash(littlefs_flash.blank())
    for save in range(number):
        assert saved(flash, text_of(save))
    return bytes(flash.data)


@pytest.mark.parametrize("way", Flash.WAYS)
@pytest.mark.parametrize("saves", range(5))
def test_power_cut_at_every_operation(saves, way):
    """The new or the old save, whole, and the next save works."""
    start = before_save(saves)
    flash = Flash(start)
    assert saved(flash, text_of(saves))
    operations = flash.operations
    assert operations > 3
    old, new = text_of(saves - 1) if saves else None, text_of(saves)
    results = set()
    for cut in range(operations):
        flash = Flash(start, (cut, way))
        done = saved(flash, new)
        assert flash.dead and not done
        got = loaded(flash.data)
        assert got in (old, new), (cut, got)
        results.add(got)
        # Power is back: the next save goes through, also when the power fails again at the same place first.
        again = Flash(flash.data, (cut, way))
        saved(again, text_of(50))
        assert loaded(again.data) in (got, text_of(50))
        third = Flash(again.data)
        assert saved(third, text_of(51))
        assert loaded(third.data) == text_of(51)
    assert old in results


def test_many_saves_with_cuts_at_random():
    dice = random.Random(4)
    flash = Flash(littlefs_flash.blank(16))
    now = None
    for number in range(400):
        cut = (dice.randrange(12), dice.choice(Flash.WAYS)) if dice.random() < 0.7 else None
        flash = Flash(flash.data, cut)
        done = saved(flash, text_of(number))
        got = loaded(flash.data)
        assert got == text_of(number) if done else got in (now, text_of(number)), number
        now = got
    assert now is not None


def test_flash_of_noise_is_no_file_system_but_no_crash_of_the_store_either():
    def unmounted(path, mode):
        raise OSError(19, "ENODEV")

    s = Store("/settings", unmounted)
    assert s.read() is None
    assert len(s.notes) == 2
    with pytest.raises(Refused, match="not stored"):
        s.write("a 1\n")
