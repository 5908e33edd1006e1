"""The table of all settings, their values, and their way to the host and into the flash.

A setting is one row: (name, code, letter, unit, decimals, default, lowest, highest, title). A code
may have a letter that selects ("M593 X"): then it is set for what the letter names. A setting's
value is an integer scaled by 10**decimals, below 2**30, so that it is a small int on the board.
Rows are constant tuples and stay in flash; RAM holds two arrays of integers and one dict of
names. The rows below are those of the motion; other modules have their own SETTINGS next to what
they set, and `groups()` lists them all.

    settings.get(name)                    value, scaled
    settings.decimals(name)               its decimals; settings.row(name): the whole row
    settings.set(name, scaled)            Refused if out of range
    settings.text(name)                   "80.00"
    settings.on_change(prefix, function)  function(name) after a change of names that begin with
                                          prefix, once for all that changed together
    settings.guard(function)              function(names) before those: it may raise Refused for values that do not go
                                          together, and all is as it was; not asked about what was stored
    settings.by_code("M92")               the rows that M92 sets, in the order of its letters
    settings.set_from_command("M92", c)   sets what the letters of the command c say: all or, when
                                          one is wrong (Refused), none; gives the names that were
                                          set, [] if the command had no such letter
    settings.set_from_command("M204", c, (("S", "PT"),))
                                          the letter S stands for P and T where they are not there
    settings.code_line("M92")             "M92 X80.00 Y80.00 Z400.00 E93.00"
    settings.gcode_lines(remarks, exists) M503's lines one by one; exists(code) tells whether there
                                          is such a command: others come out as remarks
    settings.save() load() reset()        M500, M501, M502: lines for the host; save may be Refused
"""

from array import array

from adder.errors import BoardError, Refused

