"""The short way of plain moves: what it takes and what it leaves, on CPython and on the board."""

from array import array
from binascii import crc32

from adder import frame
from adder.command import RECORD
from adder.lane import lane
from adder.planner import Planner

state = 21


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def pick(values):
    return values[rand(len(values))]


NUMBERS = (
    b"0", b"-0", b"1", b"12.345", b"-12.345", b"0.05", b".5", b"5.", b"199.99999", b"100.123456", b"134217727",
    b"1342177279", b"2147483639", b"99999999999", b"10000", b"9999.99999", b"13421.77270", b"0.0000000001", b"",
    b"-", b".", b"1.2.3", b"--1", b"1e9", b"00012.50", b"10737.41824",
)
NEAR = (b"100", b"100.2", b"99.8", b"100.05", b"1.5", b"101.12345", b"0.01234")
FEEDS = (b"F3000", b"F7800.000", b"F54000", b"F0", b"F-5", b"F1.5", b"F0.0001", b"F150000", b"F15000001", b"F")


def move(number):
    text = b"N%d " % number + pick((b"G1", b"G1", b"G0"))
    values = NUMBERS if rand(4) == 0 else NEAR
    for letter in (b"X", b"Y", b"Z", b"E"):
        if rand(3):
            text += b" " + letter + pick(values)
    if rand(3) == 0 or text[-3:-1] == b" G":
        text += b" " + pick(FEEDS)
    if rand(12) == 0:
        text += pick((b" S1", b" X5", b" G1", b" M3"))
    xor = 0
    for byte in text:
        xor ^= byte
    if rand(15) == 0:
        xor ^= 1 << rand(8)
    return text + b"*%d\n" % xor


link = array("i", [0] * (RECORD + 3))
coordinates = frame.Frame()
numbers = coordinates.state
planner = Planner()
for axis in range(4):
    planner.set_axis(axis, 30000000, 3000, 640, 80000, 5000000)
planner.set_junction(13, False)
for field, value in (
    (frame.ACCEL_PRINT, 1500), (frame.ACCEL_RETRACT, 2000), (frame.ACCEL_TRAVEL, 3000), (frame.ENABLED, 15),
    (frame.MIN_PRINT, 100000), (frame.MIN_TRAVEL, 200000),
):
    numbers[field] = value
for axis in range(3):
    numbers[frame.HIGH + axis] = 200 * frame.UNIT
buffer = bytearray(256)
due = link[RECORD] = 1
for group in range(80):
    numbers[frame.MODES] = pick((0, 4, 6, 1, 3, 8, 4))
    numbers[frame.HOMED] = rand(8)
    numbers[frame.FLOW_PERCENT] = pick((100, 100, 10, 137))
    numbers[frame.KINEMATICS] = pick((0, 0, 1, 2))
    numbers[frame.COLD] = rand(9) == 0
    numbers[frame.OFFSET] = pick((0, 0, 1234567))
    for axis in range(4):
        numbers[axis] = 10000000
    numbers[frame.E_BASE] = pick((0, 0, 5000, 15000, 25000, -5000))
    results = []
    for _ in range(10):
        text = move(due if rand(12) else due + 1)
        buffer[: len(text)] = text
        taken = lane(
            link, numbers, planner.state, planner.blocks, planner.request, planner.limits, buffer, len(text)
        )
        due += taken
        if planner.waiting() > 50 or rand(40) == 0:
            planner.clear()
        results.append((taken, link[RECORD] == due, crc32(memoryview(numbers)[0:28]), crc32(planner.blocks)))
    print(group, results)
