/* PIO: registers, FIFOs, clock dividers and the schedule of the state machines.
 *
 * Each machine has the time of its next tick; a machine that waits (FIFO, pin, flag) or spins in
 * place has none until what it waits for happens. A counted loop of one instruction is skipped in
 * one go and undone (`settle`) before anybody looks at the machine or changes it.
 */
#include "chip.h"

#define MACHINES 0xC8u /* registers of machine 0 */
#define STRIDE 0x18u

static void set_due(Sm *s, uint64_t due) {
    s->due = due;
    s->due_cycle = due >> 8;
}

static void no_due(Sm *s) { s->due_cycle = NEVER; }

void pio_reschedule(Pio *p) {
    uint64_t due = NEVER;
    for (int i = 0; i < 4; i++)
        if (p->sm[i].due_cycle < due) due = p->sm[i].due_cycle;
    p->due = due;
}

/* the first tick of the divider that falls on `cycle` or later */
static uint64_t tick_from(Sm *s, uint64_t cycle) {
    uint64_t at = cycle << 8;
    if (s->grid < at) s->grid += (at - s->grid + s->div - 1) / s->div * s->div;
    else if (s->grid - at >= s->div) s->grid -= (s->grid - at) / s->div * s->div;
    return s->grid;
}

/* What a skipped loop has done by now. */
static void settle(Chip *c, Sm *s) {
    uint64_t runs, end = (c->now << 8) + 255;
    if (!s->skip) return;
    runs = end >= s->skip_from ? (end - s->skip_from) / s->skip_period + 1 : 0;
    if (runs > s->skip_count) runs = s->skip_count;
    if (s->skip == 1) s->x -= (uint32_t)runs;
    else s->y -= (uint32_t)runs;
    s->skip = 0;
    set_due(s, s->skip_from + runs * s->skip_period);
}

static void settle_all(Chip *c, Pio *p) {
    for (int i = 0; i < 4; i++) settle(c, &p->sm[i]);
}

/* Ends a wait: the machine tries its instruction again at its first turn from `earliest` on. */
static void rouse(Sm *s, uint64_t earliest) {
    if (!s->sleep) return;
    if (s->sleep >= SLEEP_SPIN) { /* with a delay in it, a spin comes round less often */
        uint64_t at = earliest << 8, rounds = 0;
        if (at > s->skip_from) rounds = (at - s->skip_from + s->skip_period - 1) / s->skip_period;
        set_due(s, s->skip_from + rounds * s->skip_period);
    } else {
        set_due(s, tick_from(s, earliest));
    }
    s->sleep = SLEEP_NO;
}

void pio_wake(Chip *c, Pio *p, uint32_t index, uint64_t earliest) {
    Sm *s = &p->sm[index];
    if (!(s->enabled || s->exec_valid)) return;
    rouse(s, earliest);
    if (s->due_cycle < p->due) p->due = s->due_cycle;
    if (s->due_cycle < c->next_event) c->next_event = s->due_cycle;
}

void pio_pins_changed(Chip *c, uint32_t changed) {
    for (int b = 0; b < 2; b++) {
        Pio *p = &c->pio[b];
        for (uint32_t i = 0; i < 4; i++) {
            Sm *s = &p->sm[i];
            if ((s->sleep == SLEEP_PIN || s->sleep == SLEEP_SPIN_PIN)
                && (changed & (1u << s->sleep_pin)))
                pio_wake(c, p, i, c->now + (p->sync_bypass & (1u << s->sleep_pin) ? 1 : 2));
        }
    }
}

void pio_wake_irq(Chip *c, Pio *p) {
    for (uint32_t i = 0; i < 4; i++)
        if (p->sm[i].sleep == SLEEP_IRQ) pio_wake(c, p, i, c->now + 1);
}

static uint32_t int_raw(const Pio *p) {
    uint32_t v = (p->irq & 15) << 8;
    for (int i = 0; i < 4; i++) {
        if (p->sm[i].rx_level) v |= 1u << i;
        if (p->sm[i].tx_level < p->sm[i].tx_depth) v |= 16u << i;
    }
    return v;
}

