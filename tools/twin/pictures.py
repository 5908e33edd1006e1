"""Pictures of a print: the tool's path and its speed, rebuilt from the step edges, and the temperatures.

All times are s, lengths mm, speeds mm/s, temperatures degC.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 130,
    "font.size": 11,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
TRAVEL_COLOUR = "#9aa5b1"
HOTEND_COLOUR = "#c8382a"
BED_COLOUR = "#1f6fb2"
EXTRUSION_MM_PER_MM = 0.002  # filament per way; less is no extrusion but rounding
ABOVE = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 6, "fontsize": 9, "borderaxespad": 0.1}
POINTS = 1500  # columns of an envelope


def _save(figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
    return path


def _legs(path: dict[str, np.ndarray], tolerance: float = 0.004):
    """Indices of the points that are needed to draw a path: where it bends, starts or stops to extrude."""
    xyz = np.stack([path["x"], path["y"], path["z"]], axis=1)
    step = np.diff(xyz, axis=0)
    length = np.linalg.norm(step, axis=1)
    moving = np.flatnonzero(length > 0)
    if not len(moving):
        return np.zeros(0, int), np.zeros(0, bool)
    filament = np.diff(path["e"])[moving]
    across = np.linalg.norm(step[moving, :2], axis=1)  # filament that comes while only Z moves undoes a retraction
    extrudes = (filament > EXTRUSION_MM_PER_MM * length[moving]) & (across > 0.5 * length[moving])
    lifts = np.abs(step[moving, 2]) > 1e-6
    keep = [0]
    for index in range(1, len(moving)):
        first, here = moving[keep[-1]], moving[index]
        chord = xyz[here] - xyz[first]
        way = np.linalg.norm(chord)
        middle = xyz[(first + here) // 2] - xyz[first]
        off = np.linalg.norm(np.cross(chord, middle)) / way if way > 0 else np.linalg.norm(middle)
        turned = extrudes[index] != extrudes[index - 1] or lifts[index] != lifts[index - 1]
        if off > tolerance or turned or here - first > 64:
            keep.append(index)
    keep.append(len(moving) - 1)
    points = np.append(moving[keep], moving[-1] + 1)
    return points, extrudes[keep]


def draw_path(path: dict[str, np.ndarray], file: Path, title: str = "") -> Path:
    """Top view and side view of the tool's path; extrusions coloured by height, travel moves grey."""
    points, extrudes = _legs(path)
    x, y, z = (path[axis][points] for axis in "xyz")
    with plt.rc_context(STYLE):
        figure, (top, side) = plt.subplots(1, 2, figsize=(13, 6.4), width_ratios=(1.25, 1), layout="constrained")
        lowest, highest = (z[:-1][extrudes].min(), z[:-1][extrudes].max()) if extrudes.any() else (0.0, 1.0)
        norm = plt.Normalize(lowest, max(highest, lowest + 0.1))
        for axes, across, up in ((top, x, y), (side, x, z)):
            ends = np.stack([across, up], axis=1)
            legs = np.stack([ends[:-1], ends[1:]], axis=1)
            idle = LineCollection(legs[~extrudes], colors=TRAVEL_COLOUR, linewidths=0.5, alpha=0.7, label="travel")
            work = LineCollection(legs[extrudes], cmap="viridis", norm=norm, linewidths=0.9, capstyle="round")
            work.set_array(z[:-1][extrudes])
            axes.add_collection(idle)
            axes.add_collection(work)
            _frame(axes, legs[extrudes] if extrudes.any() else legs)
            axes.set_xlabel("X (mm)")
        top.set_aspect("equal", adjustable="box")
        top.set(title="Top view", ylabel="Y (mm)")
        side.set(title="From the front", ylabel="Z (mm)")
        side.legend(handles=[idle], **ABOVE)
        figure.colorbar(work, ax=side, label="Height Z of the extrusion (mm)", pad=0.02)
        figure.suptitle(title or "Tool path, rebuilt from the step edges", x=0.01, ha="left", fontsize=14)
        return _save(figure, file)


def _frame(axes, legs) -> None:
    """Limits around what is drawn, with some air."""
    if not len(legs):
        return
    low, high = legs.reshape(-1, 2).min(axis=0), legs.reshape(-1, 2).max(axis=0)
    air = np.maximum(0.06 * (high - low), 0.2)
    axes.set_xlim(low[0] - air[0], high[0] + air[0])
    axes.set_ylim(low[1] - air[1], high[1] + air[1])


