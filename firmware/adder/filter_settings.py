"""Settings of what refines the motion between planner and motors: input shaping, advance, S-curve, backlash.

Types of shapers: 0 none, 1 ZV, 2 MZV, 3 EI. A frequency of 0 switches a shaper off, whatever its type; all others
are 5 to 200 Hz (M593 keeps to that; the rows know no gap). The S-curve's time is that in which an acceleration rises
from nothing to its full value a, so the jerk is a / time at most.
"""

SHAPER_LOWEST = 500  # 0.01 Hz

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("shaper_freq_x", "M593 X", "F", "Hz", 2, 0, 0, 20000, "shaper: frequency, 0 off or 5 to 200, without effect, X"),
    ("shaper_damping_x", "M593 X", "D", "", 3, 100, 0, 990, "shaper: damping ratio, without effect, X"),
    ("shaper_type_x", "M593 X", "T", "", 0, 1, 0, 3, "shaper: 0 none, 1 ZV, 2 MZV, 3 EI, without effect, X"),
    ("shaper_freq_y", "M593 Y", "F", "Hz", 2, 0, 0, 20000, "shaper: frequency, 0 off or 5 to 200, without effect, Y"),
    ("shaper_damping_y", "M593 Y", "D", "", 3, 100, 0, 990, "shaper: damping ratio, without effect, Y"),
    ("shaper_type_y", "M593 Y", "T", "", 0, 1, 0, 3, "shaper: 0 none, 1 ZV, 2 MZV, 3 EI, without effect, Y"),
    ("advance_k", "M900", "K", "s", 4, 0, 0, 100000, "advance: filament per speed of the filament"),
    ("s_curve_ms", "M205", "C", "ms", 0, 0, 0, 50, "S-curve: time of a rising acceleration, 0 off, without effect"),
    ("backlash_x", "M425", "X", "mm", 3, 0, 0, 5000, "backlash, X"),
    ("backlash_y", "M425", "Y", "mm", 3, 0, 0, 5000, "backlash, Y"),
    ("backlash_z", "M425", "Z", "mm", 3, 0, 0, 5000, "backlash, Z"),
    ("backlash_e", "M425", "E", "mm", 3, 0, 0, 5000, "backlash, E"),
    ("backlash_correction", "M425", "F", "", 2, 100, 0, 100, "backlash: share that is made up for"),
    ("backlash_smoothing", "M425", "S", "mm", 2, 0, 0, 10000, "backlash: way over which it is made up for"),
)
