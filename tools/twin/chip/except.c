/* Exceptions, NVIC, SysTick and the system control block (private peripheral bus).
 *
 * Peripheral interrupt lines are levels: a line that is still high when its handler returns pends
 * again, as on the chip. Entry costs 15 cycles, return 10.
 */
#include "chip.h"

#define ENTRY_CYCLES 15
#define RETURN_CYCLES 10
enum { EXC_HARDFAULT = 3, EXC_SVC = 11, EXC_PENDSV = 14, EXC_TICK = 15 };

static int priority(const Chip *c, uint32_t exception) {
    const Cpu *u = &c->cpu;
    switch (exception) {
    case 0: return 256;
    case EXC_HARDFAULT: return -1;
    case EXC_SVC: return (u->shpr2 >> 30) & 3;
    case EXC_PENDSV: return (u->shpr3 >> 22) & 3;
    case EXC_TICK: return (u->shpr3 >> 30) & 3;
    default: return u->prio[(exception - 16) & 31];
    }
}

static void consider(const Chip *c, uint32_t exception, uint32_t *best, int *level) {
    int p = priority(c, exception);
    if (p < *level) { *level = p; *best = exception; }
}

/* the most urgent pending exception that beats `level`, or 0 */
static uint32_t most_urgent(const Chip *c, int level) {
    const Cpu *u = &c->cpu;
    uint32_t best = 0, irqs = (u->irq_latched | u->irq_line) & u->irq_enabled;
    if (u->fault) return EXC_HARDFAULT;
    if (u->pend_svc) consider(c, EXC_SVC, &best, &level);
    if (u->pend_sv) consider(c, EXC_PENDSV, &best, &level);
    if (u->pend_tick) consider(c, EXC_TICK, &best, &level);
    while (irqs) {
        consider(c, 16 + (uint32_t)__builtin_ctz(irqs), &best, &level);
        irqs &= irqs - 1;
    }
    return best;
}

static void stack_select(Cpu *u, uint32_t process) {
    if (((u->control >> 1) & 1) == process) return;
    uint32_t t = u->r[13];
    u->r[13] = u->other_sp;
    u->other_sp = t;
    u->control ^= 2;
}

static uint32_t xpsr(const Cpu *u) {
    return (u->n << 31) | (u->z << 30) | (u->c << 29) | (u->v << 28) | (1u << 24) | u->ipsr;
}

static void enter(Chip *c, uint32_t exception) {
    Cpu *u = &c->cpu;
    uint32_t align = u->r[13] & 4, from_process = (u->control >> 1) & 1, sp;
    uint32_t frame[8] = {u->r[0], u->r[1], u->r[2], u->r[3], u->r[12], u->r[14], u->r[15],
                         xpsr(u) | (align << 7)};
    sp = (u->r[13] - 32) & ~7u;
    if (sp - 0x20000000u > RAM_SIZE - 32) { c->stop = 1; c->stop_reason = STOP_LOCKUP; return; }
    for (int i = 0; i < 8; i++) store32(c->ram + (sp - 0x20000000u) + 4 * i, frame[i]);
    u->r[13] = sp;
    u->r[14] = u->ipsr ? 0xFFFFFFF1u : from_process ? 0xFFFFFFFDu : 0xFFFFFFF9u;
    stack_select(u, 0);
    u->ipsr = exception;
    u->event = 1;
    u->sleeping = 0;
    switch (exception) {
    case EXC_HARDFAULT: u->fault = 0; break;
    case EXC_SVC: u->pend_svc = 0; break;
    case EXC_PENDSV: u->pend_sv = 0; break;
    case EXC_TICK: u->pend_tick = 0; break;
    default: u->irq_latched &= ~(1u << (exception - 16));
    }
    u->r[15] = bus_read(c, u->vtor + 4 * exception) & ~1u;
    c->cycle += ENTRY_CYCLES;
}

