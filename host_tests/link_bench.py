"""A bench for the link: a host's bytes on one side, on the other something that runs commands and acknowledges them."""

from adder.command import DONE, KEY, REFUSED
from adder.hal.host import Hal
from adder.link import Link
from adder.output import Output
from adder.queue import CommandQueue

GAP = "Line Number is not Last Line Number+1"


def checksum(data):
    total = 0
    for byte in data:
        total ^= byte
    return total


def numbered(number, text):
    data = ("N%d %s" % (number, text)).encode()
    return data + b"*%d\n" % checksum(data)


class Bench:
    """A link between a host's bytes and something that runs commands and acknowledges them."""

    def __init__(self):
        self.hal = Hal()
        self.out = Output(self.hal)
        self.queue = CommandQueue()
        self.arrived = []
        self.stopped = False
        self.ran = []
        self.link = Link(self.hal, self.out, self.queue, self.emergency, self.arrived.append)

    def emergency(self):
        self.stopped = True
        self.queue.clear()
        self.out.line("Error:Printer halted. kill() called!")

    def pump(self):
        """Take one line in, if there is one; what a handler that waits does."""
        if self.hal.whole() and not self.stopped:
            self.link.take(self.hal.readline())
            return True
        return False

    def work(self, most=1000):
        """Run what waits in the queue, as the main loop does."""
        while self.queue.count and most and not self.stopped:
            self.run(self.queue.first())
            self.queue.drop()
            most -= 1
            if self.link.odd:
                self.link.go_on()

    def run(self, c):
        """Run a command."""
        key = c.record[KEY]
        if key == REFUSED:
            self.out.line("echo:" + c.error)
        elif key != DONE:
            self.ran.append((c.line_number(), c.text.decode("latin-1") if c.text else c.shown()))
        self.out.ok()

    def loop(self):
        """Until the host has nothing left to be read."""
        while self.pump():
            if self.link.odd:
                self.link.go_on()
            self.work()

    def say(self, data):
        """The host sends; gives the answer."""
        self.hal.feed(data if isinstance(data, bytes) else data.encode())
        self.loop()
        return self.hal.take()


def resend(reason, last):
    return ["Error:%s, Last Line: %d" % (reason, last), "Resend: %d" % (last + 1), "ok"]
