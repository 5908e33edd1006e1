"""Memory of the step streams, taken before anything else: the largest pieces of all, while the heap is still whole.

main.py imports this module first. The rings must lie on multiples of their size for the DMA to wrap.
"""

import uctypes

MOTORS = 4
WORDS_BYTES = 4096  # per motor: 1024 words
COUNTS_BYTES = 2048  # per motor: 512 counts


def _aligned(size):
    # Room for four rings of `size` bytes, its address, and what has to be kept so that it stays
    room = bytearray(MOTORS * size + size)
    base = uctypes.addressof(room)
    skip = -base % size
    return memoryview(room)[skip : skip + MOTORS * size], base + skip, room


words, words_base, _words_room = _aligned(WORDS_BYTES)
counts, counts_base, _counts_room = _aligned(COUNTS_BYTES)
