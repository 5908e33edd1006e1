"""Delta and SCARA in double precision, written from the geometry alone. Lengths in mm, angles in degrees."""

import math
from dataclasses import dataclass, field

import numpy as np

DELTA = {
    "kinematics": 2, "steps_per_mm_x": 80, "steps_per_mm_y": 80, "steps_per_mm_z": 80, "delta_rod": 250,
    "delta_radius": 124, "delta_print_radius": 90, "delta_height": 250, "delta_angle_x": 0, "delta_angle_y": 0,
    "delta_angle_z": 0, "endstop_trim_x": 0, "endstop_trim_y": 0, "endstop_trim_z": 0, "z_min": 0,
}  # fmt: skip
SCARA = {
    "kinematics": 3, "steps_per_mm_x": 103.69, "steps_per_mm_y": 106.65, "steps_per_mm_z": 200, "scara_arm_1": 150,
    "scara_arm_2": 150, "scara_inner_radius": 50, "scara_shoulder_x": 100, "scara_shoulder_y": -56, "scara_scale_x": 1,
    "scara_scale_y": 1, "scara_scale_z": 1, "scara_theta_home": -20, "scara_psi_home": 90, "endstop_trim_x": 0,
    "endstop_trim_y": 0, "endstop_trim_z": 0, "z_min": 0, "z_max": 200, "home_to_max_x": 0,
    "home_to_max_y": 0, "home_to_max_z": 0,
}  # fmt: skip


@dataclass
class DeltaModel:
    """A linear delta; `values` as the firmware's settings are called."""

    values: dict = field(default_factory=lambda: dict(DELTA))

    def __post_init__(self):
        v = self.values
        angles = [math.radians(a + v["delta_angle_" + n]) for a, n in zip((210, 330, 90), "xyz", strict=True)]
        self.towers = [(v["delta_radius"] * math.cos(a), v["delta_radius"] * math.sin(a)) for a in angles]
        self.scale = (v["steps_per_mm_x"],) * 3

    def motors(self, x, y, z):
        """Heights of the carriages; nan where a rod is too short."""
        rod = self.values["delta_rod"]
        with np.errstate(invalid="ignore"):
            return tuple(z + np.sqrt(rod**2 - (x - a) ** 2 - (y - b) ** 2) for a, b in self.towers)

    def switches(self):
        """Heights at which the carriages close their switches."""
        v = self.values
        top = v["delta_height"] + math.sqrt(v["delta_rod"] ** 2 - v["delta_radius"] ** 2)
        return tuple(top - v["endstop_trim_" + axis] for axis in "xyz")


@dataclass
class ScaraModel:
    """A SCARA whose motors turn each arm by its own angle against the X axis; the elbow lags behind (psi > theta)."""

    values: dict = field(default_factory=lambda: dict(SCARA))

    def __post_init__(self):
        self.scale = tuple(self.values["steps_per_mm_" + axis] for axis in "xyz")

    def polar(self, x, y):
        """Distance from the shoulder and direction, -90 to 270 degrees."""
        v = self.values
        x = x * v["scara_scale_x"] - v["scara_shoulder_x"]
        y = y * v["scara_scale_y"] - v["scara_shoulder_y"]
        return np.hypot(x, y), (np.degrees(np.arctan2(y, x)) + 90) % 360 - 90

    def motors(self, x, y, z):
        """theta, psi, Z."""
        v = self.values
        a, b = v["scara_arm_1"], v["scara_arm_2"]
        r, phi = self.polar(x, y)
        with np.errstate(invalid="ignore"):
            shoulder = np.degrees(np.arccos((r**2 + a**2 - b**2) / (2 * r * a)))
            elbow = np.degrees(np.arccos((r**2 - a**2 - b**2) / (2 * a * b)))
        theta = phi - shoulder
        return theta, theta + elbow, z * v["scara_scale_z"]

    def tool(self, theta, psi):
        """X, Y of the tool."""
        v = self.values
        x = v["scara_arm_1"] * math.cos(math.radians(theta)) + v["scara_arm_2"] * math.cos(math.radians(psi))
        y = v["scara_arm_1"] * math.sin(math.radians(theta)) + v["scara_arm_2"] * math.sin(math.radians(psi))
        return (x + v["scara_shoulder_x"]) / v["scara_scale_x"], (y + v["scara_shoulder_y"]) / v["scara_scale_y"]
