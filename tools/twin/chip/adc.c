/* ADC: five channels, 2 us a conversion, round robin, FIFO, pacing. */
#include "chip.h"

#define CONVERSION 250u /* 96 clocks of 48 MHz */
enum { CS_EN = 1, CS_ONCE = 4, CS_MANY = 8, CS_READY = 256, FCS_EN = 1, FCS_SHIFT = 2,
       FCS_OVER = 1 << 11, FCS_UNDER = 1 << 10 };
#define FIFO_DEPTH 4u

static void irq_update(Chip *c) {
    uint32_t threshold = (c->adc_fcs >> 24) & 15;
    uint32_t raw = threshold && c->adc_level >= threshold;
    chip_set_irq(c, IRQ_ADC, ((raw & c->adc_inte) | c->adc_intf) != 0);
}

static void start(Chip *c) {
    uint32_t channel = (c->adc_cs >> 12) & 7;
    c->adc_sample = channel < 5 && c->cb.adc ? c->cb.adc(channel) & 0xFFF : 0;
    c->adc_due = c->now + CONVERSION;
    c->adc_cs &= ~(uint32_t)CS_READY;
    chip_reschedule(c);
}

static void next_channel(Chip *c) {
    uint32_t robin = (c->adc_cs >> 16) & 31, channel = (c->adc_cs >> 12) & 7;
    if (!robin) return;
    do channel = (channel + 1) % 5; while (!(robin & (1u << channel)));
    c->adc_cs = (c->adc_cs & ~(7u << 12)) | (channel << 12);
}

void adc_run(Chip *c) {
    if (c->adc_next <= c->now) { /* paced start of the next conversion */
        c->adc_next = NEVER;
        start(c);
        return;
    }
    c->adc_due = NEVER;
    c->adc_result = c->adc_sample;
    c->adc_cs |= CS_READY;
    next_channel(c);
    if (c->adc_fcs & FCS_EN) {
        uint32_t v = c->adc_fcs & FCS_SHIFT ? c->adc_sample >> 4 : c->adc_sample;
        if (c->adc_level < FIFO_DEPTH) c->adc_fifo[c->adc_level++] = v;
        else c->adc_fcs |= FCS_OVER;
        dma_request(c, DREQ_ADC);
    }
    irq_update(c);
    if ((c->adc_cs & CS_MANY) && (c->adc_cs & CS_EN)) {
        /* DIV counts 48 MHz clocks (16.8) from start to start; too short means back to back */
        uint64_t pause = ((uint64_t)(c->adc_div + 256) * 125) / (48 * 256);
        if (c->adc_div && pause > CONVERSION) {
            c->adc_next = c->now + (pause - CONVERSION);
            chip_reschedule(c);
        } else {
            start(c);
        }
    }
}

uint32_t adc_read(Chip *c, uint32_t offset) {
    uint32_t v;
    switch (offset) {
    case 0x00: return c->adc_cs;
    case 0x04: return c->adc_result;
    case 0x08:
        return (c->adc_fcs & 0x0F000C0F) | (c->adc_level ? 0 : 0x100)
            | (c->adc_level == FIFO_DEPTH ? 0x200 : 0) | (c->adc_level << 16);
    case 0x0C:
        if (!c->adc_level) { c->adc_fcs |= FCS_UNDER; return 0; }
        v = c->adc_fifo[0];
        memmove(c->adc_fifo, c->adc_fifo + 1, sizeof c->adc_fifo - 4);
        c->adc_level--;
        irq_update(c);
        return v;
    case 0x10: return c->adc_div;
    case 0x14: v = (c->adc_fcs >> 24) & 15; return v && c->adc_level >= v;
    case 0x18: return c->adc_inte;
    case 0x1C: return c->adc_intf;
    case 0x20:
        v = (c->adc_fcs >> 24) & 15;
        return ((v && c->adc_level >= v) & c->adc_inte) | c->adc_intf;
    default: return 0;
    }
}

void adc_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw) {
    switch (offset) {
    case 0x00:
        c->adc_cs = (value & 0x001F700B) | (c->adc_cs & CS_READY);
        if (!(value & CS_EN)) {
            c->adc_due = c->adc_next = NEVER;
            c->adc_cs &= ~(uint32_t)CS_READY;
        } else if (c->adc_due == NEVER) {
            c->adc_cs |= CS_READY;
            if (value & (CS_ONCE | CS_MANY)) { c->adc_next = NEVER; start(c); }
        }
        break;
    case 0x08:
        c->adc_fcs = (value & 0x0F00000F) | (c->adc_fcs & 0xC00 & ~raw);
        break;
    case 0x10: c->adc_div = value & 0xFFFFFF; break;
    case 0x18: c->adc_inte = value & 1; break;
    case 0x1C: c->adc_intf = value & 1; break;
    default: return;
    }
    irq_update(c);
    chip_reschedule(c);
}

void adc_reset(Chip *c) {
    c->adc_cs = c->adc_result = c->adc_fcs = c->adc_level = c->adc_div = 0;
    c->adc_inte = c->adc_intf = 0;
    c->adc_due = c->adc_next = NEVER;
    irq_update(c);
    chip_reschedule(c);
}
