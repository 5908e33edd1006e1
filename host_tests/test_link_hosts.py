"""The link against models of two hosts, over a line that takes time and damages, splits and doubles what passes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_bench import Bench, numbered

KINDS = ("flip", "lose", "insert", "split", "double", "glue")


class Noise:
    """Damages lines; `damaged` counts them. What would swallow a newline is only for hosts with a time-out."""

    def __init__(self, rng, rate, kinds):
        self.rng = rng
        self.rate = rate
        self.kinds = kinds
        self.damaged = 0

    def __call__(self, line):
        rng = self.rng
        if rng.random() >= self.rate:
            return line
        self.damaged += 1
        kind = rng.choice(self.kinds)
        at = rng.randrange(len(line) - 1)
        if kind == "flip":
            other = line[at] ^ 1 << rng.randrange(8)
            return line[:at] + bytes([other if other != 10 else 63]) + line[at + 1 :]
        if kind == "lose":
            # One byte: two alike would leave the sum as it was
            return line[:at] + line[at + 1 :]
        if kind == "insert":
            return line[:at] + bytes([rng.choice((0, 32, 42, 78, 255))]) + line[at:]
        if kind == "split":
            return line[:at] + b"\n" + line[at:]
        if kind == "double":
            return line + line
        if kind == "glue":
            return line[:-1]
        return b""  # gone


class PrintcoreLike:
    """Sends one line when it hears `ok`, and one when it hears `Resend`; has no time-out."""

    time_out = 0

    def __init__(self, lines):
        self.lines = lines
        self.next = 0
        self.resend_from = -1
        self.clear = True

    def hear(self, text):
        if text.startswith("ok"):
            self.clear = True
        elif text.startswith("Resend"):
            self.resend_from = int(text.split(":")[1]) - 1
            assert self.resend_from <= self.next, "asked for a line that was never sent"
            self.clear = True

    def send(self):
        """The next line, or None."""
        if not self.clear:
            return None
        if 0 <= self.resend_from < self.next:
            self.clear = False
            self.resend_from += 1
            return self.lines[self.resend_from - 1]
        self.resend_from = -1
        if self.next == len(self.lines):
            return None
        self.clear = False
        self.next += 1
        return self.lines[self.next - 1]

    def give_up_waiting(self):
        raise AssertionError("no answer, and this host would wait for ever")


class OctoprintLike:
    """Strict ping-pong: a request waits for its `ok`. After long silence it goes on as if an `ok` had come."""

    time_out = 400

    def __init__(self, lines):
        self.lines = lines
        self.next = 0
        self.at = 0  # what to send next, below `next` after a request
        self.clear = True
        self.repeats = 0
        self.asked = None

    def hear(self, text):
        if text.startswith("ok"):
            self.clear = True
        elif text.startswith("Resend"):
            wanted = int(text.split(":")[1]) - 1
            self.repeats = self.repeats + 1 if wanted == self.asked else 0
            self.asked = wanted
            assert self.repeats < 10, "communication stuck"
            assert wanted >= self.next - 50, "no longer known"
            if wanted < self.next:
                self.at = wanted

    def send(self):
        if not self.clear or self.at == len(self.lines):
            return None
        self.clear = False
        self.at += 1
        self.next = max(self.next, self.at)
        return self.lines[self.at - 1]

    def give_up_waiting(self):
        # M105 makes the printer answer, whatever became of the line before. It has a number too.
        self.lines.append(numbered(len(self.lines) + 1, "M105"))
        self.clear = True


def converse(host, noise, rng, delay, work):
    """Until everything was sent and answered; gives the bench and all that it wrote."""
    bench = Bench()
    to_printer, to_host, transcript = [], [], []
    tick = silent = ready = 0
    while True:
        tick += 1
        total = len(host.lines)
        assert tick < 4000 * (total + 5), "the conversation does not end"
        while to_host and to_host[0][0] <= tick:
            host.hear(to_host.pop(0)[1])
        line = host.send()
        if host.time_out and silent > host.time_out:
            host.give_up_waiting()
            silent = 0
        if line is not None:
            to_printer.append((tick + delay, noise(line)))
        while to_printer and to_printer[0][0] <= tick:
            bench.hal.feed(to_printer.pop(0)[1])
        # The printer takes what has come, and runs one command when the one before is done
        bench.pump()
        if bench.link.odd:
            bench.link.go_on()
        if bench.queue.count and tick >= ready:
            bench.work(1)
            ready = tick + rng.randrange(work + 1)
        said = bench.hal.take()
        transcript += said
        # Now and then the lines of one answer arrive apart
        late = 0
        for text in said:
            late += rng.choice((0, 0, 3))
            to_host.append((max(tick + delay + late, to_host[-1][0] if to_host else 0), text))
        busy = line is not None or said or to_host or to_printer or bench.queue.count
        silent = 0 if busy else silent + 1
        if silent > 3 and bench.link.last == total:
            return bench, transcript
        if silent > 3 and not host.time_out:
            host.give_up_waiting()


HOSTS = {
    PrintcoreLike: ("flip", "lose", "insert", "split", "double"),
    OctoprintLike: (*KINDS, "gone"),
}


def talk(kind, seed, total, rate, kinds, delay, work):
    """A conversation; checks what was executed. Gives requests, damaged lines and all that was written."""
    rng = random.Random(seed)
    noise = Noise(rng, rate, kinds)
    host = kind([numbered(n, "G1 X%d E%d.5" % (n, n)) for n in range(1, total + 1)])
    bench, transcript = converse(host, noise, rng, delay, work)
    moves = [(n, text) for n, text in bench.ran if n and text != "M105"]
    assert moves == [(n, "G1 X%d E%d.5" % (n, n)) for n in range(1, total + 1)]
    numbers = [n for n, _ in bench.ran if n]
    assert numbers == list(range(1, len(host.lines) + 1))
    return sum(text.startswith("Resend") for text in transcript), noise.damaged, transcript


ways = {
    "seed": st.integers(0, 10**6), "total": st.integers(1, 80), "rate": st.sampled_from([0.0, 0.02, 0.1, 0.25]),
    "work": st.integers(0, 12),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTS)
@settings(max_examples=100, deadline=None)
@given(delay=st.integers(0, 6), **ways)
def test_everything_is_run_once_and_in_order(kind, seed, total, rate, delay, work):
    requests, damaged, transcript = talk(kind, seed, total, rate, HOSTS[kind], delay, work)
    # Lines that are on their way when a request is made, or come twice, bring more requests, but not without end
    assert requests <= 40 * damaged
    if not rate:
        assert transcript == ["ok"] * total


@pytest.mark.parametrize("kind", HOSTS)
@settings(max_examples=100, deadline=None)
@given(delay=st.integers(0, 1), **ways)
def test_a_damaged_line_costs_few_requests_on_a_short_cable(kind, seed, total, rate, delay, work):
    requests, damaged, _ = talk(kind, seed, total, rate / 5, ("flip", "lose", "insert"), delay, work)
    assert requests <= 3 * damaged
