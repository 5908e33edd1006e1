"""Compiles the C part of the emulated chip with the machine's gcc and binds it through ctypes.

The shared object lies under `build/twin/`, named after a hash of its sources, so it is compiled
once and again only when a source changes.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import weakref
from ctypes import CFUNCTYPE, POINTER, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path

SOURCES = Path(__file__).parent / "chip"
BUILD = Path(__file__).parents[2] / "build" / "twin"

READ = CFUNCTYPE(c_uint32, c_uint32)
WRITE = CFUNCTYPE(None, c_uint32, c_uint32, c_uint32)
PAIR = CFUNCTYPE(None, c_uint32, c_uint32)
PLAIN = CFUNCTYPE(None)
ONE = CFUNCTYPE(None, c_uint32)
TRIPLE = CFUNCTYPE(None, c_uint32, c_uint32, c_uint32)


class Callbacks(ctypes.Structure):
    """What the chip calls; the order is that of `Callbacks` in chip.h."""

    _fields_ = [
        ("read", READ),
        ("write", WRITE),
        ("dpram", PAIR),
        ("event", PLAIN),
        ("edge", PAIR),
        ("motor", ONE),
        ("duty", TRIPLE),
        ("adc", READ),
        ("log", TRIPLE),
    ]


class MotorState(ctypes.Structure):
    """A step counter within the chip; the order is that of `Motor` in chip.h."""

    _fields_ = [
        ("step", c_int32),
        ("dir", c_int32),
        ("enable", c_int32),
        ("dir_positive", c_uint32),
        ("enable_level", c_uint32),
        ("both_edges", c_uint32),
        ("pos", c_int64),
        ("low", c_int64),
        ("high", c_int64),
        ("steps", c_uint64),
        ("ignored", c_uint64),
    ]


_SIGNATURES = {
    "chip_run": (c_uint32, [c_uint64]),
    "chip_stop": (None, []),
    "chip_step": (c_uint32, []),
    "chip_reset": (None, [c_uint32, c_uint32]),
    "chip_reset_block": (None, [c_uint32]),
    "chip_cycle": (c_uint64, []),
    "chip_instructions": (c_uint64, []),
    "chip_memory": (c_void_p, [c_uint32]),
    "chip_read": (c_uint32, [c_uint32]),
    "chip_write": (None, [c_uint32, c_uint32]),
    "chip_register": (c_uint32, [c_uint32]),
    "chip_set_register": (None, [c_uint32, c_uint32]),
    "chip_flags": (c_uint32, []),
    "chip_set_flags": (None, [c_uint32]),
    "chip_sleeping": (c_uint32, []),
    "chip_outside_due": (None, [c_uint64]),
    "chip_stall": (None, [c_uint64]),
    "chip_flash_busy": (None, [c_uint32]),
    "chip_flash_conflicts": (c_uint32, []),
    "chip_eager": (None, [c_uint32]),
    "chip_xip_cost": (None, [c_uint32]),
    "chip_xip_misses": (c_uint64, []),
    "chip_fifo_push": (None, [c_uint32]),
    "chip_pads": (c_uint32, []),
    "chip_driven": (c_uint32, []),
    "chip_function": (c_uint32, [c_uint32]),
    "chip_set_input": (None, [c_uint32, c_int32]),
    "chip_set_other": (None, [c_uint32, c_uint32, c_uint32]),
    "chip_watch": (None, [c_uint32, c_uint32, c_uint32]),
    "chip_edges_len": (c_uint64, [c_uint32]),
    "chip_edges": (c_void_p, [c_uint32]),
    "chip_edges_clear": (None, [c_uint32]),
    "chip_motor": (POINTER(MotorState), [c_uint32]),
    "chip_motors": (None, [c_uint32]),
    "chip_pwm_duty": (None, [c_uint32, POINTER(c_uint32)]),
    "chip_irq": (None, [c_uint32, c_uint32]),
}


def compile_chip():
    """Path of the shared object, compiled if it is missing. RuntimeError without a C compiler."""
    files = sorted(SOURCES.glob("*.c")) + sorted(SOURCES.glob("*.h"))
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    target = BUILD / f"chip-{digest}.so"
    if target.exists():
        return target
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("the twin needs a C compiler: install the package gcc")
    BUILD.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    sources = [str(f) for f in files if f.suffix == ".c"]
    command = [compiler, "-O2", "-flto=auto", "-shared", "-fPIC", "-o", str(fresh), *sources]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"compiling the twin's chip failed:\n{done.stderr}")
    fresh.replace(target)
    for old in BUILD.glob("chip-*.so"):
        if old != target:
            old.unlink(missing_ok=True)
    return target


class Native:
    """One chip: every C function `chip_x(chip, ...)` is the method `x(...)`. `close` frees its memory."""

    def __init__(self, callbacks, flash_size):
        library = ctypes.CDLL(str(compile_chip()))
        self._callbacks = callbacks  # must live as long as the chip
        new = library.chip_new
        new.restype, new.argtypes = c_void_p, [POINTER(Callbacks), c_uint32]
        self._chip = c_void_p(new(ctypes.byref(callbacks), flash_size))
        release = library.chip_free
        release.restype, release.argtypes = None, [c_void_p]
        self.close = weakref.finalize(self, release, self._chip)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = [c_void_p, *arguments]
            setattr(self, name[5:], self._bound(function))

    def _bound(self, function):
        chip = self._chip

        def call(*args):
            return function(chip, *args)

        return call

    def view(self, which, size):
        """A writable view of a memory: 0 boot ROM, 1 RAM, 2 flash, 3 USB RAM."""
        cells = type("Memory", (c_uint8 * size,), {}).from_address(self.memory(which))
        cells.chip = self  # a view keeps the chip alive
        return memoryview(cells).cast("B")
