"""Codes that report: temperatures, position, firmware, endstops."""

from adder import VERSION
from adder.codes.common import check_tool, plain
from adder.heat import degrees
from adder.report import millimetres

# Everything a host may ask for, and whether it works.
_CAPABILITIES = (
    ("SERIAL_XON_XOFF", 0),
    ("BINARY_FILE_TRANSFER", 0),
    ("EEPROM", 1),
    ("VOLUMETRIC", 1),
    ("AUTOREPORT_POS", 0),
    ("AUTOREPORT_TEMP", 1),
    ("AUTOREPORT_SD_STATUS", 0),
    ("PROGRESS", 0),
    ("PRINT_JOB", 0),
    ("AUTOLEVEL", 0),
    ("RUNOUT", 0),
    ("Z_PROBE", 0),
    ("LEVELING_DATA", 0),
    ("BUILD_PERCENT", 0),
    ("SOFTWARE_POWER", 0),
    ("TOGGLE_LIGHTS", 0),
    ("CASE_LIGHT_BRIGHTNESS", 0),
    ("EMERGENCY_PARSER", 1),
    ("BUSY_PROTOCOL", 1),
    ("HOST_ACTION_COMMANDS", 0),
    ("PROMPT_SUPPORT", 0),
    ("SDCARD", 0),
    ("EXTENDED_M20", 0),
    ("LFN_WRITE", 0),
    ("LONG_FILENAME", 0),
    ("THERMAL_PROTECTION", 1),
    ("MOTION_MODES", 0),
    ("ARCS", 1),
    ("BABYSTEPPING", 1),
    ("CHAMBER_TEMPERATURE", 0),
    ("COOLER_TEMPERATURE", 0),
    ("MEATPACK", 0),
)


def m105(p, c):
    """M105: temperatures in one line with the ok; S2 and S3: the printer's state as JSON, then the ok."""
    check_tool(c, "T")
    kind = c.int("S", 0)
    if kind == 2 or kind == 3:
        p.out.line(_json(p, kind == 3))
        return False
    p.out.line("ok " + p.report.temperatures())
    return True


def _json(p, fixed):
    # The bed comes first in lists of heaters. What this printer has not got is 0.
    motion = p.motion
    heaters = [p.heat.by_name("bed"), p.heat.by_name("hotend")]
    words = [
        ("status", '"B"' if motion.busy() or len(p.queue) > 1 else '"I"'),
        ("heaters", _list([degrees(h.temperature_cc) if h else "0.0" for h in heaters])),
        ("active", _list([degrees(h.target_cc) if h else "0.0" for h in heaters])),
        ("standby", "[0.0,0.0]"),
        ("hstat", _list(["2" if h and h.target_cc else "0" for h in heaters])),
        ("pos", _list([millimetres(motion.position_u(axis)) for axis in range(3)])),
        ("extr", _list([millimetres(motion.position_u(3))])),
        ("sfactor", "%d.00" % motion.feed_percent),
        ("efactor", "[%d.00]" % motion.flow_percent),
        ("tool", "0"),
        ("probe", '"0"'),
        ("fanRPM", "0"),
        ("homed", _list([str(motion.homed >> axis & 1) for axis in range(3)])),
        ("fraction_printed", "0.0"),
    ]
    if fixed:
        words += [
            ("myName", '"%s"' % plain(p.board.title.encode()).replace('"', "'").replace("\\", "/")),
            ("firmwareName", '"Adder %s"' % VERSION),
            ("axes", "3"),
            ("numTools", "1"),
        ]
    return "{" + ",".join(['"%s":%s' % word for word in words]) + "}"


def _list(texts):
    return "[" + ",".join(texts) + "]"


def m114(p, c):
    """M114: where the queued moves end, and where the motors are now.

    D: the same in detail. E: the extruder's motor. R: where the axes are now, by their motors.
    """
    motion = p.motion
    if c.has("D"):
        p.out.line(p.report.position())
        for line in _detail(motion):
            p.out.line(line)
    elif c.has("E"):
        p.out.line("Count E:%d" % motion.steps(3))
    elif c.has("R"):
        p.out.line(p.report.position(motion.real_position_u()))
    else:
        p.out.line(p.report.position())


def _detail(motion):
    # Marlin's names: G-code's frame, the machine's, motors, and what follows from the motors
    real = motion.real_position_u()
    planned = [motion.position_u(axis) for axis in range(4)]
    yield "Logical:" + _axes(planned[:3])
    yield "Raw:    " + _axes(motion.frame.state[0:3])
    yield "Stepper:" + "".join([" %s: %d" % ("XYZE"[motor], motion.steps(motor)) for motor in range(4)])
    yield "FromStp:" + _axes(real)
    yield "Diff:   " + _axes([real[axis] - planned[axis] for axis in range(4)])


def _axes(units):
    # Three decimals; a place for the sign
    text = ""
    for axis in range(len(units)):
        um = (abs(units[axis]) + 50) // 100
        sign = "-" if units[axis] < 0 and um else " "
        text += " %s:%s%d.%03d" % ("XYZE"[axis], sign, um // 1000, um % 1000)
    return text


def m115(p, c):
    """M115: name, version, what works."""
    if c.has("V"):
        p.out.line("Adder " + VERSION)
        return
    p.out.line(
        "FIRMWARE_NAME:Adder %s (G-code of Marlin 2.1) PROTOCOL_VERSION:1.0 MACHINE_TYPE:%s EXTRUDER_COUNT:1 UUID:%s"
        % (VERSION, plain(p.board.title.encode()).replace(":", " "), uuid(p.hal.unique_id()))
    )
    for name, works in _CAPABILITIES:
        p.out.line("Cap:%s:%d" % (name, works))


def uuid(unique_id):
    """A chip's number as a UUID, zeros in front."""
    digits = "".join(["%02x" % byte for byte in unique_id])
    digits = ("0" * 32 + digits)[-32:]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def m119(p, c):
    """M119: endstops, at the end of the axis where each is used."""
    p.out.line("Reporting endstop status")
    for axis in range(3):
        state = p.motion.endstop(axis)
        if state is not None:
            name = "xyz"[axis]
            end = "max" if p.settings.get("home_to_max_" + name) else "min"
            p.out.line("%s_%s: %s" % (name, end, "TRIGGERED" if state else "open"))
