"""What we change in MicroPython's tree; every change is harmless where it is not needed."""

# mbedtls is not in the Debian package, so what needs it stays out.
SWITCHED_OFF = ("MICROPY_PY_HASHLIB_SHA1", "MICROPY_PY_CRYPTOLIB", "MICROPY_SSL_MBEDTLS", "MICROPY_PY_SSL")


def apply(tree):
    """Change the files of `tree` (a Path). A file that is a link is replaced by a changed copy."""
    _change(tree / "ports/rp2/CMakeLists.txt", lambda text: _faster_calls(_without_mbedtls(text)))
    _change(tree / "ports/rp2/mpconfigport.h", _switch_off)
    _change(tree / "ports/rp2/main.c", _time_collections)
    _change(tree / "tools/mpy-tool.py", _place_native_code)
    _change(tree / "shared/tinyusb/mp_usbd_cdc.c", _take_packets_whole)
    _change(tree / "ports/rp2/mphalport.c", _look_into_the_ring_first)
    _change(tree / "ports/rp2/modrp2.c", _receive_lines)
    _change(tree / "shared/tinyusb/mp_usbd.c", _stop_on_arrival)


def _change(path, function):
    text = function(path.read_text())
    path.unlink()
    path.write_text(text)


def _without_mbedtls(text):
    return "".join(line for line in text.splitlines(keepends=True) if "mbedtls" not in line.lower())


# What every call between functions and every line from the host goes through
_HOT = (
    "${MICROPY_PY_DIR}/nativeglue.c", "${MICROPY_PY_DIR}/obj.c", "${MICROPY_PY_DIR}/objarray.c",
    "${MICROPY_PY_DIR}/objfun.c", "${MICROPY_PY_DIR}/objint.c", "${MICROPY_PY_DIR}/objint_mpz.c",
    "${MICROPY_PY_DIR}/runtime.c", "${MICROPY_PY_DIR}/scheduler.c", "${MICROPY_PY_DIR}/stream.c",
    "${MICROPY_DIR}/shared/runtime/sys_stdio_mphal.c", "${MICROPY_DIR}/shared/tinyusb/mp_usbd.c",
    "${MICROPY_DIR}/shared/tinyusb/mp_usbd_cdc.c", "modrp2.c", "mphalport.c",
)


def _faster_calls(text):
    """Compile some more files for speed instead of size."""
    first = "set_source_files_properties(\n    ${MICROPY_PY_DIR}/map.c\n"
    if _HOT[0] in text:
        return text
    return text.replace(first, first + "".join(f"    {file}\n" for file in _HOT))


def _switch_off(text):
    lines = text.splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[1] in SWITCHED_OFF:
            lines[number] = f"#define {words[1]} (0)"
    return "\n".join(lines) + "\n"


def _time_collections(text):
    """The longest garbage collection (us) and their number go to the watchdog's scratch registers 0 and 1.

    Most collections are MicroPython's own doing, when memory runs out: no Python code can time them.
    """
    if "watchdog_hw->scratch" in text:
        return text
    include = '#include "hardware/structs/rosc.h"\n'
    text = text.replace(include, include + '#include "hardware/structs/watchdog.h"\n')
    text = text.replace("    gc_collect_start();\n", "    uint32_t begin = time_us_32();\n    gc_collect_start();\n")
    end = "    gc_collect_end();\n"
    return text.replace(
        end,
        end
        + "    uint32_t spent = time_us_32() - begin;\n"
        + "    if (spent > watchdog_hw->scratch[0]) {\n"
        + "        watchdog_hw->scratch[0] = spent;\n"
        + "    }\n"
        + "    watchdog_hw->scratch[1] += 1;\n",
    )


# Modules whose native code runs so seldom that it may lie in flash
SELDOM = (
    "command", "correction", "filament", "frame", "heat", "heatguard", "kinematics_bent", "output", "pid", "thermistor",
)


