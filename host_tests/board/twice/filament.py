"""Filament, skew and hop on numbers small and extreme; runs on CPython and on the board, prints every result."""

from array import array
from binascii import crc32

from adder import correction, filament, frame

state = 11


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def pick(values):
    return values[rand(len(values))]


def way():
    kind = rand(4)
    if kind == 0:
        return pick((0, 1, -1, 99, 100, -101, (1 << 30) - 1, 1 - (1 << 30), 800000000, -800000001))
    return (rand(1 << 24) * (1 << 6) + rand(64) - (1 << 29)) >> (rand(28))


coordinates = frame.Frame()
numbers = coordinates.state
request = array("i", [0] * 16)
for field, value in ((frame.ACCEL_PRINT, 1500), (frame.ACCEL_RETRACT, 2000), (frame.ACCEL_TRAVEL, 3000)):
    numbers[field] = value
for axis in range(3):
    numbers[frame.HIGH + axis] = 200 * frame.UNIT

for group in range(30):
    print(group, [correction.share(way(), pick((0, 1, -1, 110000000, -100000000, rand(200000000)))) for _ in range(20)])

for group in range(60):
    numbers[frame.FLOW_PERCENT] = pick((10, 97, 100, 137, 999))
    filament.set_volumetric(numbers, pick((0, 1000, 1750, 2850, 30000)))
    correction.set_skew(numbers, rand(200001) - 100000, pick((0, 100000, -99999)), pick((0, 0, rand(100000))))
    correction.set_hop(numbers, pick((0, 0, 60000, 5000000)))
    numbers[frame.MODES] = pick((0, 4))
    numbers[frame.HOMED] = rand(8)
    numbers[frame.KINEMATICS] = rand(2)
    numbers[frame.AUTO_RETRACT] = rand(2)
    results = []
    for _ in range(12):
        for axis in range(4):
            numbers[frame.TARGET + axis] = way() if rand(3) else numbers[axis]
        kept = array("i", numbers)
        result = frame._ask(numbers, request)
        if result & frame.MOVES and rand(5):
            coordinates.taken()
        elif result & (frame.TOO_FAR | frame.RETRACTS):
            numbers[0:64] = kept  # what is refused may leave anything in the request
            request[0:16] = array("i", [0] * 16)
        results.append((result, crc32(numbers), crc32(request), filament.to_gcode(numbers, way())))
    correction.forget_hop(numbers)
    print(group, results)