void pio_irq_update(Chip *c, Pio *p) {
    uint32_t raw;
    if (!(p->inte[0] | p->inte[1] | p->intf[0] | p->intf[1])) return;
    raw = int_raw(p);
    for (uint32_t n = 0; n < 2; n++)
        chip_set_irq(c, IRQ_PIO0_0 + 2 * p->index + n, ((raw & p->inte[n]) | p->intf[n]) != 0);
}

/* ---- FIFOs ---- */
void pio_autopull(Chip *c, Pio *p, uint32_t index) {
    Sm *s = &p->sm[index];
    uint32_t threshold = (s->shiftctrl >> 25) & 31;
    if (!(s->shiftctrl & (1u << 17)) || !s->tx_level) return;
    if (s->osr_count < (threshold ? threshold : 32)) return;
    s->osr = pio_tx_pull(c, p, index);
    s->osr_count = 0;
}

void pio_tx_push(Chip *c, Pio *p, uint32_t index, uint32_t value) {
    Sm *s = &p->sm[index];
    if (s->tx_level >= s->tx_depth) {
        p->fdebug |= 1u << (16 + index);
        return;
    }
    s->tx[(s->tx_head + s->tx_level++) & 7] = value;
    if (s->enabled && s->stalled != 1) pio_autopull(c, p, index);
    if (s->sleep == SLEEP_TX) pio_wake(c, p, index, c->now + 1);
    pio_irq_update(c, p);
}

uint32_t pio_tx_pull(Chip *c, Pio *p, uint32_t index) {
    Sm *s = &p->sm[index];
    uint32_t v = s->tx[s->tx_head & 7];
    s->tx_head++;
    s->tx_level--;
    dma_request(c, DREQ_PIO_TX0 + 8 * p->index + index);
    pio_irq_update(c, p);
    return v;
}

void pio_rx_push(Chip *c, Pio *p, uint32_t index, uint32_t value) {
    Sm *s = &p->sm[index];
    s->rx[(s->rx_head + s->rx_level++) & 7] = value;
    dma_request(c, DREQ_PIO_RX0 + 8 * p->index + index);
    pio_irq_update(c, p);
}

static uint32_t rx_pull(Chip *c, Pio *p, uint32_t index) {
    Sm *s = &p->sm[index];
    uint32_t v = s->rx[s->rx_head & 7];
    if (!s->rx_level) {
        p->fdebug |= 1u << (8 + index);
        return v;
    }
    s->rx_head++;
    s->rx_level--;
    if (s->sleep == SLEEP_RX) pio_wake(c, p, index, c->now + 1);
    pio_irq_update(c, p);
    return v;
}

static void set_depths(Sm *s) {
    uint32_t tx = s->shiftctrl >> 30 & 1, rx = s->shiftctrl >> 31;
    s->tx_depth = tx && !rx ? 8 : rx && !tx ? 0 : 4;
    s->rx_depth = rx && !tx ? 8 : tx && !rx ? 0 : 4;
    s->tx_level = s->rx_level = s->tx_head = s->rx_head = 0;
}

static uint32_t stalls(const Pio *p) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        if (p->sm[i].stalled == 1) v |= 1u << (24 + i);
        if (p->sm[i].stalled == 2) v |= 1u << i;
    }
    return v;
}

/* ---- machines on and off ---- */
static void enable(Chip *c, Sm *s, uint32_t on) {
    uint64_t next;
    if (s->enabled == on) return;
    settle(c, s);
    next = tick_from(s, c->now + 1);
    if (on) {
        s->enabled = 1;
        set_due(s, next + s->delay_left * s->div);
        s->delay_left = 0;
        return;
    }
    /* a pending delay stays and goes on when it is enabled again */
    rouse(s, c->now + 1);
    s->delay_left = (uint32_t)((s->due > next ? s->due - next : 0) / s->div);
    s->enabled = 0;
    s->sleep = SLEEP_NO;
    s->stalled = 0;
    no_due(s);
}

