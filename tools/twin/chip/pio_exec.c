/* PIO: one instruction of one state machine. */
#include "chip.h"

typedef struct { Chip *c; Pio *p; Sm *s; uint32_t index; } Ctx;

static uint32_t rotated(uint32_t mask, uint32_t base) {
    return base ? (mask << base) | (mask >> (32 - base)) : mask;
}

static uint32_t low_bits(uint32_t count) { return count >= 32 ? 0xFFFFFFFFu : (1u << count) - 1; }

static void drive(uint32_t *pins, uint32_t value, uint32_t base, uint32_t count) {
    uint32_t mask = low_bits(count);
    *pins = (*pins & ~rotated(mask, base)) | rotated(value & mask, base);
}

/* pins as the machine sees them: two cycles late, one where the synchroniser is bypassed */
static uint32_t inputs(const Ctx *x) {
    uint32_t v = gpio_inputs_at(x->c, x->c->now - 2), by = x->p->sync_bypass;
    if (by) v = (v & ~by) | (gpio_inputs_at(x->c, x->c->now - 1) & by);
    return v;
}

static uint32_t in_pins(const Ctx *x) {
    uint32_t base = (x->s->pinctrl >> 15) & 31, v = inputs(x);
    return base ? (v >> base) | (v << (32 - base)) : v;
}

static uint32_t out_base(const Sm *s) { return s->pinctrl & 31; }
static uint32_t out_count(const Sm *s) { return (s->pinctrl >> 20) & 63; }

static void out_pins(const Ctx *x, uint32_t value) {
    Sm *s = x->s;
    if ((s->execctrl & (1u << 18)) && !((value >> ((s->execctrl >> 19) & 31)) & 1)) return;
    drive(&x->p->out, value, out_base(s), out_count(s));
}

static uint32_t pull_threshold(const Sm *s) {
    uint32_t t = (s->shiftctrl >> 25) & 31;
    return t ? t : 32;
}

static uint32_t push_threshold(const Sm *s) {
    uint32_t t = (s->shiftctrl >> 20) & 31;
    return t ? t : 32;
}

/* 1: ran, next instruction; 2: ran and set the pc; 0: waits */
enum { WAITS = 0, RAN = 1, JUMPED = 2 };

static int sleep_on(const Ctx *x, uint32_t why) {
    if (!x->c->eager) x->s->sleep = why;
    x->s->stalled = why == SLEEP_TX ? 1 : why == SLEEP_RX ? 2 : 0;
    if (x->s->stalled) x->p->fdebug |= 1u << (x->s->stalled == 1 ? 24 + x->index : x->index);
    return WAITS;
}

static int do_jmp(const Ctx *x, uint32_t instr, uint32_t delay, int kind) {
    Sm *s = x->s;
    uint32_t cond = (instr >> 5) & 7, target = instr & 31, here = s->pc, pin = 0;
    int taken;
    switch (cond) {
    case 0: taken = 1; break;
    case 1: taken = s->x == 0; break;
    case 2: taken = s->x != 0; s->x--; break;
    case 3: taken = s->y == 0; break;
    case 4: taken = s->y != 0; s->y--; break;
    case 5: taken = s->x != s->y; break;
    case 6:
        pin = (s->execctrl >> 24) & 31;
        taken = (inputs(x) >> pin) & 1;
        break;
    default: taken = s->osr_count < pull_threshold(s);
    }
    if (!taken) return RAN;
    s->pc = target;
    if (target != here || kind || x->c->eager) return JUMPED;
    /* it jumps to itself: count down in one go, or wait for something to change */
    s->skip_period = s->div * (1 + delay);
    s->skip_from = s->due + s->skip_period;
    if (cond == 2 || cond == 4) {
        uint32_t left = cond == 2 ? s->x : s->y;
        if (left) { s->skip = cond / 2; s->skip_count = left; }
    } else if (cond == 6) {
        if ((gpio_inputs_at(x->c, x->c->now) >> pin) & 1) {
            s->sleep = SLEEP_SPIN_PIN;
            s->sleep_pin = pin;
        }
    } else {
        s->sleep = SLEEP_SPIN;
    }
    return JUMPED;
}

