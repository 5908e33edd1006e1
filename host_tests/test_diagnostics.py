"""M122: what is counted, why motion ran dry, and that reading with S0 counts anew."""

from array import array

import pytest
from printer_bench import PrinterBench, numbered

from adder.counters import Counters
from tools.twin.status import Status

COUNTERS = (
    "underruns", "host", "planner", "slicer", "clipped", "lines", "resends", "checksum_errors", "number_errors",
    "format_errors", "too_long", "dropped", "emergencies",
)  # fmt: skip


@pytest.fixture
def b():
    bench = PrinterBench()
    assert bench.say("") == ["start"]
    yield bench
    bench.close()
    assert type(bench.error).__name__ == "_End", bench.error


def figures(b, command="M122"):
    """The numbers of M122 by name."""
    status = Status()
    lines = b.say(command + "\n")
    assert lines[-1] == "ok" and 4 <= len(lines) <= 8
    for line in lines[:-1]:
        assert line.startswith("echo:") and len(line) < 160
        status.read(line)
    return {name: status.number(name) for name in status.values}


def moves(count, way=0.5):
    return "".join("G1 X%.2f F3000\n" % (way * (n % 2)) for n in range(1, count + 1))


def test_everything_that_is_asked_for_is_there(b):
    told = figures(b)
    assert set(COUNTERS) <= set(told)
    for name in ("lowest_ahead_ms", "buffer_ms", "lowest_blocks", "blocks", "slicer_us_per_ms", "busy_percent",
                 "longest_gap_us", "gc_pause_ms", "collections", "queue", "heap_free"):  # fmt: skip
        assert isinstance(told[name], float), name


def test_damaged_and_lost_lines_count_until_s0(b):
    b.say("G28\nG1 X900 F6000\nG1 X1000\n")
    b.say(b"N1 G1 X5*99\n")
    b.say(numbered(7, "G1 X6"))
    b.say("G1 X\x01\n" + "G1 X" + "1" * 300 + "\nM400\n")
    told = figures(b, "M122 S0")
    assert told["checksum_errors"] == 1 and told["number_errors"] == 1 and told["resends"] == 2
    assert told["format_errors"] == 1 and told["too_long"] == 1 and told["clipped"] == 2
    told = figures(b)
    assert told.pop("lines") <= 1
    assert not any(told[name] for name in COUNTERS if name != "lines")
    assert told["longest_gap_us"] < 25_000
    # Without S0 nothing is lost
    b.say(b"N1 G1 X5*99\n")
    assert figures(b, "M122 S1")["checksum_errors"] == figures(b)["checksum_errors"] == 1


def test_a_host_that_is_late(b):
    b.say("G91\nM122 S0\n")
    for _ in range(3):
        b.say(moves(30))
        while b.printer.motion.busy():
            b.run(5)
        b.run(300)
    told = figures(b)
    assert (told["host"], told["planner"], told["slicer"], told["underruns"]) == (2, 0, 0, 2)


@pytest.mark.parametrize("between", ["M400", "G4 P300", "M109 R30", ""])
def test_an_end_that_is_wanted_is_no_underrun(b, between):
    b.say("G91\nM122 S0\n" + moves(30))
    if between:
        b.say(between + "\n")
    else:
        b.run(4000)
    b.say(moves(30) + "M400\n")
    told = figures(b)
    assert told["underruns"] == 0
    assert told["lowest_ahead_ms"] > 40  # the last blocks are kept back so long, for more to come


def test_slices_that_come_too_late(b):
    b.say("G91\nM122 S0\nG1 X100 F3000\n")
    b.run(500)
    b.hal._us += 400_000  # nothing runs for so long
    b.say("M400\n")
    told = figures(b)
    assert (told["host"], told["planner"], told["slicer"], told["underruns"]) == (0, 0, 1, 1)
    assert told["longest_gap_us"] >= 400_000 and told["lowest_ahead_ms"] == 0
    b.drain()
    assert b.made[0] == 8000


def test_a_main_loop_that_is_too_slow(b, monkeypatch):
    """A handler that works for long lets the planner run dry though lines wait."""
    from adder.codes import host

    b.say("G91\nM122 S0\n" + moves(30))
    monkeypatch.setitem(b.printer.codes._handlers, ord("M") << 20 | 113 << 4, lambda p, c: b.hal.advance_ms(1000))
    b.say("M113\n" + moves(30) + "M400\n", 120_000)
    assert host.m113
    told = figures(b)
    assert (told["host"], told["planner"], told["slicer"]) == (0, 1, 0)
    assert told["busy_percent"] > 40


def test_the_lowest_fill_is_that_before_more_came(b):
    b.say("G91\nM122 S0\n" + moves(40, 2.0))
    before = figures(b)
    assert before["lowest_blocks"] > 10
    while b.printer.motion.feeder.planner.waiting() > 5:
        b.run(5)
    left = b.printer.motion.feeder.planner.waiting()
    b.say(moves(20, 2.0))
    # The last look was before the lines came in
    assert left - 2 <= figures(b)["lowest_blocks"] <= left
    b.say("M400\n")
    assert figures(b)["lowest_blocks"] >= left - 2


# The arithmetic, with a feeder that is none


class FakeFeeder:
    def __init__(self):
        self.planner = self
        self.state = array("i", [20, 0])  # head and tail of the planner's ring
        self.running = self.flush = False
        self.underruns = 0
        self.during = lambda: None

    def service(self):
        self.during()


class FakeHal:
    us = (1 << 30) - 20_000  # wraps soon
    resting = bytearray(1)

    def ticks_us(self):
        return self.us & 0x3FFFFFFF

    def ticks_diff(self, a, b):
        return ((a - b + (1 << 29)) & 0x3FFFFFFF) - (1 << 29)

    def forget_collections(self):
        pass


def test_gaps_and_loads_across_the_wrap_of_the_clock():
    hal, feeder = FakeHal(), FakeFeeder()
    counters = Counters(hal, feeder)

    def work():
        hal.us += 300

    feeder.running = True
    feeder.during = work
    for n in range(11):
        hal.resting[0] = n % 4 != 0
        counters.serve()
        hal.us += 4700 if n != 6 else 11_700
    assert counters.longest_gap_us() == 12_000
    # Ten gaps: 9 * 5 ms + 12 ms; 300 us in each
    assert counters.load() == (3000 * 1000 // 57_000, 20)
    counters.reset()
    assert counters.longest_gap_us() == 0 and counters.load() == (0, 0)
    assert counters.lowest() == (60, 200_000)
