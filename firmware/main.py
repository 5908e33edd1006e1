"""Starts the firmware: checks the board before a single pin is driven, then serves the host."""

import sys


def main():
    """Never returns, but for a board file that cannot be used and for Ctrl-C while idle; then the REPL follows."""
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

    Printer(board, Hal(), Store()).run()


try:
    main()
except KeyboardInterrupt:
    print("echo:firmware stopped, heaters off; Ctrl-D starts it again")
    sys.exit()