static void restart(Chip *c, Sm *s) {
    settle(c, s);
    s->isr_count = 0;
    s->osr_count = 32;
    s->isr = 0;
    s->delay_left = 0;
    s->exec_valid = 0;
    s->irq_raised = 0;
    s->sleep = SLEEP_NO;
    s->stalled = 0;
    if (s->enabled) set_due(s, tick_from(s, c->now + 1));
}

static void ctrl_write(Chip *c, Pio *p, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) {
        Sm *s = &p->sm[i];
        if (value & (0x10u << i)) restart(c, s);
        if (value & (0x100u << i)) {
            settle(c, s);
            s->sleep = SLEEP_NO;
            s->grid = (c->now + 1) << 8;
            if (s->enabled) set_due(s, s->grid);
        }
        enable(c, s, (value >> i) & 1);
    }
}

static void divider(Chip *c, Sm *s, uint32_t value) {
    settle(c, s);
    if (s->enabled) rouse(s, c->now + 1);
    s->clkdiv = value & 0xFFFFFF00u;
    s->div = value >> 16 ? value >> 8 : 0x1000000;
    if (s->enabled && s->due < (c->now + 1) << 8) set_due(s, (c->now + 1) << 8);
    s->grid = s->enabled ? s->due : (c->now + 1) << 8;
}

static uint32_t sm_read(Pio *p, uint32_t index, uint32_t offset) {
    Sm *s = &p->sm[index];
    switch (offset) {
    case 0x00: return s->clkdiv;
    case 0x04: return s->execctrl | (s->exec_valid ? 0x80000000u : 0);
    case 0x08: return s->shiftctrl;
    case 0x0C: return s->pc;
    case 0x10: return s->exec_valid ? s->exec_instr : p->mem[s->pc];
    default: return s->pinctrl;
    }
}

static void sm_write(Chip *c, Pio *p, uint32_t index, uint32_t offset, uint32_t value) {
    Sm *s = &p->sm[index];
    uint32_t old;
    if (offset == 0x0C) return;
    settle(c, s);
    switch (offset) {
    case 0x00: divider(c, s, value); break;
    case 0x04:
        s->execctrl = value & 0x7FFFFFFF;
        break;
    case 0x08:
        old = s->shiftctrl;
        s->shiftctrl = value;
        if ((old ^ value) >> 30) set_depths(s);
        break;
    case 0x10:
        s->sleep = SLEEP_NO;
        s->stalled = 0;
        s->exec_valid = 0;
        s->irq_raised = 0;
        s->due = tick_from(s, c->now);
        p->irq_seen = p->irq;
        pio_exec(c, p, index, value & 0xFFFF, 1);
        gpio_update(c);
        break;
    default: s->pinctrl = value;
    }
    /* a machine that waits looks again under the new settings */
    if (s->sleep && offset != 0x10) pio_wake(c, p, index, c->now + 1);
}

uint32_t pio_read(Chip *c, Pio *p, uint32_t offset) {
    uint32_t v = 0;
    if (offset >= MACHINES && offset < MACHINES + 4 * STRIDE)
        return sm_read(p, (offset - MACHINES) / STRIDE, (offset - MACHINES) % STRIDE);
    if (offset >= 0x20 && offset < 0x30) return rx_pull(c, p, (offset >> 2) & 3);
    switch (offset) {
    case 0x00:
        for (int i = 0; i < 4; i++) v |= p->sm[i].enabled << i;
        return v;
    case 0x04:
        for (int i = 0; i < 4; i++) {
            const Sm *s = &p->sm[i];
            v |= (s->rx_level >= s->rx_depth) << i | (s->rx_level == 0) << (8 + i)
                | (s->tx_level >= s->tx_depth) << (16 + i) | (s->tx_level == 0) << (24 + i);
        }
        return v;
    case 0x08: p->fdebug |= stalls(p); return p->fdebug;
    case 0x0C:
        for (int i = 0; i < 4; i++)
            v |= p->sm[i].tx_level << (8 * i) | p->sm[i].rx_level << (8 * i + 4);
        return v;
    case 0x30: return p->irq;
    case 0x38: return p->sync_bypass;
    case 0x3C: return p->out;
    case 0x40: return p->oe;
    case 0x44: return 0x00200404;
    case 0x128: return int_raw(p);
    case 0x12C: return p->inte[0];
    case 0x130: return p->intf[0];
    case 0x134: return (int_raw(p) & p->inte[0]) | p->intf[0];
    case 0x138: return p->inte[1];
    case 0x13C: return p->intf[1];
    case 0x140: return (int_raw(p) & p->inte[1]) | p->intf[1];
    default: return 0;
    }
}

