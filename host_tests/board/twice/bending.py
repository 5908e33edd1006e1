"""Positions bent at random and at the extremes: filters, mesh, backlash; on CPython and on the board."""

import sys
from array import array
from binascii import crc32

if sys.platform == "rp2":
    from adder.hal.bending_thumb import bend
else:
    from adder.bending import bend

seed = 77


def rand(n):
    global seed
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    return (seed >> 7) % n


def pick(*values):
    return values[rand(len(values))]


ST, BD = 176, 128
FIRST, AT, STRIDE = 80, 1, 16
MASK = 63

for turn in range(60):
    st = array("i", [0] * ST)
    bd = array("i", [0] * BD)
    smooth = pick(0, 0, 1, 7, 20)
    ring = array("i", [0] * ((MASK + 1 + 20) * 8))
    side = 3 + rand(4)
    mesh = array("i", [rand(800000) - 400000 for _ in range(side * (side + 1))])
    kind = pick(0, 1, 2)
    bd[0] = kind
    bd[1] = pick(0, 1, 1, 2)
    bd[2] = rand(1000)
    bd[3] = MASK
    bd[4] = 10 + rand(15)
    bd[6] = smooth
    bd[8] = pick(0, 10)
    bd[9] = pick(0, 1024 + rand(1024))
    bd[10] = rand(17)
    bd[11] = rand(2)
    bd[12] = pick(0, 1, 1, 2)
    for shaper in (29, 45):
        bd[shaper] = rand(4)
        for n in range(3):
            bd[shaper + 1 + 3 * n] = rand(40)
            bd[shaper + 2 + 3 * n] = pick(0, 4095, rand(4096))
            bd[shaper + 3 + 3 * n] = rand(32769)
    for motor in range(4):
        b = 71 + 6 * motor
        bd[b] = pick(0, 1, 300, 65536)
        bd[b + 2] = pick(1, 200, 30000)
        bd[b + 4] = pick(0, 0, 1, 4095, 65535)
        bd[b + 5] = pick(0, -bd[b])
    bd[96], bd[97] = rand(1000000) - 500000, rand(1000000) - 500000
    bd[98], bd[99] = 100 + rand(3000), 100 + rand(3000)
    bd[100], bd[101] = side, side + 1
    bd[102] = pick(0, 4096, 4000000, 0x20000000)
    bd[103] = pick(0, 0, 1, -1, 2)
    bd[105] = pick(100, 30000, 0x3FFFFFFF)
    place = [rand(0x20000000) - 0x10000000 for _ in range(4)]
    fast = pick(3, 5000, 400000)
    # It has been there for ever: nothing jumps by more than an axis moves in a slice
    axes = place[:]
    if kind == 1:
        axes[0], axes[1] = (place[0] + place[1]) >> 1, (place[0] - place[1]) >> 1
    bd[104] = axes[3]
    for i in range(4):
        bd[66 + i] = axes[i]
        bd[74 + 6 * i] = place[i]
        for n in range(i, len(ring), 8):
            ring[n] = axes[i]
    for _ in range(40):
        for motor in range(4):
            place[motor] += rand(2 * fast + 1) - fast
            st[FIRST + motor * STRIDE + AT] = place[motor]
        bd[14] += rand(fast + 1)
        bend(st, bd, ring, mesh)
        if kind == 2:
            bd[0] = 3
            bend(st, bd, ring, mesh)
            bd[0] = 2
    print(turn, [st[FIRST + motor * STRIDE + AT] for motor in range(4)], crc32(st), crc32(bd), crc32(ring))
