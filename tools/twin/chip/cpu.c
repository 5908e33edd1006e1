/* Cortex-M0+ instruction interpreter (ARMv6-M), cycle counts of the Technical Reference Manual:
 * loads and stores 2 cycles (SIO 1, APB 4 and 5), taken branches 2, BL 3, n registers 1 + n,
 * POP with pc 3 + n, single-cycle multiplier. Exceptions are in except.c.
 */
#include "chip.h"

#define R(i) (c->cpu.r[i])
#define SP 13
#define LR 14
#define PC 15

static inline void set_nz(Cpu *u, uint32_t v) { u->n = v >> 31; u->z = v == 0; }

static inline uint32_t add_flags(Cpu *u, uint32_t a, uint32_t b, uint32_t carry) {
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t v = (uint32_t)wide;
    u->c = (uint32_t)(wide >> 32);
    u->v = (~(a ^ b) & (a ^ v)) >> 31;
    set_nz(u, v);
    return v;
}

static inline uint32_t sub_flags(Cpu *u, uint32_t a, uint32_t b) {
    return add_flags(u, a, ~b, 1);
}

static inline uint32_t xip(Chip *c, uint32_t addr) {
    return c->xip_cost ? bus_xip_cost(c, addr) : 0;
}

/* extra cycles of a data access beyond the one of the instruction */
static inline uint32_t io_cycles(uint32_t addr, int write) {
    uint32_t region = addr >> 28;
    if (region == 0xD) return 0;
    if (region == 4) return write ? 4 : 3;
    return 1;
}

static inline uint32_t ld32(Chip *c, uint32_t addr, uint32_t *cycles) {
    uint32_t ram = addr - 0x20000000u, flash = addr - 0x10000000u;
    if (addr & 3) { cpu_fault(c, addr); return 0; }
    *cycles += 1;
    if (ram < RAM_SIZE) return load32(c->ram + ram);
    if (flash < c->flash_size) { *cycles += xip(c, addr); return load32(c->flash + flash); }
    *cycles += io_cycles(addr, 0) - 1;
    return bus_read(c, addr);
}

static inline uint32_t ld16(Chip *c, uint32_t addr, uint32_t *cycles) {
    uint32_t ram = addr - 0x20000000u, flash = addr - 0x10000000u;
    if (addr & 1) { cpu_fault(c, addr); return 0; }
    *cycles += 1;
    if (ram < RAM_SIZE) return load16(c->ram + ram);
    if (flash < c->flash_size) { *cycles += xip(c, addr); return load16(c->flash + flash); }
    *cycles += io_cycles(addr, 0) - 1;
    return (bus_read(c, addr & ~3u) >> ((addr & 2) * 8)) & 0xFFFF;
}

static inline uint32_t ld8(Chip *c, uint32_t addr, uint32_t *cycles) {
    uint32_t ram = addr - 0x20000000u, flash = addr - 0x10000000u;
    *cycles += 1;
    if (ram < RAM_SIZE) return c->ram[ram];
    if (flash < c->flash_size) { *cycles += xip(c, addr); return c->flash[flash]; }
    *cycles += io_cycles(addr, 0) - 1;
    return (bus_read(c, addr & ~3u) >> ((addr & 3) * 8)) & 0xFF;
}

static inline void st(Chip *c, uint32_t addr, uint32_t value, uint32_t size, uint32_t *cycles) {
    uint32_t ram = addr - 0x20000000u;
    if (addr & (size - 1)) { cpu_fault(c, addr); return; }
    *cycles += 1;
    if (ram < RAM_SIZE) {
        if (size == 4) store32(c->ram + ram, value);
        else if (size == 2) store16(c->ram + ram, value);
        else c->ram[ram] = (uint8_t)value;
        return;
    }
    *cycles += io_cycles(addr, 1) - 1;
    bus_write(c, addr, value, size);
}

/* shift by a register's low byte or an immediate (1..32 for right shifts); sets carry */
static inline uint32_t shift(Cpu *u, uint32_t kind, uint32_t v, uint32_t n) {
    if (n == 0) return v;
    switch (kind) {
    case 0: /* LSL */
        u->c = n <= 32 ? (v >> (32 - n)) & 1 : 0;
        return n < 32 ? v << n : 0;
    case 1: /* LSR */
        u->c = n <= 32 ? (v >> (n - 1)) & 1 : 0;
        return n < 32 ? v >> n : 0;
    case 2: /* ASR */
        if (n >= 32) { u->c = v >> 31; return v >> 31 ? 0xFFFFFFFFu : 0; }
        u->c = (v >> (n - 1)) & 1;
        return (uint32_t)((int32_t)v >> n);
    default: /* ROR */
        n &= 31;
        if (n) v = (v >> n) | (v << (32 - n));
        u->c = v >> 31;
        return v;
    }
}

