"""BIGTREETECH SKR Pico V1.0: RP2040, four TMC2209 on one UART, two heaters, three fans. Keys: boards/README.md."""

BOARD = {
    "name": "skr_pico",
    "title": "BIGTREETECH SKR Pico V1.0",
    "chip": "rp2040",
    "axes": {
        "X": {
            "step": 11, "dir": 10, "invert_dir": True, "enable": 12, "endstop": 4,
            "driver": "tmc2209", "tmc_address": 0,
        },
        "Y": {
            "step": 6, "dir": 5, "invert_dir": True, "enable": 7, "endstop": 3,
            "driver": "tmc2209", "tmc_address": 2,
        },
        "Z": {
            "step": 19, "dir": 28, "enable": 2, "endstop": 25,
            "driver": "tmc2209", "tmc_address": 1,
        },
        "E": {
            "step": 14, "dir": 13, "invert_dir": True, "enable": 15,
            "driver": "tmc2209", "tmc_address": 3,
        },
    },
    "tmc_uart": {"uart": 1, "tx": 8, "rx": 9, "sense_mohm": 110},
    "heaters": {
        "hotend": {
            "pin": 23, "sensor_pin": 27, "thermistor": "EPCOS 100K B57560G104F",
            "max_c": 285, "watts": 40,
        },
        "bed": {
            "pin": 21, "sensor_pin": 26, "thermistor": "NTC 100K beta 3950",
            "max_c": 120, "watts": 120,
        },
    },
    "fans": {
        "part": {"pin": 17},
        "hotend": {"pin": 18},
        "board": {"pin": 20, "hz": 0},  # shares its PWM slice with the bed, so it is only switched
    },
    "probe": {"pin": 22},
    "servo": {"pin": 29},
    "neopixel": {"pin": 24, "count": 1},
    "runout": {"pin": 16},
    "defaults": {},
}
