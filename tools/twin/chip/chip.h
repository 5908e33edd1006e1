/* The emulated RP2040: state of every block that sits on the fast path, and what each file offers.
 *
 * Time is one 64-bit count of system clock cycles (125 MHz, 8 ns). `cycle` is how far the CPU has
 * come; `now` is the cycle of whatever acts at the moment (an event may lie some cycles behind
 * `cycle`, within the instruction that the CPU just ended). Everything outside this directory
 * (USB, flash chip, clocks, watchdog ...) is reached through the callbacks in `Callbacks`.
 */
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define RAM_SIZE 0x42000u
#define ROM_SIZE 0x4000u
#define DPRAM_SIZE 0x1000u
#define XIP_RAM_SIZE 0x4000u
#define N_GPIO 30
#define GPIO_MASK 0x3FFFFFFFu
#define CYCLES_PER_US 125u

enum { IRQ_TIMER0 = 0, IRQ_PWM_WRAP = 4, IRQ_USB = 5, IRQ_PIO0_0 = 7, IRQ_DMA0 = 11, IRQ_DMA1 = 12,
       IRQ_IO_BANK0 = 13, IRQ_SIO0 = 15, IRQ_ADC = 22 };
enum { FN_PWM = 4, FN_SIO = 5, FN_PIO0 = 6, FN_PIO1 = 7 };
enum { DREQ_PIO_TX0 = 0, DREQ_PIO_RX0 = 4, DREQ_ADC = 36, TREQ_TIMER0 = 0x3B, TREQ_ALWAYS = 0x3F };
/* why chip_run returned */
enum { STOP_TIME = 0, STOP_ASKED = 1, STOP_LOCKUP = 2, STOP_RESET = 3 };

typedef struct Chip Chip;

typedef struct {
    uint32_t (*read)(uint32_t addr);
    void (*write)(uint32_t addr, uint32_t raw, uint32_t alias);
    void (*dpram)(uint32_t offset, uint32_t value);
    void (*event)(void);                                       /* `outside_due` was reached */
    void (*edge)(uint32_t gpio, uint32_t level);               /* a listened pad changed */
    void (*motor)(uint32_t index);                             /* a motor passed a watch */
    void (*duty)(uint32_t gpio, uint32_t high, uint32_t period); /* mean level changed */
    uint32_t (*adc)(uint32_t channel);                         /* sample, 0..4095 */
    void (*log)(uint32_t kind, uint32_t a, uint32_t b);
} Callbacks;

/* ---- CPU: Cortex-M0+ ---- */
typedef struct {
    uint32_t r[16];               /* r[13] is the stack in use, r[15] the next instruction */
    uint32_t other_sp;            /* the stack that is not in use */
    uint32_t n, z, c, v;          /* flags, 0 or 1 */
    uint32_t primask, control, ipsr;
    uint32_t event, sleeping;     /* sleeping: 0 no, 1 WFI, 2 WFE */
    uint32_t irq_latched, irq_line, irq_enabled;
    uint32_t pend_sv, pend_tick, pend_svc, fault;
    uint8_t prio[32];
    uint32_t vtor, scr, shpr2, shpr3;
    uint32_t irq_check;           /* look for an exception before the next instruction */
    uint32_t tick_csr, tick_rvr;
    uint64_t tick_base, tick_due; /* SysTick was `tick_rvr` at tick_base */
} Cpu;

/* ---- PIO ---- */
enum { SLEEP_NO = 0, SLEEP_TX, SLEEP_RX, SLEEP_PIN, SLEEP_IRQ, SLEEP_SPIN, SLEEP_SPIN_PIN };
typedef struct {
    uint32_t clkdiv, execctrl, shiftctrl, pinctrl;
    uint32_t x, y, isr, osr;
    uint32_t isr_count, osr_count, pc;
    uint32_t tx[8], rx[8];
    uint32_t tx_head, tx_level, rx_head, rx_level, tx_depth, rx_depth;
    uint32_t enabled, exec_valid, exec_instr, irq_raised;
    uint32_t sleep, sleep_pin;    /* why it does not tick; the pin that it waits for */
    uint32_t stalled;             /* on a FIFO, for FDEBUG: 0, 1 TX, 2 RX */
    uint32_t delay_left;          /* ticks of delay left over when it was disabled */
    uint32_t skip, skip_count;    /* a counted self-loop being skipped: 1 x, 2 y; runs skipped */
    uint64_t skip_from, skip_period;
    uint64_t div, due, grid;      /* 1/256 cycles: divider, next tick, a past tick of the divider */
    uint64_t due_cycle;           /* due as a whole cycle, or NEVER */
} Sm;

