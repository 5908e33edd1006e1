"""From axes to motors: one module per kind of machine; only the one that is selected is loaded.

Cartesian and CoreXY are linear, functions of ways as well as of positions: blocks are in motor steps. Delta and SCARA
bend straight lines: blocks are in virtual steps of X, Y and Z, and a function of the position turns them into motor
steps, slice by slice.
"""

from adder.errors import Refused

_KINDS = (("linear", "Cartesian"), ("linear", "CoreXY"), ("delta", "Delta"), ("scara", "Scara"))

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("delta_rod", "M665", "L", "mm", 3, 250000, 20000, 2000000, "delta: length of the rods"),
    ("delta_radius", "M665", "R", "mm", 3, 124000, 5000, 1000000, "delta: from the middle, level reach of a rod"),
    ("delta_segments", "M665", "S", "1/s", 0, 100, 1, 1000, "delta: segments a second, without effect"),
    ("delta_print_radius", "M665", "B", "mm", 3, 90000, 5000, 1000000, "delta: radius of the bed"),
    ("delta_height", "M665", "H", "mm", 3, 250000, 10000, 2000000, "delta: nozzle above the bed after homing"),
    ("delta_angle_x", "M665", "X", "deg", 3, 0, -30000, 30000, "delta: tower X stands at 210 degrees and this"),
    ("delta_angle_y", "M665", "Y", "deg", 3, 0, -30000, 30000, "delta: tower Y stands at 330 degrees and this"),
    ("delta_angle_z", "M665", "Z", "deg", 3, 0, -30000, 30000, "delta: tower Z stands at 90 degrees and this"),
    ("endstop_trim_x", "M666", "X", "mm, deg", 3, 0, -20000, 20000, "switch of tower X lower, of theta later, by this"),
    ("endstop_trim_y", "M666", "Y", "mm, deg", 3, 0, -20000, 20000, "switch of tower Y lower, of psi later, by this"),
    ("endstop_trim_z", "M666", "Z", "mm", 3, 0, -20000, 20000, "switch of tower Z lower, of SCARA's Z higher, by this"),
    ("scara_arm_1", "", "", "mm", 3, 150000, 20000, 1000000, "SCARA: arm from the shoulder to the elbow"),
    ("scara_arm_2", "", "", "mm", 3, 150000, 20000, 1000000, "SCARA: arm from the elbow to the tool"),
    ("scara_shoulder_x", "", "", "mm", 3, 100000, -1000000, 1000000, "SCARA: X of the shoulder"),
    ("scara_shoulder_y", "", "", "mm", 3, -56000, -1000000, 1000000, "SCARA: Y of the shoulder"),
    ("scara_inner_radius", "", "", "mm", 3, 50000, 0, 1000000, "SCARA: nearest to the shoulder"),
    ("scara_theta_home", "", "", "deg", 3, -20000, -360000, 360000, "SCARA: theta where its switch closes"),
    ("scara_psi_home", "", "", "deg", 3, 90000, -360000, 720000, "SCARA: psi where its switch closes"),
    ("scara_scale_x", "M365", "X", "", 5, 100000, 50000, 200000, "SCARA: scale of X"),
    ("scara_scale_y", "M365", "Y", "", 5, 100000, 50000, 200000, "SCARA: scale of Y"),
    ("scara_scale_z", "M365", "Z", "", 5, 100000, 50000, 200000, "SCARA: scale of Z"),
)


# Settings that a machine is made of begin with these
_GEOMETRY = ("kinematics", "delta", "scara", "steps_per_mm", "endstop_trim", "z_m")


def check(get, names):
    """Refused when the settings, as get(name, decimals) tells them, make no machine; `names` have changed."""
    number = get("kinematics", 0)
    if number > 1 and any(name.startswith(begin) for name in names for begin in _GEOMETRY):
        machine = select(number)
        machine.configure(get)
        if machine.problem:
            raise Refused(machine.problem)


def select(number):
    """The kinematics with that number: 0 Cartesian, 1 CoreXY, 2 linear delta, 3 SCARA."""
    module, name = _KINDS[number]
    return getattr(__import__("adder.kinematics." + module, None, None, (name,)), name)()
