"""Starts the firmware: checks the board before a single pin is driven, then serves the host."""

import gc
import sys


def checked_board():
    """The checked data of the board file; None, with a line that says why, if it cannot be used."""
    from _board import BOARD

    from adder.board import BoardError, load

    try:
        return load(BOARD)
    except BoardError as error:
        print("Error:" + str(error))
        return None


def main():
    """Never returns, but for a board file that cannot be used and for Ctrl-C while idle; then the REPL follows."""
    import adder

    # Takes its memory while there is most of it
    from adder.hal import rings_rp2040  # noqa: F401

    # Collect often while modules are loaded, so that what stays lies close together
    gc.threshold(20000)
    board = checked_board()
    if board is None:
        return
    # The checks are not needed any more; where code is not frozen they are 10 KB of RAM
    del sys.modules["adder.board"], adder.board
    from adder.hal.rp2040 import Hal
    from adder.printer import Printer
    from adder.store import Store

    printer = Printer(board, Hal(), Store())
    gc.threshold(-1)
    printer.run()


try:
    main()
except KeyboardInterrupt:
    print("echo:firmware stopped, heaters off; machine.reset() starts it again")
