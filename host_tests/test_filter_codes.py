"""Input shaping, advance, S-curve and backlash as a host sets, asks for and saves them, over the whole printer."""

import pytest
from printer_bench import PrinterBench

from host_tests.settings_bench import Files


@pytest.fixture
def b():
    bench = PrinterBench()
    assert bench.say("") == ["start"]
    yield bench
    bench.close()
    assert type(bench.error).__name__ == "_End", bench.error


def get(b, name):
    return b.printer.settings.get(name)


def values(b):
    return list(b.printer.settings._values)


def refused(b, line, *words):
    before = values(b)
    answer = b.say(line + "\n")
    assert len(answer) == 2 and answer[0].startswith("echo:") and answer[1] == "ok", answer
    for word in words:
        assert word in answer[0], answer
    assert values(b) == before


def test_input_shaping(b):
    assert b.say("M593\n") == ["M593 X F0.00 D0.10 T1", "M593 Y F0.00 D0.10 T1", "ok"]
    assert b.say("M593 F40.5\n") == ["ok"]
    assert (get(b, "shaper_freq_x"), get(b, "shaper_freq_y")) == (4050, 4050)
    assert b.say("M593 Y F33 D0.125 T3\n") == ["ok"]
    assert b.say("M593 X T2\n") == ["ok"]
    assert b.say("M593 Y\n") == ["M593 Y F33.00 D0.125 T3", "ok"]
    assert b.say("M593 X\n") == ["M593 X F40.50 D0.10 T2", "ok"]
    assert b.say("M593 F0\n") == ["ok"]
    assert (get(b, "shaper_freq_x"), get(b, "shaper_freq_y"), get(b, "shaper_type_y")) == (0, 0, 3)


@pytest.mark.parametrize("line, words", [
    ("M593 F4.99", ("F4.99", "0 (off) or 5 to 200 Hz")),
    ("M593 F200.01", ("F200.01", "5 to 200 Hz")),
    ("M593 F-40", ("F-40", "5 to 200 Hz")),
    ("M593 X F40 D1", ("D1.00", "0.00 to 0.99")),
    ("M593 X F40 D-0.1", ("D-0.10",)),
    ("M593 F40 T4", ("T4", "0 to 3")),
    ("M593 F", ("F has no value",)),
    ("M593 Z F40", ("Z not available",)),
    ("M900 K1000", ("K1000", "0.00 to 10.00 s")),
    ("M900 K-0.1", ("K-0.10", "0.00 to 10.00 s")),
    ("M900 K", ("K has no value", "0.00 to 10.00 s")),
    ("M572 P3 S11", ("S11", "0 to 10 s")),
    ("M572 P3 S-1", ("S-1", "0 to 10 s")),
    ("M572 P1 S0.1", ("P1", "P3")),
    ("M572 D2 S0.1", ("D2", "D0")),
    ("M205 C51", ("C51", "0 to 50 ms")),
    ("M205 J0.02 C-1", ("C-1", "0 to 50 ms")),
    ("M425 X0.1 Y5.001", ("Y5.001", "0.00 to 5.00 mm")),
    ("M425 X-0.1", ("X-0.10",)),
    ("M425 F1.01", ("F1.01", "0.00 to 1.00")),
    ("M425 S-3", ("S-3.00",)),
    ("M425 Z", ("Z has no value",)),
    ("M99 X0.1 Z6", ("Z6", "0 to 5 mm")),
    ("M99 E", ("E has no value",)),
    ("M99", ("no macro file is running", "X Y Z E")),
    ("M98 P\"homing.g\"", ("M98 P not available",)),
    ("M98 P/macros/m112.g", ("M98 P not available",)),
    ("M98 X1", ("M98",)),
])  # fmt: skip
def test_bad_values_change_nothing(b, line, words):
    b.say("M593 F40 D0.2\nM900 K0.05\nM425 X0.02 Y0.03\nM205 C5\n")
    refused(b, line, *words)


def test_advance(b):
    assert b.say("M900\n") == ["Advance K=0.00", "ok"]
    assert b.say("M900 K0.0625\n") == ["ok"]
    assert b.say("M900\n") == ["Advance K=0.0625", "ok"]
    assert get(b, "advance_k") == 625
    assert b.say("M900 T0 K0.04\n") == ["ok"]
    assert get(b, "advance_k") == 400