static inline int condition(const Cpu *u, uint32_t cond) {
    int yes;
    switch (cond >> 1) {
    case 0: yes = u->z; break;
    case 1: yes = u->c; break;
    case 2: yes = u->n; break;
    case 3: yes = u->v; break;
    case 4: yes = u->c && !u->z; break;
    case 5: yes = u->n == u->v; break;
    case 6: yes = u->n == u->v && !u->z; break;
    default: yes = 1;
    }
    return yes ^ (int)(cond & 1);
}

static uint32_t data_processing(Chip *c, uint32_t op) {
    Cpu *u = &c->cpu;
    uint32_t d = op & 7, m = R((op >> 3) & 7), v = R(d);
    switch ((op >> 6) & 15) {
    case 0x0: v &= m; break;
    case 0x1: v ^= m; break;
    case 0x2: v = shift(u, 0, v, m & 255); break;
    case 0x3: v = shift(u, 1, v, m & 255); break;
    case 0x4: v = shift(u, 2, v, m & 255); break;
    case 0x5: R(d) = add_flags(u, v, m, u->c); return 1;
    case 0x6: R(d) = add_flags(u, v, ~m, u->c); return 1;
    case 0x7: v = shift(u, 3, v, m & 255); break;
    case 0x8: set_nz(u, v & m); return 1;
    case 0x9: R(d) = sub_flags(u, 0, m); return 1;
    case 0xA: sub_flags(u, v, m); return 1;
    case 0xB: add_flags(u, v, m, 0); return 1;
    case 0xC: v |= m; break;
    case 0xD: v *= m; break;
    case 0xE: v &= ~m; break;
    default: v = ~m;
    }
    set_nz(u, v);
    R(d) = v;
    return 1;
}

/* ADD, CMP, MOV on high registers; BX, BLX. `pc` is the address of the instruction. */
static uint32_t high_registers(Chip *c, uint32_t op, uint32_t pc) {
    uint32_t d = (op & 7) | ((op >> 4) & 8), mi = (op >> 3) & 15;
    uint32_t m = mi == PC ? pc + 4 : R(mi), v = d == PC ? pc + 4 : R(d);
    switch ((op >> 8) & 3) {
    case 1: sub_flags(&c->cpu, v, m); return 1;
    case 0: m += v; /* fall through */
    case 2:
        if (d == PC) { R(PC) = m & ~1u; return 2; }
        R(d) = d == SP ? m & ~3u : m;
        return 1;
    default:
        if (op & 0x80) { R(LR) = (pc + 2) | 1; R(PC) = m & ~1u; return 2; }
        if ((m >> 28) == 0xF && c->cpu.ipsr) return 2 + cpu_return(c, m);
        R(PC) = m & ~1u;
        return 2;
    }
}

static uint32_t push(Chip *c, uint32_t op) {
    uint32_t n = (uint32_t)__builtin_popcount(op & 0x1FF), at = R(SP) - 4 * n, junk = 0;
    R(SP) = at;
    for (uint32_t i = 0; i < 8; i++)
        if (op & (1u << i)) { st(c, at, R(i), 4, &junk); at += 4; }
    if (op & 0x100) st(c, at, R(LR), 4, &junk);
    return 1 + n;
}

static uint32_t pop(Chip *c, uint32_t op) {
    uint32_t cycles = 1, at = R(SP), v;
    for (uint32_t i = 0; i < 8; i++)
        if (op & (1u << i)) { R(i) = ld32(c, at, &cycles); at += 4; }
    if (!(op & 0x100)) { R(SP) = at; return cycles; }
    v = ld32(c, at, &cycles);
    R(SP) = at + 4;
    if ((v >> 28) == 0xF && c->cpu.ipsr) return cycles + 2 + cpu_return(c, v);
    R(PC) = v & ~1u;
    return cycles + 2;
}