typedef struct {
    uint32_t index, irq, irq_seen, fdebug, sync_bypass;
    uint32_t out, oe;
    uint32_t inte[2], intf[2];
    uint16_t mem[32];
    uint64_t due;
    Sm sm[4];
} Pio;

/* ---- DMA ---- */
typedef struct {
    uint32_t read, write, count, reload, ctrl, busy;
} DmaChannel;

typedef struct {
    DmaChannel ch[12];
    uint32_t intr, inte[2], intf[2], timer[4], busy, last, sniff_ctrl, sniff_data;
    uint32_t waiting[64];         /* busy channels by their request line */
    uint64_t timer_next[4];       /* 1/65536 cycles */
    uint64_t due;
} Dma;

typedef struct {
    uint32_t csr, div, cc, top, ctr;
    uint64_t base;                /* 1/16 cycles: the counter was `ctr` then */
    uint64_t due;
} PwmSlice;

typedef struct {
    int32_t step, dir, enable;    /* GPIO numbers; enable -1: always on */
    uint32_t dir_positive, enable_level, both_edges;
    int64_t pos, low, high;       /* watch: callback when pos <= low or pos >= high */
    uint64_t steps, ignored;      /* edges counted; edges while not enabled */
} Motor;

typedef struct { int64_t *data; uint64_t len, cap; } EdgeList;

struct Chip {
    Callbacks cb;
    uint64_t cycle, now, stall_until, outside_due, next_event, run_until;
    uint64_t instructions;
    uint32_t stop, stop_reason;
    uint32_t eager;               /* PIO: no skipping, every tick is run (for tests) */
    Cpu cpu;
    uint8_t *rom, *ram, *flash, *dpram, *xip_ram;
    uint32_t flash_size, flash_busy, flash_conflicts;
    /* instruction fetch window */
    const uint8_t *fetch;
    uint32_t fetch_base, fetch_size;
    /* XIP cache model: 2 ways, 1024 sets of 8 bytes; cost 0 = no model */
    uint32_t xip_cost, xip_last, xip_tag[2048];
    uint8_t xip_way[1024];
    uint64_t xip_misses;
    /* SIO */
    uint32_t sio_out, sio_oe, spinlocks, dividend, divisor, quotient, remainder, div_dirty;
    uint32_t fifo_in[8], fifo_level, interp[32];
    /* GPIO */
    uint32_t io_ctrl[32], pad_ctrl[32], fn[32];        /* fn[f]: mask of pins with function f */
    uint32_t inv_out, low_out, high_out, inv_oe, low_oe, high_oe, inv_in, low_in, high_in;
    uint32_t pad_ie, pad_od, pull_up, pull_down;
    uint32_t ext_driven, ext_level;                    /* what is wired to the pads */
    uint32_t pads, driven, inputs;                     /* level, output enabled, input seen */
    uint32_t other_out, other_oe;                      /* UART and so on, from outside */
    uint64_t hist_time[8];
    uint32_t hist_value[8], hist_head;
    uint32_t edge_latch[2], io_inte[4], io_intf[4];    /* latch: 0 falling, 1 rising */
    uint32_t record_mask, listen_mask, duty_mask, motor_mask;
    uint32_t duty_high[32], duty_period[32];
    EdgeList edges[32];
    Motor motor[8];
    uint32_t n_motors;
    /* blocks */
    Pio pio[2];
    Dma dma;
    PwmSlice pwm[8];
    uint32_t pwm_out, pwm_intr, pwm_inte, pwm_intf;
    uint64_t pwm_due;
    uint64_t timer_base, timer_due[4];                 /* timer_base: cycle of time 0 */
    uint32_t timer_alarm[4], timer_armed, timer_intr, timer_inte, timer_intf, timer_latch;
    uint64_t timer_min;
    uint32_t adc_cs, adc_result, adc_fcs, adc_fifo[4], adc_level, adc_div, adc_inte, adc_intf;
    uint32_t adc_sample;
    uint64_t adc_due, adc_next;
};

