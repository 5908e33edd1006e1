"""Raspberry Pi Pico on a breakout with four A4988-class step sticks. Keys: boards/README.md."""

BOARD = {
    "name": "pico",
    "title": "Raspberry Pi Pico on a breakout",
    "chip": "rp2040",
    # On the module itself: power-save of the regulator, USB voltage sense, LED, VSYS measurement.
    "reserved": (23, 24, 25, 29),
    "axes": {
        "X": {"step": 2, "dir": 3, "enable": 4, "endstop": 14, "driver": "a4988"},
        "Y": {"step": 5, "dir": 6, "enable": 7, "endstop": 15, "driver": "a4988"},
        "Z": {"step": 8, "dir": 9, "enable": 10, "endstop": 16, "driver": "a4988"},
        "E": {"step": 11, "dir": 12, "enable": 13, "driver": "a4988"},
    },
    "heaters": {
        "hotend": {
            "pin": 20, "sensor_pin": 26, "thermistor": "Generic 3950",
            "max_c": 275, "watts": 40,
        },
        "bed": {
            "pin": 21, "sensor_pin": 27, "thermistor": "NTC 100K beta 3950",
            "max_c": 120, "watts": 120,
        },
    },
    "fans": {
        "part": {"pin": 18},
        "hotend": {"pin": 19},
        "board": {"pin": 28, "hz": 0},
    },
    "probe": {"pin": 17},
    "servo": {"pin": 22},
    "neopixel": {"pin": 0, "count": 1},
    "runout": {"pin": 1},
    "defaults": {},
}