/* Wakes the CPU or enters an exception if one is due; true if it entered. */
int cpu_take_exception(Chip *c) {
    Cpu *u = &c->cpu;
    int level = priority(c, u->ipsr);
    uint32_t exception;
    u->irq_check = 0;
    if (u->sleeping) {
        /* WFI wakes on what would be taken if PRIMASK were clear; WFE on events */
        if (most_urgent(c, level) && (u->sleeping == 1 || !u->primask)) u->sleeping = 0;
        else if (u->sleeping == 2 && u->event) { u->event = 0; u->sleeping = 0; }
        else if (u->sleeping == 2 && (u->scr & 16)
                 && (u->irq_latched || u->irq_line || u->pend_tick || u->pend_sv))
            u->sleeping = 0;
    }
    if (u->primask && level > 0) level = 0;
    exception = most_urgent(c, level);
    if (!exception) return 0;
    enter(c, exception);
    return 1;
}

/* HardFault; a fault within the fault handler locks the CPU up and stops the run. */
void cpu_fault(Chip *c, uint32_t why) {
    if (c->cb.log) c->cb.log(LOG_FAULT, c->cpu.r[15], why);
    if (c->cpu.ipsr == EXC_HARDFAULT) { c->stop = 1; c->stop_reason = STOP_LOCKUP; }
    c->cpu.fault = 1;
    c->cpu.irq_check = 1;
}

uint32_t cpu_return(Chip *c, uint32_t value) {
    Cpu *u = &c->cpu;
    uint32_t sp, psr, v[8];
    stack_select(u, (value & 15) == 13);
    sp = u->r[13];
    for (uint32_t i = 0; i < 8; i++) v[i] = bus_read(c, sp + 4 * i);
    for (uint32_t i = 0; i < 4; i++) u->r[i] = v[i];
    u->r[12] = v[4];
    u->r[14] = v[5];
    u->r[15] = v[6] & ~1u;
    psr = v[7];
    u->r[13] = (sp + 32) | ((psr >> 7) & 4);
    u->n = psr >> 31; u->z = (psr >> 30) & 1; u->c = (psr >> 29) & 1; u->v = (psr >> 28) & 1;
    u->ipsr = psr & 63;
    u->event = 1;
    u->irq_check = 1;
    return RETURN_CYCLES;
}

uint32_t cpu_mrs(Chip *c, uint32_t sysm) {
    Cpu *u = &c->cpu;
    uint32_t process = (u->control >> 1) & 1;
    switch (sysm) {
    case 0: return xpsr(u) & 0xF0000000u;
    case 1: case 3: return xpsr(u) & 0xF000003Fu;
    case 5: case 7: return u->ipsr;
    case 8: return process ? u->other_sp : u->r[13];
    case 9: return process ? u->r[13] : u->other_sp;
    case 16: return u->primask;
    case 20: return u->control;
    default: return 0;
    }
}

void cpu_msr(Chip *c, uint32_t sysm, uint32_t value) {
    Cpu *u = &c->cpu;
    uint32_t process = (u->control >> 1) & 1;
    switch (sysm) {
    case 0: case 1: case 2: case 3:
        u->n = value >> 31; u->z = (value >> 30) & 1;
        u->c = (value >> 29) & 1; u->v = (value >> 28) & 1;
        break;
    case 8: if (process) u->other_sp = value & ~3u; else u->r[13] = value & ~3u; break;
    case 9: if (process) u->r[13] = value & ~3u; else u->other_sp = value & ~3u; break;
    case 16: u->primask = value & 1; u->irq_check = 1; break;
    case 20: if (!u->ipsr) { stack_select(u, (value >> 1) & 1); u->control = value & 3; } break;
    default: break;
    }
}

/* ---- SysTick: counts down from tick_rvr to 0, then reloads ---- */
static uint32_t tick_value(const Chip *c) {
    const Cpu *u = &c->cpu;
    if (!(u->tick_csr & 1)) return (uint32_t)u->tick_base;
    uint64_t gone = c->now - u->tick_base, period = (uint64_t)u->tick_rvr + 1;
    return (uint32_t)(u->tick_rvr - gone % period);
}

