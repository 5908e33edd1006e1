"""Settings of what refines the motion between planner and motors: input shaping, advance, S-curve, backlash.

Types of shapers: 0 none, 1 ZV, 2 MZV, 3 EI. A frequency of 0 switches a shaper off, whatever its type; all others
are 5 to 200 Hz (M593 keeps to that; the rows know no gap). The S-curve's time is that in which an acceleration rises
from nothing to its full value a, so the jerk is a / time at most.
"""

SHAPER_LOWEST = 500  # 0.01 Hz

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("shaper_freq_x", "M593 X", "F", "Hz", 2, 0, 0, 20000, "shaper: frequency, 0 off or 5 to 200, X"),
    ("shaper_damping_x", "M593 X", "D", "", 3, 100, 0, 990, "shaper: damping ratio, X"),
    ("shaper_type_x", "M593 X", "T", "", 0, 1, 0, 3, "shaper: 0 none, 1 ZV, 2 MZV, 3 EI, X"),
    ("shaper_freq_y", "M593 Y", "F", "Hz", 2, 0, 0, 20000, "shaper: frequency, 0 off or 5 to 200, Y"),
    ("shaper_damping_y", "M593 Y", "D", "", 3, 100, 0, 990, "shaper: damping ratio, Y"),
    ("shaper_type_y", "M593 Y", "T", "", 0, 1, 0, 3, "shaper: 0 none, 1 ZV, 2 MZV, 3 EI, Y"),
    ("advance_k", "M900", "K", "s", 4, 0, 0, 100000, "advance: filament per speed of the filament"),
    ("s_curve_ms", "M205", "C", "ms", 0, 0, 0, 50, "S-curve: time of a rising acceleration, 0 off"),
    ("backlash_x", "M425", "X", "mm", 3, 0, 0, 5000, "backlash, X"),
    ("backlash_y", "M425", "Y", "mm", 3, 0, 0, 5000, "backlash, Y"),
    ("backlash_z", "M425", "Z", "mm", 3, 0, 0, 5000, "backlash, Z"),
    ("backlash_e", "M425", "E", "mm", 3, 0, 0, 5000, "backlash, E"),
    ("backlash_correction", "M425", "F", "", 2, 100, 0, 100, "backlash: share that is made up for"),
    ("backlash_smoothing", "M425", "S", "mm", 2, 0, 0, 10000, "backlash: way over which it is made up for"),
)


def values(get):
    """What the settings say, as a tuple to be compared and handed to `configure`; get(name, decimals)."""
    shapers = [
        (get("shaper_type_" + axis, 0), get("shaper_freq_" + axis, 2), get("shaper_damping_" + axis, 3))
        for axis in "xy"
    ]
    lash = [
        (get("backlash_" + axis, 3), get("steps_per_mm_" + axis, 3), get("max_acceleration_" + axis, 0))
        for axis in "xyze"
    ]
    return (
        get("s_curve_ms", 0), shapers, get("advance_k", 4), lash,
        get("backlash_correction", 2), get("backlash_smoothing", 2), get("max_feedrate_e", 2),
    )


def any_on(chosen):
    """Whether anything of it is switched on."""
    smooth_ms, shapers, advance, lash = chosen[:4]
    return bool(smooth_ms or advance or [1 for row in shapers if row[0] and row[1]] or [1 for row in lash if row[0]])


def configure(bend, chosen):
    """Set up the filters and the backlash of `bend` (adder/bend.py); at rest."""
    from adder import shapers as shapers_of

    smooth_ms, shapers, advance, lash, correction, smoothing, e_speed = chosen
    x, y = [
        shapers_of.impulses(kind, frequency / 100, damping / 1000) if kind and frequency else None
        for kind, frequency, damping in shapers
    ]
    e_most = e_speed * lash[3][1] * 4096 // 10**8 + 1  # in a slice of 1 ms
    bend.filters(smooth_ms, x, y, advance / 10000, e_most)
    for motor in range(4):
        um, steps_m, accel = lash[motor]
        um = um * correction // 100
        # 1/4096 step; spread over the time that the way takes from rest to rest, at half its highest speed on average
        scale = steps_m * 4096 / 1e6  # per um
        rate = int((accel * um / 1000) ** 0.5 / 2 * scale) + 1  # mm/s is um in a slice of 1 ms
        ratio = min(um * 4096 // (smoothing * 10), 65535) if smoothing else 0
        bend.backlash(motor, int(um * scale + 0.5), rate, ratio)
