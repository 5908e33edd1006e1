"""Roots and angles in integers of any size, for what is computed now and then: the same on every Python.

Floats are no way: on the board they have 24 bits. Angles are in 0.00001 degree, sines in 2**-30.
"""

DEGREE = 100_000
ONE = 1 << 30
_PI = 57952155664616982739  # pi * 2**64


def root(n):
    """Largest integer whose square is not above n, 0 for n below 0."""
    if n <= 0:
        return 0
    # Newton's method from above, from a power of two
    bits = 0
    while n >> bits:
        bits += 32
    while not n >> (bits - 1):
        bits -= 1
    x = 1 << ((bits + 1) >> 1)
    while True:
        y = (x + n // x) >> 1
        if y >= x:
            return x
        x = y


def sine_cosine(angle):
    """(sine, cosine) of an angle, right to a few 2**-30."""
    turns, rest = divmod(angle + 45 * DEGREE, 90 * DEGREE)
    # -45 to 45 degrees, in radians * 2**40
    x = (rest - 45 * DEGREE) * (_PI >> 12) // (180 * DEGREE) >> 12
    sine = term = x
    square = x * x
    n = 1
    while term:
        term = -(term * square // ((n + 1) * (n + 2)) >> 80)
        sine += term
        n += 2
    cosine = term = 1 << 40
    n = 0
    while term:
        term = -(term * square // ((n + 1) * (n + 2)) >> 80)
        cosine += term
        n += 2
    sine = (sine + 512) >> 10
    cosine = (cosine + 512) >> 10
    turns &= 3
    if turns == 0:
        return sine, cosine
    if turns == 1:
        return cosine, -sine
    if turns == 2:
        return -sine, -cosine
    return -cosine, sine


def rounded(a, b):
    """a / b rounded to the nearest, b above 0."""
    return (2 * a + b) // (2 * b)


def halves(n):
    """A signed 64-bit number as two signed 32-bit ones: low, high."""
    low = n & 0xFFFFFFFF
    return (low - (1 << 32) if low >> 31 else low), n >> 32


def whole(low, high):
    """The number behind `halves`."""
    return (high << 32) + (low & 0xFFFFFFFF)