def _envelope(times: np.ndarray, values: np.ndarray):
    """Lowest, mean and highest value per column of a picture."""
    if len(times) <= 2 * POINTS:
        return times, values, values, values
    size = -(-len(times) // POINTS)
    whole = len(times) // size * size
    blocks = values[:whole].reshape(-1, size)
    return times[:whole].reshape(-1, size).mean(axis=1), blocks.min(axis=1), blocks.mean(axis=1), blocks.max(axis=1)


def _first_motion(track) -> float:
    """When the tool begins to move in the plane for good, in s: heating up before that is of no interest."""
    times, speed = track.speed(interval_ms=20.0)
    moving = times[speed > 0.5]
    return moving[0] - 0.5 if len(moving) else 0.0


def draw_speed(track, file: Path, limits: dict[str, float] | None = None, title: str = "") -> Path:
    """Speed over time of the tool in the plane, of Z and of the filament, all from the edges."""
    limits = limits or {}
    rows = [("Tool in XY", ("x", "y"), "#26547c"), ("Z", ("z",), "#3a7d44"), ("Filament", ("e",), "#b5651d")]
    rows = [row for row in rows if all(axis in track.axes for axis in row[1])]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(rows),
            1,
            figsize=(13, 7.2),
            sharex=True,
            height_ratios=[2.2, *[1] * (len(rows) - 1)],
            layout="constrained",
        )
        begin = _first_motion(track)
        for axes, (name, moving, colour) in zip(np.atleast_1d(panels), rows, strict=True):
            times, speed = track.speed(moving, interval_ms=5.0)
            times, speed = times[times >= begin], speed[times >= begin]
            middle, low, mean, high = _envelope(times, speed)
            axes.fill_between(middle, low, high, color=colour, alpha=0.3, linewidth=0, label="lowest to highest")
            axes.plot(middle, mean, color=colour, linewidth=0.8, label="mean")
            axes.set(title=name, ylabel="mm/s")
            limit = max((limits[axis] for axis in moving if axis in limits), default=None)
            if limit and limit < 3 * max(high.max(), 1e-9):
                axes.axhline(limit, color="#444444", linestyle="--", linewidth=1, label="limit of an axis")
            axes.set_ylim(bottom=0)
            axes.legend(**ABOVE)
        np.atleast_1d(panels)[-1].set_xlabel("Time since the first step (s)")
        figure.suptitle(title or "Speed, measured from the step edges", x=0.01, ha="left", fontsize=14)
        return _save(figure, file)


def draw_temperatures(histories, file: Path, targets=None, reported=None, title: str = "") -> Path:
    """True temperatures, what the firmware reported, its targets, and the duties.

    `histories`: {"hotend": (times, block, sensor, duty), ...}; `reported`, `targets`: {"hotend": (times, values), ...}.
    """
    colours = {"hotend": HOTEND_COLOUR, "bed": BED_COLOUR}
    with plt.rc_context(STYLE):
        figure, (upper, lower) = plt.subplots(
            2, 1, figsize=(13, 7.2), sharex=True, height_ratios=(2.4, 1), layout="constrained"
        )
        for name, (times, block, _sensor, duty) in histories.items():
            colour = colours.get(name, "#555555")
            upper.plot(times, block, color=colour, linewidth=1.6, label="%s, true" % name)
            if reported and name in reported:
                upper.plot(*reported[name], ".", color=colour, markersize=3, alpha=0.6, label="%s, reported" % name)
            if targets and name in targets:
                upper.step(
                    *targets[name], where="post", color=colour, linestyle="--", linewidth=1, label="%s, target" % name
                )
            middle, _, mean, _ = _envelope(times, 100 * duty)
            lower.plot(middle, mean, color=colour, linewidth=0.9, label=name)
        upper.set(title="Temperature", ylabel="Temperature (\u00b0C)")
        upper.set_ylim(bottom=0)
        upper.legend(**ABOVE)
        lower.set(title="Heater duty", ylabel="Duty (%)", xlabel="Time since power-up (s)", ylim=(-2, 104))
        lower.legend(**ABOVE)
        figure.suptitle(title or "Heaters of the printer twin", x=0.01, ha="left", fontsize=14)
        return _save(figure, file)
