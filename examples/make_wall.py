"""Writes a file of many short moves, as slicers write them for curved walls: python3 make_wall.py [SEGMENTS] [FILE].

A wavy ring of about 40 mm, two walls a layer, moves of 0.2 to 0.4 mm, absolute E, PrusaSlicer's marks between layers.
SEGMENTS: extruding moves, default 20,000; FILE: default wall.gcode.
"""

import math
import sys

LAYER_MM = 0.2
WIDTH_MM = 0.45
FILAMENT_MM2 = math.pi / 4 * 1.75**2
PER_WALL = 420  # moves in one turn
BEGIN = """\
; made by make_wall.py
M201 X1500 Y1500 Z100 E5000 ; mm/sec^2
M203 X200 Y200 Z10 E60 ; mm/sec
M204 P1200 R1200 T1500
M107
G90
M82
M140 S60
M104 S205
G28 ; home all axes
G1 Z5 F600
M190 S60
M109 S205
G92 E0
"""
END = """\
G1 E%.5f F2100
M104 S0
M140 S0
M107
G1 Z%.2f F600
M84
"""


def radius(angle, layer):
    """Outline of a layer, mm from the middle: a wavy ring that turns a little from layer to layer."""
    return 19.0 + 1.6 * math.sin(5 * angle + 0.05 * layer) + 0.5 * math.sin(13 * angle)


def wall(layer, inset, count):
    """Points of one turn, mm; the last one is the first again if `count` is a whole turn."""
    for at in range(count + 1):
        angle = 2 * math.pi * at / PER_WALL
        r = radius(angle, layer) - inset
        yield 100 + r * math.cos(angle), 100 + r * math.sin(angle)


def lines(segments):
    """The whole file, line by line."""
    yield BEGIN
    e, made, layer = 0.0, 0, 0
    per_mm = LAYER_MM * WIDTH_MM / FILAMENT_MM2
    while made < segments:
        z = (layer + 1) * LAYER_MM
        yield ";LAYER_CHANGE\n;Z:%.2f\n;HEIGHT:%.1f\n" % (z, LAYER_MM)
        yield "G1 Z%.2f F600\n" % z
        if layer == 1:
            yield "M106 S178.5\n"
        for inset, speed in ((WIDTH_MM, 3600), (0.0, 2400)):
            count = min(PER_WALL, segments - made)
            points = wall(layer, inset, count)
            x, y = next(points)
            yield ";TYPE:%s\n;WIDTH:%.2f\n" % ("Perimeter" if inset else "External perimeter", WIDTH_MM)
            yield "G1 E%.5f F2100\nG92 E0\nG1 X%.3f Y%.3f F9000\nG1 E0.8 F2100\n" % (e - 0.8, x, y)
            yield "G1 F%d\n" % speed
            e = 0.8
            for to_x, to_y in points:
                e += per_mm * math.hypot(to_x - x, to_y - y)
                x, y = to_x, to_y
                yield "G1 X%.3f Y%.3f E%.5f\n" % (x, y, e)
            made += count
            if made >= segments:
                break
        layer += 1
    yield END % (e - 0.8, layer * LAYER_MM + 10)


def main(arguments):
    """Write the file."""
    segments = int(arguments[0]) if arguments else 20_000
    with open(arguments[1] if len(arguments) > 1 else "wall.gcode", "w") as file:
        file.writelines(lines(segments))


if __name__ == "__main__":
    main(sys.argv[1:])