def _place_native_code(text):
    """Frozen viper and assembler code: on whole words, and but for that of SELDOM into RAM.

    In flash it shares the 16 KB cache with the interpreter, so its speed depends on what ran before. And on ARMv6-M it
    loads constants relative to the program counter rounded down to a word: at an odd halfword, where the two bytes'
    alignment that is asked for may put it, it would load wrong ones.
    """
    flash = """self.fun_data_attributes = '__attribute__((section(".text,\\\\"ax\\\\",%progbits @ ")))'"""
    ram = flash.replace(".text", ".time_critical.frozen")
    seldom = tuple(f"adder_{name}" for name in SELDOM)
    choice = f"{ram}\n            if parent_name.startswith({seldom!r}):\n                {flash}"
    if repr(seldom) not in text:
        text = text.replace(flash, choice)
    return text.replace("__attribute__ ((aligned (2)))", "__attribute__ ((aligned (4)))")


def _take_packets_whole(text):
    """What the USB host has sent: from TinyUSB's buffer into the ring in pieces, not byte by byte.

    The rules stay: the interrupt character empties the ring; what has no room stays with TinyUSB, so that the host is
    held back, and the interface is marked for the next poll.
    """
    begin = text.find("    for (uint32_t bytes_avail = tud_cdc_n_available(itf)")
    end = text.find("\n}\n", begin)
    return text if begin < 0 else text[:begin] + _PACKETS + text[end:]


_PACKETS = """\
    uint8_t piece[64];
    for (;;) {
        size_t room = ringbuf_free(&stdin_ringbuf);
        if (room == 0) {
            if (tud_cdc_n_available(itf)) {
                cdc_itf_pending |= (1 << itf);
            }
            return;
        }
        uint32_t count = tud_cdc_n_read(itf, piece, MIN(room, sizeof(piece)));
        if (count == 0) {
            return;
        }
        #if MICROPY_KBD_EXCEPTION
        if (mp_interrupt_char >= 0) {
            for (uint32_t i = 0; i < count; ++i) {
                if (piece[i] == mp_interrupt_char) {
                    stdin_ringbuf.iget = stdin_ringbuf.iput = 0;
                    mp_sched_keyboard_interrupt();
                } else {
                    ringbuf_put(&stdin_ringbuf, piece[i]);
                }
            }
            continue;
        }
        #endif
        ringbuf_put_bytes(&stdin_ringbuf, piece, count);
    }"""


def _look_into_the_ring_first(text):
    """Reading a character: USB is asked only when the ring is empty."""
    asked = """\
        #if MICROPY_HW_USB_CDC
        mp_usbd_cdc_poll_interfaces(0);
        #endif

        int c = ringbuf_get(&stdin_ringbuf);
        if (c != -1) {
            return c;
        }
"""
    first = """\
        int c = ringbuf_get(&stdin_ringbuf);
        #if MICROPY_HW_USB_CDC
        if (c == -1) {
            mp_usbd_cdc_poll_interfaces(0);
            c = ringbuf_get(&stdin_ringbuf);
        }
        #endif
        if (c != -1) {
            return c;
        }
"""
    return text.replace(asked, first)


def _receive_lines(text):
    """rp2.receive(buffer, timeout_ms): one line of what came in, in one piece, into `buffer`; its length.

    0: no line was complete in time. A line that is longer than the buffer comes in pieces of the buffer's length.
    """
    place = "\nstatic const mp_rom_map_elem_t rp2_module_globals_table[] = {\n"
    if place not in text or "rp2_receive" in text:
        return text
    row = "    { MP_ROM_QSTR(MP_QSTR_receive), MP_ROM_PTR(&rp2_receive_obj) },\n"
    return text.replace(place, _RECEIVE + place + row)


