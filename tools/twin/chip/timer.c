/* TIMER: 64-bit microseconds (always 1 MHz), four alarms. */
#include "chip.h"

static uint64_t micros(const Chip *c) { return (c->now - c->timer_base) / CYCLES_PER_US; }

static void irq_update(Chip *c) {
    uint32_t v = (c->timer_intr & c->timer_inte) | c->timer_intf;
    for (uint32_t i = 0; i < 4; i++) chip_set_irq(c, IRQ_TIMER0 + i, (v >> i) & 1);
}

static void plan(Chip *c) {
    c->timer_min = NEVER;
    for (int i = 0; i < 4; i++)
        if (c->timer_due[i] < c->timer_min) c->timer_min = c->timer_due[i];
    chip_reschedule(c);
}

static void arm(Chip *c, uint32_t i, uint32_t value) {
    uint64_t us = micros(c);
    uint32_t ahead = value - (uint32_t)us;
    c->timer_alarm[i] = value;
    c->timer_armed |= 1u << i;
    c->timer_due[i] = c->timer_base + (us + ahead) * CYCLES_PER_US;
    if (!ahead) c->timer_due[i] = c->now + 1;
    plan(c);
}

void timer_run(Chip *c) {
    for (uint32_t i = 0; i < 4; i++) {
        if (c->timer_due[i] > c->now) continue;
        c->timer_due[i] = NEVER;
        c->timer_armed &= ~(1u << i);
        c->timer_intr |= 1u << i;
    }
    irq_update(c);
    plan(c);
}

uint32_t timer_read(Chip *c, uint32_t offset) {
    uint64_t us = micros(c);
    switch (offset) {
    case 0x08: return c->timer_latch;
    case 0x0C: c->timer_latch = (uint32_t)(us >> 32); return (uint32_t)us;
    case 0x10: case 0x14: case 0x18: case 0x1C: return c->timer_alarm[(offset >> 2) & 3];
    case 0x20: return c->timer_armed;
    case 0x24: return (uint32_t)(us >> 32);
    case 0x28: return (uint32_t)us;
    case 0x34: return c->timer_intr;
    case 0x38: return c->timer_inte;
    case 0x3C: return c->timer_intf;
    case 0x40: return (c->timer_intr & c->timer_inte) | c->timer_intf;
    default: return 0;
    }
}

void timer_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw) {
    switch (offset) {
    case 0x10: case 0x14: case 0x18: case 0x1C: arm(c, (offset >> 2) & 3, value); return;
    case 0x20:
        for (int i = 0; i < 4; i++)
            if (raw & (1u << i)) c->timer_due[i] = NEVER;
        c->timer_armed &= ~raw;
        plan(c);
        return;
    case 0x34: c->timer_intr &= ~raw; break;
    case 0x38: c->timer_inte = value & 15; break;
    case 0x3C: c->timer_intf = value & 15; break;
    default: return;
    }
    irq_update(c);
}

void timer_reset(Chip *c) {
    c->timer_base = c->now;
    c->timer_armed = c->timer_intr = c->timer_inte = c->timer_intf = c->timer_latch = 0;
    for (int i = 0; i < 4; i++) { c->timer_due[i] = NEVER; c->timer_alarm[i] = 0; }
    irq_update(c);
    plan(c);
}
