"""Settings of arcs (M214). They stand apart from adder/arc.py, which is loaded with the first arc."""

# name, code, letter, unit, decimals, default, lowest, highest, title
SETTINGS = (
    ("arc_segment_max", "M214", "P", "mm", 3, 1000, 10, 100000, "arcs: longest segment"),
    ("arc_segment_min", "M214", "S", "mm", 3, 0, 0, 100000, "arcs: shortest segment, 0 any"),
    ("arc_corrections", "M214", "N", "", 0, 0, 0, 10000, "arcs: without effect, every segment is exact"),
    ("arc_segments", "M214", "R", "", 0, 0, 0, 10000, "arcs: fewest segments of an arc, 0 any"),
    ("arc_segments_per_s", "M214", "F", "1/s", 0, 0, 0, 1000, "arcs: fewest segments per second, 0 any"),
)
