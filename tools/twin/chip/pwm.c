/* PWM: eight slices. Levels are worked out as events only for slices whose pins are recorded or
 * listened to, or whose wrap interrupts; otherwise a pin shows its level after the last write.
 * CC and TOP act at once (the chip waits for the wrap).
 */
#include "chip.h"

/* cycles of one full period in 1/16 cycles, at least 1 */
static uint64_t tick_len(const PwmSlice *s) { return (s->div & 0xFFF) ? s->div & 0xFFF : 0x1000; }
static uint64_t period(const PwmSlice *s) {
    return s->csr & 2 ? 2 * (uint64_t)(s->top ? s->top : 1) : (uint64_t)s->top + 1;
}

/* position within the period, in ticks */
static uint64_t phase(const Chip *c, const PwmSlice *s) {
    if (!(s->csr & 1)) return s->ctr;
    return (((c->now << 4) - s->base) / tick_len(s) + s->ctr) % period(s);
}

static uint32_t counter(const Chip *c, const PwmSlice *s) {
    uint64_t at = phase(c, s);
    return (uint32_t)((s->csr & 2) && at > s->top ? 2 * s->top - at : at);
}

static uint32_t compare(const PwmSlice *s, uint32_t channel) {
    return channel ? s->cc >> 16 : s->cc & 0xFFFF;
}

/* Ticks per period that `gpio` is high, and ticks per period. */
void pwm_duty(Chip *c, uint32_t gpio, uint32_t *high, uint32_t *length) {
    const PwmSlice *s = &c->pwm[(gpio >> 1) & 7];
    uint32_t level = compare(s, gpio & 1), top = s->top + 1, on = level < top ? level : top;
    *length = top;
    if (!(s->csr & 1)) on = counter(c, s) < level ? top : 0;
    if (s->csr & (4u << (gpio & 1))) on = top - on;
    *high = on;
}

static uint32_t slice_pins(uint32_t i) { return (3u << (2 * i)) | (3u << (2 * i + 16)); }

static uint32_t levels(const Chip *c, uint32_t i) {
    const PwmSlice *s = &c->pwm[i];
    uint32_t count = counter(c, s), out = 0;
    for (uint32_t ch = 0; ch < 2; ch++) {
        uint32_t high = count < compare(s, ch);
        if (s->csr & (4u << ch)) high = !high;
        if (high) out |= 0x10001u << (2 * i + ch);
    }
    return out;
}

/* the next cycle at which an output changes or the counter wraps */
static uint64_t next_change(const Chip *c, const PwmSlice *s) {
    uint64_t len = period(s), at = phase(c, s), best = len - at, tick;
    if (!(s->csr & 1)) return NEVER;
    for (uint32_t ch = 0; ch < 2; ch++) {
        uint64_t cc = compare(s, ch), marks[2] = {cc, s->csr & 2 ? 2 * s->top - cc + 1 : cc};
        for (int k = 0; k < 2; k++)
            if (marks[k] > at && marks[k] < len && marks[k] - at < best) best = marks[k] - at;
    }
    tick = ((c->now << 4) - s->base) / tick_len(s) + best;
    return (s->base + tick * tick_len(s) + 15) >> 4;
}

void pwm_reschedule(Chip *c) {
    uint32_t watched = (c->record_mask | c->listen_mask | c->motor_mask) & c->fn[FN_PWM];
    c->pwm_due = NEVER;
    for (uint32_t i = 0; i < 8; i++) {
        PwmSlice *s = &c->pwm[i];
        s->due = NEVER;
        if ((s->csr & 1) && ((watched & slice_pins(i)) || (c->pwm_inte & (1u << i))))
            s->due = next_change(c, s);
        if (s->due < c->pwm_due) c->pwm_due = s->due;
    }
    chip_reschedule(c);
}

static void outputs(Chip *c, uint32_t i) {
    uint32_t mask = slice_pins(i), out = (c->pwm_out & ~mask) | (levels(c, i) & mask);
    if (out == c->pwm_out) return;
    c->pwm_out = out;
    gpio_update(c);
}

static void irq_update(Chip *c) {
    chip_set_irq(c, IRQ_PWM_WRAP, ((c->pwm_intr & c->pwm_inte) | c->pwm_intf) != 0);
}

void pwm_run(Chip *c) {
    for (uint32_t i = 0; i < 8; i++) {
        PwmSlice *s = &c->pwm[i];
        if (s->due > c->now) continue;
        if (!phase(c, s)) { c->pwm_intr |= 1u << i; irq_update(c); }
        outputs(c, i);
    }
    pwm_reschedule(c);
}

/* keeps the counter where it is while its speed or length changes */
static void rebase(Chip *c, PwmSlice *s) {
    s->ctr = (uint32_t)phase(c, s);
    s->base = c->now << 4;
}

uint32_t pwm_read(Chip *c, uint32_t offset) {
    if (offset < 0xA0) {
        PwmSlice *s = &c->pwm[offset / 0x14];
        switch (offset % 0x14) {
        case 0x00: return s->csr;
        case 0x04: return s->div;
        case 0x08: return counter(c, s);
        case 0x0C: return s->cc;
        default: return s->top;
        }
    }
    switch (offset) {
    case 0xA0: {
        uint32_t v = 0;
        for (uint32_t i = 0; i < 8; i++) v |= (c->pwm[i].csr & 1) << i;
        return v;
    }
    case 0xA4: return c->pwm_intr;
    case 0xA8: return c->pwm_inte;
    case 0xAC: return c->pwm_intf;
    case 0xB0: return (c->pwm_intr & c->pwm_inte) | c->pwm_intf;
    default: return 0;
    }
}

void pwm_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw) {
    if (offset < 0xA0) {
        uint32_t i = offset / 0x14;
        PwmSlice *s = &c->pwm[i];
        rebase(c, s);
        switch (offset % 0x14) {
        case 0x00: s->csr = value & 0x3F; break;
        case 0x04: s->div = value & 0xFFF; break;
        case 0x08: s->ctr = value & 0xFFFF; break;
        case 0x0C: s->cc = value; break;
        default: s->top = value & 0xFFFF;
        }
        outputs(c, i);
    } else {
        switch (offset) {
        case 0xA0:
            for (uint32_t i = 0; i < 8; i++) {
                rebase(c, &c->pwm[i]);
                c->pwm[i].csr = (c->pwm[i].csr & ~1u) | ((value >> i) & 1);
                outputs(c, i);
            }
            break;
        case 0xA4: c->pwm_intr &= ~raw; break;
        case 0xA8: c->pwm_inte = value & 0xFF; break;
        case 0xAC: c->pwm_intf = value & 0xFF; break;
        default: return;
        }
        irq_update(c);
    }
    pwm_reschedule(c);
    if (c->duty_mask & c->fn[FN_PWM]) gpio_duty_check(c);
}

void pwm_reset(Chip *c) {
    memset(c->pwm, 0, sizeof c->pwm);
    for (int i = 0; i < 8; i++) {
        c->pwm[i].div = 0x10;
        c->pwm[i].top = 0xFFFF;
        c->pwm[i].due = NEVER;
    }
    c->pwm_out = c->pwm_intr = c->pwm_inte = c->pwm_intf = 0;
    c->pwm_due = NEVER;
    irq_update(c);
    gpio_update(c);
    if (c->duty_mask) gpio_duty_check(c);
}
