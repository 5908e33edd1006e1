"""Runs first, before USB and before anything of a board is known.

A soft reset leaves pins as they were, a heater's too. Every pin goes back to what a hard reset makes of it, an input
that is pulled down: nothing heats, moves or blows until the firmware has checked its board.
"""

from machine import Pin

PINS = 30

for number in range(PINS):
    Pin(number, Pin.IN, Pin.PULL_DOWN)
del number, Pin
