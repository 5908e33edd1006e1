/* Pads and IO_BANK0: which block drives which pin, levels, edges, interrupts, records, motors. */
#include "chip.h"

static void edge_push(EdgeList *e, int64_t value) {
    if (e->len == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 1024;
        e->data = realloc(e->data, e->cap * sizeof *e->data);
    }
    e->data[e->len++] = value;
}

static void motors_run(Chip *c, uint32_t changed, uint32_t pads) {
    for (uint32_t i = 0; i < c->n_motors; i++) {
        Motor *m = &c->motor[i];
        uint32_t bit = 1u << m->step;
        if (!(changed & bit) || !(m->both_edges || (pads & bit))) continue;
        if (m->enable >= 0 && ((pads >> m->enable) & 1) != m->enable_level) {
            m->ignored++;
            continue;
        }
        m->steps++;
        m->pos += ((pads >> m->dir) & 1) == m->dir_positive ? 1 : -1;
        if ((m->pos <= m->low || m->pos >= m->high) && c->cb.motor) c->cb.motor(i);
    }
}

static void irq_update(Chip *c) {
    uint32_t any = 0;
    for (uint32_t pin = 0; pin < N_GPIO; pin++) {
        uint32_t sh = (pin & 7) * 4, enable = (c->io_inte[pin >> 3] >> sh) & 15;
        uint32_t force = (c->io_intf[pin >> 3] >> sh) & 15, raw;
        if (!(enable | force)) continue;
        raw = ((c->inputs >> pin) & 1 ? 2 : 1) | (((c->edge_latch[0] >> pin) & 1) << 2)
            | (((c->edge_latch[1] >> pin) & 1) << 3);
        any |= (raw & enable) | force;
    }
    chip_set_irq(c, IRQ_IO_BANK0, any != 0);
}

/* Works out all pad levels anew and tells everybody what changed, at cycle `now`. */
void gpio_update(Chip *c) {
    const uint32_t *fn = c->fn;
    uint32_t out = (c->sio_out & fn[FN_SIO]) | (c->pio[0].out & fn[FN_PIO0])
        | (c->pio[1].out & fn[FN_PIO1]) | (c->pwm_out & fn[FN_PWM]);
    uint32_t oe = (c->sio_oe & fn[FN_SIO]) | (c->pio[0].oe & fn[FN_PIO0])
        | (c->pio[1].oe & fn[FN_PIO1]) | fn[FN_PWM];
    uint32_t peripherals = fn[1] | fn[2] | fn[3] | fn[8] | fn[9];
    uint32_t level, changed, seen, listen;
    out |= c->other_out & peripherals;
    oe |= c->other_oe & peripherals;
    out = (((out ^ c->inv_out) & ~c->low_out) | c->high_out) & GPIO_MASK;
    oe = (((oe ^ c->inv_oe) & ~c->low_oe) | c->high_oe) & ~c->pad_od & GPIO_MASK;
    /* nobody drives: what is wired outside, else the pull; both pulls keep the last level */
    level = (c->ext_driven & c->ext_level)
        | (~c->ext_driven & ((c->pull_up & ~c->pull_down) | (c->pull_up & c->pull_down & c->pads)));
    level = (out & oe) | (level & ~oe & GPIO_MASK);
    changed = level ^ c->pads;
    listen = (oe ^ c->driven) & c->duty_mask;
    c->driven = oe;
    if (changed) {
        seen = level & c->pad_ie;
        seen = (((seen ^ c->inv_in) & ~c->low_in) | c->high_in) & GPIO_MASK;
        c->pads = level;
        if (seen != c->inputs) {
            uint32_t flip = seen ^ c->inputs;
            c->hist_head = (c->hist_head + 1) & 7;
            c->hist_time[c->hist_head] = c->now;
            c->hist_value[c->hist_head] = c->inputs;
            c->inputs = seen;
            c->edge_latch[1] |= flip & seen;
            c->edge_latch[0] |= flip & ~seen;
            if (c->io_inte[0] | c->io_inte[1] | c->io_inte[2] | c->io_inte[3]) irq_update(c);
            pio_pins_changed(c, flip);
        }
        for (uint32_t m = changed & c->record_mask; m; m &= m - 1) {
            uint32_t pin = (uint32_t)__builtin_ctz(m);
            int64_t t = (int64_t)c->now;
            edge_push(&c->edges[pin], (level >> pin) & 1 ? t : -t);
        }
        if (changed & c->motor_mask) motors_run(c, changed, level);
        for (uint32_t m = changed & c->listen_mask; m && c->cb.edge; m &= m - 1) {
            uint32_t pin = (uint32_t)__builtin_ctz(m);
            c->cb.edge(pin, (level >> pin) & 1);
        }
    }
    if (listen | (changed & c->duty_mask)) gpio_duty_check(c);
}

/* Reports pins under `duty_mask` whose mean level changed: PWM duty, or a plain level. */
void gpio_duty_check(Chip *c) {
    for (uint32_t m = c->duty_mask; m; m &= m - 1) {
        uint32_t pin = (uint32_t)__builtin_ctz(m), bit = 1u << pin, high, period;
        if (!(c->driven & bit) || ((c->io_ctrl[pin] & 31) != FN_PWM)
            || ((c->low_out | c->high_out) & bit)) {
            high = (c->pads >> pin) & 1;
            period = 1;
        } else {
            pwm_duty(c, pin, &high, &period);
            if (c->inv_out & bit) high = period - high;
        }
        if (high == c->duty_high[pin] && period == c->duty_period[pin]) continue;
        c->duty_high[pin] = high;
        c->duty_period[pin] = period;
        if (c->cb.duty) c->cb.duty(pin, high, period);
    }
}

