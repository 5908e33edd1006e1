"""Coordinates: from the letters of a G1 to a request to the planner, in viper, without an object made.

Three frames: what G-code says (units, absolute or relative, offsets of G92 and of the tool), the machine's frame (10 nm
from the origin that homing sets), and the motors. The position kept here is that of the end of the queue. Between the
machine's frame and the motors lie adder/correction.py (skew, Z hop) and adder/filament.py (flow, volumetric E).

E has no end: a roll of filament is 330 m, 10 nm units end at 21 m. So E is kept as whole millimetres (`E_BASE`) plus
a small rest, and only the rest takes part in what follows.
"""

from array import array

import micropython
from micropython import const

from adder.correction import correct, drives_at, place_of_drives, set_skew
from adder.errors import Refused
from adder.filament import area, filament, set_volumetric, to_gcode

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("tool_offset_x", "G10 P0", "X", "mm", 3, 0, -500000, 500000, "nozzle's place at the head, X"),
    ("tool_offset_y", "G10 P0", "Y", "mm", 3, 0, -500000, 500000, "nozzle's place at the head, Y"),
    ("tool_offset_z", "G10 P0", "Z", "mm", 3, 0, -500000, 500000, "nozzle's place at the head, Z"),
    # Without a command in M503: to send it back would heat
    ("tool_active_c", "", "", "degC", 0, 0, 0, 500, "hotend's temperature of G10 P0 S"),
    ("tool_standby_c", "", "", "degC", 0, 0, 0, 500, "hotend's temperature of G10 P0 R"),
)

AXES = "XYZE"
X, Y, Z, E = 0, 1, 2, 3
UNIT = 100_000  # 10 nm in a mm
SPEED_MAX = 0x0FFFFFFF  # 10 nm/s

FIELDS = 64
POSITION = 0  # 4 axes, 10 nm; E without its base
OFFSET = 4  # X Y Z of G92: G-code value = position - offset
E_BASE = 7  # mm
MODES = 8
FEEDRATE = 9  # 10 nm/s
HOMED = 10  # bit per axis
LOW = 11  # X Y Z, 10 nm
HIGH = 14
FLOW_PERCENT = 18
FLOW_REST = 19  # hundredths of 10 nm; FLOW_NEXT: after the move that `_ask` has made
ACCEL_PRINT = 20  # mm/s^2
ACCEL_RETRACT = 21
ACCEL_TRAVEL = 22
MIN_PRINT = 23  # 10 nm/s
MIN_TRAVEL = 24
KINEMATICS = 25
COLD = 26  # 1: no extrusion now
ENABLED = 27  # bit per motor that is on
TARGET = 28  # 4 axes
VOLUME = 40  # filament / E = VOLUME / AREA; 0: E is filament
AREA = 41
VOLUME_REST = 42  # shares of 10 nm, AREA in one
FLOW_NEXT = 43
VOLUME_NEXT = 44
CORRECTED = 45  # not 0: drives are elsewhere than POSITION, namely at END
END = 46  # X Y Z
NEXT = 49  # END after the move that `_ask` has made
SKEW_XY = 52  # 10**-9
SKEW_XZ = 53  # with -XY * YZ
SKEW_YZ = 54
HOP = 55  # 10 nm
AUTO_RETRACT = 56  # 1: moves of E alone are retractions (M209)
TOOL_OFFSET = 57  # X Y Z, 10 nm; OFFSET has it already

RELATIVE = 1  # of MODES
RELATIVE_E = 2
SOFT_ENDSTOPS = 4
INCH = 8

# What `resolve` returns: bits, or below zero
MOVES = 1
CLIPPED = 2  # 2 X, 4 Y, 8 Z
TOO_COLD = 16
TOO_FAR = 32  # alone: nothing is to be moved, nothing has changed
RETRACTS = 64  # alone: E alone would move, and M209 makes that a retraction; nothing has changed
WRONG = -1

_POSITION = const(0)
_OFFSET = const(4)
_E_BASE = const(7)
_MODES = const(8)
_FEEDRATE = const(9)
_HOMED = const(10)
_LOW = const(11)
_HIGH = const(14)
_FLOW_PERCENT = const(18)
_FLOW_REST = const(19)
_ACCEL_PRINT = const(20)
_ACCEL_RETRACT = const(21)
_ACCEL_TRAVEL = const(22)
_MIN_PRINT = const(23)
_MIN_TRAVEL = const(24)
_KINEMATICS = const(25)
_COLD = const(26)
_TARGET = const(28)
_VOLUME = const(40)
_VOLUME_REST = const(42)
_FLOW_NEXT = const(43)
_VOLUME_NEXT = const(44)
_CORRECTED = const(45)
_END = const(46)
_NEXT = const(49)
_AUTO_RETRACT = const(56)
_SPEED_MAX = const(0x0FFFFFFF)
_FURTHEST = const(0x3FFFFFFF)
_APART = const(1000000000)  # 10 m: with a value of 10 m and the tool's offset it is still below 2**31
_E_LARGEST_MM = const(1000000000)
_AUTO_LEAST = const(10000)  # M209: 0.1 to 10 mm
_AUTO_MOST = const(1000000)

