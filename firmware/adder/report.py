"""What the printer says by itself: temperature and position reports (M155), and busy lines while a command takes long.

Hosts shorten their time-out after the first busy line, so from then on one must come in time whenever an `ok` is late, in
whatever command.
"""

from adder.heat import degrees


class Reporter:
    """`tick` is called by whoever waits; `interval_s` and `what` (1 temperatures, 4 position) are M155's."""

    def __init__(self, hal, out, settings, heat, motion):
        self._hal = hal
        self._out = out
        self._heat = heat
        self._motion = motion
        self._settings = settings
        self.interval_s = 0
        self.what = 1
        self._reported = hal.ticks_ms()
        self.busy_since = None  # when the wait for its ok was first noticed
        self.paused = False  # waiting for the user, not for the machine
        self.refresh()
        settings.on_change("busy_interval", self.refresh)

    def refresh(self, _=None):
        """The settings have changed."""
        self._busy_ms = self._settings.get("busy_interval") * 1000

    def automatic(self, interval_s, what):
        """M155: report every `interval_s` seconds (0: never)."""
        self.interval_s = interval_s
        self.what = what
        self._reported = self._hal.ticks_ms()

    def tick(self, working):
        """Write what is due; `working`: a command is being run, whose ok is still to come."""
        now = self._hal.ticks_ms()
        diff = self._hal.ticks_diff
        if working and self._busy_ms:
            if self.busy_since is None:
                self.busy_since = now
            elif diff(now, self.busy_since) >= self._busy_ms:
                self.busy_since = now
                self._out.line("echo:busy: paused for user" if self.paused else "echo:busy: processing")
        if self.interval_s and diff(now, self._reported) >= self.interval_s * 1000:
            self._reported = now
            if self.what & 1:
                self._out.line(" " + self.temperatures())
            if self.what & 4:
                self._out.line(self.position())

    def temperatures(self):
        """`T:21.0 /0.0 B:21.0 /0.0 T0:21.0 /0.0 @:0 B@:0`"""
        hotend = self._heat.by_name("hotend")
        bed = self._heat.by_name("bed")
        first = "%s /%s" % (degrees(hotend.temperature_cc), degrees(hotend.target_cc))
        text = "T:" + first
        if bed:
            text += " B:%s /%s" % (degrees(bed.temperature_cc), degrees(bed.target_cc))
        text += " T0:%s @:%d" % (first, hotend.power)
        if bed:
            text += " B@:%d" % bed.power
        return text

    def position(self):
        """`X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0`: end of the queue in G-code's frame, motors now."""
        motion = self._motion
        parts = []
        for axis in range(4):
            value = motion.position_u(axis)
            hundredths = (abs(value) + 500) // 1000
            sign = "-" if value < 0 and hundredths else ""
            parts.append("%s:%s%d.%02d" % ("XYZE"[axis], sign, hundredths // 100, hundredths % 100))
        return "%s Count X:%d Y:%d Z:%d" % (
            " ".join(parts), motion.steps(0), motion.steps(1), motion.steps(2),
        )
