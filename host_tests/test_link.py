"""The line protocol: what every kind of line is answered, and that no line is ever lost, doubled or run damaged."""

import re

import pytest
from link_bench import GAP, Bench, numbered, resend

from adder.link import SPILL_BYTES, SPILL_LINES, Link
from adder.queue import SIZE

SENDS_AHEAD = "Too many lines without waiting for ok"


@pytest.fixture
def bench():
    return Bench()


def test_numbered_lines_run_in_order(bench):
    for number, text in enumerate(("G28", "G1 X5", "M105"), 1):
        assert bench.say(numbered(number, text)) == ["ok"]
    assert bench.ran == [(1, "G28"), (2, "G1 X5"), (3, "M105")]
    assert bench.link.last == 3
    assert bench.link.lines == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"N1 G28\n", "No Checksum with line number"),
        (b"N1 G28*\n", "checksum mismatch"),
        (b"N1 G28*1x\n", "checksum mismatch"),
        (b"N1 G28*200\n", "checksum mismatch"),
        (b"N1 G28*19 G1\n", "checksum mismatch"),
        (numbered(2, "G28"), GAP),
        (numbered(0, "G28"), GAP),
        (b"G28*22\n", "No Line Number with checksum"),
        (b"\xce1 G28*19\n", "No Line Number with checksum"),
        (b"1 G28*19\n", "No Line Number with checksum"),
        (b"M117 hello*19\n", "No Line Number with checksum"),
        (b"N1 G1 X\x00*19\n", "checksum mismatch"),
        (b"N1 G\x0028*18\n", "format error: NUL byte in the line"),
        (b"N18 M105*30N19 M105*31N20 M105*21\n", "checksum mismatch"),  # the sums of lines run into one cancel out
    ],
)
def test_bad_lines_are_asked_for_again(bench, line, reason):
    assert bench.say(line) == resend(reason, 0)
    assert bench.ran == []
    assert bench.say(numbered(1, "G28")) == ["ok"]
    assert bench.link.counters["resends"] == 1


def test_reasons_are_ones_that_octoprint_does_not_take_for_a_fault():
    reasons = re.findall(r'b"([A-Z][^"%]*|[a-z ]+[^"%]*)"', open(Link.take.__code__.co_filename).read())
    reasons = [r for r in reasons if "ine" in r or "sum" in r]
    assert len(reasons) >= 5
    for reason in reasons:
        assert any(word in reason.lower() for word in ("checksum", "line number", "format error"))


def test_unnumbered_lines_do_not_touch_the_counter(bench):
    assert bench.say(numbered(1, "G28")) == ["ok"]
    assert bench.say("M105\n") == ["ok"]
    assert bench.say(numbered(2, "G1 X1")) == ["ok"]
    assert bench.link.last == 2


@pytest.mark.parametrize("line", ["\n", "\r\n", "   \n", "; comment\n", ";5*3\n", "(note)\n", " ; N5 G1*3\n"])
def test_nothing_is_said_to_empty_lines(bench, line):
    assert bench.say(line) == []


@pytest.mark.parametrize("text", ["", "; comment", "(note)"])
def test_a_numbered_line_without_a_command_is_acknowledged(bench, text):
    assert bench.say(numbered(1, text)) == ["ok"]
    assert bench.ran == []
    assert bench.link.last == 1


def test_a_comment_may_hold_a_star(bench):
    assert bench.say("G1 X1 ; 2*3\n") == ["ok"]
    assert bench.say(numbered(1, "G1 X2 ; 2*3")) == ["ok"]
    assert [text for _, text in bench.ran] == ["G1 X1", "G1 X2"]


def test_a_text_may_hold_a_star(bench):
    assert bench.say("M117 2*x\n") == ["ok"]
    assert bench.say(numbered(1, "M117 2*3")) == ["ok"]
    assert [text for _, text in bench.ran] == ["2*x", "2*3"]


