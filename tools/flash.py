"""python -m tools.flash BOARD [PORT]: puts the image on a board, through the drive that it shows in its boot loader."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import paths
from tools.image import build
from tools.steps import ToolError, main, say

LABEL = "RPI-RP2"
INFO = "INFO_UF2.TXT"
PLACES = ("/media", "/run/media", "/mnt", "/Volumes")
# Our image goes into the boot loader when its port is opened at this rate; stock MicroPython is asked by mpremote.
TOUCH_BAUD = 1200
WAIT_S = 10


def _mounted():
    """The boot loader's drive if it is mounted, else None."""
    for place in map(Path, PLACES):
        for folder in (*place.glob("*"), *place.glob("*/*")):
            try:
                if folder.name.startswith(LABEL) and (folder / INFO).exists():
                    return folder
            except OSError:
                continue
    return None


def _mount():
    """Mount the drive if it is there and the desktop has not done it."""
    device = Path("/dev/disk/by-label") / LABEL
    if device.exists() and shutil.which("udisksctl"):
        subprocess.run(["udisksctl", "mount", "--no-user-interaction", "-b", str(device)], capture_output=True)


def _wait(seconds):
    end = time.monotonic() + seconds
    while True:
        drive = _mounted()
        if drive or time.monotonic() > end:
            return drive
        _mount()
        time.sleep(0.5)


def _touch(port):
    import serial

    try:
        serial.Serial(port, TOUCH_BAUD).close()
    except (OSError, serial.SerialException) as error:
        # The board leaves the bus as soon as it hears the rate, maybe before the port is closed.
        if not os.path.exists(port):
            return
        raise ToolError(f"PORT={port}: {error}") from None


def flash():
    board = sys.argv[1] if len(sys.argv) > 1 else "skr_pico"
    port = sys.argv[2] if len(sys.argv) > 2 else ""
    uf2 = build.image(board)
    drive = _wait(0)
    if port and not drive:
        say(f"asking the board at {port} to start its boot loader")
        _touch(port)
        drive = _wait(WAIT_S / 2)
        if not drive:
            ask = [sys.executable, "-m", "mpremote", "connect", port, "bootloader"]
            subprocess.run(ask, capture_output=True, timeout=60)
            drive = _wait(WAIT_S)
    if not drive:
        raise ToolError(
            f"no drive {LABEL} found: hold BOOTSEL (SKR Pico: put the Boot jumper on and press Reset) while the board"
            " starts, then again; or, if it runs MicroPython: make flash PORT=/dev/ttyACM0;"
            f" or copy {uf2.relative_to(paths.ROOT)} yourself"
        )
    try:
        with (drive / uf2.name).open("wb") as out:
            out.write(uf2.read_bytes())
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        # It restarts with the last block, sometimes before the file is closed.
        if drive.exists() and (drive / INFO).exists():
            raise ToolError(f"writing to {drive} failed: {error.strerror}; try again") from None
    say(f"{uf2.name} is on the board; it starts by itself")


if __name__ == "__main__":
    main(flash)
