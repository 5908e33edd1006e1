/* DMA: 12 channels, one transfer a cycle between them, chaining, rings, request pacing.
 *
 * A transfer reads and writes in the same cycle. A start or a request takes LATENCY cycles until
 * its first transfer. Writing 0 to a trigger register starts nothing; with IRQ_QUIET it interrupts.
 */
#include "chip.h"

#define LATENCY 4
enum { EN = 1, HIGH_PRIORITY = 2, INCR_READ = 16, INCR_WRITE = 32, RING_WRITE = 1 << 10,
       IRQ_QUIET = 1 << 21, BSWAP = 1 << 22, BUSY = 1 << 24, ERRORS = 7 << 29 };

static uint32_t treq(const DmaChannel *h) { return (h->ctrl >> 15) & 63; }

static void irq_update(Chip *c) {
    Dma *d = &c->dma;
    chip_set_irq(c, IRQ_DMA0, ((d->intr & d->inte[0]) | d->intf[0]) != 0);
    chip_set_irq(c, IRQ_DMA1, ((d->intr & d->inte[1]) | d->intf[1]) != 0);
}

static void interrupt(Chip *c, uint32_t i) {
    c->dma.intr |= 1u << i;
    irq_update(c);
}

static void due_by(Chip *c, uint64_t cycle) {
    if (cycle < c->dma.due) c->dma.due = cycle;
    if (cycle < c->next_event) c->next_event = cycle;
}

/* The line `line` asks for a transfer; called whenever its FIFO gets room or data. */
void dma_request(Chip *c, uint32_t line) {
    if (c->dma.waiting[line]) due_by(c, c->now + LATENCY);
}

static int requested(Chip *c, uint32_t line) {
    if (line < 16) {
        const Sm *s = &c->pio[line >> 3].sm[line & 3];
        return line & 4 ? s->rx_level > 0 : s->tx_level < s->tx_depth;
    }
    if (line == DREQ_ADC) {
        uint32_t threshold = (c->adc_fcs >> 24) & 15;
        return (c->adc_fcs & 8) && c->adc_level >= (threshold ? threshold : 1);
    }
    if (line >= TREQ_TIMER0 && line < TREQ_ALWAYS)
        return c->dma.timer_next[line - TREQ_TIMER0] <= c->now << 16;
    if (line >= 16 && line < 24) return !(line & 1); /* SPI, UART: room to send, nothing came */
    return line == TREQ_ALWAYS;
}

static void set_busy(Chip *c, uint32_t i, uint32_t on) {
    Dma *d = &c->dma;
    uint32_t bit = 1u << i;
    for (int line = 0; line < 64; line++) d->waiting[line] &= ~bit;
    d->ch[i].busy = on;
    d->busy = (d->busy & ~bit) | (on ? bit : 0);
    if (on) d->waiting[treq(&d->ch[i])] |= bit;
}

static void trigger(Chip *c, uint32_t i);

static void finish(Chip *c, uint32_t i) {
    DmaChannel *h = &c->dma.ch[i];
    uint32_t next = (h->ctrl >> 11) & 15;
    set_busy(c, i, 0);
    if (!(h->ctrl & IRQ_QUIET)) interrupt(c, i);
    if (next != i && next < 12) trigger(c, next);
}

static void trigger(Chip *c, uint32_t i) {
    DmaChannel *h = &c->dma.ch[i];
    uint32_t line = treq(h);
    if (!(h->ctrl & EN) || h->busy) return;
    h->count = h->reload;
    set_busy(c, i, 1);
    if (line >= TREQ_TIMER0 && line < TREQ_ALWAYS) {
        uint64_t *next = &c->dma.timer_next[line - TREQ_TIMER0];
        if (*next < c->now << 16) *next = c->now << 16;
    }
    due_by(c, c->now + LATENCY);
}

static uint32_t step_address(uint32_t addr, uint32_t size, uint32_t ring) {
    uint32_t mask = ring ? (1u << ring) - 1 : 0xFFFFFFFFu;
    return (addr & ~mask) | ((addr + size) & mask);
}

static void transfer(Chip *c, uint32_t i) {
    DmaChannel *h = &c->dma.ch[i];
    uint32_t size = 1u << ((h->ctrl >> 2) & 3), ring = (h->ctrl >> 6) & 15, v;
    if (c->flash_busy && (h->read >> 26) == 4) {
        c->flash_conflicts++;
        if (c->cb.log) c->cb.log(LOG_FLASH_CONFLICT, h->read, i);
    }
    v = bus_read(c, h->read & ~3u);
    if (size == 1) v = ((v >> ((h->read & 3) * 8)) & 0xFF) * 0x01010101u;
    else if (size == 2) v = ((v >> ((h->read & 2) * 8)) & 0xFFFF) * 0x10001u;
    if (h->ctrl & BSWAP) {
        if (size == 4) v = __builtin_bswap32(v);
        else if (size == 2) v = ((v & 0xFF00FFu) << 8) | ((v >> 8) & 0xFF00FFu);
    }
    uint32_t to = h->write;
    if (h->ctrl & INCR_READ) h->read = step_address(h->read, size, h->ctrl & RING_WRITE ? 0 : ring);
    if (h->ctrl & INCR_WRITE)
        h->write = step_address(h->write, size, h->ctrl & RING_WRITE ? ring : 0);
    h->count--;
    bus_write(c, to, v, size);
    if (h->busy && !h->count) finish(c, i);
}

static uint32_t next_ready(Chip *c, uint32_t among) {
    for (uint32_t n = 1; n <= 12; n++) {
        uint32_t i = (c->dma.last + n) % 12;
        if ((among & (1u << i)) && requested(c, treq(&c->dma.ch[i]))) return i;
    }
    return 12;
}