def test_a_star_that_is_none_of_these_is_refused(bench):
    answer = bench.say("G1 X5*\n")
    assert answer[0].startswith('echo:unexpected "*"') and answer[1:] == ["ok"]
    assert bench.ran == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (numbered(0, "M110 N0"), 1),
        (b"N0 M110 N0*125\n", 1),
        (b"N-1 M110 N-1*125\n", 0),
        (b"M110 N41\n", 42),
        (numbered(77, "M110 N41"), 42),
        (numbered(77, "M110"), 78),
        (b"M110\n", 6),
        (b"m110 n-1\n", 0),
    ],
)
def test_m110_sets_the_number(bench, line, expected):
    bench.say(b"M110 N5\n")
    assert bench.say(line) == ["ok"]
    assert bench.link.expected == expected
    assert bench.say(numbered(expected, "G28")) == ["ok"]


def test_the_checksum_of_m110_counts(bench):
    assert bench.say(b"N0 M110 N0*124\n") == resend("checksum mismatch", 0)


def test_a_line_that_comes_twice_is_not_run_twice(bench):
    bench.say(numbered(1, "G28"))
    assert bench.say(numbered(1, "G28")) == resend(GAP, 1)
    assert bench.ran == [(1, "G28")]


def test_what_was_sent_behind_a_bad_line_is_dropped(bench):
    late = b"".join(numbered(n, "G1 X%d" % n) for n in range(2, 8)) + b"M105\n"
    assert bench.say(b"N1 G28*99\n" + late) == resend("checksum mismatch", 0)
    assert bench.ran == []
    assert bench.say(numbered(1, "G28")) == ["ok"]


def test_a_long_line_behind_a_bad_one_is_dropped_whole(bench):
    assert bench.say(b"N1 G28*99\n" + b"X" * 600 + b"\n" + b"M105\n") == resend("checksum mismatch", 0)
    assert bench.say(b"M105\n") == ["ok"]
    assert bench.say(b"N1 G28*99\n" + b"X" * 512) == resend("checksum mismatch", 0)
    assert bench.say(b"XXX\n") == []
    assert bench.say(numbered(1, "G28")) == ["ok"]


def test_dropping_ends_even_if_the_host_never_stops(bench):
    answer = bench.say(b"N1 G28*99\n" + b"M105\n" * 500)
    assert answer[:3] == resend("checksum mismatch", 0)
    assert set(answer[3:]) == {"ok"}


# Damaged and overlong lines


@pytest.mark.parametrize("line", [b"\x00\n", b"\x00\x01\x02\n", b"\xff\xfe\xfd\n", b"G1 X\x00\n", b"M117 a\x07\n"])
def test_binary_lines_are_refused_with_one_line(bench, line):
    answer = bench.say(line)
    assert len(answer) == 2 and answer[0].startswith("echo:") and answer[1] == "ok"
    assert bench.ran == []


def test_a_numbered_line_with_damaged_content_and_right_checksum_is_refused(bench):
    answer = bench.say(numbered(1, "G1 X--3"))
    assert answer[0].startswith('echo:bad number in "X--3"') and answer[1:] == ["ok"]
    assert bench.say(numbered(2, "G28")) == ["ok"]
    assert bench.link.counters["format_errors"] == 1


@pytest.mark.parametrize("length", [256, 257, 300, 511, 512, 513, 10_000])
def test_a_line_that_is_too_long_is_one_error(bench, length):
    line = b"G1 X" + b"1" * (length - 4) + b"\n"
    assert bench.say(line) == ["echo:Line longer than 255 bytes ignored", "ok"]
    assert bench.say(b"M105\n") == ["ok"]
    assert bench.ran == [(None, "M105")]
    assert bench.link.counters["too_long"] == 1


def test_255_bytes_are_not_too_long(bench):
    assert bench.say(b"G28" + b" " * 252 + b"\n") == ["ok"]
    assert bench.ran == [(None, "G28")]


def test_a_numbered_line_that_is_too_long_is_asked_for_again(bench):
    assert bench.say(b"N1 G1 X" + b"1" * 1000) == resend("format error: line longer than 255 bytes", 0)
    assert bench.say(b"1" * 1000 + b"*11\n") == []
    assert bench.say(numbered(1, "G28")) == ["ok"]


def test_a_line_that_never_ends_is_answered_once(bench):
    answers = []
    for _ in range(100):
        answers += bench.say(b"Z" * 100)
    assert answers == ["echo:Line longer than 255 bytes ignored", "ok"]


# While a command is being run


