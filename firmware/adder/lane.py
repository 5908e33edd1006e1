"""The short way: a plain numbered G0 or G1 goes from the line to the planner without waiting in the queue.

Nine lines of ten are such moves. When nothing else waits, one call does here what the scanner (adder/command.py), the
coordinates (adder/frame.py) and the link would do one after the other. Whatever is not plain (an error, a full
planner, a limit, a cold hotend, motors off, inches, an unusual number) is left to the ordinary way, which begins with
the same line: nothing has been changed then.
"""

import sys

import micropython
from micropython import const

from adder.correction import correct
from adder.filament import filament
from adder.planner import plan

if sys.platform == "rp2":
    from adder.hal.scan_thumb import scan_next
else:
    from adder.command import scan_line as scan_next

# The record of adder/command.py, followed by the link's state
_KEY = const(61)
_MASK = const(3)
_VALUED = const(4)
_MANTISSA = const(9)
_DECIMALS = const(35)
_EXPECTED = const(67)
_ACCEPTED = const(68)
_ODD = const(69)
_G0 = const(71 << 20)
_G1 = const((71 << 20) | 16)
_LETTERS = const(0x3800030)  # X Y Z E F

# The state of adder/frame.py
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
_ENABLED = const(27)
_TARGET = const(28)
_VOLUME = const(40)
_FLOW_NEXT = const(43)
_VOLUME_REST = const(42)
_VOLUME_NEXT = const(44)
_CORRECTED = const(45)
_END = const(46)
_NEXT = const(49)
_AUTO_RETRACT = const(56)
_SPEED_MAX = const(0x0FFFFFFF)
_FURTHEST = const(1000000000)  # 10 m
_LONG = const(500000000)  # the ways of two axes in a motor are no more than 10 m
_TOO_MUCH = const(0x3FFFFFFF)
_INCH = const(8)

_CAPACITY = const(60)
_FEED = const(4)  # of the planner's state: percent, 0 on the way to rest


@micropython.viper
def _ways(rec: ptr32, fr: ptr32, rq: ptr32) -> int:
    # Letters -> targets and ways; 1: X, Y or Z move, -1: not plain
    valued = rec[_VALUED]
    if rec[_MASK] != valued or (valued | _LETTERS) != _LETTERS:
        return -1
    modes = fr[_MODES]
    far = 0
    letter = 23
    i = 0
    while i < 4:
        d = 0
        if i == 3:
            letter = 4
            modes = modes >> 1
        target = fr[i]
        if (valued >> letter) & 1:
            d = rec[_MANTISSA + letter]
            k = rec[_DECIMALS + letter]
            if k > 5:
                return -1
            while k < 5:
                if d > 107374182 or d < -107374182:
                    return -1
                d = d * 10
                k += 1
            if modes & 1:
                target += d
            else:
                if i == 3:
                    k = fr[_E_BASE]
                    if k < 0 or k > 20000 or d < 0:
                        if k != 0:
                            return -1
                    d -= k * 100000
                if d > _FURTHEST or d < 0 - _FURTHEST:
                    return -1
                if i < 3:
                    d += fr[_OFFSET + i]
                d -= target
                target += d
            if target > _FURTHEST or target < 0 - _FURTHEST:
                return -1
        if i < 3:
            if d != 0:
                far = 1
            if modes & 4 and (fr[_HOMED] >> i) & 1:
                if target < fr[_LOW + i] or target > fr[_HIGH + i]:
                    return -1
        if d > _LONG or d < 0 - _LONG:
            return -1
        fr[_TARGET + i] = target
        rq[i] = d
        letter += 1
        i += 1
    return far


@micropython.viper
def lane(rec: ptr32, fr: ptr32, state, blocks, request, limits, line: ptr8, length: int) -> int:
    """1: the line was such a move and is in the planner, or there was nothing to move; it needs only its `ok`."""
    # `plan` may be plain Python, so it gets arrays
    pl = ptr32(state)
    rq = ptr32(request)
    if rec[_ODD] != 0 or fr[_COLD] != 0 or fr[_ENABLED] != 15 or line[0] != 78 or pl[_FEED] == 0:
        return 0
    if pl[0] - pl[1] >= _CAPACITY or fr[_KINEMATICS] > 1 or fr[_MODES] & _INCH:
        return 0
    if int(scan_next(line, length, rec, rec[_EXPECTED])) != 0:
        return 0
    if rec[_KEY] != _G1 and rec[_KEY] != _G0:
        return 0
    valued = rec[_VALUED]
    far = int(_ways(rec, fr, request))
    if far < 0:
        return 0
    d = rq[3]
    if fr[_CORRECTED] != 0:
        far = int(correct(fr, rq))
        if far <= 0:
            return 0
    if fr[_AUTO_RETRACT] != 0 and far == 0:
        return 0

    speed = fr[_FEEDRATE]
    if (valued >> 5) & 1:
        # mm/min -> 10 nm/s: 5000 / 3, with three decimals
        speed = rec[_MANTISSA + 5]
        k = rec[_DECIMALS + 5]
        if speed <= 0 or k > 3:
            return 0
        while k < 3:
            if speed > 15000000:
                return 0
            speed = speed * 10
            k += 1
        if speed > 150000000:
            return 0
        speed = speed * 5 // 3

    scaled = 0
    if d != 0 and (fr[_FLOW_PERCENT] != 100 or fr[_VOLUME] != 0):
        d = int(filament(fr, d))
        if d == 0 or d == _TOO_MUCH:
            return 0
        rq[3] = d
        scaled = 1
    fr[_FEEDRATE] = speed
    if far != 0 or d != 0:
        k = rq[0]
        i = rq[1]
        if fr[_KINEMATICS] == 1:
            rq[4] = k + i
            rq[5] = k - i
        else:
            rq[4] = k
            rq[5] = i
        rq[6] = rq[2]
        rq[7] = d
        k = fr[_MIN_PRINT]
        if far == 0:
            rq[9] = fr[_ACCEL_RETRACT]
        elif d != 0:
            rq[9] = fr[_ACCEL_PRINT]
        else:
            rq[9] = fr[_ACCEL_TRAVEL]
            k = fr[_MIN_TRAVEL]
        if speed < k:
            speed = k
        if speed > _SPEED_MAX:
            speed = _SPEED_MAX
        rq[8] = speed
        if int(plan(state, blocks, request, limits)) > 1:
            return 0
        if scaled != 0:
            fr[_FLOW_REST] = fr[_FLOW_NEXT]
            fr[_VOLUME_REST] = fr[_VOLUME_NEXT]
        if fr[_CORRECTED] != 0:
            i = 0
            while i < 3:
                fr[_END + i] = fr[_NEXT + i]
                i += 1
        i = 0
        while i < 4:
            fr[i] = fr[_TARGET + i]
            i += 1
        # Keep E small
        k = fr[3]
        if k > 500000000:
            fr[3] = k - 500000000
            fr[_E_BASE] += 5000
        elif k < -500000000:
            fr[3] = k + 500000000
            fr[_E_BASE] -= 5000
    rec[_EXPECTED] += 1
    rec[_ACCEPTED] += 1
    return 1
