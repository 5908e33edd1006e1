"""The scanner and the coordinates on lines good and bad; runs on CPython and on the board, prints every record."""

from array import array
from binascii import crc32

from adder import frame
from adder.command import OK, RECORD, Command, scan_line
from adder.errors import Refused

state = 7


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def pick(values):
    return values[rand(len(values))]


NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"+3",
    b".5",
    b"5.",
    b"-.25",
    b"12.345678",
    b"0.000001",
    b"2147483647",
    b"99999999999",
    b"1e9",
    b"--3",
    b"1.2.3",
    b"",
    b"-",
    b".",
    b"10000",
    b"-10000.001",
    b"214748364.7",
    b"0.9999999999",
    b"00012",
    b"1 2",
)
MOVES = (b"0", b"1", b"0.05", b"12.345678", b"199.99999", b"250", b"9999", b"0.000001", b"3600", b"1000000", b".5")
CODES = (
    b"G1",
    b"G0",
    b"g1",
    b"G92",
    b"G92.1",
    b"M104",
    b"M117",
    b"M112",
    b"M110",
    b"T0",
    b"G",
    b"M-5",
    b"G65536",
    b"M 105",
)


def line():
    kind = rand(12)
    if kind == 0:
        return bytes([rand(256) for _ in range(rand(40))]) + b"\n"
    text = b""
    if rand(3) == 0:
        text = b"N%d " % rand(40)
    text += pick(CODES)
    for _ in range(rand(6)):
        text += (
            pick((b" ", b"", b"  ", b"\t"))
            + pick((b"X", b"Y", b"Z", b"E", b"F", b"S", b"p", b"x", b"N"))
            + pick(NUMBERS)
        )
    if rand(8) == 0:
        text += pick((b" ; X5 *3", b"(a*b)", b";", b"(open", b" \x00", b" \xff", b"*12*"))
    if rand(3) == 0:
        xor = 0
        for byte in text:
            xor ^= byte
        text += b"*%d" % (xor if rand(4) else rand(300))
    return text + pick((b"\n", b"\r\n", b"", b" \n", b"\n"))


def scanned(turn, text, record):
    for field in range(len(record)):
        record[field] = 0
    return scan_line(text, len(text), record, turn % 40), crc32(record)


record = array("i", [0] * RECORD)
for group in range(50):
    print(group, [scanned(group, line(), record) for _ in range(12)])

# Coordinates: moves one after the other, in all modes
command = Command()
coordinates = frame.Frame()
numbers = coordinates.state
request = array("i", [0] * 16)
for field, value in ((frame.ACCEL_PRINT, 1500), (frame.ACCEL_RETRACT, 2000), (frame.ACCEL_TRAVEL, 3000)):
    numbers[field] = value
for axis in range(3):
    numbers[frame.HIGH + axis] = 200 * frame.UNIT
for group in range(60):
    numbers[frame.MODES] = rand(16)
    numbers[frame.HOMED] = rand(8)
    numbers[frame.FLOW_PERCENT] = pick((10, 100, 137))
    numbers[frame.KINEMATICS] = rand(2)
    numbers[frame.COLD] = rand(5) == 0
    results = []
    for _ in range(10):
        text = pick((b"G1", b"G0"))
        for letter in (b"X", b"Y", b"Z", b"E", b"F"):
            if rand(2):
                text += b" " + letter + pick((b"", b"-", b"")) + pick(MOVES)
        try:
            result = coordinates.resolve(command, request) if command.scan(text + b"\n") == OK else "?"
            if rand(6):
                coordinates.taken()
        except Refused as refusal:
            result = str(refusal)
        results.append((result, crc32(numbers), crc32(request)))
    print(group, results)