_RECEIVE = """
#include "hardware/structs/watchdog.h"
#include "py/ringbuf.h"
#include "py/stream.h"
#include "shared/tinyusb/mp_usbd_cdc.h"

// Length of the first line in the ring, or `most` if so many bytes are there without an end; 0: not yet
static size_t line_in_ring(size_t most) {
    const ringbuf_t *ring = &stdin_ringbuf;
    size_t count = ringbuf_avail(&stdin_ringbuf);
    if (count > most) {
        count = most;
    }
    size_t first = ring->size - ring->iget;
    if (first > count) {
        first = count;
    }
    const uint8_t *end = memchr(ring->buf + ring->iget, '\\n', first);
    if (end) {
        return end + 1 - (ring->buf + ring->iget);
    }
    end = memchr(ring->buf, '\\n', count - first);
    if (end) {
        return first + (end + 1 - ring->buf);
    }
    return count == most ? most : 0;
}

static mp_obj_t rp2_receive(mp_obj_t buffer_in, mp_obj_t timeout_in) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(buffer_in, &buffer, MP_BUFFER_WRITE);
    mp_uint_t timeout = mp_obj_get_int(timeout_in);
    mp_uint_t began = mp_hal_ticks_ms();
    for (;;) {
        size_t count = line_in_ring(buffer.len);
        if (count == 0) {
            #if MICROPY_HW_USB_CDC
            mp_usbd_cdc_poll_interfaces(0);
            count = line_in_ring(buffer.len);
            #endif
        }
        if (count != 0) {
            ringbuf_get_bytes(&stdin_ringbuf, buffer.buf, count);
            return MP_OBJ_NEW_SMALL_INT(count);
        }
        mp_uint_t elapsed = mp_hal_ticks_ms() - began;
        if (elapsed >= timeout) {
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        watchdog_hw->scratch[2] = 1;  // nothing to do
        mp_event_wait_ms(timeout - elapsed);
        watchdog_hw->scratch[2] = 0;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_2(rp2_receive_obj, rp2_receive);
"""


def _stop_on_arrival(text):
    """M112 stops the step streams within the interrupt that its bytes come with.

    Whatever runs then (a garbage collection, the slicer) would hold up the firmware, which takes the same line as ever
    and does all the rest. So this must know M112 only where the firmware does (adder/link.py): as the command of a
    line, behind a number if there is one, and not while Ctrl-C is allowed, for then nothing moves.
    """
    place = "extern void __real_dcd_event_handler"
    call = "    __real_dcd_event_handler(event, in_isr);\n"
    if text.count(place) != 1 or text.count(call) != 1 or "stop_on_arrival" in text:
        return text
    return text.replace(call, "    stop_on_arrival(event);\n" + call).replace(place, _STOP + place)


_STOP = """\
#include "hardware/structs/pio.h"
#include "hardware/structs/usb.h"
#include "shared/runtime/interrupt_char.h"

// Where in its line the next byte is; from COMMAND on so many bytes of the word have come
enum { BEGINS, NUMBER, SPACE, COMMAND, WHOLE = COMMAND + 4, PAST };

static void look_for_stop(const volatile uint8_t *bytes, uint32_t count) {
    static uint8_t place = BEGINS;
    for (; count; --count) {
        uint8_t c = *bytes++;
        if (place == WHOLE && c != '.' && !(c >= '0' && c <= '9') && mp_interrupt_char < 0) {
            pio0_hw->ctrl = 0;
        }
        if (c == '\\n') {
            place = BEGINS;
        } else if (place >= COMMAND) {
            place = place < WHOLE && c == "M112"[place - COMMAND] ? place + 1 : PAST;
        } else if (c == 'M' || c == 'm') {
            place = COMMAND + 1;
        } else if (c == ' ') {
            place = place == NUMBER ? SPACE : place;
        } else if (place == BEGINS && (c == 'N' || c == 'n')) {
            place = NUMBER;
        } else if (place != NUMBER || c < '0' || c > '9') {
            place = PAST;
        }
    }
}

static void stop_on_arrival(const dcd_event_t *event) {
    // One packet each time; where the endpoint's buffer lies, its register says
    if (event->event_id == DCD_EVENT_XFER_COMPLETE && event->xfer_complete.ep_addr == USBD_CDC_EP_OUT) {
        uint32_t at = usb_dpram->ep_ctrl[USBD_CDC_EP_OUT - 1].out & 0xffc0;
        look_for_stop((const volatile uint8_t *)usb_dpram + at, event->xfer_complete.len);
    }
}

"""
