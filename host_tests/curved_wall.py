"""G-code of a curved wall as slicers write it: very many short segments, with filament, layers, retracts, new speeds.

The outline is a wavy ring that turns from layer to layer. Every layer has an inner and an outer wall with speeds of
their own, slower where it hangs over. Segments are 0.1 to 0.5 mm long, as a slicer leaves them of a fine mesh: long
ones where the wall is straight, short ones in its bends, with chance in between.
"""

from __future__ import annotations

import math
import random

CENTRE = (100.0, 100.0)
RADIUS = 18.0
LAYER = 0.2
LINE = 0.45  # width of a wall
FILAMENT_MM2 = math.pi / 4 * 1.75**2
SHORTEST, LONGEST = 0.1, 0.5
INNER, OUTER, OVERHANG, TRAVEL = 3600, 2400, 1500, 9000  # mm/min
RETRACT = 0.8

START = ["M302 P1", "M107", "G90", "G21", "M83", "G92 E0", "G1 Z5 F600"]


def curved_wall(segments: int = 20_000, seed: int = 1) -> list[str]:
    """Lines of a file with so many extruding segments; it begins where X and Y are 0 and Z is at most 5."""
    return [*START, *_Wall(random.Random(seed)).write(segments), "G1 E-%.5f F2100" % RETRACT, "G1 Z80 F600", "M84"]


class _Wall:
    def __init__(self, dice):
        self.dice = dice
        self.lines = []
        self.made = 0

    def write(self, segments):
        layer = 0
        while self.made < segments:
            layer += 1
            self.lines += [";LAYER_CHANGE", ";Z:%.2f" % (layer * LAYER), ";HEIGHT:%.1f" % LAYER]
            self.lines.append("G1 E-%.5f F2100" % RETRACT)
            self.lines.append("G1 Z%.2f F600" % (layer * LAYER))
            if layer == 2:
                self.lines.append("M106 S178")
            for inset, speed in ((LINE, INNER), (0.0, OUTER)):
                if self.made < segments:
                    self._turn(layer, inset, speed, segments)
        return self.lines

    def _turn(self, layer, inset, speed, segments):
        """One wall of a layer, all round."""
        seam = 0.7 + 0.011 * layer
        points = [self._point(seam, layer, inset)]
        angle = seam
        while angle < seam + 2 * math.pi:
            angle += self._length(angle, layer) / RADIUS
            points.append(self._point(min(angle, seam + 2 * math.pi), layer, inset))
        # The last one may be too short to be written
        if math.dist(points[-2], points[-1]) < SHORTEST:
            points.pop(-2)
        if inset == 0.0:
            self.lines.append("G1 E-%.5f F2100" % RETRACT)
        self.lines += ["G1 X%.3f Y%.3f F%d" % (*points[0], TRAVEL), "G1 E%.5f F2100" % RETRACT]
        self.lines += [";TYPE:%s" % ("Perimeter" if inset else "External perimeter"), ";WIDTH:%.2f" % LINE]
        at, last = points[0], None
        for number, point in enumerate(points[1:]):
            if self.made == segments:
                return
            hangs = 0.4 < number / len(points) < 0.5
            now = OVERHANG if hangs else speed
            if now != last:
                self.lines.append("G1 F%d" % now)
                last = now
            extruded = math.dist(at, point) * LINE * LAYER / FILAMENT_MM2
            self.lines.append("G1 X%.3f Y%.3f E%.5f" % (*point, extruded))
            self.made += 1
            at = point

    def _point(self, angle, layer, inset):
        radius = RADIUS - inset + 1.4 * math.sin(5 * angle + 0.04 * layer) + 0.3 * math.sin(17 * angle)
        x, y = CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle)
        return round(x, 3), round(y, 3)

    def _length(self, angle, layer):
        """Of the next segment: short in the bends."""
        bend = abs(math.sin(5 * angle + 0.04 * layer) * 1.4 * 25 + math.sin(17 * angle) * 0.3 * 289) / RADIUS
        # A slicer keeps the distance of chord and arc below 0.006 mm
        fine = math.sqrt(8 * 0.006 * RADIUS / (1 + bend)) * self.dice.uniform(0.35, 1.2)
        return min(max(fine, SHORTEST), LONGEST * 0.8)
