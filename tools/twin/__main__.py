"""python -m tools.twin: the printer twin as a serial port for Pronterface, OctoPrint and other hosts."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tools import paths
from tools.steps import main

REFRESH_S = 0.25
BAD_INPUT = 2


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.twin", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--board", default=os.environ.get("BOARD") or "skr_pico", help="board file's name")
    parser.add_argument("--image", help="a UF2 to run instead of the one that is built")
    parser.add_argument("--link", default=os.environ.get("LINK") or None, help="make a symbolic link to the port")
    parser.add_argument("--flash", default=os.environ.get("FLASH") or None, help="file that keeps the flash")
    parser.add_argument("--fast", action="store_true", help="run as fast as possible instead of in real time")
    parser.add_argument("--thermal-speed", type=float, default=1.0, help="heat runs so many times faster")
    return parser.parse_args(argv)


class Status:
    """What the twin does, on the screen: live on a terminal, otherwise only what changes."""

    def __init__(self, live_twin, console: Console):
        self._live_twin = live_twin
        self._console = console
        self._shown_at = 0.0
        self._live = Live(self._view(), console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Status:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *exc_info) -> None:
        if self._live:
            self._live.__exit__(*exc_info)

    def update(self) -> None:
        """Show events at once and the figures four times a second."""
        events = self._live_twin.events
        while events:
            self._console.print("%s  %s" % (time.strftime("%H:%M:%S"), events.pop(0)), highlight=False)
        now = time.monotonic()
        if self._live and now - self._shown_at >= REFRESH_S:
            self._shown_at = now
            self._live.update(self._view(), refresh=True)

    def _view(self) -> Table:
        twin, port = self._live_twin.twin, self._live_twin.port
        places = twin.position_mm()
        rows = [
            ("port", "%s, %s" % (port.link or port.path, "open" if port.clients else "closed")),
            ("pace", "%.2f of real time" % self._live_twin.factor),
            ("position", "  ".join("%s %7.2f" % (axis.upper(), places[axis]) for axis in "xyz") + " mm"),
        ]
        for name, heater in twin.heaters.items():
            rows.append((name, "%5.1f \u00b0C, duty %3.0f %%" % (heater.temperature, 100 * heater.duty)))
        rows.append(("bytes", "%d from hosts, %d to hosts" % (self._live_twin.received, self._live_twin.sent)))
        table = Table.grid(padding=(0, 2))
        for name, text in rows:
            table.add_row("[dim]%s[/]" % name, text)
        return table


def _serve(options, image, console) -> None:
    from tools.twin.board_pins import save_flash
    from tools.twin.printer import PrinterTwin
    from tools.twin.serial_port import LiveTwin, PtyPort

    ended = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.append(True))
    port = PtyPort(options.link)
    try:
        with PrinterTwin(image, options.board, options.flash, options.thermal_speed) as twin:
            live = LiveTwin(twin, port, options.fast)
            console.print("Serial port: [bold]%s[/]" % port.path, highlight=False)
            if port.link:
                console.print("also as [bold]%s[/]" % port.link, highlight=False)
            console.print("Open it with any host, any baud rate. Ctrl-C ends the twin.")
            saved, looked_at = 0, time.monotonic()
            with Status(live, console) as status:
                while not ended:
                    live.step()
                    status.update()
                    operations = len(twin.board.flash_chip.operations)
                    if options.flash and operations != saved and time.monotonic() - looked_at > 1:
                        saved, looked_at = operations, time.monotonic()
                        save_flash(options.flash, twin.board)
    finally:
        port.close()
    console.print("Twin switched off.")


def run(argv=None) -> int:
    """The command; gives the exit code."""
    options = _arguments(argv)
    from tools.image import build
    from tools.twin.emulator import Lockup

    if options.thermal_speed <= 0:
        print("error: --thermal-speed is %g, should be above 0" % options.thermal_speed, file=sys.stderr)
        return BAD_INPUT
    if options.board not in paths.board_names():
        names = ", ".join(paths.board_names())
        print("error: there is no boards/%s.py; boards: %s" % (options.board, names), file=sys.stderr)
        return BAD_INPUT
    image = Path(options.image) if options.image else build.image(options.board)
    try:
        _serve(options, image, Console())
    except ValueError as error:
        print("error: %s" % error, file=sys.stderr)
        return BAD_INPUT
    except Lockup as error:
        print("error: the firmware crashed the processor: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    main(run)
