/* The main loop, and the functions that Python calls (all named chip_...). */
#include "chip.h"

enum { SRC_PIO0, SRC_PIO1, SRC_DMA, SRC_TIMER, SRC_PWM, SRC_ADC, SRC_TICK, SRC_OUTSIDE, SRC_NONE };

static uint64_t earliest(const Chip *c, int *source) {
    uint64_t adc = c->adc_due < c->adc_next ? c->adc_due : c->adc_next;
    uint64_t due = c->pio[0].due;
    *source = SRC_PIO0;
#define TRY(t, s) if ((t) < due) { due = (t); *source = (s); }
    TRY(c->pio[1].due, SRC_PIO1)
    TRY(c->dma.due, SRC_DMA)
    TRY(c->timer_min, SRC_TIMER)
    TRY(c->pwm_due, SRC_PWM)
    TRY(adc, SRC_ADC)
    TRY(c->cpu.tick_due, SRC_TICK)
    TRY(c->outside_due, SRC_OUTSIDE)
    return due;
}

void chip_reschedule(Chip *c) {
    int source;
    c->next_event = earliest(c, &source);
}

/* Everything that is due up to `cycle`, in order of time. */
static void events(Chip *c, uint64_t cycle) {
    int source;
    uint64_t due;
    while ((due = earliest(c, &source)) <= cycle && !c->stop) {
        c->now = due;
        switch (source) {
        case SRC_PIO0: pio_run(c, &c->pio[0]); break;
        case SRC_PIO1: pio_run(c, &c->pio[1]); break;
        case SRC_DMA: dma_run(c); break;
        case SRC_TIMER: timer_run(c); break;
        case SRC_PWM: pwm_run(c); break;
        case SRC_ADC: adc_run(c); break;
        case SRC_TICK: systick_run(c); break;
        default:
            c->outside_due = NEVER;
            if (c->cb.event) c->cb.event();
        }
    }
    c->next_event = due;
    c->now = c->cycle;
}

void chip_set_irq(Chip *c, uint32_t irq, uint32_t level) {
    uint32_t bit = 1u << irq, line = level ? c->cpu.irq_line | bit : c->cpu.irq_line & ~bit;
    if (line == c->cpu.irq_line) return;
    c->cpu.irq_line = line;
    c->cpu.irq_check = 1;
}

/* Runs to cycle `until` or until chip_stop; says why it returned (STOP_...). */
uint32_t chip_run(Chip *c, uint64_t until) {
    Cpu *u = &c->cpu;
    c->stop = 0;
    c->stop_reason = STOP_ASKED;
    while (c->cycle < until && !c->stop) {
        if (c->cycle >= c->next_event) {
            events(c, c->cycle);
            continue;
        }
        if (c->cycle < c->stall_until) { /* busy with the flash: only the other blocks go on */
            uint64_t to = c->stall_until < until ? c->stall_until : until;
            c->cycle = c->next_event < to ? c->next_event : to;
            c->now = c->cycle;
            continue;
        }
        if (u->irq_check && cpu_take_exception(c)) {
            c->now = c->cycle;
            continue;
        }
        if (u->sleeping) {
            c->cycle = c->next_event < until ? c->next_event : until;
            c->now = c->cycle;
            continue;
        }
        do {
            c->cycle += cpu_step(c);
            c->now = c->cycle;
            c->instructions++;
        } while (c->cycle < c->next_event && c->cycle < until && !u->irq_check && !c->stop
                 && !u->sleeping && c->cycle >= c->stall_until);
    }
    if (!c->stop && c->cycle >= c->next_event) events(c, c->cycle);
    return c->stop ? c->stop_reason : STOP_TIME;
}

void chip_stop(Chip *c) { c->stop = 1; c->stop_reason = STOP_ASKED; }