def test_ok_comes_in_the_order_of_the_lines(bench):
    bench.hal.feed(b"G28\nM105\n" + b"N9 G1*99\n" + b"\x00\n" + b"M114\n" + b"M108\n" + b"A" * 300 + b"\n")
    assert bench.pump()
    while bench.pump():
        pass
    assert bench.hal.take() == ["echo:Line longer than 255 bytes ignored"]
    bench.work()
    lines = bench.hal.take()
    assert lines[:3] == ["ok", "ok", "echo:unprintable bytes in the line, text is right"]
    assert lines[3:6] == ["ok"] * 3
    assert lines[6:7] == ["ok"]
    assert lines[7:] == resend("checksum mismatch", 0)
    assert [text for _, text in bench.ran] == ["G28", "M105", "M114"]
    assert bench.arrived == [108]


def test_a_bad_line_is_asked_for_once_however_many_follow(bench):
    bench.hal.feed(b"G28\n" + b"N1 G1*99\n" + b"".join(numbered(n, "G1 X1") for n in range(2, 12)))
    while bench.pump():
        pass
    assert bench.hal.take() == []
    bench.work()
    assert bench.hal.take() == ["ok", *resend("checksum mismatch", 0)]
    assert bench.link.counters["resends"] == 1


def test_m110_while_a_resend_is_due_begins_anew(bench):
    bench.hal.feed(b"G28\n" + b"N1 G1*99\n" + numbered(0, "M110 N0") + numbered(1, "G1 X7"))
    while bench.pump():
        pass
    bench.work()
    assert bench.hal.take() == ["ok"] * 4
    assert bench.ran == [(None, "G28"), (1, "G1 X7")]


@pytest.mark.parametrize("code", ["M108", "M410"])
def test_what_acts_on_arrival_acts_once_and_has_one_ok(bench, code):
    number = int(code[1:])
    bench.hal.feed(b"G28\n" + code.encode() + b"\n" + numbered(1, code) + b"M105\n")
    while bench.pump():
        pass
    assert bench.arrived == [number, number]
    assert bench.hal.take() == []
    bench.work()
    assert bench.hal.take() == ["ok"] * 4
    assert [text for _, text in bench.ran] == ["G28", "M105"]
    assert bench.arrived == [number, number]


@pytest.mark.parametrize("line", [b"N7 M108*99\n", b"N7 M108\n", b"M108*5\n", b"M1080\n", b"M117 M108\n", b";M108\n",
                                  b"M108 S5\n", b"M108 X--\n"])
def test_a_damaged_m108_does_not_act(bench, line):
    bench.hal.feed(line)
    bench.pump()
    assert bench.arrived == []


def test_m108_with_a_wrong_number_acts_and_is_asked_for(bench):
    assert bench.say(numbered(7, "M108")) == resend(GAP, 0)
    assert bench.arrived == [108]


def test_m108_with_a_speed_says_that_it_does_nothing(bench):
    answer = bench.say(b"M108 S100\n")
    assert answer[0].startswith("echo:M108 S") and answer[1:] == ["ok"]
    assert bench.arrived == []


EMERGENCIES = [
    b"M112\n", b"m112\n", b"  M112 ; now\n", b"M112\r\n", numbered(1, "M112"), numbered(55, "M112"), b"N1 M112\n",
    b"N1 M112*99\n", b"N-1M112*0\n", b"\xce1 M112*34\n", b"N M112\n", b"M112*5\n", b"M112 \x00\n", b"\x00\x00M112\n",
    b"G1 X5M112\n", b"G1 X-- M112\n", b"G1 X5 M112\n", b"M 112\n",
]
NO_EMERGENCIES = [
    b"M1120\n", b"M11\n", b"M117 use M112 to stop\n", b"M118 M112\n", b"; M112\n", b"G1 X1 ; M112\n", b"G1 (M112) X5\n",
    numbered(1, "M117 M112"), b"N1 M117 M112*99\n", b"N1 G1 X5 ;M112*99\n", b"M112.5\n", b"G1 X112\n", b"N112 G28\n",
    b"M0 M112?\n",
]


