"""The figures: what each is, its unit, and the bar that it has to reach."""

from __future__ import annotations

from dataclasses import dataclass

AT_LEAST, AT_MOST = ">=", "<="


@dataclass
class Figure:
    """One figure of the bench. `bar` None: only shown."""

    name: str
    title: str
    unit: str = ""
    sense: str = AT_LEAST
    bar: float | None = None
    decimals: int = 0

    def met(self, value) -> bool | None:
        """Whether a value reaches the bar; None without a bar."""
        if self.bar is None or value is None:
            return None
        return value >= self.bar if self.sense == AT_LEAST else value <= self.bar


FIGURES = (
    Figure("lines_per_s", "0.2 mm X-Y-E lines, each sent after the last one's ok", "1/s", AT_LEAST, 1200),
    Figure("lines_per_s_200us_host", "the same with a host that takes 0.2 ms to answer", "1/s"),
    Figure("lines_per_s_flood", "the same, sent ahead within a window of four lines", "1/s"),
    Figure("stream_underruns", "underruns while these lines came", "", AT_MOST, 0),
    Figure("stream_stops", "times the motors stood still (> 3 ms) while lines came at 200 mm/s", ""),
    Figure("parse_us", "Command.scan of a line of 36 bytes", "us", decimals=1),
    Figure("plan_us", "planning one move, ring half full", "us", decimals=1),
    Figure("slice_us", "one slice, four axes moving, the longer of steady and changing speed", "us", AT_MOST, 20, 1),
    Figure("slice_us_cruising", "one slice at steady speed", "us", decimals=1),
    Figure("slice_us_short_blocks", "one slice that is a block of its own", "us", decimals=1),
    Figure("slice_us_all", "one slice with shaping of X Y, mesh, advance, backlash", "us", AT_MOST, 60, 1),
    Figure("slice_us_all_s_curve", "the same with S-curve", "us", decimals=1),
    Figure("slice_us_delta", "one slice of a delta", "us", AT_MOST, 100, 1),
    Figure("steps_per_s", "four axes together, sum, no underrun", "1/s", AT_LEAST, 4_000_000),
    Figure("step_interval_ns", "shortest time between steps seen at that rate", "ns"),
    Figure("step_faults", "pulses at that rate that break the driver's times", "", AT_MOST, 0),
    Figure("load_percent", "CPU awake at 4 x 1,000,000 steps/s", "%", decimals=1),
    Figure("stepping_load_percent", "of that, more than without motion", "%", AT_MOST, 10, 1),
    Figure("edge_error_steps", "largest distance of an edge from the plan, one start time", "steps", AT_MOST, 0.2, 3),
    Figure("edge_error_rms_steps", "root mean square of it", "steps", AT_MOST, 0.05, 3),
    Figure("edge_drift_us", "time by which the whole job ended early or late", "us", decimals=1),
    Figure("velocity_error_percent", "highest speed measured over the limit that was set", "%", AT_MOST, 2, 2),
    Figure("acceleration_error_percent", "the same of the acceleration", "%", AT_MOST, 2, 2),
    Figure("override_ms", "M220 to a change of the step rate, later of S50 and S200", "ms", AT_MOST, 250),
    Figure("override_acceleration_error_percent", "acceleration over its limit then", "%", AT_MOST, 2, 2),
    Figure("estop_us", "last byte of M112 to the last step, largest", "us", AT_MOST, 1000),
    Figure("estop_mean_us", "the same, mean of 30 moments", "us"),
    Figure("estop_heat_us", "last byte of M112 to the heater off, largest", "us"),
    Figure("endstop_overshoot_steps", "steps after the switch has closed, largest", "steps", AT_MOST, 1),
    Figure("step_buffer_ms", "lowest fill of the step buffer in the example print", "ms", AT_LEAST, 150),
    Figure("step_buffer_high_ms", "highest fill seen there", "ms"),
    Figure("underruns", "underruns in the example print", "", AT_MOST, 0),
    Figure("gc_pause_ms", "longest garbage collection while printing", "ms", decimals=1),
    Figure("dryrun_lines_per_s", "dry run of a wall of 20,000 short moves, on this computer", "1/s", AT_LEAST, 3000),
    Figure("heap_free_bytes", "free heap after boot", "bytes", AT_LEAST, 100_000),
    Figure("image_bytes", "size of the image", "bytes", AT_MOST),
    Figure("boot_ms", "reset to start", "ms", AT_MOST, 1500),
    Figure("boot_first_ms", "the same with a flash that is empty yet", "ms"),
)
BY_NAME = {figure.name: figure for figure in FIGURES}