SETTINGS = (
    ("steps_per_mm_x", "M92", "X", "steps/mm", 3, 80000, 100, 10000000, "steps per mm, X"),
    ("steps_per_mm_y", "M92", "Y", "steps/mm", 3, 80000, 100, 10000000, "steps per mm, Y"),
    ("steps_per_mm_z", "M92", "Z", "steps/mm", 3, 400000, 100, 10000000, "steps per mm, Z"),
    ("steps_per_mm_e", "M92", "E", "steps/mm", 3, 93000, 100, 10000000, "steps per mm, E"),
    ("max_feedrate_x", "M203", "X", "mm/s", 2, 30000, 10, 100000, "highest speed, X"),
    ("max_feedrate_y", "M203", "Y", "mm/s", 2, 30000, 10, 100000, "highest speed, Y"),
    ("max_feedrate_z", "M203", "Z", "mm/s", 2, 1200, 10, 100000, "highest speed, Z"),
    ("max_feedrate_e", "M203", "E", "mm/s", 2, 6000, 10, 100000, "highest speed, E"),
    ("max_acceleration_x", "M201", "X", "mm/s^2", 0, 3000, 1, 50000, "highest acceleration, X"),
    ("max_acceleration_y", "M201", "Y", "mm/s^2", 0, 3000, 1, 50000, "highest acceleration, Y"),
    ("max_acceleration_z", "M201", "Z", "mm/s^2", 0, 200, 1, 50000, "highest acceleration, Z"),
    ("max_acceleration_e", "M201", "E", "mm/s^2", 0, 5000, 1, 50000, "highest acceleration, E"),
    ("acceleration_print", "M204", "P", "mm/s^2", 0, 1500, 1, 50000, "acceleration of prints"),
    ("acceleration_retract", "M204", "R", "mm/s^2", 0, 2000, 1, 50000, "acceleration of E alone"),
    ("acceleration_travel", "M204", "T", "mm/s^2", 0, 2000, 1, 50000, "acceleration without E"),
    ("min_segment_us", "M205", "B", "us", 0, 20000, 0, 1000000, "least time of a move, as moves run out"),
    ("min_feedrate_print", "M205", "S", "mm/s", 2, 0, 0, 10000, "lowest speed of print moves"),
    ("min_feedrate_travel", "M205", "T", "mm/s", 2, 0, 0, 10000, "lowest speed of travel moves"),
    ("junction_deviation", "M205", "J", "mm", 3, 13, 0, 500, "junction deviation, 0: by jerk"),
    ("jerk_x", "M205", "X", "mm/s", 2, 1000, 1, 10000, "jerk, X"),
    ("jerk_y", "M205", "Y", "mm/s", 2, 1000, 1, 10000, "jerk, Y"),
    ("jerk_z", "M205", "Z", "mm/s", 2, 40, 1, 10000, "jerk, Z"),
    ("jerk_e", "M205", "E", "mm/s", 2, 500, 1, 10000, "jerk, E"),
    ("kinematics", "", "", "", 0, 0, 0, 3, "kinematics: 0 Cartesian, 1 CoreXY, 2 delta, 3 SCARA"),
    # Lowest ones are at most 0 and highest ones above 0: no pair can be the wrong way round.
    ("x_min", "", "", "mm", 2, 0, -100000, 0, "lowest X"),
    ("x_max", "", "", "mm", 2, 20000, 100, 200000, "highest X"),
    ("y_min", "", "", "mm", 2, 0, -100000, 0, "lowest Y"),
    ("y_max", "", "", "mm", 2, 20000, 100, 200000, "highest Y"),
    ("z_min", "", "", "mm", 2, 0, -100000, 0, "lowest Z"),
    ("z_max", "", "", "mm", 2, 20000, 100, 200000, "highest Z"),
    ("soft_endstops", "M211", "S", "", 0, 1, 0, 1, "moves end at these limits: 0 no, 1 yes"),
    ("home_feedrate_x", "", "", "mm/s", 2, 5000, 10, 50000, "homing: first approach, X"),
    ("home_feedrate_y", "", "", "mm/s", 2, 5000, 10, 50000, "homing: first approach, Y"),
    ("home_feedrate_z", "", "", "mm/s", 2, 800, 10, 50000, "homing: first approach, Z"),
    ("homing_backoff_x", "", "", "mm", 2, 500, 10, 5000, "homing: way back from the switch, X"),
    ("homing_backoff_y", "", "", "mm", 2, 500, 10, 5000, "homing: way back from the switch, Y"),
    ("homing_backoff_z", "", "", "mm", 2, 200, 10, 5000, "homing: way back from the switch, Z"),
    ("home_to_max_x", "", "", "", 0, 0, 0, 1, "homing: switch of X at 0 its lowest, 1 its highest"),
    ("home_to_max_y", "", "", "", 0, 0, 0, 1, "homing: switch of Y at 0 its lowest, 1 its highest"),
    ("home_to_max_z", "", "", "", 0, 0, 0, 1, "homing: switch of Z at 0 its lowest, 1 its highest"),
    ("invert_dir_x", "", "", "", 0, 0, 0, 1, "turn the motor round, X"),
    ("invert_dir_y", "", "", "", 0, 0, 0, 1, "turn the motor round, Y"),
    ("invert_dir_z", "", "", "", 0, 0, 0, 1, "turn the motor round, Z"),
    ("invert_dir_e", "", "", "", 0, 0, 0, 1, "turn the motor round, E"),
    ("motor_timeout", "M84", "S", "s", 0, 120, 0, 86400, "motors are let go after, 0 never"),
    ("busy_interval", "M113", "S", "s", 0, 2, 0, 60, "time between busy lines, 0 none"),
    ("e_follows_g90", "", "", "", 0, 1, 0, 1, "G90 and G91 act on E: 0 no, 1 yes"),
)

# Names of earlier versions: (old, new). What was saved under the old one is taken over.
RENAMED = ()