@pytest.mark.parametrize("line", EMERGENCIES)
@pytest.mark.parametrize("when", ["idle", "waiting", "ring full", "all full", "dropped", "swallowed", "behind much"])
def test_m112_stops_whatever_else_is_going_on(bench, line, when):
    before = {
        "idle": b"", "waiting": b"G28\n", "ring full": b"G1 X1\n" * (SIZE + 2), "all full": b"G1 X1\n" * 2000,
        "dropped": b"N1 G28*99\n", "swallowed": b"Q" * 300 + b"\n", "behind much": numbered(5, "G28") * 20,
    }[when]
    bench.hal.feed(before + line + b"M105\n")
    if when in ("idle", "dropped", "swallowed", "behind much"):
        bench.loop()
    else:
        while bench.pump():
            pass
    assert bench.stopped
    assert bench.hal.take()[-1] == "Error:Printer halted. kill() called!"
    assert bench.link.counters["emergencies"] == 1


@pytest.mark.parametrize("line", NO_EMERGENCIES)
def test_what_is_not_m112_does_not_stop(bench, line):
    bench.say(line)
    bench.say(b"N1 G28*99\n" + line)
    bench.hal.feed(b"G1 X1\n" * 2000 + line)
    while bench.pump():
        pass
    bench.work()
    assert not bench.stopped


def test_m112_within_a_line_without_end(bench):
    for at in range(240, 270):
        b = Bench()
        b.hal.feed(b"Q" * at + b"M112 " + b"Q" * 300)
        b.loop()
        assert b.stopped, at
    bench.say(b";" + b"Q" * 300 + b"M112 " + b"Q" * 300 + b"\n")
    bench.say(b"M117 " + b"Q" * 300 + b"M112 " + b"Q" * 300 + b"\n")
    assert not bench.stopped


# More than there is room for


def flood(bench, lines):
    bench.hal.feed(b"".join(lines))
    while bench.pump():
        pass


def test_lines_beyond_the_ring_are_kept(bench):
    flood(bench, [b"G28\n"] + [numbered(n, "G1 X%d" % n) for n in range(1, 60)])
    assert bench.queue.full()
    bench.work()
    assert bench.hal.take() == ["ok"] * 60
    assert [n for n, _ in bench.ran] == [None, *range(1, 60)]
    assert not bench.link.odd


def test_numbered_lines_beyond_all_room_are_asked_for_once(bench):
    flood(bench, [b"G28\n"] + [numbered(n, "G1 X%d Y12.345 E1.23456" % n) for n in range(1, 200)])
    assert bench.hal.take() == []
    bench.work()
    ran = [n for n, _ in bench.ran][1:]
    assert ran == list(range(1, len(ran) + 1)) and SIZE < len(ran) < 199
    last = len(ran)
    assert bench.hal.take() == ["ok"] * (last + 1) + resend(GAP, last)
    assert bench.link.counters["dropped"] == 199 - last
    for n in range(last + 1, 200):
        assert bench.say(numbered(n, "G1 X%d" % n)) == ["ok"]
    assert [n for n, _ in bench.ran][1:] == list(range(1, 200))


def test_other_lines_beyond_all_room_are_lost_but_told_and_acknowledged(bench):
    flood(bench, [b"G1 X%d ;%s\n" % (n, b"c" * 60) for n in range(300)])
    told = bench.hal.take()
    assert all(line.startswith("echo:" + SENDS_AHEAD) for line in told)
    bench.work()
    assert len(bench.ran) + len(told) == 300
    assert bench.ran == [(None, "G1 X%d" % n) for n in range(len(bench.ran))]
    assert bench.hal.take() == ["ok"] * 300
    assert bench.link.counters["dropped"] == len(told)


def test_what_is_kept_is_bounded(bench):
    flood(bench, [b"G1 X%d\n" % n for n in range(5000)])
    assert len(bench.link._spill) <= SPILL_LINES
    assert sum(map(len, bench.link._spill)) <= SPILL_BYTES


def test_m108_acts_at_once_even_when_everything_is_full(bench):
    flood(bench, [b"M109 S200\n"] + [b"G1 X1 Y1 Z1 ; comment comment\n"] * 500 + [b"M108\n"])
    assert bench.arrived == [108]
    flood(bench, [b"M410\n"])
    assert bench.arrived == [108, 410]
    bench.hal.take()
    bench.work()
    assert bench.arrived == [108, 410]
    assert set(bench.hal.take()) == {"ok"}
