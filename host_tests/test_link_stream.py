"""The link as a whole: streams with damaged lines, an independent model of the protocol, any bytes whatsoever."""

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from link_bench import GAP, Bench, numbered, resend

from adder.queue import SIZE


class Stream:
    """A host that sends up to `window` lines ahead over a line that damages some, and plays by the rules."""

    def __init__(self, bench, seed, total, damage, window, waits):
        self.bench = bench
        self.rng = random.Random(seed)
        self.total = total
        self.damage = damage
        self.window = window
        self.waits = waits
        self.next = 1
        self.flying = 0
        self.extra = 0
        self.transcript = []
        self.requests = 0

    def send(self):
        rng = self.rng
        while self.flying < self.window and self.next <= self.total:
            line = numbered(self.next, "G1 X%d Y%d" % (self.next, self.next * 7 % 100))
            # The last line arrives: behind it nothing would tell that it did not
            if self.next < self.total and rng.random() < self.damage:
                line = self.mangle(line)
            self.next += 1
            self.flying += 1
            self.bench.hal.feed(line)
            if self.window > 1 and rng.random() < 0.1:
                self.bench.hal.feed(b"\n")

    def mangle(self, line):
        rng = self.rng
        kind = rng.randrange(5)
        at = rng.randrange(len(line) - 1)
        if kind == 0:
            return line[:at] + bytes([line[at] ^ 1 << rng.randrange(8)]) + line[at + 1 :]
        if kind == 1:
            return line[:at] + line[at + 1 :]
        if kind == 2:
            return line[:at] + bytes([rng.randrange(256)]) + line[at:]
        if kind == 3:
            return line[:-1] + line  # two lines in one
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60))).replace(b"\n", b"?") + b"\n"

    def hear(self):
        lines = self.bench.hal.take()
        self.transcript += lines
        for line in lines:
            if line.startswith("Resend: "):
                self.requests += 1
                self.next = int(line[8:])
                self.flying = 1  # the ok behind the request
            elif line == "ok":
                self.flying = max(0, self.flying - 1)

    def run(self):
        bench = self.bench
        rounds = 0
        while self.next <= self.total or bench.hal.whole() or self.flying:
            rounds += 1
            assert rounds < 50 * self.total, (self.next, self.flying, self.transcript[-5:])
            if rounds % 200 == 0:
                self.flying = 0  # a host's time-out: a lost newline leaves both sides waiting
                bench.hal.feed(b"\n")
            self.send()
            bench.pump()
            if bench.link.odd:
                bench.link.go_on()
            while bench.queue.count and not bench.stopped:
                for _ in range(self.rng.randrange(self.waits + 1)):
                    self.send()
                    bench.pump()
                    self.hear()
                bench.work(1)
                self.hear()
            self.hear()


@settings(deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.sampled_from([0, 0.01, 0.1, 0.4]),
    st.integers(1, 8),
    st.integers(0, 4),
)
def test_every_line_is_run_once_in_order_whatever_happens_to_it(seed, total, damage, window, waits):
    bench = Bench()
    stream = Stream(bench, seed, total, damage, window, waits)
    stream.run()
    assert [ran for ran in bench.ran if ran[0]] == [
        (n, "G1 X%d Y%d" % (n, n * 7 % 100)) for n in range(1, total + 1)
    ]
    lines = stream.transcript
    for at, line in enumerate(lines):
        if line.startswith("Error:"):
            assert re.fullmatch(r"Error:[^,]*, Last Line: \d+", line)
            assert lines[at + 1].startswith("Resend: ") and lines[at + 2] == "ok"
    if not damage:
        assert lines == ["ok"] * total


class Talk(RuleBasedStateMachine):
    """Any sequence of lines, good and bad, waiting and working: an independent model of what must come of it."""

    @initialize()
    def begin(self):
        self.bench = Bench()
        self.last = 0
        self.said = []
        self.expected = []  # answers in order, as far as the model knows
        self.pending = []  # answers of lines that are in the ring
        self.debt = None
        self.must_run = []

    def feed(self, line):
        self.bench.hal.feed(line)
        assert self.bench.pump()

    def accept(self, text, answers=()):
        self.pending.append([*answers, "ok"])
        if text:
            self.must_run.append(text)

    def room(self):
        return self.bench.queue.count < SIZE

    @precondition(lambda self: self.room())
    @rule(x=st.integers(0, 99))
    def good_line(self, x):
        self.feed(numbered(self.last + 1, "G1 X%d" % x))
        self.last += 1
        self.accept((self.last, "G1 X%d" % x))

    @precondition(lambda self: self.room())
    @rule(x=st.integers(0, 99))
    def plain_line(self, x):
        self.feed(b"G1 Y%d\n" % x)
        self.accept((None, "G1 Y%d" % x))

    @precondition(lambda self: self.room())
    @rule(n=st.integers(-1, 50))
    def set_number(self, n):
        self.feed(numbered(self.last + 7, "M110 N%d" % n))
        self.last = n
        self.accept(None)
        if self.debt:
            self.debt = None
            self.owed = getattr(self, "owed", 0) + 1

    @precondition(lambda self: self.room())
    @rule()
    def refused_line(self):
        self.feed(b"G1 X--\n")
        self.accept(None, ["echo:bad number"])

    @precondition(lambda self: self.room())
    @rule(off=st.sampled_from([-1, 1, 2, 40]))
    def wrong_number(self, off):
        self.bad(numbered(self.last + 1 + off, "G1 X1"), GAP)

    @precondition(lambda self: self.room())
    @rule()
    def wrong_sum(self):
        self.bad(numbered(self.last + 1, "G1 X1")[:-2] + b"x\n", "checksum mismatch")

    def bad(self, line, reason):
        self.feed(line)
        if not self.debt:
            self.debt = reason

    @rule()
    def empty_line(self):
        self.feed(b"\n")

    @precondition(lambda self: self.bench.queue.count)
    @rule()
    def work(self):
        self.bench.work(1)

    @invariant()
    def said_what_it_must(self):
        if not hasattr(self, "bench"):
            return
        if self.bench.link.odd:
            self.bench.link.go_on()
        done = len(self.pending) - self.bench.queue.count
        for answers in self.pending[:done]:
            self.expected += answers
        del self.pending[:done]
        if not self.pending:
            self.expected += ["ok"] * getattr(self, "owed", 0)
            self.owed = 0
            if self.debt:
                self.expected += resend(self.debt, self.last)
                self.debt = None
        self.said += self.bench.hal.take()
        assert [a if not a.startswith("echo:bad number") else "echo:bad number" for a in self.said] == self.expected
        ran = self.bench.ran
        assert ran == self.must_run[: len(ran)]
        if not self.bench.queue.count:
            assert ran == self.must_run


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.sampled_from([b"\n", b"N1 ", b"G1 X", b"*", b"M110 N", b"M117 "]))
    )
)
def test_any_bytes_whatsoever_are_survived(pieces):
    bench = Bench()
    data = b"".join(pieces)
    for at in range(0, len(data), 37):
        bench.say(data[at : at + 37])
    answer = bench.say(b"\n\n")
    for line in answer:
        assert line.isascii() and len(line) < 200
    if not bench.stopped:
        bench.say(b"M110 N0\n")
        assert bench.say(numbered(1, "G28")) == ["ok"]
        assert bench.ran[-1] == (1, "G28")
