"""The table of codes: what the dispatcher, M503, docs/gcodes.md and the checks know of each.

A row is (code, module, function, title, letters, buffered). The handler is `function` in adder/codes/`module`; without
a module the code acts when its line arrives, and there is nothing left to do when its turn comes. The letter T alone
stands for T with any number. Letters are "S=target [degC, 0 to 270]" joined by "; ", "" for none.

buffered: queued     in order with the moves, `ok` when there is room
          drain      waits until all moves have been made, then acts
          immediate  acts when its turn comes, moves go on
          realtime   acts on arrival, ahead of waiting lines
          +blocks    `ok` comes when all is done
Rows hold texts only, so that they stay in flash.
"""

_MOVE = (
    "X Y Z=target [mm or inch]; E=filament; F=feedrate [mm/min, above 0]; "
    "S=1 until an endstop closes, 2 motors instead of axes [0]"
)
_ARC = (
    "X Y Z E F=as G1; I J=centre, from the start [mm or inch, 0]; R=radius, below 0 the long way [mm or inch]; "
    "P=extra turns [0 to 100, 0]"
)
_HOME = "X Y Z=these axes [all]; O=only axes that are not homed; W=no effect"
_MOTORS = "S=idle time [s, 0 never]; X Y Z E=these motors [all]"
_POSE = "P=0 the arms are there now: store what follows"

