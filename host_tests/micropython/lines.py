"""Scanner, queue and link on MicroPython: viper code against plain Python, and a stream with damaged lines."""

from array import array

from adder.command import EMPTY, KEY, NEXT, OK, OTHER, PLAIN, RECORD, REFUSED, Command, scan_line
from adder.link import Link
from adder.output import Output
from adder.queue import SIZE, CommandQueue

state = 12345


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 8) % n


def numbered(number, text):
    data = b"N%d " % number + text
    total = 0
    for byte in data:
        total ^= byte
    return data + b"*%d\n" % total


# The sample lines of the RepRap page
SAMPLES = (b"N3 T0*57", b"N4 G92 E0*67", b"N5 G28*22", b"N6 G1 F1500.0*82", b"N7 G1 X2.0 Y2.0 F3000.0*85",
           b"N8 G1 X3.0 Y3.0*33")
record = array("i", [0] * RECORD)
for number, line in enumerate(SAMPLES):
    line += b"\n"
    assert scan_line(line, len(line), record, number + 3) == NEXT, line
    assert scan_line(line, len(line), record, number + 4) == OTHER, line
    for at in range(len(line) - 4):
        damaged = bytearray(line)
        damaged[at] ^= 1 << rand(8)
        assert scan_line(damaged, len(damaged), record, number + 3) != NEXT, damaged

# Numbers: mantissa and decimals are what the text says
c = Command()
for _ in range(2000):
    whole = "%d" % rand(10 ** (1 + rand(5)))
    fraction = "".join([str(rand(10)) for _ in range(rand(5))])
    sign = ("", "-", "+")[rand(3)]
    text = sign + whole + "." + fraction
    assert c.scan(b"G1 E" + text.encode()) == OK, text
    exact = int(whole + fraction) * 10 ** (5 - len(fraction))
    assert c.length("E") == (-exact if sign == "-" else exact), text
    assert c.valued("E") and c.has("E") and not c.has("Y")
DAMAGED = (b"G1 X--3", b"G1 X1e9", b"G1 XNaN", b"G1 X1.2.3", b"G1 X99999999999", b"G1 X1 X2", b"G1 X\x00", b"G1 X1 M2")
for text in DAMAGED:
    assert c.scan(text) > EMPTY and c.record[KEY] == REFUSED and c.error, text
assert c.scan(b"G1 X-2147483639") == OK and c.int("X") == -2147483639
assert c.scan(b"M117 text ; comment") == OK and c.text == b"text"
assert c.scan(b"(a) ; b") == EMPTY
assert scan_line(b"G28 X Y\n", 8, record, 1) == PLAIN
for _ in range(500):
    c.scan(bytes([rand(256) for _ in range(rand(60))]))


class Hal:
    """A host's bytes, line by line."""

    def __init__(self):
        self.lines = []
        self.said = b""

    def read_waiting(self):
        return self.lines.pop(0) if self.lines else b""

    def write(self, data):
        self.said += data


hal = Hal()
queue = CommandQueue()
arrived = []
stops = []
link = Link(hal, Output(hal), queue, lambda: stops.append(1), arrived.append)
ran = []


def work():
    while queue.count:
        first = queue.first()
        if first.record[KEY] >= 0:
            ran.append((first.line_number(), first.int("X")))
        hal.write(b"ok\n")
        queue.drop()
        if link.odd:
            link.go_on()


# A stream in which every seventh line is damaged on its way
due = 1
requests = 0
while due <= 300:
    line = numbered(due, b"G1 X%d Y1.25" % due)
    if rand(7) == 0:
        at = rand(len(line) - 5)
        line = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
    if line[-1:] == b"\n" and line.count(b"\n") == 1:
        hal.lines += [numbered(due + 1, b"G1 X0"), b"M105\n"] * rand(2)
        link.take(line)
        hal.lines.clear()
    work()
    said = hal.said
    hal.said = b""
    due += 1
    if b"Resend: " in said:
        requests += 1
        assert said.startswith(b"Error:") and said.endswith(b"\nok\n"), said
        due = int(said.split(b"Resend: ")[1].split(b"\n")[0])
good = [pair for pair in ran if pair[0] is not None]
assert good == [(n, n) for n in range(1, 301)], good
assert requests > 20

# Full ring, full store, and the emergency stop behind all that
for n in range(301, 501):
    link.take(numbered(n, b"G1 X%d" % n))
assert queue.count == SIZE
link.take(b"M108\n")
assert arrived == [108]
work()
assert b"Resend: " in hal.said
link.take(b"N1 M112*99\n")
assert stops == [1]

print("passed")
