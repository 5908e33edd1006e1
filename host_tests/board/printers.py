"""What the tests of the firmware on the emulated printer share: printers of every kind, programs, what must hold."""

import functools

import numpy as np

from adder.store import Store
from host_tests import littlefs_flash
from tools.image import build
from tools.twin.board_pins import FLASH_SIZE
from tools.twin.expected import Expected
from tools.twin.host import framed
from tools.twin.plan import plan_for
from tools.twin.printer import PrinterTwin

HALTED = "Error:Printer halted. kill() called!"
NEAR = {"x": 6.3, "y": 4.7, "z": 1.1}  # mm from the switch at power-up: homing takes little time
FILES_AT = FLASH_SIZE - 1408 * 1024  # where the file system begins, see mpconfigboard.h
CYCLE_S = 8e-9


@functools.cache
def image(board):
    """Path of a board's image, built if sources changed."""
    return build.image(board)


def flash_with(files):
    """A flash whose file system holds these files, {path: text}."""
    disk = littlefs_flash.Flash(littlefs_flash.blank((FLASH_SIZE - FILES_AT) // littlefs_flash.BLOCK))
    system = littlefs_flash.FileSystem(disk)
    for path, text in files.items():
        with system.open(path, "wb") as stream:
            stream.write(text.encode())
    return b"\xff" * FILES_AT + bytes(disk.data)


def settings_flash(**settings):
    """A flash with saved settings."""
    disk = littlefs_flash.Flash(littlefs_flash.blank((FLASH_SIZE - FILES_AT) // littlefs_flash.BLOCK))
    text = "".join("%s %s\n" % item for item in settings.items())
    assert Store(opener=littlefs_flash.FileSystem(disk).open).write(text)
    return b"\xff" * FILES_AT + bytes(disk.data)


def hooked_flash(code, board="skr_pico"):
    """A flash whose file replaces the module that names the board: `code` runs before the firmware starts."""
    return flash_with({"/_board.py": 'BOARD = "%s"\n%s' % (board, code)})


def printer(board="skr_pico", kinematics="cartesian", start=None, boot=True, **options):
    """A printer with the firmware, its carriages at `start` (mm from the switches), booted."""
    plan = plan_for(board, kinematics)
    for axis in plan.axes:
        if axis.switch is not None:
            axis.start = (start or NEAR)[axis.name]
    if kinematics == "corexy":
        options.setdefault("flash", settings_flash(kinematics=1))
    twin = PrinterTwin(image(board), board, plan=plan, **options)
    if boot:
        twin.boot()
    return twin


def errors(lines):
    """The lines that say that something is wrong."""
    return [line for line in lines if line.startswith(("Error", "!!", "echo:Unknown"))]


def run_program(twin, lines, expected=None, **options):
    """Stream a program and check the motors against the independent model; gives the model.

    Without `expected` the program must begin with motors that made no step since power-up, or home them.
    """
    expected = expected or Expected(twin.machine(limits=dict.fromkeys("xyz", (0.0, 200.0))))
    reference = dict.fromkeys("xyze", 0)
    for sent in twin.streaming(lines, **options):
        if sent is None:
            continue
        expected.feed(sent.text)
        assert not errors(sent.replies), (sent.text, sent.replies)
        if sent.text.startswith("G28"):
            for motor in expected._motors_of(expected.homings[-1][1]):
                reference[motor] = twin.steps(motor).net
    twin.command("M400", timeout=200)
    made = {motor: twin.steps(motor).net - reference[motor] for motor in "xyze"}
    wrong = expected.wrong_motors(made)
    assert not wrong, "motors made %s, expected %s" % (made, expected.net_steps())
    check_drivers(twin)
    return expected


def check_drivers(twin, motors="xyze"):
    """Every step could be made, none was lost at an end, and the driver's times were kept."""
    for motor in motors:
        steps = twin.steps(motor)
        assert steps.ignored == 0, (motor, "steps while off", steps.ignored)
        assert sum(steps.violations.values()) == 0, (motor, steps.violations)
    assert not any(twin.mechanics.lost_steps().values()), twin.mechanics.lost_steps()


def numbered(lines, first=1):
    """Lines with number and checksum, as one piece of bytes."""
    return "".join(framed(text, first + at) + "\n" for at, text in enumerate(lines)).encode()


class HeaterPins:
    """Watches the pins of both heaters from now on: when they were switched on last, in s."""

    def __init__(self, twin):
        self.twin = twin
        self.pins = {heater.name: heater.pin for heater in twin.plan.heaters}
        self.record = twin.board.record(self.pins.values())

    def last_on(self, name):
        """When the pin was high last: now if it is, None if it never was."""
        pin = self.pins[name]
        if self.twin.board.level(pin):
            return self.twin.now
        edges = np.abs(np.array(self.record.edges(pin)))
        return edges[-1] * CYCLE_S if len(edges) else None


def warm(twin, name, degrees):
    """Bring a heater to a temperature at once."""
    model = twin.heater(name).model
    twin.heater(name).catch_up()
    model.block = model.sensor = float(degrees)
