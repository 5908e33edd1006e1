"""What the printer says by itself: temperature and position reports (M155), and busy lines while a command takes long.

Hosts shorten their time-out after the first busy line, so from then on one must come in time whenever an `ok` is late,
in whatever command.
"""

from micropython import const

from adder.heat import degrees

_TICK_MS = const(100)


def millimetres(units):
    """10 nm as a text with two decimals."""
    hundredths = (abs(units) + 500) // 1000
    sign = "-" if units < 0 and hundredths else ""
    return "%s%d.%02d" % (sign, hundredths // 100, hundredths % 100)


class Reporter:
    """`tick`, called ten times a second, writes what is due.

    `interval_s` and `what` (1 temperatures, 4 position) are M155's. `queue` is set by the printer: a command that is
    being run is in it, and one that is done is counted in its `done`, so no one has to tell when commands begin.
    """

    def __init__(self, hal, out, settings, heat, motion):
        self._hal = hal
        self._out = out
        self._heat = heat
        self._motion = motion
        self._settings = settings
        self.queue = None
        self.interval_s = 0
        self.what = 1
        self.paused = False  # waiting for the user, not for the machine
        self._reported = hal.ticks_ms()
        self._seen = -1
        self._busy_since = 0
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

    def tick(self):
        """Write what is due."""
        now = self._hal.ticks_ms()
        diff = self._hal.ticks_diff
        queue = self.queue
        if queue.count == 0 or queue.done != self._seen:
            self._seen = queue.done
            self._busy_since = now
        elif self._busy_ms and diff(now, self._busy_since) > self._busy_ms - _TICK_MS:
            self._busy_since = now
            self._out.line("echo:busy: paused for user" if self.paused else "echo:busy: processing")
        interval = self.interval_s * 1000
        if interval:
            late = diff(now, self._reported) - interval
            if late >= 0:
                # The next one is due an interval after this one was, not after it went out
                self._reported = self._hal.ticks_add(now, -late if late < interval else 0)
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

    def position(self, places=None):
        """`X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0`: places (10 nm) in G-code's frame, motors now.

        Without places: the end of the queue.
        """
        motion = self._motion
        parts = []
        for axis in range(4):
            units = motion.position_u(axis) if places is None else places[axis]
            parts.append("%s:%s" % ("XYZE"[axis], millimetres(units)))
        return "%s Count X:%d Y:%d Z:%d" % (
            " ".join(parts), motion.steps(0), motion.steps(1), motion.steps(2),
        )