static int do_wait(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t want = (instr >> 7) & 1, n = instr & 31, pin;
    if (((instr >> 5) & 3) == 2) {
        n = n & 16 ? (n & 4) | ((n + x->index) & 3) : n & 7;
        /* flags that another machine changed in this cycle are seen in the next */
        if (((x->p->irq_seen >> n) & 1) != want)
            return ((x->p->irq >> n) & 1) == want ? WAITS : sleep_on(x, SLEEP_IRQ);
        if (want) {
            x->p->irq &= ~(1u << n);
            pio_wake_irq(x->c, x->p);
            pio_irq_update(x->c, x->p);
        }
        return RAN;
    }
    pin = ((instr >> 5) & 3) == 1 ? (n + ((s->pinctrl >> 15) & 31)) & 31 : n;
    if (((inputs(x) >> pin) & 1) == want) return RAN;
    /* sleep only if the change is not already on its way through the synchroniser */
    if (((gpio_inputs_at(x->c, x->c->now) >> pin) & 1) != want) {
        s->sleep_pin = pin;
        return sleep_on(x, SLEEP_PIN);
    }
    return WAITS;
}

static int do_in(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t n = instr & 31 ? instr & 31 : 32, v, count, isr;
    switch ((instr >> 5) & 7) {
    case 0: v = in_pins(x); break;
    case 1: v = s->x; break;
    case 2: v = s->y; break;
    case 6: v = s->isr; break;
    case 7: v = s->osr; break;
    default: v = 0;
    }
    v &= low_bits(n);
    if (n == 32) isr = v;
    else if (s->shiftctrl & (1u << 18)) isr = (s->isr >> n) | (v << (32 - n));
    else isr = (s->isr << n) | v;
    count = s->isr_count + n > 32 ? 32 : s->isr_count + n;
    if ((s->shiftctrl & (1u << 16)) && count >= push_threshold(s)) {
        if (s->rx_level >= s->rx_depth) return sleep_on(x, SLEEP_RX);
        pio_rx_push(x->c, x->p, x->index, isr);
        isr = count = 0;
    }
    s->isr = isr;
    s->isr_count = count;
    return RAN;
}

static int do_out(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t n = instr & 31 ? instr & 31 : 32, v;
    int result = RAN;
    if ((s->shiftctrl & (1u << 17)) && s->osr_count >= pull_threshold(s)) {
        if (!s->tx_level) return sleep_on(x, SLEEP_TX);
        s->osr = pio_tx_pull(x->c, x->p, x->index);
        s->osr_count = 0;
        return WAITS; /* the refill takes this cycle */
    }
    if (s->shiftctrl & (1u << 19)) {
        v = s->osr & low_bits(n);
        s->osr = n == 32 ? 0 : s->osr >> n;
    } else {
        v = n == 32 ? s->osr : s->osr >> (32 - n);
        s->osr = n == 32 ? 0 : s->osr << n;
    }
    s->osr_count = s->osr_count + n > 32 ? 32 : s->osr_count + n;
    switch ((instr >> 5) & 7) {
    case 0: out_pins(x, v); break;
    case 1: s->x = v; break;
    case 2: s->y = v; break;
    case 4: drive(&x->p->oe, v, out_base(s), out_count(s)); break;
    case 5: s->pc = v & 31; result = JUMPED; break;
    case 6: s->isr = v; s->isr_count = n; break;
    case 7: s->exec_instr = v & 0xFFFF; s->exec_valid = 2; break;
    default: break;
    }
    pio_autopull(x->c, x->p, x->index);
    return result;
}

static int do_push_pull(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    if (instr & 0x80) {
        int automatic = (s->shiftctrl >> 17) & 1;
        if ((instr & 0x40) && s->osr_count < pull_threshold(s)) return RAN;
        if (automatic && s->osr_count < pull_threshold(s)) return RAN;
        if (s->tx_level) s->osr = pio_tx_pull(x->c, x->p, x->index);
        else if (instr & 0x20) return sleep_on(x, SLEEP_TX);
        else s->osr = s->x;
        s->osr_count = 0;
        return RAN;
    }
    if ((instr & 0x40) && s->isr_count < push_threshold(s)) return RAN;
    if (s->rx_level < s->rx_depth) pio_rx_push(x->c, x->p, x->index, s->isr);
    else if (instr & 0x20) return sleep_on(x, SLEEP_RX);
    else x->p->fdebug |= 1u << x->index;
    s->isr = s->isr_count = 0;
    return RAN;
}

static uint32_t reversed(uint32_t v) {
    v = ((v >> 1) & 0x55555555u) | ((v & 0x55555555u) << 1);
    v = ((v >> 2) & 0x33333333u) | ((v & 0x33333333u) << 2);
    v = ((v >> 4) & 0x0F0F0F0Fu) | ((v & 0x0F0F0F0Fu) << 4);
    return __builtin_bswap32(v);
}