# The record of adder/command.py
_C_MASK = const(3)
_C_VALUED = const(4)
_C_MANTISSA = const(9)
_C_DECIMALS = const(35)
_LETTERS = const(0x3800030)  # X Y Z E F


@micropython.viper
def _number(cmd: ptr32, letter: int, inch: int, base: int) -> int:
    # The letter's number less `base` whole mm, in 10 nm; 0x3FFFFFFF if it does not fit
    m = cmd[_C_MANTISSA + letter]
    decimals = cmd[_C_DECIMALS + letter]
    negative = 0
    if m < 0:
        negative = 1
        m = 0 - m
    if inch != 0:
        # 25.4 exactly, as long as there is room
        if m > 8000000:
            return _FURTHEST
        m = m * 127
        decimals += 1
        k = 2
    else:
        k = 1
    p = 1
    while decimals > 9:
        m = m // 10
        decimals -= 1
    while decimals > 0:
        p = p * 10
        decimals -= 1
    # k / p of a mm each: whole mm and the rest
    if k == 2:
        whole = m // p * 2
        m = m % p * 2
        whole += m // p
        m = m % p
    else:
        whole = m // p
        m = m % p
    if p > 100000:
        rest = m // (p // 100000)
        if m % (p // 100000) * 2 >= p // 100000:
            rest += 1
    else:
        rest = m * (100000 // p)
    if negative != 0:
        whole = 0 - whole
        rest = 0 - rest
    whole -= base
    if whole > 10000 or whole < -10000:
        return _FURTHEST
    return whole * 100000 + rest


@micropython.viper
def _targets(cmd: ptr32, fr: ptr32) -> int:
    # Fill TARGET and FEEDRATE from the letters; returns MOVES, 0 or WRONG.
    valued = cmd[_C_VALUED]
    if (cmd[_C_MASK] ^ valued) & _LETTERS:
        return -1
    modes = fr[_MODES]
    inch = modes & 8
    moves = 0
    i = 0
    while i < 4:
        letter = 23 + i
        base = 0
        relative = modes & 1
        if i == 3:
            letter = 4
            relative = modes & 2
            if relative == 0:
                base = fr[_E_BASE]
        target = fr[_POSITION + i]
        if (valued >> letter) & 1:
            value = int(_number(cmd, letter, inch, base))
            if value == _FURTHEST:
                return -1
            if relative != 0:
                target += value
                if target > _FURTHEST or target < 0 - _FURTHEST:
                    return -1
            elif i < 3:
                target = value + fr[_OFFSET + i]
                if target > _FURTHEST or target < 0 - _FURTHEST:
                    return -1
            else:
                target = value
            moves = 1
        fr[_TARGET + i] = target
        i += 1
    if (valued >> 5) & 1:
        m = cmd[_C_MANTISSA + 5]
        decimals = cmd[_C_DECIMALS + 5]
        if m <= 0:
            return -1
        # mm/min -> 10 nm/s: 5000 / 3, with three decimals kept
        while decimals > 3:
            m = m // 10
            decimals -= 1
        while decimals < 3 and m < 100000000:
            m = m * 10
            decimals += 1
        if decimals < 3 or m > 150000000:
            m = 150000000
        if inch != 0:
            m = m // 5 * 127
            if m > 150000000 or m < 0:
                m = 150000000
        m = m * 5 // 3
        if m < 1:
            m = 1
        fr[_FEEDRATE] = m
    return moves


@micropython.viper
def _ask(fr: ptr32, rq: ptr32) -> int:
    # TARGET -> the planner's request; returns bits. TOO_FAR when an axis or a motor would go more than 10 m.
    result = 0
    modes = fr[_MODES]
    far = 0
    i = 0
    while i < 3:
        target = fr[_TARGET + i]
        if modes & 4 and (fr[_HOMED] >> i) & 1:
            if target < fr[_LOW + i]:
                target = fr[_LOW + i]
                result |= 2 << i
            elif target > fr[_HIGH + i]:
                target = fr[_HIGH + i]
                result |= 2 << i
            fr[_TARGET + i] = target
        d = target - fr[_POSITION + i]
        if d > _FURTHEST or d < 0 - _FURTHEST:
            return 32
        rq[i] = d
        far |= d
        i += 1
    if fr[_CORRECTED] != 0:
        far = int(correct(fr, rq))
        if far < 0:
            return 32
    x = rq[0]
    y = rq[1]
    if fr[_KINEMATICS] == 1:
        if x + y > _FURTHEST or x + y < 0 - _FURTHEST or x - y > _FURTHEST or x - y < 0 - _FURTHEST:
            return 32
        rq[4] = x + y
        rq[5] = x - y
    else:
        rq[4] = x
        rq[5] = y
    rq[6] = rq[2]
    d = fr[_TARGET + 3] - fr[_POSITION + 3]
    if d > _FURTHEST or d < 0 - _FURTHEST:
        return 32
    fr[_FLOW_NEXT] = fr[_FLOW_REST]
    fr[_VOLUME_NEXT] = fr[_VOLUME_REST]
    if d != 0:
        if fr[_COLD] != 0:
            # The path is made, the filament stays
            result |= 16
            fr[_POSITION + 3] = fr[_TARGET + 3]
            d = 0
        elif far == 0 and fr[_AUTO_RETRACT] != 0 and int(_is_retraction(d)) != 0:
            return 64
        elif fr[_FLOW_PERCENT] != 100 or fr[_VOLUME] != 0:
            d = int(filament(fr, d))
            if d == _FURTHEST:
                return 32
    rq[3] = d
    rq[7] = d
    if far == 0 and d == 0 and fr[_CORRECTED] == 0 and fr[_TARGET + 3] == fr[_POSITION + 3]:
        return result
    # What makes no way in the end is taken all the same, or its remainder would be lost
    return result | int(_pace(fr, rq, far, d))


@micropython.viper
def _is_retraction(d: int) -> int:
    # Whether M209 takes a move of E alone for a retraction or a recovery
    if d < 0:
        d = 0 - d
    if d < _AUTO_LEAST or d > _AUTO_MOST:
        return 0
    return 1


@micropython.viper
def _pace(fr: ptr32, rq: ptr32, far: int, d: int) -> int:
    # Speed and acceleration of a request by its kind; always MOVES
    speed = fr[_FEEDRATE]
    if far == 0:
        rq[9] = fr[_ACCEL_RETRACT]
        least = fr[_MIN_PRINT]
    elif d != 0:
        rq[9] = fr[_ACCEL_PRINT]
        least = fr[_MIN_PRINT]
    else:
        rq[9] = fr[_ACCEL_TRAVEL]
        least = fr[_MIN_TRAVEL]
    if speed < least:
        speed = least
    if speed > _SPEED_MAX:
        speed = _SPEED_MAX
    if speed < 1:
        speed = 1
    rq[8] = speed
    return 1


@micropython.viper
def _take(fr: ptr32):
    # The request was queued: its target is the position now.
    i = 0
    while i < 4:
        fr[_POSITION + i] = fr[_TARGET + i]
        i += 1
    fr[_FLOW_REST] = fr[_FLOW_NEXT]
    fr[_VOLUME_REST] = fr[_VOLUME_NEXT]
    if fr[_CORRECTED] != 0:
        i = 0
        while i < 3:
            fr[_END + i] = fr[_NEXT + i]
            i += 1
    # Keep E small
    e = fr[_POSITION + 3]
    if e > 500000000:
        fr[_POSITION + 3] = e - 500000000
        fr[_E_BASE] += 5000
    elif e < -500000000:
        fr[_POSITION + 3] = e + 500000000
        fr[_E_BASE] -= 5000


class Frame:
    """Position, modes and limits in one array, for the viper code and by name."""

    def __init__(self):
        self.state = array("i", [0] * FIELDS)
        state = self.state
        state[FEEDRATE] = 1500 * UNIT // 60
        state[FLOW_PERCENT] = 100
        self.filament_speed = 0  # highest along a path, 10 nm/s, 0: any

    def resolve(self, c, request):
        """A G0 or G1 into `request`; returns bits: MOVES, CLIPPED.., TOO_COLD. Refused for wrong letters."""
        state = self.state
        result = _targets(c.record, state)
        if result <= 0:
            if result < 0:
                self.explain(c)
            return 0
        result = _ask(state, request)
        if result & TOO_FAR:
            self.explain(c)
        return result

    def taken(self):
        """The request of the last `resolve` was queued."""
        _take(self.state)

    def explain(self, c):
        """Raise Refused with what is wrong with a G0 or G1."""
        for letter in "XYZEF":
            if c.has(letter) and not c.valued(letter):
                raise Refused("%s has no number; leave the letter out or give it one" % letter)
        if c.valued("F") and c.int("F") <= 0:
            raise Refused("F%s: feedrate must be above 0 mm/min" % c.show("F"))
        words = [letter + c.show(letter) for letter in AXES if c.valued(letter)]
        raise Refused("%s: a move must stay within 10 m" % " ".join(words))

    def value(self, axis):
        """Position in G-code's frame, 10 nm."""
        state = self.state
        if axis == E:
            return state[E_BASE] * UNIT + state[E]
        return state[axis] - state[OFFSET + axis]

    def values_at(self, drives, undone):
        """Coordinates in G-code's frame, 10 nm: the drives of X Y Z are there, E has `undone` still to make."""
        state = self.state
        copy = state[0:FIELDS]
        drives_at(copy, drives)
        values = [copy[axis] - state[OFFSET + axis] for axis in range(3)]
        values.append(self.value(E) - to_gcode(state, undone))
        return values

    def declare(self, axis, value):
        """G92: the position has this value (10 nm) in G-code's frame from now on.

        Refused if the frames would be more than 10 m apart, or E beyond 1000 km.
        """
        self.check_declared(axis, value)
        state = self.state
        if axis == E:
            base = value // (5000 * UNIT) * 5000
            state[E_BASE] = base
            state[E] = value - base * UNIT
        else:
            state[OFFSET + axis] = state[axis] - value

    def check_declared(self, axis, value):
        """Refused unless G92 may give the position this value (10 nm)."""
        if axis == E:
            if abs(value) > _E_LARGEST_MM * UNIT:
                raise Refused("G92 E%d is too large, should be within %d mm" % (value // UNIT, _E_LARGEST_MM))
        elif abs(self.state[axis] - value) > _APART:
            raise Refused(
                "G92 %s%s: the machine's origin would be %.0f mm away, should be within 10 m"
                % (AXES[axis], value // UNIT, abs(self.state[axis] - value) / UNIT)
            )

    # From settings

    def configure(self, get):
        """Take over skew, the filament's diameter, automatic retraction and the tool's offset.

        `get(name, decimals)` gives settings. Nothing moves: where a correction changes, the position does.
        """
        state = self.state
        diameter_um = get("filament_diameter", 3)
        set_volumetric(state, diameter_um if get("volumetric", 0) else 0)
        set_skew(state, get("skew_xy", 6), get("skew_xz", 6), get("skew_yz", 6))
        state[AUTO_RETRACT] = get("auto_retract", 0)
        for axis in range(3):
            offset = get("tool_offset_" + "xyz"[axis], 5)
            state[OFFSET + axis] += state[TOOL_OFFSET + axis] - offset
            state[TOOL_OFFSET + axis] = offset
        limit = get("volumetric_limit", 2)
        self.filament_speed = limit * 1000 * 2**20 // area(diameter_um, 20) if limit else 0

    # Places of the drives

    def drives(self):
        """Where the drives of X, Y and Z, and E, are at the end of the queue: 10 nm, corrected."""
        places = place_of_drives(self.state)
        return [places[0], places[1], places[2], self.state[E]]

    def set_drives(self, places):
        """The drives of X, Y and Z are at these places (10 nm) of the machine's frame."""
        drives_at(self.state, places)

    def advance(self, ways):
        """The drives of X, Y and Z and the filament went these ways (10 nm) at the end of the queue."""
        state = self.state
        places = place_of_drives(state)
        for axis in range(3):
            places[axis] += ways[axis]
        drives_at(state, places)
        state[E] += to_gcode(state, ways[3])

    def keep(self):
        """What `advance` changes, for `put_back`."""
        return self.state[0:4], self.state[END : END + 3]

    def put_back(self, kept):
        """Undo what `advance` did since `keep`."""
        self.state[0:4], self.state[END : END + 3] = kept

    def origin(self, axis):
        """X, Y or Z counts from the machine's origin in G-code's frame: no offset but the tool's."""
        self.state[OFFSET + axis] = -self.state[TOOL_OFFSET + axis]

    def mode(self, bit, on):
        """Set or clear RELATIVE, RELATIVE_E, SOFT_ENDSTOPS or INCH."""
        if on:
            self.state[MODES] |= bit
        else:
            self.state[MODES] &= ~bit
