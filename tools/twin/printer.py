"""The printer twin: an emulated board with a printer around it.

    with PrinterTwin(image, board="skr_pico") as twin:
        twin.boot()
        twin.command("G28")
        twin.stream(["G1 X10 F6000", "M400"])
        twin.position_mm()["x"]            # 10.0: where the carriage really is
        twin.steps("x").net                # step edges on the pin, with their signs
        twin.temperature("hotend")

Times are s of emulated time since power-up unless a name ends in `_ns`. Lengths mm, temperatures degC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from .board_pins import FLASH_SIZE, BoardPins, BoardWire, load_flash, save_flash
from .emulator import Board
from .expected import Machine
from .heaters import FilamentFlow, HeaterTwin
from .host import SHORTEST_S, Host, Sent, StreamCount
from .mechanics import Mechanics
from .pins import Pins
from .plan import PrinterPlan, plan_for
from .step_record import Recorder, Steps
from .trajectory import Track

BOOT_TIMEOUT_S = 10.0


@dataclass
class Snapshot:
    """The state of the whole printer at one moment."""

    time: float
    steps: dict[str, int]
    total_steps: dict[str, int]
    position: dict[str, float]
    lost: dict[str, int]
    temperatures: dict[str, float]
    duties: dict[str, float]
    violations: dict[str, dict[str, int]] = field(default_factory=dict)


class Surroundings:
    """Everything around the pins of a board: mechanics, heaters, recorders. Needs no chip, only `Pins`."""

    def __init__(self, pins: Pins, plan: PrinterPlan, thermal_speed: float = 1.0, ambient: float = 22.0, seed: int = 1):
        self.pins = pins
        self.plan = plan
        self.recorder = Recorder(pins, plan.motors, plan.timing)
        self.mechanics = Mechanics(pins, plan.axes, plan.motors, plan.kinematics)
        flow = FilamentFlow(lambda: self.mechanics.motor_steps("e"), plan.steps_per_mm["e"])
        self.heaters = {
            heater.name: HeaterTwin(
                pins, heater, thermal_speed, ambient, seed + number, flow if heater.name == "hotend" else None
            )
            for number, heater in enumerate(plan.heaters)
        }
        self._connect_fan()

    def _connect_fan(self) -> None:
        """The part fan blows at the hotend as well."""
        for heater in self.heaters.values():
            pin = heater.plan.fan_pin
            if pin is None:
                continue

            def on_fan(time_ns, duty, heater=heater):
                heater.set_fan(time_ns, 1.0 - duty if heater.plan.fan_inverted else duty)

            self.pins.watch_duty(pin, on_fan)

    def fan(self, name: str) -> float:
        """Duty of a fan, 0..1."""
        pin, inverted = self._known(self.plan.fans, name, "fan")
        duty = self.pins.duty(pin)
        return 1.0 - duty if inverted else duty

    def heater(self, name: str) -> HeaterTwin:
        """A heater by its name."""
        return self._known(self.heaters, name, "heater")

    def _known(self, table: dict, name: str, what: str):
        if name not in table:
            raise KeyError("no %s %r on this printer; it has %s" % (what, name, ", ".join(table)))
        return table[name]

    def snapshot(self) -> Snapshot:
        """The whole state now."""
        steps = {name: self.recorder.steps(name) for name in self.recorder.names}
        return Snapshot(
            time=self.pins.now_ns() / 1e9,
            steps={name: record.net for name, record in steps.items()},
            total_steps={name: record.total for name, record in steps.items()},
            position=self.mechanics.position_mm(),
            lost=self.mechanics.lost_steps(),
            temperatures={name: heater.temperature for name, heater in self.heaters.items()},
            duties={name: heater.duty for name, heater in self.heaters.items()},
            violations={name: record.violations for name, record in steps.items()},
        )


class PrinterTwin(Surroundings):
    """An emulated board running an image, with the printer around it.

    `image`: path of a UF2. `flash`: path of a file that keeps the flash between runs, bytes to begin with, or None.
    `thermal_speed` makes heat run faster than time. `plan`: another printer than `plan_for(board)`.
    """

    def __init__(
        self,
        image,
        board: str = "skr_pico",
        flash=None,
        thermal_speed: float = 1.0,
        plan: PrinterPlan | None = None,
        ambient: float = 22.0,
        seed: int = 1,
        kinematics: str = "cartesian",
    ):
        plan = plan or plan_for(board, kinematics)
        content = flash if flash is None or isinstance(flash, bytes) else load_flash(flash)
        self._flash_file = None if isinstance(flash, bytes) else flash
        self.board = Board(image, content, FLASH_SIZE, seed)
        super().__init__(BoardPins(self.board), plan, thermal_speed, ambient, seed)
        self.wire = BoardWire(self.board)
        self.host = Host(self.wire)
        self.count = StreamCount()

    def __enter__(self) -> PrinterTwin:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    def close(self) -> None:
        """Power off; keeps the flash if a file was given for it."""
        if self._flash_file:
            save_flash(self._flash_file, self.board)
        self.board.close()

    # Talking to it

    def boot(self, timeout: float = BOOT_TIMEOUT_S) -> list[str]:
        """Run until the firmware says `start`; gives the lines up to that."""
        return self.host.wait_for("start", timeout)

    def send(self, line: str) -> None:
        """Send a line without waiting for anything."""
        self.host.send(line)

    def command(self, line: str, timeout: float = 60.0) -> list[str]:
        """Send a line; gives its reply lines, `ok` last. `timeout` in emulated s."""
        return self.host.command(line, timeout)

    def stream(
        self, lines: Iterable[str], numbered: bool = True, checksums: bool = True, timeout: float = 60.0
    ) -> list[Sent]:
        """Send lines as a host does, resends included; gives every line with its replies. Figures: `count`."""
        return [sent for sent in self.streaming(lines, numbered, checksums, timeout) if sent]

    def streaming(
        self, lines: Iterable[str], numbered: bool = True, checksums: bool = True, timeout: float = 60.0
    ) -> Iterator[Sent | None]:
        """The same, line by line as the answers come; None about every 50 ms of waiting."""
        self.count = StreamCount()
        return self.host.stream(lines, numbered, checksums, timeout, self.count)

    def run(self, seconds: float) -> list[str]:
        """Let emulated time pass; gives the lines that came meanwhile."""
        end = self.now + seconds
        lines = []
        while (left := end - self.now) > SHORTEST_S:
            line = self.host.next_line(left)
            if line:
                lines.append(line.text)
        return lines

    def run_until(self, condition: Callable[[], bool], timeout: float, slice_s: float = 0.01) -> bool:
        """Run until a condition holds, looked at every `slice_s`; False if it did not in time."""
        end = self.now + timeout
        while not condition():
            if self.now >= end:
                return False
            self.board.run(slice_s)
        return True

    @property
    def now(self) -> float:
        """Emulated time."""
        return self.pins.now_ns() / 1e9

    # Looking at it

    def steps(self, motor: str) -> Steps:
        """The steps of a motor so far: `.net`, `.total`, `.ignored`, `.violations`."""
        return self.recorder.steps(motor)

    def edges(self, motor: str) -> tuple[np.ndarray, np.ndarray]:
        """Step edges of a motor: times in ns (int64) and +1/-1."""
        steps = self.recorder.steps(motor)
        return steps.times, steps.signs

    def position_mm(self) -> dict[str, float]:
        """Where the carriages really are, 0 at the switch."""
        return self.mechanics.position_mm()

    def temperature(self, heater: str) -> float:
        """True temperature of a heater's block."""
        return self.heater(heater).temperature

    def heater_on(self, heater: str) -> bool:
        """Whether the pin of a heater is on at all (duty above 0)."""
        return self.heater(heater).duty > 0.0

    def break_heater(self, heater: str, fault: str | None) -> None:
        """Fault of a heater or its sensor, one of `thermal.FAULTS`; None repairs it."""
        self.heater(heater).break_part(fault)

    def stick_switch(self, axis: str, closed: bool | None) -> None:
        """The endstop of an axis stays closed (True) or open (False); None repairs it."""
        self.mechanics.stick_switch(axis, closed)

    def track(self, since_ns: int = -1, origin_mm: dict[str, float] | None = None) -> Track:
        """Motion since a time, rebuilt from the edges; `origin_mm`: where the axes were then."""
        records = {name: self.recorder.steps(name).after(since_ns) for name in self.recorder.names}
        return Track(records, self.plan.steps_per_mm, self.plan.kinematics, origin_mm)

    def machine(self, **changes) -> Machine:
        """This printer for `expected.Expected`."""
        machine = Machine(steps_per_mm=dict(self.plan.steps_per_mm), kinematics=self.plan.kinematics)
        for name, value in changes.items():
            setattr(machine, name, value)
        return machine
