"""From the rows of a dry run to its figures. Lengths mm, times s, speeds mm/s, accelerations mm/s^2, volumes mm^3."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np

from .motors import step_rates
from .run import AXES, DryRun
from .stepless import HOMING, MOTION, ROW, UNIT_S

FILAMENT_MM = 1.75
PLA = 1.24  # g/cm3
LAYER_MM = 0.04  # a smaller step in Z is no new layer
_GRAVE = {"halt": 0, "refused": 1, "remark": 2}
_V2 = 1 / 256  # (mm/s)^2


@dataclass
class Layer:
    """One layer: the line where it begins, its height, how long it takes with dwells and rests, and its filament."""

    number: int
    line: int
    z_mm: float | None
    seconds: float
    filament_mm: float


@dataclass
class Axis:
    """The most that an axis does, each with the line where it does so; `limit_...` as set at the end of the file."""

    name: str
    speed: float = 0.0
    speed_line: int = 0
    limit_speed: float = 0.0
    acceleration: float = 0.0
    acceleration_line: int = 0
    limit_acceleration: float = 0.0
    step_rate: float = 0.0
    step_rate_line: int = 0
    limit_step_rate: float = 0.0


@dataclass
class Figures:
    """All that a dry run found. Boxes: {axis: (lowest, highest)} of X Y Z, or None."""

    file: str = ""
    board: str = ""
    lines: int = 0
    commands: int = 0
    moves: int = 0
    print_s: float = 0.0  # moves, with the next two
    starting_s: float = 0.0
    settling_s: float = 0.0
    starts: int = 0
    homing_s: float = 0.0
    heating_s: float = 0.0
    dwell_s: float = 0.0
    waiting_s: float = 0.0
    box: dict | None = None
    box_extruding: dict | None = None
    extruding_mm: float = 0.0
    travel_mm: float = 0.0
    filament_mm: float = 0.0
    filament_mm3: float = 0.0
    filament_g: float = 0.0
    filament_diameter_mm: float = FILAMENT_MM
    filament_density: float = PLA
    flow_mm3_s: float = 0.0
    flow_line: int = 0
    tool_speed: float = 0.0
    tool_speed_line: int = 0
    moves_in_a_second: int = 0
    axes: list[Axis] = field(default_factory=list)
    before_layers_s: float = 0.0
    layers_by: str = "marks"
    layers: list[Layer] = field(default_factory=list)
    hits: list = field(default_factory=list)
    halted_at: int | None = None
    spent_s: float = 0.0
    lines_per_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Everything from the first line to the end of the last move."""
        return self.print_s + self.homing_s + self.heating_s + self.dwell_s + self.waiting_s

    def as_json(self) -> dict:
        """Plain data; `total_s` with it."""
        data = asdict(self)
        data["total_s"] = self.total_s
        data["hits"] = [asdict(hit) | {"text": str(hit)} for hit in self.hits]
        return _rounded(data)


def _rounded(value):
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


