"""Inline assembler (ARMv6-M) behind `adder.fixmath`: the Cortex-M0+ has neither a long product nor a division.

The RP2040 has a divider of 32 bits; adder/hal/plan_thumb.py says who may use it.
"""

import micropython


@micropython.asm_thumb
def muldiv(r0, r1, r2):
    # 64-bit product into r3:r0, from 16-bit halves; a, b < 2**31 keeps the two middle products below 2**32
    lsr(r3, r0, 16)  # r3 = high half of a
    lsl(r4, r0, 16)
    lsr(r4, r4, 16)  # r4 = low half of a
    lsr(r5, r1, 16)  # r5 = high half of b
    lsl(r6, r1, 16)
    lsr(r6, r6, 16)  # r6 = low half of b
    mov(r0, r4)
    mul(r0, r6)  # r0 = low * low
    mul(r4, r5)  # r4 = low * high
    mul(r6, r3)  # r6 = high * low
    mul(r3, r5)  # r3 = high * high
    add(r4, r4, r6)
    lsl(r5, r4, 16)
    lsr(r4, r4, 16)
    add(r0, r0, r5)
    adc(r3, r4)
    cmp(r3, 0)
    bne(LONG)
    mov(r3, 0xD0)
    lsl(r3, r3, 24)
    add(r3, 0x60)
    str(r0, [r3, 0])
    str(r2, [r3, 4])
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()
    ldr(r0, [r3, 16])
    b(OUT)
    label(LONG)
    # restoring division, one quotient bit a round: r3 = remainder, r0 = dividend out, quotient in
    mov(r5, 32)
    lsr(r4, r2, 8)
    label(ZEROS)
    cmp(r3, r4)  # eight zeros of the quotient at once
    bcs(BIT)
    lsl(r3, r3, 8)
    lsr(r1, r0, 24)
    orr(r3, r1)
    lsl(r0, r0, 8)
    sub(r5, 8)
    cmp(r5, 8)
    bhi(ZEROS)
    label(BIT)
    add(r0, r0, r0)
    adc(r3, r3)
    cmp(r3, r2)
    bcc(LESS)
    sub(r3, r3, r2)
    add(r0, 1)
    label(LESS)
    sub(r5, 1)
    bne(BIT)
    label(OUT)


@micropython.asm_thumb
def isqrt(r0):
    # digit by digit: r0 = rest, r1 = root, r2 = place value, r3 = trial
    mov(r1, 0)
    mov(r2, 1)
    lsl(r2, r2, 28)
    label(PLACE)
    add(r3, r1, r2)
    lsr(r1, r1, 1)
    cmp(r0, r3)
    bcc(LESS)
    sub(r0, r0, r3)
    add(r1, r1, r2)
    label(LESS)
    lsr(r2, r2, 2)
    bne(PLACE)
    mov(r0, r1)


@micropython.asm_thumb
def root29(r0):
    # digit by digit: r0 = n, its next two bits at the top; r1 = root; r2 = rest; r3 = trial; r4 = rounds left
    lsl(r0, r0, 2)
    mov(r1, 0)
    mov(r2, 0)
    mov(r4, 29)
    label(PLACE)
    lsl(r2, r2, 2)
    lsr(r3, r0, 30)
    orr(r2, r3)
    lsl(r0, r0, 2)
    lsl(r3, r1, 2)
    add(r3, 1)  # r3 = 4 root + 1, the next odd number
    lsl(r1, r1, 1)
    cmp(r2, r3)
    bcc(LESS)
    sub(r2, r2, r3)
    add(r1, 1)
    label(LESS)
    sub(r4, 1)
    bne(PLACE)
    mov(r0, r1)


@micropython.asm_thumb
def speed_of(r0):
    # The root as in root29: r0 = n, its next two bits at the top; r1 = root; r2 = rest; r3 = trial; r4 = rounds left
    lsl(r0, r0, 2)
    mov(r1, 0)
    mov(r2, 0)
    mov(r4, 29)
    label(PLACE)
    lsl(r2, r2, 2)
    lsr(r3, r0, 30)
    orr(r2, r3)
    lsl(r0, r0, 2)
    lsl(r3, r1, 2)
    add(r3, 1)  # r3 = 4 root + 1, the next odd number
    lsl(r1, r1, 1)
    cmp(r2, r3)
    bcc(LESS)
    sub(r2, r2, r3)
    add(r1, 1)
    label(LESS)
    sub(r4, 1)
    bne(PLACE)
    # times 6250, without the last 14 bits
    mov(r4, 195)
    lsl(r4, r4, 5)
    add(r4, 10)
    lsr(r0, r1, 14)
    mul(r0, r4)
    lsl(r1, r1, 18)
    lsr(r1, r1, 18)
    mul(r1, r4)
    lsr(r1, r1, 14)
    add(r0, r0, r1)