/* kinds for Callbacks.log */
enum { LOG_BAD_READ = 1, LOG_BAD_WRITE, LOG_UNDEFINED, LOG_FAULT, LOG_BKPT, LOG_FLASH_CONFLICT };

/* run.c */
void chip_reschedule(Chip *c);
void chip_set_irq(Chip *c, uint32_t irq, uint32_t level);
/* cpu.c */
uint32_t cpu_step(Chip *c);
/* except.c */
int cpu_take_exception(Chip *c);
void cpu_fault(Chip *c, uint32_t why);
uint32_t cpu_return(Chip *c, uint32_t value);
uint32_t cpu_mrs(Chip *c, uint32_t sysm);
void cpu_msr(Chip *c, uint32_t sysm, uint32_t value);
uint32_t ppb_read(Chip *c, uint32_t offset);
void ppb_write(Chip *c, uint32_t offset, uint32_t value);
void systick_run(Chip *c);
/* bus.c */
uint32_t bus_read(Chip *c, uint32_t addr);
void bus_write(Chip *c, uint32_t addr, uint32_t value, uint32_t size);
uint32_t bus_xip_cost(Chip *c, uint32_t addr);
void bus_fetch_window(Chip *c, uint32_t pc);
/* sio.c */
uint32_t sio_read(Chip *c, uint32_t offset);
void sio_write(Chip *c, uint32_t offset, uint32_t value);
/* gpio.c */
void gpio_update(Chip *c);
void gpio_config(Chip *c);
uint32_t gpio_inputs_at(Chip *c, uint64_t cycle);
void gpio_duty_check(Chip *c);
uint32_t io_read(Chip *c, uint32_t offset);
void io_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw);
uint32_t pads_read(Chip *c, uint32_t offset);
void pads_write(Chip *c, uint32_t offset, uint32_t value);
/* pio.c, pio_exec.c */
uint32_t pio_read(Chip *c, Pio *p, uint32_t offset);
void pio_write(Chip *c, Pio *p, uint32_t offset, uint32_t value, uint32_t raw);
void pio_reset(Chip *c, Pio *p);
void pio_run(Chip *c, Pio *p);
void pio_exec(Chip *c, Pio *p, uint32_t index, uint32_t instr, int injected);
void pio_pins_changed(Chip *c, uint32_t changed);
void pio_irq_update(Chip *c, Pio *p);
void pio_wake(Chip *c, Pio *p, uint32_t index, uint64_t earliest);
void pio_wake_irq(Chip *c, Pio *p);
void pio_autopull(Chip *c, Pio *p, uint32_t index);
void pio_tx_push(Chip *c, Pio *p, uint32_t index, uint32_t value);
uint32_t pio_tx_pull(Chip *c, Pio *p, uint32_t index);
void pio_rx_push(Chip *c, Pio *p, uint32_t index, uint32_t value);
void pio_reschedule(Pio *p);
/* dma.c */
uint32_t dma_read(Chip *c, uint32_t offset);
void dma_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw);
void dma_request(Chip *c, uint32_t treq);
void dma_run(Chip *c);
void dma_reset(Chip *c);
/* timer.c */
uint32_t timer_read(Chip *c, uint32_t offset);
void timer_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw);
void timer_run(Chip *c);
void timer_reset(Chip *c);
/* pwm.c */
uint32_t pwm_read(Chip *c, uint32_t offset);
void pwm_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw);
void pwm_run(Chip *c);
void pwm_reset(Chip *c);
void pwm_reschedule(Chip *c);
void pwm_duty(Chip *c, uint32_t gpio, uint32_t *high, uint32_t *period);
/* adc.c */
uint32_t adc_read(Chip *c, uint32_t offset);
void adc_write(Chip *c, uint32_t offset, uint32_t value, uint32_t raw);
void adc_run(Chip *c);
void adc_reset(Chip *c);

static inline uint32_t load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint32_t load16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline void store32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void store16(uint8_t *p, uint32_t v) { uint16_t h = (uint16_t)v; memcpy(p, &h, 2); }

#endif
