"""Delta and SCARA on random machines and places; runs on CPython, the unix port and the board, prints all results."""

from array import array

from adder.kinematics.delta import Delta
from adder.kinematics.scara import Scara

state = 31


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def between(low, high):
    # A length in 10 nm from mm
    return low * 100000 + rand((high - low) * 1000) * 100


def machine(name):
    values = {axis + "_" + end: 0 for axis in "xyz" for end in ("min", "max")}
    values["z_max"] = 30000000
    steps = (80000, 100000, 53333, 160000, 400000)[rand(5)]
    for axis in "xyz":
        values["steps_per_mm_" + axis] = steps
        values["home_to_max_" + axis] = rand(2)
        values["delta_angle_" + axis] = between(-3, 3)
        values["endstop_trim_" + axis] = between(-1, 1)
        values["scara_scale_" + axis] = 100000 if rand(3) else 99871
    values["delta_rod"] = rod = between(120, 500)
    values["delta_radius"] = rod // 100 * (20 + rand(40))
    values["delta_print_radius"] = rod // 100 * (10 + rand(28))
    values["delta_height"] = between(100, 500)
    values["scara_arm_1"] = between(80, 250)
    values["scara_arm_2"] = between(80, 250)
    values["scara_inner_radius"] = between(5, 60)
    values["scara_shoulder_x"] = between(-100, 100)
    values["scara_shoulder_y"] = between(-100, 100)
    values["scara_theta_home"] = between(-90, 90)
    values["scara_psi_home"] = between(0, 180)
    return lambda key, decimals: values[key]


def show(kind, group):
    kinematics = kind()
    kinematics.configure(machine(kinematics.name))
    print(kinematics.name, group, kinematics.problem, list(kinematics.k))
    print(list(kinematics.scales), list(kinematics.motor_scales), kinematics.switches)
    if kinematics.problem:
        return
    here = array("i", [0, 0, 1000])
    for _ in range(8):
        there = array("i", [between(-200, 200), between(-200, 200), between(-1, 120)])
        why = kinematics.reach(here, there, rand(4) > 0)
        print(why)
        if why is None:
            motors = kinematics.place(there)
            print(list(motors), kinematics.axes(list(motors)), kinematics.ratio(here, there))
            here = there
    # Bends must hold anywhere, also where no path leads
    for _ in range(8):
        at = kinematics.virtual([between(-150, 150), between(-150, 150), between(0, 90)])
        kinematics.bend(at, kinematics.k)
        print(list(at))


for group in range(16):
    show(Delta, group)
    show(Scara, group)
