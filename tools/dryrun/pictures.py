"""Pictures of a dry run: the path from above by height and by speed; speed and flow over time, and time per layer."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

from tools.twin.pictures import ABOVE, STYLE, TRAVEL_COLOUR

from .figures import Figures, Moves
from .show import clock

MOST_LEGS = 60_000
COLUMNS = 1500
SPEED_COLOUR, FLOW_COLOUR, LAYER_COLOUR = "#26547c", "#b5651d", "#3a7d44"


def _save(figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
    return path


def _layer_of(moves: Moves, figures: Figures):
    return np.searchsorted([layer.line for layer in figures.layers], moves.line, side="right")


def _shown(moves: Moves, figures: Figures):
    # Blocks to draw, and what is said about those that are left out
    shown = moves.printing & (np.abs(moves.ways[:, :2]).max(axis=1, initial=0) > 0)
    if figures.layers and figures.before_layers_s > 0:
        belongs = _layer_of(moves, figures)
        if (shown & moves.extrudes & (belongs > 0)).any():
            shown &= belongs > 0
    if shown.sum() <= MOST_LEGS:
        return shown, ""
    every = math.ceil(shown.sum() / MOST_LEGS)
    if len(figures.layers) > 3 * every:
        return shown & (_layer_of(moves, figures) % every == 0), ", one layer in %d" % every
    return shown & (np.arange(moves.count) % every == 0), ", one move in %d" % every


def draw_path(moves: Moves, figures: Figures, file: Path) -> Path:
    """Top view twice: extrusion coloured by height, and by the speed that each move reaches."""
    shown, left_out = _shown(moves, figures)
    starts, ends = moves.starts(), moves.ends
    legs = np.stack([starts[:, :2], ends[:, :2]], axis=1)
    work, idle = shown & moves.extrudes, shown & ~moves.extrudes
    framed = legs[work] if work.any() else legs[idle]
    wide = 1.0
    if len(framed):
        size = np.maximum(np.ptp(framed.reshape(-1, 2), axis=0), 1.0)
        wide = float(np.clip(size[0] / size[1], 0.6, 1.8))
    speed = moves.v1 * moves.across / np.maximum(moves.length_mm, 1e-9)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(2 * (6.2 * wide + 1.4), 6.6), layout="constrained")
        views = (("By height", ends[:, 2], "viridis", "Z (mm)"), ("By speed", speed, "plasma", "Speed reached (mm/s)"))
        for axes, (name, values, colours, label) in zip(panels, views, strict=True):
            axes.add_collection(LineCollection(legs[idle], colors=TRAVEL_COLOUR, linewidths=0.6, alpha=0.6))
            inked = values[work]
            norm = plt.Normalize(*(_range(inked) if len(inked) else (0, 1)))
            lines = LineCollection(
                legs[work], cmap=colours, norm=norm, linewidths=_line_width(framed), capstyle="round"
            )
            lines.set_array(inked)
            axes.add_collection(lines)
            _frame(axes, framed)
            axes.set_aspect("equal", adjustable="box")
            axes.set(title=name, xlabel="X (mm)", ylabel="Y (mm)")
            axes.grid(False)
            figure.colorbar(lines, ax=axes, label=label, pad=0.02, shrink=0.9)
        figure.suptitle(
            "%s: path from above%s; travel in grey" % (figures.file, left_out), x=0.01, ha="left", fontsize=14
        )
        return _save(figure, file)


def _range(values):
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _line_width(framed) -> float:
    # An extrusion is about 0.45 mm wide: half as thick as it is in the picture, so that layers below are seen
    if not len(framed):
        return 1.0
    size = np.ptp(framed.reshape(-1, 2), axis=0).max()
    return float(np.clip(0.225 / max(size, 1.0) * 400, 0.35, 2.0))


def _frame(axes, legs) -> None:
    if not len(legs):
        return
    points = legs.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    air = max(0.05 * float((high - low).max()), 0.5)
    axes.set_xlim(low[0] - air, high[0] + air)
    axes.set_ylim(low[1] - air, high[1] + air)


class _Course:
    """Something that changes linearly within phases, over the time of the moves alone."""

    def __init__(self, moves: Moves, factor, which):
        seconds = np.stack([moves.up, moves.cruise, moves.down], axis=1)[which] * 64e-9
        ends = np.cumsum(seconds.ravel()).reshape(-1, 3)
        begins = ends[:, 0] - seconds[:, 0]
        f = factor[which]
        self.times = np.stack([begins, ends[:, 0], ends[:, 1], ends[:, 2]], axis=1).ravel()
        self.values = np.stack([moves.v0[which], moves.v1[which], moves.v1[which], moves.v2[which]], axis=1)
        self.values = (self.values * f[:, None]).ravel()
        self.total_times = np.concatenate([[0.0], ends[:, 2]])
        self.total = np.concatenate([[0.0], np.cumsum(moves.length_mm[which] * f)])

    def draw(self, axes, colour, what):
        """The course itself, or mean and highest value in as many columns as a picture has."""
        if len(self.times) <= 4 * COLUMNS:
            axes.fill_between(self.times, self.values, color=colour, alpha=0.15, linewidth=0)
            axes.plot(self.times, self.values, color=colour, linewidth=0.8, label=what)
            return
        grid = np.linspace(0, self.times[-1], COLUMNS + 1)
        mean = np.diff(np.interp(grid, self.total_times, self.total)) / np.diff(grid)
        columns = np.minimum((self.times / grid[1]).astype(int), COLUMNS - 1)
        highest = np.zeros(COLUMNS)
        np.maximum.at(highest, columns, self.values)
        np.maximum.at(highest, np.arange(COLUMNS), np.interp(grid[:-1], self.times, self.values))
        middle = (grid[:-1] + grid[1:]) / 2
        axes.fill_between(middle, mean, highest, color=colour, alpha=0.28, linewidth=0, step="mid", label="highest")
        axes.step(middle, mean, where="mid", color=colour, linewidth=0.9, label="mean")


def draw_speed(moves: Moves, figures: Figures, file: Path) -> Path:
    """Speed of the tool and flow over the time of all moves, and the time of each layer."""
    which = moves.printing & (moves.seconds > 0)
    length = np.maximum(moves.length_mm, 1e-9)
    area = math.pi / 4 * figures.filament_diameter_mm**2
    flow = np.where(moves.extrudes, moves.ways[:, 3], 0.0) / length * area
    rows = 3 if figures.layers else 2
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            rows, 1, figsize=(13, 2.2 + 2.5 * rows), height_ratios=(1.7, 1, 1)[:rows], layout="constrained"
        )
        scale, unit = (60.0, "min") if figures.print_s > 600 else (1.0, "s")
        courses = (
            (moves.across / length, SPEED_COLOUR, "Speed of the tool", "mm/s"),
            (flow, FLOW_COLOUR, "Flow", "mm\u00b3/s"),
        )
        for axes, (factor, colour, name, label) in zip(panels[:2], courses, strict=True):
            if which.any():
                course = _Course(moves, factor, which)
                course.times, course.total_times = course.times / scale, course.total_times / scale
                course.total = course.total / scale
                course.draw(axes, colour, name)
                axes.set_xlim(0, course.times[-1])
                if len(course.times) > 4 * COLUMNS:
                    axes.legend(**ABOVE)
            axes.set(title=name, ylabel=label, xlabel="Time of the moves (%s)" % unit)
            axes.set_ylim(bottom=0)
        panels[1].sharex(panels[0])
        panels[0].set_xlabel("")
        panels[0].tick_params(labelbottom=False)
        if figures.layers:
            _draw_layers(panels[2], figures)
        figure.suptitle("%s: %s of moves" % (figures.file, clock(figures.print_s)), x=0.01, ha="left", fontsize=14)
        return _save(figure, file)


def _draw_layers(axes, figures: Figures) -> None:
    layers = figures.layers
    numbers = [layer.number for layer in layers]
    seconds = [layer.seconds for layer in layers]
    if len(layers) <= 150:
        axes.bar(numbers, seconds, color=LAYER_COLOUR, width=0.85)
    else:
        axes.fill_between(numbers, seconds, step="mid", color=LAYER_COLOUR, alpha=0.6, linewidth=0)
    axes.set(title="Time of each layer", ylabel="s", xlabel="Layer")
    axes.set_xlim(0.3, len(layers) + 0.7)
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
