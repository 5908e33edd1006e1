"""Memory of the step streams, taken before anything else: the largest pieces of all, while the heap is still whole.

main.py imports this module first. The rings must lie on multiples of their size for the DMA to wrap.
"""

import uctypes

MOTORS = 4
WORDS_BYTES = 4096  # per motor: 1024 words
COUNTS_BYTES = 2048  # per motor: 512 counts

# Room for all rings, the largest first: behind those of words, which lie on a multiple of their size, so do the others
_room = bytearray(MOTORS * (WORDS_BYTES + COUNTS_BYTES) + WORDS_BYTES)
_skip = -uctypes.addressof(_room) % WORDS_BYTES
_rest = _skip + MOTORS * WORDS_BYTES
words = memoryview(_room)[_skip:_rest]
words_base = uctypes.addressof(_room) + _skip
counts = memoryview(_room)[_rest : _rest + MOTORS * COUNTS_BYTES]
counts_base = words_base + MOTORS * WORDS_BYTES
