"""Starts the firmware: checks the board before a single pin is driven, then serves the host."""

import gc


def main():
    """Never returns, but for a board file that cannot be used and for Ctrl-C while idle; then the REPL follows."""
    # Takes its memory while there is most of it
    from adder.hal import rings_rp2040  # noqa: F401

    # Collect often while modules are loaded, so that what stays lies close together
    gc.threshold(20000)
    from _board import BOARD

    from adder.board import BoardError, load

    try:
        board = load(BOARD)
    except BoardError as error:
        print("Error:" + str(error))
        return
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
