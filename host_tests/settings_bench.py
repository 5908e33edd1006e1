"""What the settings' tests share: commands, files in memory, tables with random values."""

import errno
import io

from adder.command import OK, Command
from adder.settings import Settings, groups
from adder.store import Store


def command(line):
    """The parsed command of a line such as "M92 X80.5 Z"."""
    parsed = Command()
    data = line.encode()
    assert parsed.scan(data, len(data)) == OK, parsed.error
    return parsed


class Files:
    """Files in a dict. Of the next write only `cut` bytes get through, if that is set, then an OSError comes."""

    def __init__(self):
        self.content = {}
        self.cut = None
        self.writes = 0
        self.error = None  # errno that every write ends with

    def open(self, path, mode):
        if mode == "rb":
            if path not in self.content:
                raise OSError(errno.ENOENT, path)
            return io.BytesIO(self.content[path])
        if self.error:
            raise OSError(self.error, path)
        return _Writer(self, path)

    def store(self):
        return Store("settings", self.open)


class _Writer:
    def __init__(self, files, path):
        self._files = files
        self._path = path
        files.writes += 1
        files.content[path] = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, data):
        files = self._files
        if files.cut is not None and files.cut <= len(data):
            files.content[self._path] += data[: files.cut]
            files.cut = None
            raise OSError(errno.EIO, self._path)
        files.content[self._path] += data


def make(store=None, defaults=None, rows=None, renamed=()):
    """Settings of the whole firmware, or of other rows."""
    return Settings(rows or groups(), defaults, store, renamed)


def shuffle(settings, dice, share=0.5):
    """Give a part of the settings random values within their ranges."""
    for name in settings.names():
        if dice.random() < share:
            row = settings.row(name)
            settings.set(name, dice.randint(row[6], row[7]))


def values(settings):
    return {name: settings.get(name) for name in settings.names()}
