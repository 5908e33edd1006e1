"""muldiv and isqrt at random and extreme values; runs on CPython and on the board, prints a line per 50 results."""

from binascii import crc32

from adder.fixmath import isqrt, muldiv, root29, speed_of

state = 12345


def rand(n):
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 7) % n


def number(bits):
    # Of all sizes, and often all ones or a power of two
    value = rand(1 << 23) << 8 | rand(256)
    value >>= 31 - rand(bits) - 1
    kind = rand(8)
    if kind == 0:
        value |= value >> 1 | value >> 2 | value >> 3
    elif kind == 1 and value > 1:
        value &= -value
    return value & ((1 << bits) - 1)


def show(name, values):
    print(name, crc32(repr(values).encode()), values[-1])


TOP = 0x7FFFFFFF
SIZES = (0, 1, 2, 3, 0xFFFF, 0x10000, 0x10001, 0x3FFFFFFF, 0x40000000, TOP - 1, TOP)
values = [muldiv(a, b, c) for a in SIZES for b in SIZES for c in SIZES if c and a * b // c < 1 << 30]
show("muldiv extremes %d" % len(values), values)
for turn in range(40):
    values = []
    while len(values) < 50:
        a, b, c = number(31), number(31), number(31)
        if c and a * b // c < 1 << 30:
            values.append(muldiv(a, b, c))
    show("muldiv %d" % turn, values)
show("isqrt extremes", [isqrt(n) for n in (0, 1, 2, 3, 4, 0x3FFFFFFF, 0x3FFFFFFE, 0x10000000, 0x0FFFFFFF)])
for turn in range(30):
    values = [isqrt(number(30)) for _ in range(40)]
    root = rand(32767) + 1
    values += [isqrt(root * root - 1), isqrt(root * root), isqrt(root * root + 1)]
    show("isqrt %d" % turn, values)
show("root29 extremes", [root29(n) for n in (0, 1, 2, 3, 4, 255, 256, 0x3FFFFFFF, 0x3FFFFFFE, 0x10000000, 0x0FFFFFFF)])
for turn in range(30):
    show("root29 %d" % turn, [root29(number(30)) for _ in range(40)])
show("speed_of extremes", [speed_of(n) for n in (0, 1, 2, 255, 256, 0x1FFFFFFF, 0x3FFFFFFF, 0x3FFFFFFE, 0x10000000)])
for turn in range(30):
    show("speed_of %d" % turn, [speed_of(number(30)) for _ in range(40)])