static int do_mov(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t v, level;
    switch (instr & 7) {
    case 0: v = in_pins(x); break;
    case 1: v = s->x; break;
    case 2: v = s->y; break;
    case 5:
        level = s->execctrl & 16 ? s->rx_level : s->tx_level;
        v = level < (s->execctrl & 15) ? 0xFFFFFFFFu : 0;
        break;
    case 6: v = s->isr; break;
    case 7: v = s->osr; break;
    default: v = 0;
    }
    if (((instr >> 3) & 3) == 1) v = ~v;
    else if (((instr >> 3) & 3) == 2) v = reversed(v);
    switch ((instr >> 5) & 7) {
    case 0: out_pins(x, v); break;
    case 1: s->x = v; break;
    case 2: s->y = v; break;
    case 4: s->exec_instr = v & 0xFFFF; s->exec_valid = 2; break;
    case 5: s->pc = v & 31; return JUMPED;
    case 6: s->isr = v; s->isr_count = 0; break;
    case 7: s->osr = v; s->osr_count = 0; break;
    default: break;
    }
    return RAN;
}

static int do_irq(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t n = instr & 16 ? (instr & 4) | ((instr + x->index) & 3) : instr & 7;
    if (instr & 0x40) {
        x->p->irq &= ~(1u << n);
    } else if (s->irq_raised) {
        if (x->p->irq_seen & (1u << n))
            return x->p->irq & (1u << n) ? sleep_on(x, SLEEP_IRQ) : WAITS;
        s->irq_raised = 0;
        return RAN;
    } else {
        x->p->irq |= 1u << n;
    }
    pio_wake_irq(x->c, x->p);
    pio_irq_update(x->c, x->p);
    if ((instr & 0x60) == 0x20) {
        s->irq_raised = 1;
        return sleep_on(x, SLEEP_IRQ);
    }
    return RAN;
}

static int do_set(const Ctx *x, uint32_t instr) {
    Sm *s = x->s;
    uint32_t v = instr & 31, base = (s->pinctrl >> 5) & 31, count = (s->pinctrl >> 26) & 7;
    switch ((instr >> 5) & 7) {
    case 0: drive(&x->p->out, v, base, count); break;
    case 1: s->x = v; break;
    case 2: s->y = v; break;
    case 4: drive(&x->p->oe, v, base, count); break;
    default: break;
    }
    return RAN;
}

/* Runs `instr` at cycle `now` and plans the machine's next tick. `kind`: 0 from memory, 1 written
 * to SMx_INSTR, 2 left pending by OUT EXEC, MOV EXEC or a written instruction that waits. */
void pio_exec(Chip *c, Pio *p, uint32_t index, uint32_t instr, int kind) {
    Sm *s = &p->sm[index];
    Ctx x = {c, p, s, index};
    uint32_t side_count = s->pinctrl >> 29, field = (instr >> 8) & 31, opt = s->execctrl >> 30 & 1;
    uint32_t delay = field & low_bits(5 - side_count), was_pending = s->exec_valid;
    int result;
    s->stalled = 0;
    s->sleep = SLEEP_NO;
    switch (instr >> 13) {
    case 0: result = do_jmp(&x, instr, delay, kind); break;
    case 1: result = do_wait(&x, instr); break;
    case 2: result = do_in(&x, instr); break;
    case 3: result = do_out(&x, instr); break;
    case 4: result = do_push_pull(&x, instr); break;
    case 5: result = do_mov(&x, instr); break;
    case 6: result = do_irq(&x, instr); break;
    default: result = do_set(&x, instr);
    }
    if (side_count && (!opt || (field & 16))) {
        uint32_t n = side_count - opt, value = (field >> (5 - side_count)) & low_bits(n);
        drive(s->execctrl & (1u << 29) ? &p->oe : &p->out, value, (s->pinctrl >> 10) & 31, n);
    }
    if (result == WAITS) {
        if (kind == 1) { s->exec_instr = instr; s->exec_valid = 1; }
        delay = 0;
    } else {
        if (kind && was_pending == s->exec_valid) s->exec_valid = 0;
        else if (s->exec_valid == 2) { s->exec_valid = 1; delay = 0; }
        if (result == RAN && !kind)
            s->pc = s->pc == ((s->execctrl >> 12) & 31) ? (s->execctrl >> 7) & 31 : (s->pc + 1) & 31;
        if (s->tx_level) pio_autopull(c, p, index);
    }
    if (s->sleep || !(s->enabled || s->exec_valid)) {
        if (!s->enabled && kind == 1 && result != WAITS) s->delay_left = delay;
        s->due_cycle = NEVER;
        return;
    }
    s->due += s->skip ? s->skip_period * (1 + (uint64_t)s->skip_count) : s->div * (1 + delay);
    s->due_cycle = s->due >> 8;
}