/* ---- construction and reset ---- */
Chip *chip_new(const Callbacks *cb, uint32_t flash_size) {
    Chip *c = calloc(1, sizeof *c);
    c->cb = *cb;
    c->flash_size = flash_size;
    c->rom = calloc(1, ROM_SIZE);
    c->ram = calloc(1, RAM_SIZE);
    c->flash = malloc(flash_size);
    memset(c->flash, 0xFF, flash_size);
    c->dpram = calloc(1, DPRAM_SIZE);
    c->xip_ram = calloc(1, XIP_RAM_SIZE);
    c->pio[1].index = 1;
    c->outside_due = NEVER;
    return c;
}

void chip_free(Chip *c) {
    for (int i = 0; i < 32; i++) free(c->edges[i].data);
    free(c->rom); free(c->ram); free(c->flash); free(c->dpram); free(c->xip_ram);
    free(c);
}

/* One block back to its reset state, by its bit in the RESETS registers. */
void chip_reset_block(Chip *c, uint32_t bit) {
    switch (bit) {
    case 0: adc_reset(c); break;
    case 2: dma_reset(c); break;
    case 5:
        memset(c->io_inte, 0, sizeof c->io_inte);
        memset(c->io_intf, 0, sizeof c->io_intf);
        c->edge_latch[0] = c->edge_latch[1] = 0;
        for (int i = 0; i < 32; i++) c->io_ctrl[i] = 0x1F;
        gpio_config(c);
        break;
    case 8:
        for (int i = 0; i < 32; i++) c->pad_ctrl[i] = 0x56;
        gpio_config(c);
        break;
    case 10: case 11: pio_reset(c, &c->pio[bit - 10]); gpio_update(c); break;
    case 14: pwm_reset(c); break;
    case 21: timer_reset(c); break;
    default: break;
    }
    chip_reschedule(c);
}

/* The whole chip; memory keeps its content (RAM does over a reset, the caller clears it on
 * power-up). The CPU starts at `pc` with stack `sp`. */
void chip_reset(Chip *c, uint32_t pc, uint32_t sp) {
    static const uint8_t bits[] = {10, 11, 2, 0, 14, 21, 5, 8};
    memset(&c->cpu, 0, sizeof c->cpu);
    c->cpu.tick_due = NEVER;
    c->cpu.r[13] = sp;
    c->cpu.other_sp = sp;
    c->cpu.r[15] = pc;
    c->now = c->cycle;
    c->stall_until = 0;
    c->flash_busy = 0;
    c->sio_out = c->sio_oe = c->spinlocks = c->fifo_level = 0;
    c->other_out = c->other_oe = 0;
    for (uint32_t i = 0; i < sizeof bits; i++) chip_reset_block(c, bits[i]);
    c->xip_last = 0xFFFFFFFFu;
    memset(c->xip_tag, 0, sizeof c->xip_tag);
    chip_reschedule(c);
}

/* ---- access for Python ---- */
uint64_t chip_cycle(const Chip *c) { return c->now; }
uint64_t chip_instructions(const Chip *c) { return c->instructions; }
uint8_t *chip_memory(Chip *c, uint32_t which) {
    uint8_t *all[] = {c->rom, c->ram, c->flash, c->dpram};
    return all[which & 3];
}
uint32_t chip_read(Chip *c, uint32_t addr) { return bus_read(c, addr); }
void chip_write(Chip *c, uint32_t addr, uint32_t value) { bus_write(c, addr, value, 4); }
uint32_t chip_register(const Chip *c, uint32_t i) { return i == 16 ? c->cpu.ipsr : c->cpu.r[i & 15]; }
void chip_set_register(Chip *c, uint32_t i, uint32_t v) { c->cpu.r[i & 15] = v; }
uint32_t chip_flags(const Chip *c) {
    return c->cpu.n << 3 | c->cpu.z << 2 | c->cpu.c << 1 | c->cpu.v;
}
void chip_set_flags(Chip *c, uint32_t v) {
    c->cpu.n = v >> 3 & 1; c->cpu.z = v >> 2 & 1; c->cpu.c = v >> 1 & 1; c->cpu.v = v & 1;
}
uint32_t chip_step(Chip *c) {
    uint32_t n = cpu_step(c);
    c->cycle += n;
    c->now = c->cycle;
    return n;
}
uint32_t chip_sleeping(const Chip *c) { return c->cpu.sleeping; }

