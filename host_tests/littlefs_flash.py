"""A littlefs file system, configured as on the board, in a NOR flash whose power fails at a chosen operation."""

import littlefs
from littlefs import lfs

BLOCK = 4096
PROG = 256
IO_ERROR = -5


class Flash:
    """NOR flash: an erase sets bits, programming clears them.

    `cut`: (number of the operation, how far it gets); from then on nothing reaches the flash. `operations`: erases and
    programs so far. Ways an operation may end: "before", "half" (its first half is done), "bits" (every other bit
    of it is done), "after" (done, but the file system does not hear of it).
    """

    WAYS = ("before", "half", "bits", "after")

    def __init__(self, data, cut=None):
        self.data = bytearray(data)
        self.operations = 0
        self.cut = cut
        self.dead = False

    def _change(self, start, wanted):
        if self.dead:
            return IO_ERROR
        self.operations += 1
        if not self.cut or self.operations - 1 != self.cut[0]:
            self.data[start : start + len(wanted)] = wanted
            return 0
        self.dead = True
        old = self.data[start : start + len(wanted)]
        way = self.cut[1]
        if way == "half":
            wanted = wanted[: len(wanted) // 2] + old[len(wanted) // 2 :]
        elif way == "bits":
            # A cell that would change has changed where the mask is 1.
            wanted = bytes(o ^ ((o ^ w) & 0x55) for o, w in zip(old, wanted, strict=True))
        if way != "before":
            self.data[start : start + len(wanted)] = wanted
        return IO_ERROR

    # What littlefs calls

    def read(self, cfg, block, off, size):
        start = block * cfg.block_size + off
        return self.data[start : start + size]

    def prog(self, cfg, block, off, data):
        start = block * cfg.block_size + off
        old = self.data[start : start + len(data)]
        return self._change(start, bytes(o & w for o, w in zip(old, data, strict=True)))

    def erase(self, cfg, block):
        return self._change(block * cfg.block_size, b"\xff" * cfg.block_size)

    def sync(self, cfg):
        return IO_ERROR if self.dead else 0


class FileSystem:
    """littlefs on a Flash; `open` behaves like MicroPython's (OSError with the error's number)."""

    def __init__(self, flash, make=False):
        blocks = len(flash.data) // BLOCK
        self.fs = littlefs.LittleFS(
            flash, mount=False, block_size=BLOCK, block_count=blocks, read_size=32, prog_size=PROG, cache_size=4 * PROG,
            lookahead_size=32, block_cycles=100,
        )
        if make:
            self.fs.format()
        self.fs.mount()

    def open(self, path, mode):
        try:
            return _File(self.fs.fs, path, mode)
        except littlefs.LittleFSError as error:
            raise OSError(-error.code, str(error)) from None


class _File:
    # Straight on the C library's functions: the binding's file object closes again what failed to close.

    def __init__(self, fs, path, mode):
        self._fs = fs
        self._handle = lfs.file_open(fs, path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._do(lfs.file_close)

    def read(self, size):
        return bytes(self._do(lfs.file_read, size))

    def write(self, data):
        return self._do(lfs.file_write, data)

    def _do(self, function, *arguments):
        try:
            return function(self._fs, self._handle, *arguments)
        except littlefs.LittleFSError as error:
            raise OSError(-error.code, str(error)) from None


def blank(blocks=32):
    """Contents of an empty file system of so many blocks."""
    flash = Flash(b"\xff" * blocks * BLOCK)
    FileSystem(flash, make=True)
    return bytes(flash.data)