def test_advance_of_earlier_times_is_no_error(b):
    """What PrusaSlicer and others write into start code."""
    for line, k in (
        ("M900 K30", 0), ("M900 K0.05 R0 W0.4 H0.2 D1.75", 500), ("M900 R9.8", 500), ("M900 L0.03 S1", 500),
        ("M900 T1 K0.07", 700), ("M900 W0.45 H0.2", 700), ("M900 K45 T0", 700), ("M900 K0", 0),
    ):  # fmt: skip
        answer = b.say(line + "\n")
        assert answer[-1] == "ok" and len(answer) <= 2
        assert all(text.startswith("echo:M900 ") for text in answer[:-1]), answer
        assert get(b, "advance_k") == k, line
    assert "R0 W0.4 H0.2 D1.75 not used" in b.say("M900 K0.05 R0 W0.4 H0.2 D1.75\n")[0]


def test_pressure_advance_is_the_same_store(b):
    for line, k in (("M572 P3 S0.08", 800), ("M572 D0 S0.0123", 123), ("M572 S10", 100000), ("M572 P3 S0", 0)):
        assert b.say(line + "\n") == ["ok"]
        assert get(b, "advance_k") == k
    b.say("M900 K0.5\n")
    assert b.say("M572\n") == ["Pressure advance of drive 3: 0.50 s", "ok"]


def test_s_curve(b):
    assert b.say("M205 C12\n") == ["ok"]
    assert get(b, "s_curve_ms") == 12
    assert b.say("M205\n")[0].endswith(" C12")


def test_backlash(b):
    assert b.say("M425\n") == [
        "Backlash correction active: F1.00 (1 all, 0 none)",
        "Backlash distance (mm): X0.00 Y0.00 Z0.00 E0.00",
        "Backlash smoothing (mm): S0.00",
        "ok",
    ]
    assert b.say("M425 X0.035 Z0.1 F0.5 S3\n") == ["ok"]
    names = ("backlash_x", "backlash_y", "backlash_z", "backlash_e", "backlash_correction", "backlash_smoothing")
    assert [get(b, name) for name in names] == [35, 0, 100, 0, 50, 300]
    assert b.say("M425 F0\nM425\n")[1].startswith("Backlash correction inactive: F0.00")


def test_hysteresis_is_backlash(b):
    assert b.say("M99 X0.05 Y0.045 E0.2\n") == ["ok"]
    assert b.say("M98\n") == ["Hysteresis (mm): X0.05 Y0.045 Z0.00 E0.20", "ok"]
    assert [get(b, "backlash_" + axis) for axis in "xyze"] == [50, 45, 0, 200]


def test_they_wait_for_the_moves(b):
    """A filter that changes in the middle of a move would make the motors jump."""
    for line in ("M593 F40", "M900 K0.05", "M572 S0.06", "M425 X0.1", "M99 Y0.1"):
        b.say("G91\nG1 X5 F3000\n")
        assert b.printer.motion.busy()
        b.say(line + "\n")
        assert not b.printer.motion.busy(), line


def test_all_are_saved_and_come_back():
    files = Files()
    lines = ["M205 C7", "M593 X F41.50 D0.08 T2", "M593 Y F37.25 D0.11 T3", "M900 K0.0375",
             "M425 X0.012 Y0.034 Z0.056 E0.078 F0.75 S2.50"]  # fmt: skip
    b = PrinterBench(files.store())
    b.say("")
    before = values(b)
    b.say("".join(line + "\n" for line in lines) + "M500\n")
    saved = values(b)
    b.say("M502\n")
    assert values(b) == before != saved
    printed = b.say("M501\n")
    assert values(b) == saved
    for line in lines[1:4]:
        assert "echo:  " + line in printed, printed
    b.close()
    again = PrinterBench(files.store())
    again.say("")
    assert values(again) == saved
    # What M503 prints brings the same
    told = [line[len("echo:") :].strip() for line in again.say("M503 S0\n")[:-1]]
    again.say("M502\n" + "".join(line + "\n" for line in told))
    assert values(again) == saved
    again.close()