/* Inputs as they were at the end of `cycle`. */
uint32_t gpio_inputs_at(Chip *c, uint64_t cycle) {
    uint32_t v = c->inputs, i = c->hist_head;
    for (int n = 0; n < 8 && c->hist_time[i] > cycle; n++) {
        v = c->hist_value[i];
        i = (i - 1) & 7;
    }
    return v;
}

/* Masks from the control and pad registers, then levels. */
void gpio_config(Chip *c) {
    uint32_t seen;
    memset(c->fn, 0, sizeof c->fn);
    c->inv_out = c->low_out = c->high_out = c->inv_oe = c->low_oe = c->high_oe = 0;
    c->inv_in = c->low_in = c->high_in = 0;
    c->pad_ie = c->pad_od = c->pull_up = c->pull_down = 0;
    for (uint32_t pin = 0; pin < N_GPIO; pin++) {
        uint32_t bit = 1u << pin, ctrl = c->io_ctrl[pin], pad = c->pad_ctrl[pin];
        uint32_t over[3] = {(ctrl >> 8) & 3, (ctrl >> 12) & 3, (ctrl >> 16) & 3};
        uint32_t *masks[3][3] = {{&c->inv_out, &c->low_out, &c->high_out},
                                 {&c->inv_oe, &c->low_oe, &c->high_oe},
                                 {&c->inv_in, &c->low_in, &c->high_in}};
        c->fn[ctrl & 31] |= bit;
        for (int i = 0; i < 3; i++)
            if (over[i]) *masks[i][over[i] - 1] |= bit;
        if (pad & 0x80) c->pad_od |= bit;
        if (pad & 0x40) c->pad_ie |= bit;
        if (pad & 8) c->pull_up |= bit;
        if (pad & 4) c->pull_down |= bit;
    }
    gpio_update(c);
    seen = ((((c->pads & c->pad_ie) ^ c->inv_in) & ~c->low_in) | c->high_in) & GPIO_MASK;
    if (seen != c->inputs) {
        uint32_t flip = seen ^ c->inputs;
        c->inputs = seen;
        pio_pins_changed(c, flip);
    }
    irq_update(c);
    pwm_reschedule(c);
    if (c->duty_mask) gpio_duty_check(c);
}

static uint32_t status(const Chip *c, uint32_t pin) {
    uint32_t out = (c->pads >> pin) & 1, oe = (c->driven >> pin) & 1, in = (c->inputs >> pin) & 1;
    return (out << 8) | (out << 9) | (oe << 12) | (oe << 13) | (out << 17) | (in << 19);
}

static uint32_t raw_interrupts(const Chip *c, uint32_t group) {
    uint32_t v = 0;
    for (uint32_t i = 0; i < 8 && group * 8 + i < N_GPIO; i++) {
        uint32_t pin = group * 8 + i;
        uint32_t raw = ((c->inputs >> pin) & 1 ? 2 : 1) | (((c->edge_latch[0] >> pin) & 1) << 2)
            | (((c->edge_latch[1] >> pin) & 1) << 3);
        v |= raw << (4 * i);
    }
    return v;
}

uint32_t io_read(Chip *c, uint32_t offset) {
    uint32_t group = (offset >> 2) & 3;
    if (offset < 0xF0) return offset & 4 ? c->io_ctrl[offset >> 3] : status(c, offset >> 3);
    switch (offset & ~15u) {
    case 0xF0: return raw_interrupts(c, group);
    case 0x100: return c->io_inte[group];
    case 0x110: return c->io_intf[group];
    case 0x120: return (raw_interrupts(c, group) & c->io_inte[group]) | c->io_intf[group];
    default: return 0; /* core 1, dormant wake */
    }
}

void io_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw) {
    uint32_t group = (offset >> 2) & 3;
    if (offset < 0xF0) {
        if (!(offset & 4)) return;
        c->io_ctrl[offset >> 3] = value & 0x3003331F;
        gpio_config(c);
        return;
    }
    switch (offset & ~15u) {
    case 0xF0:
        for (uint32_t i = 0; i < 8; i++) {
            if (raw & (4u << (4 * i))) c->edge_latch[0] &= ~(1u << (group * 8 + i));
            if (raw & (8u << (4 * i))) c->edge_latch[1] &= ~(1u << (group * 8 + i));
        }
        break;
    case 0x100: c->io_inte[group] = value; break;
    case 0x110: c->io_intf[group] = value; break;
    default: return;
    }
    irq_update(c);
}

uint32_t pads_read(Chip *c, uint32_t offset) {
    if (offset >= 4 && offset < 4 + 4 * N_GPIO) return c->pad_ctrl[(offset - 4) >> 2];
    return 0;
}

void pads_write(Chip *c, uint32_t offset, uint32_t value) {
    if (offset < 4 || offset >= 4 + 4 * N_GPIO) return;
    c->pad_ctrl[(offset - 4) >> 2] = value & 0xFF;
    gpio_config(c);
}
