"""Codes for what kind of machine it is: geometry of a delta, calibration of a SCARA."""

from adder import joints
from adder.codes.common import value
from adder.errors import Refused
from adder.kinematics.fixed import DEGREE, rounded

_DELTA = 2
_SCARA = 3
_KINDS = {"M665": (_DELTA,), "M666": (_DELTA, _SCARA), "M365": (_SCARA,)}
_K = (0, 1, 3, 4)  # RepRapFirmware's numbers
_NAMES = ("Cartesian", "CoreXY", "delta", "SCARA")

# Theta and psi of M360 to M364, degrees, as in Morgan's firmware
_POSES = {360: (0, 120), 361: (90, 130), 362: (60, 180), 363: (50, 90), 364: (45, 135)}


def fits(p, code):
    """Whether a code that only some kinematics have is there now."""
    return code not in _KINDS or p.motion.kinematics.number in _KINDS[code]


def _need(p, code, kinds):
    if p.motion.kinematics.number not in kinds:
        raise Refused(
            "%s not available: this printer is %s, should be %s (setting kinematics)"
            % (code, p.motion.kinematics.name, " or ".join([_NAMES[kind] for kind in kinds]))
        )


def _set_or_print(p, c, code):
    _need(p, code, _KINDS[code])
    p.motion.drain()
    if not p.settings.set_from_command(code, c):
        p.out.line(p.settings.code_line(code))


def m669(p, c):
    """M669: another kinematics, from now on. The machine has to be homed anew."""
    if not c.has("K"):
        kind = p.settings.get("kinematics")
        p.out.line("M669 K%d ; %s" % (_K[kind], _NAMES[kind]))
        return
    number = value(c, "K", 0, 0, 4)
    if number not in _K:
        raise Refused("M669 K%d not available: should be 0 Cartesian, 1 CoreXY, 3 delta or 4 SCARA" % number)
    p.motion.drain()
    p.settings.set("kinematics", _K.index(number))


def m665(p, c):
    """M665: geometry of a delta. The machine has to be homed anew after a change."""
    _set_or_print(p, c, "M665")


def m666(p, c):
    """M666: where the switches really are; it counts from the next homing on."""
    _set_or_print(p, c, "M666")


def m365(p, c):
    """M365: scales of a SCARA's coordinates."""
    _set_or_print(p, c, "M365")


def m360(p, c):
    """M360 to M364: the arms in a position that can be seen to be right; P0 says that they are in it now."""
    code = "M%d" % c.number
    _need(p, code, (_SCARA,))
    motion = p.motion
    accept = c.has("P")
    if accept:
        if c.number in (362, 363):
            raise Refused("%s P0 not available: there is nothing to store, should be M360, M361 or M364" % code)
        value(c, "P", 0, 0, 0)
    if motion.homed & 3 != 3:
        raise Refused("%s: X and Y are not homed, should be after G28" % code)
    motion.drain()
    theta, psi = _POSES[c.number]
    if accept:
        _accept(p, c.number)
        return
    p.out.line("echo:%s: theta to %d, psi to %d degrees" % (code, theta, psi))
    speed = motion.setting("home_feedrate_x", 5), motion.setting("home_feedrate_y", 5)
    joints.go(motion, [theta * DEGREE, psi * DEGREE], speed)


def _accept(p, number):
    # The arms are where they should be: what the firmware believes is wrong by so much
    motion = p.motion
    settings = p.settings
    machine = motion.kinematics
    theta, psi = [machine.motor_units(motor, motion.steps(motor) << 12) for motor in range(2)]
    if number == 361:
        steps = rounded(settings.get("steps_per_mm_x") * theta, 90 * DEGREE)
        settings.set("steps_per_mm_x", steps)
        settings.set("steps_per_mm_y", steps)
    elif number == 360:
        settings.set("endstop_trim_x", settings.get("endstop_trim_x") - rounded(theta, 100))
    else:
        off = rounded(theta + 90 * DEGREE - psi, 100)
        settings.set("endstop_trim_y", settings.get("endstop_trim_y") + off)
    motion.homed &= ~3
    code = "M92" if number == 361 else "M666"
    p.out.line("echo:%s; G28 X Y makes it count, M500 keeps it" % settings.code_line(code))