/* One transfer at cycle `now`; comes again next cycle while anybody is ready. */
void dma_run(Chip *c) {
    Dma *d = &c->dma;
    uint32_t high = 0, i, line;
    d->due = NEVER;
    for (uint32_t m = d->busy; m; m &= m - 1) {
        i = (uint32_t)__builtin_ctz(m);
        if (!d->ch[i].count) { finish(c, i); continue; }
        if (d->ch[i].ctrl & HIGH_PRIORITY) high |= 1u << i;
    }
    i = next_ready(c, d->busy & high);
    if (i == 12) i = next_ready(c, d->busy);
    if (i < 12) {
        line = treq(&d->ch[i]);
        if (line >= TREQ_TIMER0 && line < TREQ_ALWAYS) {
            uint32_t t = d->timer[line - TREQ_TIMER0], x = t >> 16, y = t & 0xFFFF;
            d->timer_next[line - TREQ_TIMER0] += x ? ((uint64_t)y << 16) / x : 1ull << 48;
        }
        d->last = i;
        transfer(c, i);
        if (next_ready(c, d->busy) < 12) due_by(c, c->now + 1);
    }
    for (line = TREQ_TIMER0; line < TREQ_ALWAYS; line++)
        if (d->waiting[line]) {
            uint64_t at = (d->timer_next[line - TREQ_TIMER0] + 0xFFFF) >> 16;
            due_by(c, at > c->now ? at : c->now + 1);
        }
}

static void control(Chip *c, uint32_t i, uint32_t value) {
    DmaChannel *h = &c->dma.ch[i];
    h->ctrl = (value & 0xFFFFFF) | (h->ctrl & ERRORS & ~(value & (3u << 29)));
    if (h->busy) { set_busy(c, i, 1); due_by(c, c->now + LATENCY); }
}

static void channel_write(Chip *c, uint32_t i, uint32_t reg, uint32_t value) {
    /* which of READ, WRITE, COUNT, CTRL each of the four aliases holds, in order */
    static const uint8_t field[16] = {0, 1, 2, 3, 3, 0, 1, 2, 3, 2, 0, 1, 3, 1, 2, 0};
    DmaChannel *h = &c->dma.ch[i];
    switch (field[reg]) {
    case 0: h->read = value; break;
    case 1: h->write = value; break;
    case 2: h->reload = value; break;
    default: control(c, i, value);
    }
    if ((reg & 3) != 3) return;
    if (value) trigger(c, i);
    else if (h->ctrl & IRQ_QUIET) interrupt(c, i);
}

static uint32_t channel_read(const DmaChannel *h, uint32_t reg) {
    static const uint8_t field[16] = {0, 1, 2, 3, 3, 0, 1, 2, 3, 2, 0, 1, 3, 1, 2, 0};
    switch (field[reg]) {
    case 0: return h->read;
    case 1: return h->write;
    case 2: return h->count;
    default: return h->ctrl | (h->busy ? BUSY : 0);
    }
}

uint32_t dma_read(Chip *c, uint32_t offset) {
    Dma *d = &c->dma;
    if (offset < 0x300) return channel_read(&d->ch[offset >> 6], (offset >> 2) & 15);
    switch (offset) {
    case 0x400: return d->intr;
    case 0x404: return d->inte[0];
    case 0x408: return d->intf[0];
    case 0x40C: return (d->intr & d->inte[0]) | d->intf[0];
    case 0x414: return d->inte[1];
    case 0x418: return d->intf[1];
    case 0x41C: return (d->intr & d->inte[1]) | d->intf[1];
    case 0x420: case 0x424: case 0x428: case 0x42C: return d->timer[(offset >> 2) & 3];
    case 0x434: return d->sniff_ctrl;
    case 0x438: return d->sniff_data;
    case 0x448: return 12;
    default: break;
    }
    if (offset >= 0x800 && offset < 0xB00) {
        const DmaChannel *h = &d->ch[(offset - 0x800) >> 6];
        if ((offset & 0x3F) == 4) return h->reload;
    }
    return 0;
}

void dma_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw) {
    Dma *d = &c->dma;
    if (offset < 0x300) {
        channel_write(c, offset >> 6, (offset >> 2) & 15, value);
        return;
    }
    switch (offset) {
    case 0x400: case 0x40C: case 0x41C: d->intr &= ~raw; break;
    case 0x404: d->inte[0] = value & 0xFFFF; break;
    case 0x408: d->intf[0] = value & 0xFFFF; break;
    case 0x414: d->inte[1] = value & 0xFFFF; break;
    case 0x418: d->intf[1] = value & 0xFFFF; break;
    case 0x420: case 0x424: case 0x428: case 0x42C: d->timer[(offset >> 2) & 3] = value; return;
    case 0x430:
        for (uint32_t i = 0; i < 12; i++)
            if (raw & (1u << i)) trigger(c, i);
        return;
    case 0x434: d->sniff_ctrl = value; return;
    case 0x438: d->sniff_data = value; return;
    case 0x444:
        for (uint32_t i = 0; i < 12; i++)
            if ((raw & (1u << i)) && d->ch[i].busy) set_busy(c, i, 0);
        return;
    default: return;
    }
    irq_update(c);
}

void dma_reset(Chip *c) {
    memset(&c->dma, 0, sizeof c->dma);
    for (uint32_t i = 0; i < 12; i++) c->dma.ch[i].ctrl = i << 11;
    c->dma.due = NEVER;
    irq_update(c);
}
