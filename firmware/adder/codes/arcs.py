"""Codes of arcs."""


def g2(p, c):
    """G2: arc, clockwise."""
    p.motion.arcs.move(c, True)


def g3(p, c):
    """G3: arc, counter-clockwise."""
    p.motion.arcs.move(c, False)


def m214(p, c):
    """M214: how arcs are cut into segments; without letters the present values go to the host."""
    if not p.settings.set_from_command("M214", c):
        p.out.line(p.settings.code_line("M214"))