static uint32_t multiple(Chip *c, uint32_t op, int load) {
    uint32_t b = (op >> 8) & 7, at = R(b), cycles = 1;
    for (uint32_t i = 0; i < 8; i++) {
        if (!(op & (1u << i))) continue;
        if (load) R(i) = ld32(c, at, &cycles);
        else st(c, at, R(i), 4, &cycles);
        at += 4;
    }
    if (!load || !(op & (1u << b))) R(b) = at;
    return cycles;
}

static uint32_t hint(Chip *c, uint32_t op) {
    Cpu *u = &c->cpu;
    if (op == 0xBF20) { /* WFE */
        if (u->event) u->event = 0;
        else { u->sleeping = 2; u->irq_check = 1; }
        return 2;
    }
    if (op == 0xBF30) { u->sleeping = 1; u->irq_check = 1; return 2; }
    if (op == 0xBF40) u->event = 1;
    return 1;
}

static uint32_t undefined(Chip *c, uint32_t op, uint32_t pc) {
    if (c->cb.log) c->cb.log(LOG_UNDEFINED, pc, op);
    cpu_fault(c, pc);
    return 1;
}

static uint32_t misc(Chip *c, uint32_t op, uint32_t pc) {
    uint32_t d = op & 7, m = R((op >> 3) & 7);
    switch ((op >> 8) & 15) {
    case 0x0:
        if (op & 0x80) R(SP) -= (op & 0x7F) << 2;
        else R(SP) += (op & 0x7F) << 2;
        return 1;
    case 0x2:
        switch ((op >> 6) & 3) {
        case 0: R(d) = (uint32_t)(int16_t)m; break;
        case 1: R(d) = (uint32_t)(int8_t)m; break;
        case 2: R(d) = m & 0xFFFF; break;
        default: R(d) = m & 0xFF;
        }
        return 1;
    case 0x4: case 0x5: return push(c, op);
    case 0x6:
        c->cpu.primask = (op >> 4) & 1; /* CPSID, CPSIE */
        c->cpu.irq_check = 1;
        return 1;
    case 0xA:
        switch ((op >> 6) & 3) {
        case 0: R(d) = __builtin_bswap32(m); return 1;
        case 1: R(d) = ((m & 0xFF00FF) << 8) | ((m >> 8) & 0xFF00FF); return 1;
        case 3: R(d) = (uint32_t)(int16_t)__builtin_bswap16((uint16_t)m); return 1;
        default: return undefined(c, op, pc);
        }
    case 0xC: case 0xD: return pop(c, op);
    case 0xE:
        if (c->cb.log) c->cb.log(LOG_BKPT, pc, op & 0xFF);
        cpu_fault(c, pc);
        return 1;
    case 0xF:
        return (op & 15) ? undefined(c, op, pc) : hint(c, op);
    default: return undefined(c, op, pc);
    }
}

static uint32_t wide(Chip *c, uint32_t op, uint32_t pc) {
    uint32_t op2 = load16(c->fetch + (pc + 2 - c->fetch_base));
    R(PC) = pc + 4;
    if ((op >> 11) == 0x1E && (op2 & 0xD000) == 0xD000) { /* BL */
        uint32_t s = (op >> 10) & 1, i1 = !(((op2 >> 13) & 1) ^ s), i2 = !(((op2 >> 11) & 1) ^ s);
        uint32_t imm = (i1 << 23) | (i2 << 22) | ((op & 0x3FF) << 12) | ((op2 & 0x7FF) << 1);
        if (s) imm |= 0xFF000000u;
        R(LR) = (pc + 4) | 1;
        R(PC) = pc + 4 + imm;
        return 3;
    }
    if ((op & 0xFFE0) == 0xF380 && (op2 & 0xFF00) == 0x8800) {
        cpu_msr(c, op2 & 0xFF, R(op & 15));
        return 3;
    }
    if (op == 0xF3EF && (op2 & 0xF000) == 0x8000) {
        R((op2 >> 8) & 15) = cpu_mrs(c, op2 & 0xFF);
        return 3;
    }
    if (op == 0xF3BF) return 3; /* DSB, DMB, ISB */
    return undefined(c, op, pc);
}

