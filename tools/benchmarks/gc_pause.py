"""How long a garbage collection keeps everything but interrupts waiting while a print goes on.

The emulated CPU is looked at every 5 us: is it within MicroPython's collector? Where that lies, the symbols tell that
the build left behind. A pause goes from the first such look to the last one before it was elsewhere for 100 us, so that
an interrupt does not cut it in two.
"""

from __future__ import annotations

import bisect
import subprocess

from .rig import BenchError, Setup, command, curve, underruns

COLLECTOR = (
    "gc_collect", "gc_collect_start", "gc_collect_start_common", "gc_collect_root", "gc_collect_end", "gc_mark_subtree",
    "gc_helper_collect_regs_and_stack", "gc_deal_with_stack_overflow", "gc_sweep", "gc_sweep_free_blocks",
)
LOOK_CYCLES = 625
APART_CYCLES = 12_500
CYCLES_MS = 125_000
LINES = 1200
ASK_EVERY = 150  # lines; M122 tells the free heap, and so collects


def _places(setup: Setup) -> list[tuple[int, int]]:
    """First and last address of each function of the collector, sorted."""
    folder = setup.image.parent / "cmake"
    binary = folder / "firmware.bin"
    if not binary.is_file() or binary.read_bytes() != setup.image.with_suffix(".bin").read_bytes():
        raise BenchError("no symbols: %s/firmware.elf is not that of %s" % (folder, setup.image.name))
    listed = subprocess.run(
        ["arm-none-eabi-nm", "-n", folder / "firmware.elf"], capture_output=True, text=True, check=True
    ).stdout
    symbols = [(int(line.split()[0], 16), line.split()[2]) for line in listed.splitlines() if len(line.split()) == 3]
    ends = [address for address, _ in symbols] + [symbols[-1][0] + 1]
    places = [(address, ends[number + 1]) for number, (address, name) in enumerate(symbols) if name in COLLECTOR]
    if len(places) < 5:
        raise BenchError("the image has no collector of the names that are known")
    return places


class _Watch:
    """Looks at the CPU; `pauses`: (first, last) cycle of each."""

    def __init__(self, board, places):
        self.board = board
        self.first = [place[0] for place in places]
        self.last = [place[1] for place in places]
        self.pauses: list[list[int]] = []
        self.on = True
        self._again()

    def _again(self):
        self.board.schedule(self.board.cycle + LOOK_CYCLES, self._look)

    def _look(self):
        board = self.board
        at = board.chip.register(15)
        place = bisect.bisect(self.first, at) - 1
        if place >= 0 and at < self.last[place]:
            now = board.cycle
            if self.pauses and now - self.pauses[-1][1] <= APART_CYCLES:
                self.pauses[-1][1] = now
            else:
                self.pauses.append([now, now])
        if self.on:
            self._again()


def gc_pause(setup: Setup) -> dict:
    """The longest collection while lines are streamed, temperatures are reported, and M122 comes now and then."""
    with setup.twin(0.0, setup.wide_plan()) as twin:
        command(twin, "M302 S0", "G92 X20 Y0 Z0 E0", "M155 S1")
        watch = _Watch(twin.board, _places(setup))
        lines = list(curve(LINES, 100))
        for at in range(0, LINES, ASK_EVERY):
            twin.stream(lines[at : at + ASK_EVERY])
            command(twin, "M122")
        watch.on = False
        late = underruns(twin)
    if not watch.pauses:
        raise BenchError("no collection was seen")
    if late:
        raise BenchError("%d underruns" % late)
    return {"gc_pause_ms": max(last - first for first, last in watch.pauses) / CYCLES_MS}
