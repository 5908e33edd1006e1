"""From tools to motors and back for every kind of machine, in double precision: textbook geometry on whole arrays.

Points are arrays with X Y Z in the last place, mm; motors likewise, mm or degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class CoreXY:
    """Motor A turns with X + Y, B with X - Y."""

    def motors(self, points) -> np.ndarray:
        x, y, z = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
        return np.stack([x + y, x - y, z], axis=-1)

    def tool(self, motors) -> np.ndarray:
        a, b, z = np.moveaxis(np.asarray(motors, dtype=float), -1, 0)
        return np.stack([(a + b) / 2, (a - b) / 2, z], axis=-1)


@dataclass
class Delta:
    """Three carriages on vertical towers at 210, 330 and 90 degrees (Marlin's order), at `radius` from the middle.

    `rod`: length of the rods; `angles`: how much further round each tower stands, degrees. A carriage's height is that
    at which its rods end.
    """

    rod: float
    radius: float
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def towers(self) -> np.ndarray:
        """X and Y of each."""
        angle = np.radians(np.array([210.0, 330.0, 90.0]) + self.angles)
        return self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def motors(self, points) -> np.ndarray:
        """Heights of the carriages; NaN where the rods do not reach."""
        points = np.asarray(points, dtype=float)
        away = points[..., None, :2] - self.towers()
        with np.errstate(invalid="ignore"):
            return points[..., 2:] + np.sqrt(self.rod**2 - np.sum(away**2, axis=-1))

    def tool(self, motors) -> np.ndarray:
        """The lower one of the points at the rods' length from all three ends (the meeting of three spheres)."""
        heights = np.asarray(motors, dtype=float)
        ends = np.concatenate([np.broadcast_to(self.towers(), (*heights.shape, 2)), heights[..., None]], axis=-1)
        p, q, r = ends[..., 0, :], ends[..., 1, :], ends[..., 2, :]
        u, v = q - p, r - p
        normal = np.cross(u, v)
        # The point in the plane of the three that is equally far from them, then down along the normal
        square = np.sum(normal**2, axis=-1, keepdims=True)
        middle = p + np.cross(
            np.sum(u * u, axis=-1, keepdims=True) * v - np.sum(v * v, axis=-1, keepdims=True) * u, normal
        ) / (2 * square)
        depth = np.sqrt(self.rod**2 - np.sum((middle - p) ** 2, axis=-1, keepdims=True))
        return middle - normal * np.sign(normal[..., 2:]) / np.sqrt(square) * depth


@dataclass
class Scara:
    """Two arms from a shoulder; theta is the first arm's angle, psi the second one's, both against X, degrees.

    That is Morgan's form: the second motor holds its arm's angle in the room, whatever the first one does.
    """

    first: float
    second: float
    shoulder: tuple[float, float] = (0.0, 0.0)

    def motors(self, points) -> np.ndarray:
        """Theta, psi, z with psi >= theta (the elbow to the right); NaN where the arms do not reach."""
        points = np.asarray(points, dtype=float)
        x, y = points[..., 0] - self.shoulder[0], points[..., 1] - self.shoulder[1]
        far = np.hypot(x, y)
        with np.errstate(invalid="ignore", divide="ignore"):
            lean = np.arccos((far**2 + self.first**2 - self.second**2) / (2 * far * self.first))
            bend = np.pi - np.arccos((self.first**2 + self.second**2 - far**2) / (2 * self.first * self.second))
        theta = np.arctan2(y, x) - lean
        return np.stack([np.degrees(theta), np.degrees(theta + bend), points[..., 2]], axis=-1)

    def tool(self, motors) -> np.ndarray:
        theta, psi, z = np.moveaxis(np.asarray(motors, dtype=float), -1, 0)
        theta, psi = np.radians(theta), np.radians(psi)
        x = self.shoulder[0] + self.first * np.cos(theta) + self.second * np.cos(psi)
        y = self.shoulder[1] + self.first * np.sin(theta) + self.second * np.sin(psi)
        return np.stack([x, y, z], axis=-1)