# M503: codes in the order that users know, each with its remark. Other codes follow.
_REMARKS = (
    ("M92", "Steps per unit:"),
    ("M203", "Highest feedrates (mm/s):"),
    ("M201", "Highest accelerations (mm/s^2):"),
    ("M204", "Accelerations (mm/s^2), P print, R retract, T travel:"),
    ("M205", "B segment time (us), S T lowest feedrates, J deviation (mm), X Y Z E jerk (mm/s), C S-curve (ms):"),
    ("M211", "Software endstops:"),
    ("M214", "Arcs: P longest, S shortest segment (mm), R fewest segments, F fewest a second, 0 any:"),
    ("M301", "Hotend PID:"),
    ("M304", "Bed PID:"),
    ("M302", "Cold extrusion (C):"),
    ("M593 X", "Input shaping, X: F frequency (Hz), 0 off, D damping, T 1 ZV, 2 MZV, 3 EI:"),
    ("M593 Y", "Input shaping, Y:"),
    ("M900", "Linear advance (s):"),
    ("M425", "Backlash (mm), F share that is made up for, S over this way (mm):"),
    ("M665", "Delta (mm): L rods, R radius, B bed's radius, H height, X Y Z turn of the towers (deg):"),
    ("M666", "Switches, corrections (mm, deg):"),
    ("M365", "SCARA, scales:"),
    ("M200", "Filament's diameter (mm), S1 E counts mm^3, L highest flow (mm^3/s), 0 any:"),
    ("M207", "Retraction G10: S length, W length of a swap (mm), F feedrate (mm/min), Z hop (mm):"),
    ("M208", "Recovery G11: S more than retracted, W of a swap (mm), F R their feedrates (mm/min):"),
    ("M209", "Moves of E alone are retractions:"),
    ("M852", "Skew: I XY, J XZ, K YZ:"),
    ("G10 P0", "Place of the nozzle at the head (mm):"),
    ("M84", "Motors are let go after (s), 0 never:"),
    ("M113", "Busy lines every (s), 0 none:"),
)
_NOTES_MAX = 8


def groups():
    """The row tuples of all modules, for `Settings`."""
    from adder import (
        arc_settings,
        correction,
        fans,
        filament,
        filter_settings,
        frame,
        heat,
        kinematics,
        motion,
        retraction,
    )

    modules = (motion, heat, fans, filter_settings, arc_settings, kinematics, filament, retraction, correction, frame)
    return (SETTINGS,) + tuple([module.SETTINGS for module in modules])


def decimal(value, decimals):
    """A scaled integer as text: two decimals if it has as many, more where they are not zero."""
    if not decimals:
        return str(value)
    digits = str(abs(value))
    digits = "0" * (decimals + 1 - len(digits)) + digits
    point = end = len(digits)
    point -= decimals
    while end > point + 2 and digits[end - 1] == "0":
        end -= 1
    return ("-" if value < 0 else "") + digits[:point] + "." + digits[point:end]


_TENS = (1, 10, 100, 1000, 10000, 100000, 1000000)


def scaled(text, decimals):
    """The integer behind a decimal number, scaled, rounded half away from zero; or ValueError."""
    if len(text) <= 9:
        # As most are, in few calls
        if text.isdigit():
            return int(text) * _TENS[decimals] if decimals else int(text)
        digits = text.replace(".", "")
        if digits.isdigit() and len(digits) == len(text) - 1:
            more = decimals + text.find(".") - len(digits)
            if more >= 0:
                return int(digits) * _TENS[more]
    negative = text.startswith("-")
    whole, _, fraction = (text[1:] if negative else text).partition(".")
    digits = whole + fraction
    if not digits.isdigit() or len(digits) > 18:
        raise ValueError("not a number")
    if len(fraction) > decimals:
        value = int(digits[: len(whole) + decimals] or "0")
        if fraction[decimals] >= "5":
            value += 1
    else:
        value = int(digits + "0" * (decimals - len(fraction)))
    return -value if negative else value