class Moves:
    """The blocks of a run as arrays, by ROW's names and what follows from them; `waits` put in between in time.

    `begin`, `end`: s from the first line; `v0 v1 v2`: speed along the path at the block's beginning, in the cruise, and
    at its end; `across`: way in X Y Z; `extrudes`: filament comes while X or Y moves.
    """

    def __init__(self, run: DryRun):
        rows = np.array(memoryview(run.printer.feeder.rows), copy=False).reshape(-1, len(ROW))
        for index, name in enumerate(ROW):
            setattr(self, name, rows[:, index])
        self.count = len(rows)
        self.length_mm = self.length / 1e5
        self.ways = np.stack([self.dx, self.dy, self.dz, self.de], axis=1) / 1e5 if self.count else np.zeros((0, 4))
        self.ends = np.stack([self.x, self.y, self.z], axis=1) / 1e5 if self.count else np.zeros((0, 3))
        self.steps = np.stack([self.steps_x, self.steps_y, self.steps_z, self.steps_e], axis=1)
        self.accel = self.accel / 256
        self.seconds = (self.up + self.cruise + self.down) * UNIT_S
        self.v0 = np.sqrt(self.entry_v2 * _V2)
        self.v2 = np.sqrt(self.leave_v2 * _V2)
        self.v1 = np.minimum(self.speed / 1e5, np.sqrt((self.entry_v2 + self.leave_v2 + self.gain_v2) / 2 * _V2))
        self.printing = self.kind == MOTION
        self.across = np.linalg.norm(self.ways[:, :3], axis=1)
        self.extrudes = self.printing & (self.ways[:, 3] > 0) & (np.abs(self.ways[:, :2]).max(axis=1, initial=0) > 0)
        waited = np.zeros(self.count + 1)
        for _, _, seconds, rows_before in run.printer.waits:
            waited[rows_before // len(ROW)] += seconds
        self.end = np.cumsum(self.seconds) + np.cumsum(waited)[:-1]
        self.begin = self.end - self.seconds

    def starts(self):
        """Where every block begins, X Y Z in mm."""
        return self.ends - self.ways[:, :3]


def collect(run: DryRun, moves: Moves, file: str = "", diameter_mm: float = 0.0, density: float = 0.0) -> Figures:
    """All figures of a run that has ended."""
    values = run.comments.values
    diameter = diameter_mm or values.get("diameter_mm", FILAMENT_MM)
    figures = Figures(
        file=file,
        board=run.printer.board.name,
        lines=len(run.lines),
        commands=run.commands,
        moves=int(moves.printing.sum()),
        print_s=float(moves.seconds[moves.printing].sum()),
        homing_s=float(moves.seconds[moves.kind == HOMING].sum()),
        filament_diameter_mm=diameter,
        filament_density=density or values.get("density", PLA),
        hits=sorted(run.hits.values(), key=lambda hit: (_GRAVE.get(hit.what, len(_GRAVE)), hit.lines[0])),
        halted_at=run.halted_at,
        spent_s=run.spent_s,
        lines_per_s=len(run.lines) / max(run.spent_s, 1e-6),
    )
    for _, kind, seconds, _ in run.printer.waits:
        setattr(figures, kind + "_s", getattr(figures, kind + "_s") + seconds)
        figures.starts += kind == "starting"
    figures.print_s += figures.starting_s + figures.settling_s
    _add_ways(figures, moves, math.pi / 4 * diameter**2)
    _add_axes(figures, run, moves)
    _add_layers(figures, run, moves)
    return figures


def _box(moves: Moves, which) -> dict | None:
    if not which.any():
        return None
    ends = np.concatenate([moves.starts()[which], moves.ends[which]])
    return {axis: (float(ends[:, i].min()), float(ends[:, i].max())) for i, axis in enumerate("XYZ")}


def _most(values, which, lines):
    # Highest value and its line
    if not which.any():
        return 0.0, 0
    at = int(np.argmax(np.where(which, values, -1)))
    return float(values[at]), int(lines[at])


def _add_ways(figures: Figures, moves: Moves, area: float) -> None:
    travels = moves.printing & ~moves.extrudes
    figures.box = _box(moves, moves.printing & (moves.across > 0))
    figures.box_extruding = _box(moves, moves.extrudes)
    figures.extruding_mm = float(moves.across[moves.extrudes].sum())
    figures.travel_mm = float(moves.across[travels].sum())
    figures.filament_mm = float(moves.ways[:, 3].sum())
    figures.filament_mm3 = figures.filament_mm * area
    figures.filament_g = figures.filament_mm3 / 1000 * figures.filament_density
    if not moves.count:
        return
    flow = moves.v1 * moves.ways[:, 3] / moves.length_mm * area
    figures.flow_mm3_s, figures.flow_line = _most(flow, moves.extrudes, moves.line)
    tool = moves.v1 * moves.across / moves.length_mm
    figures.tool_speed, figures.tool_speed_line = _most(tool, moves.printing, moves.line)
    begins = moves.begin[moves.printing]
    later = np.searchsorted(begins, begins + 1.0)
    figures.moves_in_a_second = int((later - np.arange(len(begins))).max(initial=0))


def _add_axes(figures: Figures, run: DryRun, moves: Moves) -> None:
    settings, feeder = run.printer.settings, run.printer.feeder
    rates = step_rates(run.printer.motion.kinematics, moves)
    bends = moves.printing & (moves.up + moves.down > 0)
    for i, name in enumerate(AXES):
        axis = Axis(name)
        axis.limit_speed = settings.get("max_feedrate_" + name.lower()) / 100
        axis.limit_acceleration = float(settings.get("max_acceleration_" + name.lower()))
        axis.limit_step_rate = float(feeder.step_rate_limit(i))
        if moves.count:
            share = np.abs(moves.ways[:, i]) / moves.length_mm
            axis.speed, axis.speed_line = _most(moves.v1 * share, moves.printing & (share > 0), moves.line)
            axis.acceleration, axis.acceleration_line = _most(moves.accel * share, bends & (share > 0), moves.line)
            rate = rates[:, i]
            axis.step_rate, axis.step_rate_line = _most(rate, moves.printing & (rate > 0), moves.line)
        figures.axes.append(axis)


def _layers_by_z(moves: Moves) -> list[int]:
    """Lines at which the height of extrusion changes."""
    lines, at, height = [], None, moves.ends[:, 2]
    for index in np.flatnonzero(moves.extrudes):
        if at is None or abs(height[index] - at) >= LAYER_MM:
            at = height[index]
            lines.append(int(moves.line[index]))
    return lines


def _add_layers(figures: Figures, run: DryRun, moves: Moves) -> None:
    begins = run.layers()
    if not begins:
        figures.layers_by = "height"
        begins = _layers_by_z(moves)
    belongs = np.searchsorted(begins, moves.line, side="right")  # 0: before the first layer
    counted = np.where(moves.printing, moves.seconds, 0.0)
    seconds = np.bincount(belongs, counted, len(begins) + 1)
    filament = np.bincount(belongs, moves.ways[:, 3], len(begins) + 1)
    for line, kind, waited, _ in run.printer.waits:
        if kind in ("dwell", "starting", "settling"):
            seconds[np.searchsorted(begins, line, side="right")] += waited
    first = np.full(len(begins) + 1, -1)
    extruding = np.flatnonzero(moves.extrudes)[::-1]
    first[belongs[extruding]] = extruding
    figures.before_layers_s = float(seconds[0])
    for number, line in enumerate(begins, 1):
        z = float(moves.ends[first[number], 2]) if first[number] >= 0 else None
        figures.layers.append(Layer(number, int(line), z, float(seconds[number]), float(filament[number])))
