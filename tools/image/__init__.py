"""Builds MicroPython: mpy-cross, the unix port, and images for RP2040 with the firmware frozen in."""
