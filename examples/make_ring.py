"""Writes ring.stl: a cable ring, an open loop with a rounded tongue, all of it curved walls.

    python3 examples/make_ring.py [FILE]

The outline is one closed curve, extruded. Lengths are in mm.
"""

import math
import struct
import sys
from pathlib import Path

OUTER = 6.5
WALL = 2.4
GAP_DEGREES = 50
TONGUE = 5.0
HEIGHT = 1.2
FACETS = 72


def _arc(radius, begin, end, count, centre=(0.0, 0.0)):
    """Points of an arc from `begin` to `end` degrees, both included."""
    points = []
    for index in range(count + 1):
        angle = math.radians(begin + (end - begin) * index / count)
        points.append((centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)))
    return points


def bands():
    """Two lists of points, outer and inner side, that run along the ring together; the last part is the tongue."""
    half = GAP_DEGREES / 2
    outer = _arc(OUTER, half, 360 - half, FACETS)
    inner = _arc(OUTER - WALL, half, 360 - half, FACETS)
    # The tongue leaves the ring's end along its tangent and bends outwards.
    end = math.radians(360 - half)
    middle_radius = OUTER - WALL / 2
    x, y = middle_radius * math.cos(end), middle_radius * math.sin(end)
    heading = end + math.pi / 2
    steps = 16
    for index in range(1, steps + 1):
        heading -= math.radians(75) / steps
        x += TONGUE / steps * math.cos(heading)
        y += TONGUE / steps * math.sin(heading)
        half_width = WALL / 2 * math.sqrt(max(0.0, 1 - (index / (steps + 1)) ** 6))
        side = (math.sin(heading) * half_width, -math.cos(heading) * half_width)
        outer.append((x + side[0], y + side[1]))
        inner.append((x - side[0], y - side[1]))
    return outer, inner


def triangles():
    """Triangles of the extruded band, corners against the clock seen from outside."""
    outer, inner = bands()
    faces = []

    def quad(a, b, c, d):
        faces.append((a, b, c))
        faces.append((a, c, d))

    def at(point, z):
        return (point[0], point[1], z)

    for index in range(len(outer) - 1):
        o0, o1, i0, i1 = outer[index], outer[index + 1], inner[index], inner[index + 1]
        quad(at(o0, HEIGHT), at(o1, HEIGHT), at(i1, HEIGHT), at(i0, HEIGHT))
        quad(at(i0, 0), at(i1, 0), at(o1, 0), at(o0, 0))
        quad(at(o0, 0), at(o1, 0), at(o1, HEIGHT), at(o0, HEIGHT))
        quad(at(i1, 0), at(i0, 0), at(i0, HEIGHT), at(i1, HEIGHT))
    for o, i in ((outer[0], inner[0]), (inner[-1], outer[-1])):
        quad(at(i, 0), at(o, 0), at(o, HEIGHT), at(i, HEIGHT))
    return faces


def write(path):
    """Write the triangles as a binary STL file."""
    faces = triangles()
    with open(path, "wb") as out:
        out.write(b"ring".ljust(80, b"\0") + struct.pack("<I", len(faces)))
        for face in faces:
            # Slicers work out the normals from the corners.
            out.write(struct.pack("<12fH", 0, 0, 0, *[value for corner in face for value in corner], 0))


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("ring.stl"))
