"""What several handlers need: masks of axis letters, values within limits, tool numbers, texts."""

from adder.errors import Refused

AXES = "XYZE"


def axes(c, letters):
    """Bit mask of the axis letters present: X 1, Y 2, Z 4, E 8; of `letters` only."""
    mask = 0
    for axis in range(4):
        if AXES[axis] in letters and c.has(AXES[axis]):
            mask |= 1 << axis
    return mask


def value(c, letter, decimals, lowest, highest, unit=""):
    """The value of a letter that is present, scaled; Refused if it is missing or outside its (scaled) limits."""
    scale = 10**decimals
    if c.valued(letter):
        number = c.scaled(letter, decimals, 0)
        if lowest <= number <= highest:
            return number
        what = letter + c.show(letter) + " is out of range"
    else:
        what = letter + " has no value"
    raise Refused("%s, should be %d to %d%s" % (what, lowest // scale, highest // scale, unit and " " + unit))


def check_tool(c, letter):
    """Refused unless the letter is absent or names the one tool there is."""
    if c.has(letter) and (not c.valued(letter) or c.scaled(letter, 3, 0)):
        raise Refused("T%s Invalid extruder" % c.show(letter))


def plain(text):
    """Bytes from the host as text that can be sent back: other than printable ASCII becomes '?'."""
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in text]).strip()
