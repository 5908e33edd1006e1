"""The moving part of the printer: carriages with ends, endstop switches, steps that get lost.

Motors count in steps, carriages in half steps: with CoreXY one motor step moves X and Y by half a step
each, and half steps keep that exact. A Cartesian motor step is two half steps of its own axis.

The board's pins call back only where something happens (a switch changes, a carriage meets an end), so
ordinary motion costs nothing here, whatever the step rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from .pins import Pins

HALF = 2  # half steps per step
FAR = 1 << 40


@dataclass
class AxisPlan:
    """One axis of the machine, in mm. The endstop switch sits at `switch`; None: the axis has none."""

    name: str
    steps_per_mm: float
    low: float = -1e6
    high: float = 1e6
    start: float = 0.0
    switch: float | None = None
    switch_side: int = -1  # -1: closed at and below its place, +1: at and above
    switch_pin: int | None = None
    closed_level: int = 1


@dataclass
class MotorPlan:
    """One stepper driver: its pins and the levels that mean 'positive' and 'enabled'."""

    name: str
    step: int
    direction: int
    enable: int | None = None
    positive_level: int = 1
    enable_level: int = 0


class Carriage:
    """One axis: where it is, its ends and its switch. Positions in half steps."""

    def __init__(self, plan: AxisPlan):
        self.plan = plan
        self.low = self._half(plan.low)
        self.high = self._half(plan.high)
        self.position = self._half(plan.start)
        self.switch = None if plan.switch is None else self._half(plan.switch)
        self.stuck: bool | None = None
        self.lost = 0
        if not self.low <= self.position <= self.high:
            raise ValueError(
                "axis %s starts at %g mm, outside its ends %g..%g mm" % (plan.name, plan.start, plan.low, plan.high)
            )

    def _half(self, mm: float) -> int:
        return HALF * round(mm * self.plan.steps_per_mm)

    def mm(self) -> float:
        """Position in mm; 0 is where the plan says, normally the switch."""
        return self.position / HALF / self.plan.steps_per_mm

    def closed(self) -> bool:
        """Whether the switch reads closed, stuck switches included."""
        if self.stuck is not None:
            return self.stuck
        if self.switch is None:
            return False
        if self.plan.switch_side < 0:
            return self.position <= self.switch
        return self.position >= self.switch

    def room(self) -> tuple[int, int]:
        """Half steps down and up until something happens: the switch changes or an end is overrun."""
        down, up = self.position - self.low + 1, self.high - self.position + 1
        if self.switch is not None:
            # The first position on the other side of the switch's edge, seen from here.
            edge = self.switch if self.plan.switch_side < 0 else self.switch - 1
            if self.position <= edge:
                up = min(up, edge + 1 - self.position)
            else:
                down = min(down, self.position - edge)
        return down, up


class Mechanics:
    """All axes and motors. `kinematics` is "cartesian" or "corexy" (motors x and y are A and B)."""

    def __init__(self, pins: Pins, axes, motors, kinematics: str = "cartesian"):
        if kinematics not in ("cartesian", "corexy"):
            raise ValueError("kinematics is %r, must be cartesian or corexy" % (kinematics,))
        self._pins = pins
        self.kinematics = kinematics
        self.carriages = {plan.name: Carriage(plan) for plan in axes}
        self.motors = {plan.name: plan for plan in motors}
        self._numbers: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._name_of: dict[int, str] = {}
        self._groups = self._make_groups()
        self._levels: dict[str, int] = {}
        for plan in motors:
            number = pins.add_motor(
                plan.step,
                plan.direction,
                plan.enable,
                plan.positive_level,
                plan.enable_level,
                self._on_motor,
            )
            self._numbers[plan.name] = number
            self._name_of[number] = plan.name
            self._seen[plan.name] = pins.motor_position(number)
        for name in self.carriages:
            self._show_switch(name)
        for motors_of_group, _ in set(self._groups.values()):
            self._arm(motors_of_group)

    def _make_groups(self):
        """Motor name -> (motors that move together, axes that they move)."""
        groups = {}
        for name in self.motors:
            pair = ("x", "y")
            if self.kinematics == "corexy" and name in pair:
                groups[name] = (pair, pair)
            else:
                groups[name] = ((name,), (name,))
        return groups

    def _shares(self, motor: str):
        """Half steps that one positive step of a motor moves each axis."""
        if self.kinematics == "corexy" and motor in ("x", "y"):
            return (("x", 1), ("y", 1 if motor == "x" else -1))
        return ((motor, HALF),)

    # Events from the pins

    def _on_motor(self, number: int, position: int) -> None:
        name = self._name_of[number]
        last = 1 if position > self._seen[name] else -1
        self._take_in(self._groups[name][0], name, last)

    def sync(self) -> None:
        """Bring all carriages up to date with their motors."""
        for motors_of_group, _ in set(self._groups.values()):
            self._take_in(motors_of_group)

    def _take_in(self, names, reporting: str | None = None, last: int = 0) -> None:
        """Move the axes of a group as its motors did since the last time.

        The watches see to it that nothing happened before the last step of the motor that reports now. So
        all other steps can be taken together, in whatever order they were made; that last one may meet
        an end.
        """
        axes = self._groups[names[0]][1]
        for name in names:
            position = self._pins.motor_position(self._numbers[name])
            moved = position - self._seen[name]
            self._seen[name] = position
            if name == reporting:
                moved -= last
            for axis, share in self._shares(name):
                self.carriages[axis].position += moved * share
        if reporting:
            self._last_step(reporting, last)
        for axis in axes:
            self._show_switch(axis)
        self._arm(names)

    def _last_step(self, motor: str, step: int) -> None:
        """One step, or none: a motor against an end stands still for all axes that it drives."""
        shares = self._shares(motor)
        for axis, share in shares:
            carriage = self.carriages[axis]
            if not carriage.low <= carriage.position + step * share <= carriage.high:
                carriage.lost += 1
                return
        for axis, share in shares:
            self.carriages[axis].position += step * share

    def _arm(self, names) -> None:
        """Set the watches so that no event of these axes can pass unseen.

        With two motors on an axis each may use up half of the way to the event before it must report.
        """
        for name in names:
            down = up = FAR
            for axis, share in self._shares(name):
                axis_down, axis_up = self.carriages[axis].room()
                if share < 0:
                    axis_down, axis_up = axis_up, axis_down
                users = len(names) * abs(share)
                down = min(down, max(1, axis_down // users))
                up = min(up, max(1, axis_up // users))
            seen = self._seen[name]
            self._pins.watch_motor(self._numbers[name], seen - down, seen + up)

    # Switches

    def _show_switch(self, axis: str) -> None:
        carriage = self.carriages[axis]
        pin = carriage.plan.switch_pin
        if pin is None:
            return
        closed_level = carriage.plan.closed_level
        level = closed_level if carriage.closed() else 1 - closed_level
        if self._levels.get(axis) != level:
            self._levels[axis] = level
            self._pins.set_input(pin, level)

    def stick_switch(self, axis: str, closed: bool | None) -> None:
        """Fault: the switch stays closed (True) or open (False); None repairs it."""
        self.sync()
        self.carriages[axis].stuck = closed
        self._show_switch(axis)

    # Reading

    def position_mm(self) -> dict[str, float]:
        """Where the carriages really are, in mm."""
        self.sync()
        return {name: carriage.mm() for name, carriage in self.carriages.items()}

    def motor_steps(self, name: str) -> int:
        """Steps that a motor made so far while its driver was on, signed."""
        return self._pins.motor_position(self._numbers[name])

    def lost_steps(self) -> dict[str, int]:
        """Steps that moved nothing because a carriage stood at an end, per axis."""
        self.sync()
        return {name: carriage.lost for name, carriage in self.carriages.items()}

    def place(self, axis: str, mm: float) -> None:
        """Put a carriage somewhere by hand (motors off, or before power-up)."""
        self.sync()
        carriage = self.carriages[axis]
        if not carriage.plan.low <= mm <= carriage.plan.high:
            raise ValueError(
                "%s cannot be at %g mm, its ends are %g..%g mm" % (axis, mm, carriage.plan.low, carriage.plan.high)
            )
        carriage.position = carriage._half(mm)
        for names, axes in set(self._groups.values()):
            if axis in axes:
                self._show_switch(axis)
                self._arm(names)