class Settings:
    """All settings.

    `groups`: tuples of rows; `defaults`: {name: value in its unit} of the board; `store`: a
    store.Store; `renamed`: as RENAMED. A default may be an int, a float, a text ("92.655": exact,
    a float on the board has 24 bits) or a bool; BoardError if it is out of range or unknown.
    """

    def __init__(self, groups, defaults=None, store=None, renamed=RENAMED):
        self._table = []
        for group in groups:
            self._table.extend(group)
        self._store = store
        self._renamed = renamed
        self._listeners = []
        self._guards = []
        self._unknown = []  # lines of the store that another version wrote and wants back
        self._index = {}
        self._defaults = array("i", [row[5] for row in self._table])
        index = self._index
        for at, row in enumerate(self._table):
            index[row[0]] = at
        if defaults:
            for name in defaults:
                self._board_default(name, defaults[name])
        self._values = self._defaults[:]

    def _board_default(self, name, value):
        if name not in self._index:
            raise BoardError("defaults: no setting is called '%s'; see docs/settings.md" % name)
        row = self.row(name)
        try:
            if isinstance(value, float):
                value = int(value * 10 ** row[4] + (0.5 if value >= 0 else -0.5))
            else:
                value = scaled(str(int(value) if isinstance(value, bool) else value), row[4])
            self._check(row, value)
        except (ValueError, OverflowError):
            raise BoardError("defaults: %s is %r, should be %s" % (name, value, _range(row)))
        except Refused as problem:
            raise BoardError("defaults: %s" % problem)
        self._defaults[self._index[name]] = value

    def _row(self, at):
        return self._table[at]

    def _rows(self):
        return self._table

    def row(self, name):
        """The row of a setting; KeyError if there is none."""
        return self._row(self._index[name])

    def names(self):
        """Names of all settings, in the order of the table."""
        return [row[0] for row in self._rows()]

    def get(self, name):
        """Value of a setting, scaled by 10**decimals."""
        return self._values[self._index[name]]

    def decimals(self, name):
        """Decimals of a setting's scaled value."""
        return self.row(name)[4]

    def text(self, name):
        """Value of a setting as a decimal number in its unit."""
        at = self._index[name]
        return decimal(self._values[at], self._row(at)[4])

    def set(self, name, value):
        """Set one setting to a scaled value; Refused if that is out of range."""
        at = self._index[name]
        self._check(self._row(at), value)
        self._try(((at, value),))

    def on_change(self, prefix, function):
        """Have function(name) called after changes of settings whose names begin with `prefix`."""
        self._listeners.append((prefix, function))

    def guard(self, function):
        """Have function(names) called when names have changed, before anybody hears of it; Refused takes it back."""
        self._guards.append(function)

    def _try(self, changes):
        # Commit what the guards let through
        values = self._values
        before = [(at, values[at]) for at, _ in changes]
        names = []
        for at, value in changes:
            if values[at] != value:
                values[at] = value
                names.append(self._row(at)[0])
        try:
            if names:
                for function in self._guards:
                    function(names)
        finally:
            for at, value in before:
                values[at] = value
        self._commit(changes)

    def _check(self, row, value, letter=None):
        if not row[6] <= value <= row[7]:
            what = row[1] + " " + (letter or row[2]) if row[1] else row[0] + " "
            raise Refused(
                "%s%s is out of range, should be %s" % (what, decimal(value, row[4]), _range(row))
            )

    def _commit(self, changes):
        # Every value first, then those who want to know: they see all of a change.
        values = self._values
        changed = []
        for at, value in changes:
            if values[at] != value:
                values[at] = value
                changed.append(at)
        for prefix, function in self._listeners:
            for at in changed:
                name = self._row(at)[0]
                if name.startswith(prefix):
                    function(name)
                    break

    # Commands

    def by_code(self, code):
        """Rows of the settings that a code ("M92") sets, in the order of its letters."""
        return [row for row in self._rows() if row[1] == code]

    def set_from_command(self, code, c, aliases=()):
        """Set what the command's letters say, all or none; gives the names set.

        aliases: pairs of a letter and the letters of the code that it stands for. Refused when a
        letter has no value or one that is out of range.
        """
        rows = self.by_code(code)
        changes = []
        for letter, targets in aliases:
            if c.has(letter):
                for row in rows:
                    if row[2] in targets:
                        changes.append((self._index[row[0]], self._read(c, letter, row)))
        aliased = [letter for letter, _ in aliases]
        for row in rows:
            if row[2] not in aliased and c.has(row[2]):
                changes.append((self._index[row[0]], self._read(c, row[2], row)))
        self._try(changes)
        return [self._row(at)[0] for at, _ in changes]

    def _read(self, c, letter, row):
        if not c.valued(letter):
            raise Refused("%s %s has no value, should be %s" % (row[1], letter, _range(row)))
        value = c.scaled(letter, row[4], 0)
        self._check(row, value, letter)
        return value

    def code_line(self, code):
        """The command that sets what `code` sets, with the present values."""
        words = [code]
        for row in self.by_code(code):
            words.append(row[2] + self.text(row[0]))
        return " ".join(words)

    def gcode_lines(self, remarks=True, exists=None):
        """The present settings as lines that a host shows and that can be sent back, one by one."""
        known = [code for code, _ in _REMARKS]
        for row in self._rows():
            if row[1] and row[1] not in known:
                known.append(row[1])
        for at, code in enumerate(known):
            if exists is not None and not exists(code.split()[0]):
                continue
            rows = self.by_code(code)
            if rows:
                if remarks:
                    remark = _REMARKS[at][1] if at < len(_REMARKS) else rows[0][8] + ":"
                    yield "echo:; " + remark
                yield "echo:  " + self.code_line(code)
        if not remarks:
            return
        yield "echo:; Without a code, set by the board's file:"
        for row in self._rows():
            if not row[1] or (exists is not None and not exists(row[1].split()[0])):
                unit = " " + row[3] if row[3] else ""
                yield "echo:; %s %s%s (%s)" % (row[0], self.text(row[0]), unit, row[8])

    # Store

    def save(self):
        """Write all settings to the store if it holds others. Gives the line for the host."""
        if self._store is None:
            raise Refused("settings cannot be stored: this board has no file system")
        lines = []
        for row in self._rows():
            lines.append(row[0] + " " + self.text(row[0]))
        lines.extend(self._unknown)
        lines.append("")
        store = self._store
        store.write("\n".join(lines))
        return "echo:Settings Stored (%d bytes; crc %d)" % (store.size, store.crc)

    def load(self):
        """Take the settings from the store, or defaults. Gives the lines for the host."""
        text = None
        notes = []
        if self._store is not None:
            text = self._store.read()
            notes = self._store.notes
        if text is None:
            self.reset()
            if not notes:
                return ["echo:No settings stored, defaults loaded"]
            notes.append("No stored settings can be used, defaults loaded")
            return ["echo:" + note for note in notes]
        values, more = self._parse(text)
        if self._listeners:
            self._commit(enumerate(values))
        else:
            self._values = values  # at the start, when nobody has to be told
        store = self._store
        lines = [
            "echo:V%d stored settings retrieved (%d bytes; crc %d)"
            % (store.FORMAT, store.size, store.crc)
        ]
        notes = notes + more
        for note in notes[:_NOTES_MAX]:
            lines.append("echo:" + note)
        if len(notes) > _NOTES_MAX:
            lines.append("echo:... and %d more such remarks" % (len(notes) - _NOTES_MAX))
        return lines

    def reset(self):
        """Defaults for all settings; the store stays. Gives the line for the host."""
        self._commit([(at, self._defaults[at]) for at in range(len(self._defaults))])
        return "echo:Hardcoded Default Settings Loaded"

    def _plain(self, text):
        # The values of a text that holds nothing but known names, each with a value that is right; else None
        words = text.split()
        pairs = len(words) // 2
        if len(words) & 1 or text.count(" ") != pairs or text.count("\n") != pairs:
            return None
        values = self._defaults[:]
        index, table, read = self._index, self._table, scaled
        try:
            words = iter(words)
            for name in words:
                at = index[name]
                _, _, _, _, decimals, _, lowest, highest, _ = table[at]
                number = read(next(words), decimals)
                if number < lowest or number > highest:
                    return None
                values[at] = number
        except (KeyError, ValueError):
            return None
        return values

    def _parse(self, text):
        values = self._plain(text)
        if values is not None:
            self._unknown = []
            return values, []
        values = self._defaults[:]
        notes = []
        unknown = []
        old = []
        for line in text.split("\n"):
            name, _, value = line.partition(" ")
            if name in self._index:
                self._take(values, name, name, value, notes)
            elif name:
                for pair in self._renamed:
                    if pair[0] == name and pair[1] in self._index:
                        old.append((pair[1], name, value))
                        break
                else:
                    unknown.append(line)
        for new, name, value in old:
            # A value under the new name is the later one.
            if not ("\n" + text).count("\n" + new + " "):
                self._take(values, new, name, value, notes)
                notes.append("Setting %s is called %s now" % (name, new))
        self._unknown = unknown
        if unknown:
            notes.append("%d settings of another version are kept, not used" % len(unknown))
        return values, notes

    def _take(self, values, name, stored_as, value, notes):
        at = self._index[name]
        row = self._row(at)
        try:
            number = scaled(value, row[4])
            if row[6] <= number <= row[7]:
                values[at] = number
                return
        except ValueError:
            pass
        default = decimal(self._defaults[at], row[4])
        notes.append(
            "Stored %s %s is out of range, should be %s; now %s"
            % (stored_as, value[:20], _range(row), default)
        )


def _range(row):
    unit = " " + row[3] if row[3] else ""
    return "%s to %s%s" % (decimal(row[6], row[4]), decimal(row[7], row[4]), unit)