ROWS = (
    ("G0", "motion", "g0", "Travel move", _MOVE, "queued"),
    ("G1", "motion", "g1", "Linear move", _MOVE, "queued"),
    ("G2", "arcs", "g2", "Arc, clockwise", _ARC, "queued"),
    ("G3", "arcs", "g3", "Arc, counter-clockwise", _ARC, "queued"),
    ("G4", "motion", "g4", "Dwell", "P=time [ms]; S=time [s, wins over P]", "drain+blocks"),
    (
        "G10",
        "extrusion",
        "g10",
        "Retract; with P a tool's offset",
        "S=1 by the length of a swap [0]; with P0: X Y Z=nozzle's place at the head [mm]; "
        "S=temperature, at once [degC, 0 off]; R=standby temperature [degC]",
        "queued",
    ),
    ("G11", "extrusion", "g11", "Recover", "S=no effect: G11 recovers what G10 did [0 or 1]", "queued"),
    ("G20", "motion", "g20", "Inch units", "", "immediate"),
    ("G21", "motion", "g21", "Millimetre units", "", "immediate"),
    ("G28", "motion", "g28", "Home", _HOME, "drain+blocks"),
    ("G90", "motion", "g90", "Absolute positioning", "", "immediate"),
    ("G91", "motion", "g91", "Relative positioning", "", "immediate"),
    ("G92", "motion", "g92", "Set position", "X Y Z E=new value [mm or inch]", "queued"),
    ("G92.1", "motion", "g92_1", "Take back G92's offsets", "", "queued"),
    ("M17", "motion", "m17", "Enable motors", "X Y Z E=these motors [all]", "drain"),
    ("M18", "motion", "m84", "Disable motors", _MOTORS, "drain"),
    ("M44", "skew", "m44", "No skew", "", "drain"),
    ("M82", "motion", "m82", "Absolute E", "", "immediate"),
    ("M83", "motion", "m83", "Relative E", "", "immediate"),
    ("M84", "motion", "m84", "Disable motors", _MOTORS, "drain"),
    ("M85", "control", "m85", "Inactivity shutdown", "S=longest time without commands [s, 0 any]", "immediate"),
    ("M92", "settings", "m92", "Steps per mm", "X Y Z E=steps per mm", "drain"),
    ("M98", "filters", "m98", "Report hysteresis", "text=P and a macro file, not available", "immediate"),
    ("M99", "filters", "m99", "Set hysteresis", "X Y Z E=hysteresis, M425's backlash [mm]", "drain"),
    ("M104", "heat", "m104", "Set hotend temperature", "S=target [degC, 0 off]; T=tool [0]", "immediate"),
    ("M105", "status", "m105", "Report temperatures", "T=tool [0]; S=2 or 3 as JSON", "immediate"),
    ("M106", "heat", "m106", "Fan on", "S=speed [0 to 255, 255]; P=fan [0]", "queued"),
    ("M107", "heat", "m107", "Fan off", "P=fan [0]", "queued"),
    ("M108", "", "", "End a wait", "", "realtime"),
    (
        "M109",
        "heat",
        "m109",
        "Set hotend temperature and wait",
        "S=target, waits while heating [degC]; R=target, waits both ways [degC]; T=tool [0]; P=tool, without T",
        "immediate+blocks",
    ),
    ("M110", "", "", "Set line number", "N=number of the last line", "realtime"),
    ("M112", "", "", "Emergency stop", "", "realtime"),
    ("M113", "host", "m113", "Busy lines", "S=time between them [s, 0 none]", "immediate"),
    (
        "M114",
        "status",
        "m114",
        "Report position",
        "D=in detail; E=motor of the extruder; R=where the axes are now, by their motors",
        "immediate",
    ),
    ("M115", "status", "m115", "Report firmware", "V=version only", "immediate"),
    ("M117", "host", "m117", "Message", "text", "immediate"),
    ("M118", "host", "m118", "Print to the host", "A1=prefix //; E1=prefix echo:; text", "immediate"),
    ("M119", "status", "m119", "Report endstops", "", "immediate"),
    ("M120", "control", "m120", "Endstops stop any move", "", "drain"),
    ("M121", "control", "m121", "Endstops are for homing only", "", "drain"),
    ("M122", "diagnostics", "m122", "Report diagnostics", "S=0 and count anew", "immediate"),
    ("M124", "", "", "Immediate motor stop", "", "realtime"),
    ("M140", "heat", "m140", "Set bed temperature", "S=target [degC, 0 off]", "immediate"),
    (
        "M155",
        "host",
        "m155",
        "Reports by themselves",
        "S=interval [s, 0 off, 0 to 255]; C=sum of 1 temperatures, 4 position [1]",
        "immediate",
    ),
    (
        "M190",
        "heat",
        "m190",
        "Set bed temperature and wait",
        "S=target, waits while heating [degC]; R=target, waits both ways [degC]",
        "immediate+blocks",
    ),
    (
        "M200",
        "extrusion",
        "m200",
        "Volumetric extrusion",
        "D=filament's diameter [mm, 0 or 1.128 off, 1 to 30]; S=0 off, 1 on; "
        "L=highest flow along a path [mm^3/s, 0 any]; T=extruder [0]",
        "immediate",
    ),
    ("M201", "settings", "m201", "Highest accelerations", "X Y Z E=limit [mm/s^2]", "immediate"),
    ("M203", "settings", "m203", "Highest feedrates", "X Y Z E=limit [mm/s]", "immediate"),
    (
        "M204",
        "settings",
        "m204",
        "Accelerations",
        "S=print and travel; P=print; R=retract; T=travel [all mm/s^2]",
        "immediate",
    ),
    (
        "M205",
        "settings",
        "m205",
        "Advanced motion settings",
        "S=lowest print feedrate [mm/s]; T=lowest travel feedrate [mm/s]; B=least time of a move [us]; "
        "J=junction deviation [mm], 0: corners by jerk; X Y Z E=jerk [mm/s]; "
        "C=S-curve: time in which an acceleration rises [ms, 0 off]",
        "immediate",
    ),
    (
        "M207",
        "extrusion",
        "m207",
        "Retraction",
        "S=length [mm]; W=length of a swap [mm]; F=feedrate [mm/min]; Z=hop [mm]",
        "immediate",
    ),
    (
        "M208",
        "extrusion",
        "m208",
        "Recovery; with axes their ends",
        "S=more than was retracted [mm]; W=of a swap [mm]; F=feedrate [mm/min]; R=of a swap [mm/min]; "
        "X Y Z=highest places, with S1 lowest [mm]",
        "immediate",
    ),
    ("M209", "extrusion", "m209", "Automatic retraction", "S=0 off, 1 moves of E alone are retractions", "immediate"),
    ("M211", "settings", "m211", "Software endstops", "S=0 off, 1 on", "immediate"),
    (
        "M214",
        "arcs",
        "m214",
        "Arc settings",
        "P=longest segment [mm, above 0]; S=shortest [mm, 0 any]; N=no effect; R=fewest segments of an arc [0 any]; "
        "F=fewest segments per second [0 any]",
        "immediate",
    ),
    ("M218", "extrusion", "m218", "Nozzle offsets", "T=nozzle [0]; X Y Z=offset [mm, 0]", "immediate"),
    ("M220", "motion", "m220", "Feedrate percentage", "S=percent [10 to 999]; B=store; R=restore", "immediate"),
    ("M221", "motion", "m221", "Flow percentage", "S=percent [10 to 999]; T=extruder [0]", "immediate"),
    ("M290", "babystep", "m290", "Babystep", "X Y Z=way [mm, -2 to 2]; S=the same as Z", "immediate"),
    (
        "M302",
        "heat",
        "m302",
        "Cold extrusion",
        "S=lowest hotend temperature [degC, 0 allows all]; P=1 allow, 0 forbid",
        "immediate",
    ),
    ("M360", "machine", "m360", "SCARA: theta to 0 degrees", _POSE, "drain+blocks"),
    ("M361", "machine", "m360", "SCARA: theta to 90 degrees", _POSE, "drain+blocks"),
    ("M362", "machine", "m360", "SCARA: psi to 0 degrees, arm along the bed", "", "drain+blocks"),
    ("M363", "machine", "m360", "SCARA: psi to 90 degrees", "", "drain+blocks"),
    ("M364", "machine", "m360", "SCARA: 90 degrees between the arms", _POSE, "drain+blocks"),
    ("M365", "machine", "m365", "SCARA scales", "X Y Z=factor [0.5 to 2, 1]", "drain"),
    ("M400", "motion", "m400", "Finish moves", "", "drain+blocks"),
    ("M410", "", "", "Quick stop", "", "realtime"),
    (
        "M425",
        "filters",
        "m425",
        "Backlash",
        "X Y Z E=backlash [mm]; F=share that is made up for [0 to 1]; S=way over which it is [mm]",
        "drain",
    ),
    ("M500", "settings", "m500", "Save settings", "", "drain"),
    ("M501", "settings", "m501", "Load settings", "", "drain"),
    ("M502", "settings", "m502", "Factory settings", "", "drain"),
    ("M503", "settings", "m503", "Print settings", "S=0 without remarks", "immediate"),
    ("M540", "control", "m540", "Endstops end a print", "S=1 yes, 0 no; P=network address, not available", "immediate"),
    (
        "M556",
        "skew",
        "m556",
        "Skew by measured errors",
        "S=length [mm, 1 to 2000]; X=error XY; Y=error YZ; Z=error ZX [mm over that length, above 0 an obtuse angle]",
        "drain",
    ),
    ("M572", "filters", "m572", "Pressure advance", "P=drive [3]; D=extruder [0]; S=time, M900's K [s]", "drain"),
    (
        "M593",
        "filters",
        "m593",
        "Input shaping",
        "F=frequency [Hz, 0 off, 5 to 200]; D=damping ratio [0 to 0.99]; T=type: 0 none, 1 ZV, 2 MZV, 3 EI; "
        "X Y=these axes [both]",
        "drain",
    ),
    (
        "M665",
        "machine",
        "m665",
        "Delta geometry",
        "L=rods; R=radius; B=bed's radius; H=height after homing [all mm]; X Y Z=turn of the towers [deg]; "
        "S=segments a second, no effect",
        "drain",
    ),
    ("M666", "machine", "m666", "Trims of the switches", "X Y Z=lower by [mm, SCARA: X Y by degrees]", "drain"),
    (
        "M669",
        "machine",
        "m669",
        "Kinematics",
        "K=0 Cartesian, 1 CoreXY, 3 delta, 4 SCARA (as in RepRapFirmware)",
        "drain",
    ),
    (
        "M852",
        "skew",
        "m852",
        "Skew factors",
        "I S=XY: Y leans towards +X by this share; J=XZ; K=YZ [-0.1 to 0.1]",
        "drain",
    ),
    (
        "M900",
        "filters",
        "m900",
        "Linear advance",
        "K=filament per speed of the filament [s, 0 to 10]; R W H D L S T=not used",
        "drain",
    ),
    ("M999", "host", "m999", "Restart after a stop", "", "realtime"),
    ("T", "host", "t", "Select tool", "number of the tool [0]", "immediate"),
)


def find(code):
    """The row of a code ("M104", "T" for any tool), or None."""
    for row in ROWS:
        if row[0] == code:
            return row
    return None


def exists(code):
    """Whether there is such a code."""
    return find(code) is not None