static void tick_plan(Chip *c) {
    Cpu *u = &c->cpu;
    uint64_t period = (uint64_t)u->tick_rvr + 1;
    u->tick_due = NEVER;
    if ((u->tick_csr & 3) == 3 && u->tick_rvr)
        u->tick_due = u->tick_base + ((c->now - u->tick_base) / period + 1) * period - 1;
    if (u->tick_due != NEVER && u->tick_due <= c->now) u->tick_due += period;
    chip_reschedule(c);
}

void systick_run(Chip *c) {
    c->cpu.pend_tick = 1;
    c->cpu.irq_check = 1;
    tick_plan(c);
}

uint32_t ppb_read(Chip *c, uint32_t offset) {
    Cpu *u = &c->cpu;
    uint32_t v = 0;
    switch (offset) {
    case 0xE010: {
        uint64_t period = (uint64_t)u->tick_rvr + 1;
        /* COUNTFLAG, approximately: a full period has passed since the counter was set */
        v = (u->tick_csr & 7) | ((u->tick_csr & 1) && c->now - u->tick_base >= period ? 1u << 16 : 0);
        if (v >> 16) u->tick_base += (c->now - u->tick_base) / period * period;
        return v;
    }
    case 0xE014: return u->tick_rvr;
    case 0xE018: return tick_value(c);
    case 0xE01C: return 0x0000270F;
    case 0xE100: case 0xE180: return u->irq_enabled;
    case 0xE200: case 0xE280: return u->irq_latched | u->irq_line;
    case 0xED00: return 0x410CC601;
    case 0xED04:
        return u->ipsr | (most_urgent(c, 257) << 12) | (u->pend_tick << 26) | (u->pend_sv << 28)
            | ((u->irq_latched | u->irq_line) & u->irq_enabled ? 1u << 22 : 0);
    case 0xED08: return u->vtor;
    case 0xED0C: return 0xFA050000;
    case 0xED10: return u->scr;
    case 0xED14: return 0x208;
    case 0xED1C: return u->shpr2;
    case 0xED20: return u->shpr3;
    default: break;
    }
    if (offset >= 0xE400 && offset < 0xE420) {
        for (uint32_t i = 0; i < 4; i++)
            v |= (uint32_t)u->prio[(offset - 0xE400) + i] << (8 * i + 6);
        return v;
    }
    return 0;
}

void ppb_write(Chip *c, uint32_t offset, uint32_t value) {
    Cpu *u = &c->cpu;
    u->irq_check = 1;
    switch (offset) {
    case 0xE010:
        if ((value ^ u->tick_csr) & 1) {
            uint32_t left = tick_value(c);
            /* tick_base holds the frozen count while it is off */
            u->tick_base = value & 1 ? c->now - (u->tick_rvr >= left ? u->tick_rvr - left : 0) : left;
        }
        u->tick_csr = value & 7;
        tick_plan(c);
        return;
    case 0xE014: u->tick_rvr = value & 0xFFFFFF; tick_plan(c); return;
    case 0xE018: u->tick_base = u->tick_csr & 1 ? c->now : 0; tick_plan(c); return;
    case 0xE100: u->irq_enabled |= value; return;
    case 0xE180: u->irq_enabled &= ~value; return;
    case 0xE200: u->irq_latched |= value; return;
    case 0xE280: u->irq_latched &= ~value; return;
    case 0xED04:
        if (value & (1u << 28)) u->pend_sv = 1;
        if (value & (1u << 27)) u->pend_sv = 0;
        if (value & (1u << 26)) u->pend_tick = 1;
        if (value & (1u << 25)) u->pend_tick = 0;
        return;
    case 0xED08: u->vtor = value & 0xFFFFFF00u; return;
    case 0xED0C: if (value & 4) { c->stop = 1; c->stop_reason = STOP_RESET; } return;
    case 0xED10: u->scr = value; return;
    case 0xED1C: u->shpr2 = value & 0xC0000000u; return;
    case 0xED20: u->shpr3 = value & 0xC0C00000u; return;
    default: break;
    }
    if (offset >= 0xE400 && offset < 0xE420)
        for (uint32_t i = 0; i < 4; i++)
            u->prio[(offset - 0xE400) + i] = (value >> (8 * i + 6)) & 3;
}