void pio_write(Chip *c, Pio *p, uint32_t offset, uint32_t value, uint32_t raw) {
    if (offset >= MACHINES && offset < MACHINES + 4 * STRIDE) {
        sm_write(c, p, (offset - MACHINES) / STRIDE, (offset - MACHINES) % STRIDE, value);
    } else if (offset >= 0x48 && offset < MACHINES) {
        settle_all(c, p);
        p->mem[(offset - 0x48) >> 2] = (uint16_t)value;
        for (uint32_t i = 0; i < 4; i++)
            if (p->sm[i].sleep) pio_wake(c, p, i, c->now + 1);
    } else if (offset >= 0x10 && offset < 0x20) {
        pio_tx_push(c, p, (offset >> 2) & 3, raw);
    } else {
        switch (offset) {
        case 0x00: ctrl_write(c, p, value); break;
        case 0x08: p->fdebug = (p->fdebug | stalls(p)) & ~raw; break;
        case 0x30: p->irq &= ~raw; pio_wake_irq(c, p); break;
        case 0x34: p->irq |= raw & 255; pio_wake_irq(c, p); break;
        case 0x38: p->sync_bypass = value; break;
        case 0x12C: p->inte[0] = value & 0xFFF; break;
        case 0x130: p->intf[0] = value & 0xFFF; break;
        case 0x138: p->inte[1] = value & 0xFFF; break;
        case 0x13C: p->intf[1] = value & 0xFFF; break;
        default: break;
        }
        if (offset == 0x30 || offset == 0x34 || offset >= 0x12C) {
            uint32_t any = p->inte[0] | p->inte[1] | p->intf[0] | p->intf[1];
            pio_irq_update(c, p);
            if (!any)
                for (uint32_t n = 0; n < 2; n++)
                    chip_set_irq(c, IRQ_PIO0_0 + 2 * p->index + n, 0);
        }
    }
    pio_reschedule(p);
    chip_reschedule(c);
}

void pio_reset(Chip *c, Pio *p) {
    uint32_t index = p->index;
    memset(p, 0, sizeof *p);
    p->index = index;
    for (int i = 0; i < 4; i++) {
        Sm *s = &p->sm[i];
        s->clkdiv = 0x10000;
        s->div = 256;
        s->execctrl = 0x1F000;
        s->shiftctrl = 0xC0000;
        s->pinctrl = 5u << 26;
        s->osr_count = 32;
        s->grid = c->now << 8;
        set_depths(s);
        no_due(s);
    }
    p->due = NEVER;
    for (uint32_t n = 0; n < 2; n++) chip_set_irq(c, IRQ_PIO0_0 + 2 * index + n, 0);
}

/* All machines that are due at cycle `now`, then the pins. */
void pio_run(Chip *c, Pio *p) {
    uint32_t out = p->out, oe = p->oe;
    p->irq_seen = p->irq;
    for (uint32_t i = 0; i < 4; i++) {
        Sm *s = &p->sm[i];
        if (s->due_cycle > c->now) continue;
        if (s->skip) {
            if (s->skip == 1) s->x -= s->skip_count;
            else s->y -= s->skip_count;
            s->skip = 0;
        }
        s->grid = s->due;
        if (s->exec_valid) pio_exec(c, p, i, s->exec_instr, 2);
        else pio_exec(c, p, i, p->mem[s->pc], 0);
    }
    if (out != p->out || oe != p->oe) gpio_update(c);
    pio_reschedule(p);
}
