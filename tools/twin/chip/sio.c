/* Single-cycle IO: GPIO registers, spinlocks, integer divider, mailbox to the (absent) core 1. */
#include "chip.h"

static void divide(Chip *c, int is_signed) {
    uint32_t n = c->dividend, d = c->divisor;
    c->div_dirty = 1;
    if (!d) {
        c->quotient = is_signed && (int32_t)n < 0 ? 1 : 0xFFFFFFFFu;
        c->remainder = n;
    } else if (is_signed) {
        int64_t a = (int32_t)n, b = (int32_t)d;
        c->quotient = (uint32_t)(a / b);
        c->remainder = (uint32_t)(a % b);
    } else {
        c->quotient = n / d;
        c->remainder = n % d;
    }
}

uint32_t sio_read(Chip *c, uint32_t offset) {
    uint32_t v;
    if (offset >= 0x100 && offset < 0x180) {
        uint32_t bit = 1u << ((offset - 0x100) >> 2);
        if (c->spinlocks & bit) return 0;
        c->spinlocks |= bit;
        return bit;
    }
    switch (offset) {
    case 0x00: return 0;
    case 0x04: return c->inputs;
    case 0x08: return 0x3E; /* QSPI pads idle high; the BOOTSEL button is not pressed */
    case 0x10: return c->sio_out;
    case 0x20: return c->sio_oe;
    case 0x50: return (c->fifo_level ? 1 : 0) | 2;
    case 0x58:
        if (!c->fifo_level) return 0;
        v = c->fifo_in[0];
        memmove(c->fifo_in, c->fifo_in + 1, sizeof c->fifo_in - 4);
        if (!--c->fifo_level) chip_set_irq(c, IRQ_SIO0, 0);
        return v;
    case 0x5C: return c->spinlocks;
    case 0x60: case 0x68: return c->dividend;
    case 0x64: case 0x6C: return c->divisor;
    case 0x70: c->div_dirty = 0; return c->quotient;
    case 0x74: return c->remainder;
    case 0x78: return 1 | (c->div_dirty << 1);
    default: break;
    }
    if (offset >= 0x80 && offset < 0x100) return c->interp[(offset - 0x80) >> 2];
    return 0;
}

void sio_write(Chip *c, uint32_t offset, uint32_t value) {
    uint32_t bits = value & GPIO_MASK;
    if (offset >= 0x100 && offset < 0x180) {
        c->spinlocks &= ~(1u << ((offset - 0x100) >> 2));
        return;
    }
    switch (offset) {
    case 0x10: c->sio_out = bits; break;
    case 0x14: c->sio_out |= bits; break;
    case 0x18: c->sio_out &= ~bits; break;
    case 0x1C: c->sio_out ^= bits; break;
    case 0x20: c->sio_oe = bits; break;
    case 0x24: c->sio_oe |= bits; break;
    case 0x28: c->sio_oe &= ~bits; break;
    case 0x2C: c->sio_oe ^= bits; break;
    case 0x54: c->cpu.event = 1; return;
    case 0x60: c->dividend = value; divide(c, 0); return;
    case 0x64: c->divisor = value; divide(c, 0); return;
    case 0x68: c->dividend = value; divide(c, 1); return;
    case 0x6C: c->divisor = value; divide(c, 1); return;
    case 0x70: c->quotient = value; c->div_dirty = 1; return;
    case 0x74: c->remainder = value; c->div_dirty = 1; return;
    default:
        if (offset >= 0x80 && offset < 0x100) c->interp[(offset - 0x80) >> 2] = value;
        return;
    }
    if (offset < 0x30) gpio_update(c);
}
