/* Address map: memories, the blocks of this directory, and the rest through the callbacks. */
#include "chip.h"

/* A window of memory that instructions can be fetched from without another look-up. */
void bus_fetch_window(Chip *c, uint32_t pc) {
    c->fetch_size = 0;
    if (pc < ROM_SIZE) {
        c->fetch = c->rom; c->fetch_base = 0; c->fetch_size = ROM_SIZE - 2;
    } else if (pc - 0x20000000u < RAM_SIZE) {
        c->fetch = c->ram; c->fetch_base = 0x20000000u; c->fetch_size = RAM_SIZE - 2;
    } else if ((pc >> 26) == 4 && (pc & 0xFFFFFFu) < c->flash_size) {
        c->fetch = c->flash; c->fetch_base = pc & 0xFF000000u; c->fetch_size = c->flash_size - 2;
    } else if (pc - 0x15000000u < XIP_RAM_SIZE) {
        c->fetch = c->xip_ram; c->fetch_base = 0x15000000u; c->fetch_size = XIP_RAM_SIZE - 2;
    }
}

/* Extra cycles for a flash access by the cache model (16 KB, 2 ways, lines of 8 bytes). */
uint32_t bus_xip_cost(Chip *c, uint32_t addr) {
    uint32_t line = (addr & 0xFFFFFFu) >> 3, set = line & 1023, way;
    if (line == c->xip_last) return 0;
    c->xip_last = line;
    for (way = 0; way < 2; way++)
        if (c->xip_tag[set * 2 + way] == line + 1) { c->xip_way[set] = (uint8_t)!way; return 0; }
    way = c->xip_way[set];
    c->xip_tag[set * 2 + way] = line + 1;
    c->xip_way[set] = (uint8_t)!way;
    c->xip_misses++;
    return c->xip_cost;
}

static uint32_t outside_read(Chip *c, uint32_t addr) {
    return c->cb.read ? c->cb.read(addr) : 0;
}

static uint32_t apb_read(Chip *c, uint32_t addr) {
    uint32_t offset = addr & 0xFFF;
    switch ((addr >> 14) & 0xFFF) {
    case 0x05: return io_read(c, offset);
    case 0x07: return pads_read(c, offset);
    case 0x13: return adc_read(c, offset);
    case 0x14: return pwm_read(c, offset);
    case 0x15: return timer_read(c, offset);
    default: return outside_read(c, addr & ~0x3000u);
    }
}

static uint32_t ahb_read(Chip *c, uint32_t addr) {
    uint32_t offset = addr & 0xFFF;
    switch ((addr >> 16) & 0xFFF) {
    case 0x00: return dma_read(c, offset);
    case 0x10: return load32(c->dpram + offset);
    case 0x20: return pio_read(c, &c->pio[0], offset);
    case 0x30: return pio_read(c, &c->pio[1], offset);
    default: return outside_read(c, addr & ~0x3000u);
    }
}

/* 32 bits from a word address */
uint32_t bus_read(Chip *c, uint32_t addr) {
    uint32_t offset = addr & 0xFFFFFFu;
    switch (addr >> 28) {
    case 0x0:
        if (addr < ROM_SIZE) return load32(c->rom + addr);
        break;
    case 0x1:
        if ((addr >> 24) >= 0x18 || (addr >> 24) == 0x14) return outside_read(c, addr & ~0x3000u);
        if ((addr >> 24) == 0x15) return load32(c->xip_ram + (addr & (XIP_RAM_SIZE - 1)));
        if (offset < c->flash_size) return load32(c->flash + offset);
        return 0xFFFFFFFFu;
    case 0x2:
        if (addr - 0x20000000u < RAM_SIZE) return load32(c->ram + (addr - 0x20000000u));
        break;
    case 0x4: return apb_read(c, addr);
    case 0x5: return ahb_read(c, addr);
    case 0xD: return sio_read(c, addr & 0xFFFF);
    case 0xE: return ppb_read(c, addr & 0xFFFF);
    default: break;
    }
    if (c->cb.log) c->cb.log(LOG_BAD_READ, addr, c->cpu.r[15]);
    if (c->now == c->cycle) cpu_fault(c, addr);
    return 0;
}

