"""A board as the firmware knows it. The checks that its file has to pass are in adder/board.py, which is not kept."""

BOARD_KEYS = (
    "name", "title", "chip", "pins", "axes", "heaters", "fans", "probe", "servo", "neopixel", "runout", "tmc_uart",
    "defaults",
)


class Part:
    """One part of a board: its keys as attributes, `name` how messages call it."""

    def __init__(self, name):
        self.name = name


class Board:
    """A checked board.

    `name`, `title`, `chip`; `axes` list of parts in the order X Y Z E (`letter`, `step`, `dir`, ...); `heaters` and
    `fans` lists of parts with `name`; `probe`, `servo`, `neopixel`, `runout`, `tmc_uart` a part or None; `defaults`
    {setting name: value in the setting's unit}; `pins` {GPIO: what it is used for}.
    """

    def axis(self, letter):
        """The part of axis "X", "Y", "Z" or "E"."""
        return self.axes["XYZE".index(letter)]

    def heater(self, name):
        """The heater part of that name, or None if the board has none."""
        return _find(self.heaters, name)

    def fan(self, name):
        """The fan part of that name, or None if the board has none."""
        return _find(self.fans, name)


def _find(parts, name):
    for part in parts:
        if part.name == name:
            return part
    return None
