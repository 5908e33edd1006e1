"""Keeps the settings' text in flash; power may fail at any moment of it.

Two files take turns: a save writes the one that does not hold the newest valid save, and counts
only once it reads back whole. So there is always the last save or the one before it. A file is
text: a line with format and generation, the settings, a line with the CRC-32 of all before it.

    adder-settings 1 17
    steps_per_mm_x 80.00
    ...
    crc32 1234567890

The generation rises by one with every save and tells which file is newer.
"""

from binascii import crc32

from adder.errors import Refused

_NAMES = ("a", "b")
_MARK = b"adder-settings "
# A file that is longer is not ours; reading it would only fill the memory.
_LONGEST = 16384
_PIECE = 1024
_NO_FILE = -2  # instead of a generation
_NONE = -1
_ENOENT = 2
_ENOSPC = 28


class Store:
    """Two files `path`.a and `path`.b; `opener` opens them (the built-in open on the board).

    After `read` and `write`: `size` in bytes and `crc` of the newest valid file. After `read`:
    `notes`, lines about what was wrong.
    """

    FORMAT = 1

    def __init__(self, path="/settings", opener=open):
        self._paths = [path + "." + name for name in _NAMES]
        self._open = opener
        self.size = 0
        self.crc = 0
        self.notes = []

    def read(self):
        """The text of the newest valid save, None if there is none, whatever the files hold."""
        newest, files = self._examine()
        self.notes = [file.problem for file in files if file.problem]
        if newest is None:
            return None
        if self.notes:
            self.notes.append("Settings come from %s, a save that is whole" % newest.path)
        self.size, self.crc = newest.size, newest.crc
        return newest.text

    def write(self, text):
        """Save the text: True, or False if the newest save is the same. Refused if it fails."""
        newest, files = self._examine()
        if newest is not None and newest.text == text:
            self.size, self.crc = newest.size, newest.crc
            return False
        target = files[0]
        for file in files:
            # The newest save that this version can read stays; else first what is worth nothing.
            if target is newest or (file is not newest and file.generation < target.generation):
                target = file
        generation = 1 + max([0] + [file.generation for file in files])
        body = b"adder-settings %d %d\n" % (self.FORMAT, generation) + text.encode()
        crc = crc32(body)
        data = body + b"crc32 %d\n" % crc
        if len(data) > _LONGEST:
            raise Refused(
                "settings are not stored: %d bytes, should be at most %d" % (len(data), _LONGEST)
            )
        try:
            with self._open(target.path, "wb") as stream:
                stream.write(data)
            with self._open(target.path, "rb") as stream:
                same = _all(stream) == data
        except OSError as error:
            full = error.errno == _ENOSPC
            problem = "the file system is full" if full else "error %s" % error.errno
            same = False
        else:
            problem = "it reads back damaged"
        if not same:
            raise Refused(
                "settings are not stored: %s: %s; the save before is kept" % (target.path, problem)
            )
        self.size, self.crc = len(data), crc
        return True

    def _examine(self):
        # Both files, and the newest valid one of this format or None
        files = [_File(path, self._open, self.FORMAT) for path in self._paths]
        newest = None
        for file in files:
            if file.text is not None and (newest is None or file.generation > newest.generation):
                newest = file
        return newest, files


def _all(stream):
    # What is in a file, up to a byte too many; in pieces, for there may be no room for the longest file at once
    data = b""
    while len(data) <= _LONGEST:
        piece = stream.read(min(_PIECE, _LONGEST + 1 - len(data)))
        if not piece:
            break
        data += piece
    return data


class _File:
    """One file: `text` or None, `generation` or _NONE or _NO_FILE, `problem` one line or None."""

    def __init__(self, path, opener, format_number):
        self.path = path
        self.text = None
        self.generation = _NONE
        self.size = self.crc = 0
        self.problem = None
        try:
            with opener(path, "rb") as stream:
                data = _all(stream)
        except OSError as error:
            if error.errno == _ENOENT:
                self.generation = _NO_FILE
            else:
                self.problem = "%s cannot be read: error %s" % (path, error.errno)
            return
        self._judge(path, data, format_number)

    def _judge(self, path, data, format_number):
        self.size = len(data)
        if self.size > _LONGEST or not data.startswith(_MARK):
            self.problem = "%s holds no settings" % path
            return
        end = data.rfind(b"crc32 ")
        self.crc = crc32(data[: max(end, 0)])
        if end < 0 or data[end:] != b"crc32 %d\n" % self.crc:
            self.problem = "%s is damaged or incomplete: its checksum is wrong" % path
            return
        start = data.find(b"\n") + 1
        try:
            words = data[:start].split()
            number = int(words[1])
            self.generation = int(words[2])
            if number == format_number:
                self.text = data[start:end].decode()
            else:
                self.problem = "%s is of format %d, should be %d" % (path, number, format_number)
        except (ValueError, IndexError):
            self.problem = "%s holds no settings that this version can read" % path