/* One instruction; returns its cycles. */
uint32_t cpu_step(Chip *c) {
    Cpu *u = &c->cpu;
    uint32_t pc = R(PC), cycles = 1, op, addr;
    if (pc - c->fetch_base >= c->fetch_size) {
        bus_fetch_window(c, pc);
        if (!c->fetch_size) { cpu_fault(c, pc); return 1; }
    }
    op = load16(c->fetch + (pc - c->fetch_base));
    if (c->xip_cost && (pc >> 28) == 1) cycles += bus_xip_cost(c, pc);
    R(PC) = pc + 2;
#define RD R(op & 7)
#define RN R((op >> 3) & 7)
#define RM R((op >> 6) & 7)
#define IMM5 ((op >> 6) & 31)
#define RT8 R((op >> 8) & 7)
    switch (op >> 11) {
    case 0x00: { uint32_t v = shift(u, 0, RN, IMM5); set_nz(u, v); RD = v; break; }
    case 0x01: { uint32_t v = shift(u, 1, RN, IMM5 ? IMM5 : 32); set_nz(u, v); RD = v; break; }
    case 0x02: { uint32_t v = shift(u, 2, RN, IMM5 ? IMM5 : 32); set_nz(u, v); RD = v; break; }
    case 0x03: {
        uint32_t b = op & 0x400 ? (op >> 6) & 7 : RM;
        RD = op & 0x200 ? sub_flags(u, RN, b) : add_flags(u, RN, b, 0);
        break;
    }
    case 0x04: RT8 = op & 0xFF; set_nz(u, op & 0xFF); break;
    case 0x05: sub_flags(u, RT8, op & 0xFF); break;
    case 0x06: RT8 = add_flags(u, RT8, op & 0xFF, 0); break;
    case 0x07: RT8 = sub_flags(u, RT8, op & 0xFF); break;
    case 0x08:
        cycles += (op & 0x400 ? high_registers(c, op, pc) : data_processing(c, op)) - 1;
        break;
    case 0x09: RT8 = ld32(c, ((pc + 4) & ~3u) + ((op & 0xFF) << 2), &cycles); break;
    case 0x0A:
        addr = RN + RM;
        switch ((op >> 9) & 3) {
        case 0: st(c, addr, RD, 4, &cycles); break;
        case 1: st(c, addr, RD, 2, &cycles); break;
        case 2: st(c, addr, RD, 1, &cycles); break;
        default: RD = (uint32_t)(int8_t)ld8(c, addr, &cycles);
        }
        break;
    case 0x0B:
        addr = RN + RM;
        switch ((op >> 9) & 3) {
        case 0: RD = ld32(c, addr, &cycles); break;
        case 1: RD = ld16(c, addr, &cycles); break;
        case 2: RD = ld8(c, addr, &cycles); break;
        default: RD = (uint32_t)(int16_t)ld16(c, addr, &cycles);
        }
        break;
    case 0x0C: st(c, RN + (IMM5 << 2), RD, 4, &cycles); break;
    case 0x0D: RD = ld32(c, RN + (IMM5 << 2), &cycles); break;
    case 0x0E: st(c, RN + IMM5, RD, 1, &cycles); break;
    case 0x0F: RD = ld8(c, RN + IMM5, &cycles); break;
    case 0x10: st(c, RN + (IMM5 << 1), RD, 2, &cycles); break;
    case 0x11: RD = ld16(c, RN + (IMM5 << 1), &cycles); break;
    case 0x12: st(c, R(SP) + ((op & 0xFF) << 2), RT8, 4, &cycles); break;
    case 0x13: RT8 = ld32(c, R(SP) + ((op & 0xFF) << 2), &cycles); break;
    case 0x14: RT8 = ((pc + 4) & ~3u) + ((op & 0xFF) << 2); break;
    case 0x15: RT8 = R(SP) + ((op & 0xFF) << 2); break;
    case 0x16: case 0x17: cycles += misc(c, op, pc) - 1; break;
    case 0x18: cycles += multiple(c, op, 0) - 1; break;
    case 0x19: cycles += multiple(c, op, 1) - 1; break;
    case 0x1A: case 0x1B: {
        uint32_t cond = (op >> 8) & 15;
        if (cond == 15) { u->pend_svc = 1; u->irq_check = 1; break; }
        if (cond == 14) { cycles += undefined(c, op, pc) - 1; break; }
        if (condition(u, cond)) {
            R(PC) = pc + 4 + ((uint32_t)(int8_t)(op & 0xFF) << 1);
            cycles++;
        }
        break;
    }
    case 0x1C:
        R(PC) = pc + 4 + (uint32_t)((int32_t)(op << 21) >> 20);
        cycles++;
        break;
    case 0x1D: cycles += undefined(c, op, pc) - 1; break;
    default: cycles += wide(c, op, pc) - 1;
    }
    return cycles;
}