static uint32_t aliased(uint32_t old, uint32_t value, uint32_t alias) {
    switch (alias) {
    case 1: return old ^ value;
    case 2: return old | value;
    case 3: return old & ~value;
    default: return value;
    }
}

/* reading these registers has side effects; an aliased write takes them as 0 */
static int plain_to_read(uint32_t addr) {
    uint32_t offset = addr & 0xFFF, block = (addr >> 20) & 0xF;
    return !((addr >> 28) == 5 && (block == 2 || block == 3) && offset >= 0x20 && offset < 0x30);
}

static void peripheral_write(Chip *c, uint32_t addr, uint32_t raw) {
    uint32_t alias = (addr >> 12) & 3, base = addr & ~0x3000u, offset = addr & 0xFFF;
    uint32_t old = 0, apb = (addr >> 28) == 4, key = apb ? (base >> 14) & 0xFFF : (base >> 16) & 0xFFF;
    int ours = apb ? key == 0x05 || key == 0x07 || (key >= 0x13 && key <= 0x15)
                   : key == 0 || key == 0x20 || key == 0x30;
    if (!ours) {
        if (c->cb.write) c->cb.write(base, raw, alias);
        return;
    }
    if (alias && plain_to_read(base)) old = apb ? apb_read(c, base) : ahb_read(c, base);
    uint32_t value = aliased(old, raw, alias);
    if (apb) {
        switch (key) {
        case 0x05: io_write(c, offset, value, raw); return;
        case 0x07: pads_write(c, offset, value); return;
        case 0x13: adc_write(c, offset, value, raw); return;
        case 0x14: pwm_write(c, offset, value, raw); return;
        default: timer_write(c, offset, value, raw); return;
        }
    }
    if (key == 0) dma_write(c, offset, value, raw);
    else pio_write(c, &c->pio[key == 0x30], offset, value, raw);
}

static void dpram_write(Chip *c, uint32_t addr, uint32_t value, uint32_t size) {
    uint32_t offset = addr & 0xFFF;
    if (size == 4) store32(c->dpram + offset, value);
    else if (size == 2) store16(c->dpram + offset, value);
    else c->dpram[offset] = (uint8_t)value;
    if (offset >= 0x80 && offset < 0x100 && c->cb.dpram)
        c->cb.dpram(offset & ~3u, load32(c->dpram + (offset & ~3u)));
}

/* Writes of 8 and 16 bits reach peripherals as a word with the value in every lane. */
void bus_write(Chip *c, uint32_t addr, uint32_t value, uint32_t size) {
    uint32_t lanes = size == 4 ? value
        : size == 2 ? (value & 0xFFFF) * 0x10001u : (value & 0xFF) * 0x01010101u;
    uint32_t offset;
    switch (addr >> 28) {
    case 0x0:
        if (addr < ROM_SIZE) return; /* ignored, as on the chip (TinyUSB does it) */
        break;
    case 0x1:
        if ((addr >> 24) >= 0x18 || (addr >> 24) == 0x14) {
            if (c->cb.write) c->cb.write(addr & ~0x3003u, lanes, (addr >> 12) & 3);
            return;
        }
        if ((addr >> 24) == 0x15) {
            offset = addr & (XIP_RAM_SIZE - 1);
            if (size == 4) store32(c->xip_ram + offset, value);
            else if (size == 2) store16(c->xip_ram + offset, value);
            else c->xip_ram[offset] = (uint8_t)value;
            return;
        }
        return; /* flash: ignored (and a cache flush by address) */
    case 0x2:
        offset = addr - 0x20000000u;
        if (offset >= RAM_SIZE) break;
        if (size == 4) store32(c->ram + offset, value);
        else if (size == 2) store16(c->ram + offset, value);
        else c->ram[offset] = (uint8_t)value;
        return;
    case 0x5:
        if (((addr >> 16) & 0xFFF) == 0x10) { dpram_write(c, addr, value, size); return; }
        /* fall through */
    case 0x4: peripheral_write(c, addr & ~3u, lanes); return;
    case 0xD: sio_write(c, addr & 0xFFFC, lanes); return;
    case 0xE: ppb_write(c, addr & 0xFFFC, lanes); return;
    default: break;
    }
    if (c->cb.log) c->cb.log(LOG_BAD_WRITE, addr, c->cpu.r[15]);
    if (c->now == c->cycle) cpu_fault(c, addr);
}