void chip_outside_due(Chip *c, uint64_t cycle) {
    c->outside_due = cycle;
    if (cycle < c->next_event) c->next_event = cycle;
}

/* Keeps the CPU (not PIO, DMA, timers) busy for `cycles` from now on. */
void chip_stall(Chip *c, uint64_t cycles) { c->stall_until = c->now + cycles; }
void chip_flash_busy(Chip *c, uint32_t on) { c->flash_busy = on; }
uint32_t chip_flash_conflicts(const Chip *c) { return c->flash_conflicts; }
void chip_eager(Chip *c, uint32_t on) { c->eager = on; }
void chip_xip_cost(Chip *c, uint32_t cycles) { c->xip_cost = cycles; }
uint64_t chip_xip_misses(const Chip *c) { return c->xip_misses; }
void chip_fifo_push(Chip *c, uint32_t value) {
    if (c->fifo_level < 8) c->fifo_in[c->fifo_level++] = value;
    c->cpu.event = 1;
    c->cpu.irq_check = 1;
    chip_set_irq(c, IRQ_SIO0, 1);
}

uint32_t chip_pads(const Chip *c) { return c->pads; }
uint32_t chip_driven(const Chip *c) { return c->driven; }
uint32_t chip_function(const Chip *c, uint32_t gpio) { return c->io_ctrl[gpio & 31] & 31; }

/* What is wired to a pad: level 0 or 1, or -1 for nothing. */
void chip_set_input(Chip *c, uint32_t gpio, int32_t level) {
    uint32_t bit = 1u << gpio;
    c->ext_driven = level < 0 ? c->ext_driven & ~bit : c->ext_driven | bit;
    c->ext_level = level > 0 ? c->ext_level | bit : c->ext_level & ~bit;
    gpio_update(c);
}

void chip_set_other(Chip *c, uint32_t gpio, uint32_t level, uint32_t oe) {
    uint32_t bit = 1u << gpio;
    c->other_out = level ? c->other_out | bit : c->other_out & ~bit;
    c->other_oe = oe ? c->other_oe | bit : c->other_oe & ~bit;
    gpio_update(c);
}

void chip_watch(Chip *c, uint32_t record, uint32_t listen, uint32_t duty) {
    c->record_mask = record;
    c->listen_mask = listen;
    for (uint32_t pin = 0; pin < 32; pin++)
        if (duty & ~c->duty_mask & (1u << pin)) c->duty_period[pin] = 0;
    c->duty_mask = duty;
    pwm_reschedule(c);
    gpio_duty_check(c);
}

uint64_t chip_edges_len(const Chip *c, uint32_t gpio) { return c->edges[gpio & 31].len; }
const int64_t *chip_edges(const Chip *c, uint32_t gpio) { return c->edges[gpio & 31].data; }
void chip_edges_clear(Chip *c, uint32_t gpio) { c->edges[gpio & 31].len = 0; }

Motor *chip_motor(Chip *c, uint32_t i) { return &c->motor[i & 7]; }
void chip_motors(Chip *c, uint32_t n) {
    c->n_motors = n > 8 ? 8 : n;
    c->motor_mask = 0;
    for (uint32_t i = 0; i < c->n_motors; i++) c->motor_mask |= 1u << c->motor[i].step;
    pwm_reschedule(c);
}
void chip_pwm_duty(Chip *c, uint32_t gpio, uint32_t *out) { pwm_duty(c, gpio, out, out + 1); }
void chip_irq(Chip *c, uint32_t irq, uint32_t level) { chip_set_irq(c, irq, level); }
