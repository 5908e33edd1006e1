"""Adder: 3D-printer firmware in MicroPython."""

VERSION = "0.1.0"
