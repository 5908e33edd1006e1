"""Boot, and the example printed from the first byte to the last step."""

from __future__ import annotations

from tools import paths
from tools.twin.print_job import PrintJob, read_gcode
from tools.twin.printer import PrinterTwin

from .rig import BenchError, Setup, diagnostics

EXAMPLE = paths.EXAMPLES / "ring.gcode"
BOOT_S = 20.0


def _boot_ms(twin: PrinterTwin) -> float:
    """From now to the last byte of `start`, ms."""
    began = twin.now
    twin.boot(BOOT_S)
    return (twin.now - began) * 1000


def boot(setup: Setup) -> dict:
    """Power-up with an empty flash, then the reset button; free heap and the size of the image."""
    with PrinterTwin(setup.image, setup.board) as twin:
        twin.board.chip.xip_cost(setup.xip_miss)
        first = _boot_ms(twin)
        twin.run(0.5)
        twin.host.flush()
        twin.board.reset()
        again = _boot_ms(twin)
        heap = diagnostics(twin).number("heap_free")
        if heap is None:
            raise BenchError("M122 does not tell heap_free")
    return {
        "boot_first_ms": first,
        "boot_ms": again,
        "heap_free_bytes": int(heap),
        "image_bytes": setup.image.with_suffix(".bin").stat().st_size,
    }


def example(setup: Setup, progress=None) -> dict:
    """Prints the example; `progress(done, total)` is called now and then."""
    twin = PrinterTwin(setup.image, setup.board)
    twin.board.chip.xip_cost(setup.xip_miss)
    with twin:
        job = PrintJob(twin, read_gcode(str(EXAMPLE)))
        job.prepare()
        highest = 0.0
        for _ in job.progress():
            highest = max(highest, job.status.number("buffer_ms") or 0.0)
            if progress:
                progress(job.done, job.total)
        result = job.finish()
    if result.problems:
        raise BenchError("the example was not printed right: %s" % result.problems[0])
    values = {name: job.status.number(key) for name, key in (("low", "lowest_ahead_ms"), ("late", "underruns"))}
    if None in values.values():
        raise BenchError("M122 does not tell lowest_ahead_ms and underruns")
    return {"step_buffer_ms": values["low"], "step_buffer_high_ms": highest, "underruns": int(values["late"])}
