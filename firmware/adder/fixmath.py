"""Exact integer arithmetic that does not fit into 32 bits.

On the RP2040 the functions are inline assembler (a few us each, no allocation); everywhere else plain Python
integers do the same. The tests compare both on the emulated board.
"""

import sys

if sys.platform == "rp2":
    from adder.hal.fixmath_thumb import isqrt, muldiv, root29, speed_of
else:

    def muldiv(a, b, c):
        """a * b // c with a 62-bit product.

        Range: 0 <= a, b < 2**31, 0 < c < 2**31, and a result below 2**30. Nothing is checked.
        """
        return a * b // c

    def isqrt(n):
        """Largest integer whose square is not above n, 0 <= n < 2**30."""
        root = 0
        bit = 1 << 28
        while bit > n:
            bit >>= 2
        while bit:
            if n >= root + bit:
                n -= root + bit
                root = (root >> 1) + bit
            else:
                root >>= 1
            bit >>= 2
        return root

    def root29(n):
        """Square root of n in steps of 2**-14: the largest integer with a square up to n * 2**28, 0 <= n < 2**30."""
        rest = root = 0
        bits = 30
        while bits:
            # 30 bits of n, then 28 zeros: two a round
            bits -= 2
            rest = rest << 2 | (n >> bits & 3)
            root <<= 1
            if rest > root << 1:
                rest -= (root << 1) + 1
                root += 1
        bits = 14
        while bits:
            bits -= 1
            rest <<= 2
            root <<= 1
            if rest > root << 1:
                rest -= (root << 1) + 1
                root += 1
        return root

    def speed_of(v2):
        """The speed (10 nm/s) whose square is `v2`, (mm/s)^2 / 256, 0 <= v2 < 2**30, as adder/planner.py has it."""
        return root29(v2) * 6250 >> 14
