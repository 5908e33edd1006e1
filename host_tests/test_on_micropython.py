"""Runs the scripts of host_tests/micropython on MicroPython's unix port, with the firmware on its path.

Each script is plain Python that MicroPython runs: assert statements, and "passed" as the last line that it prints.
"""

import os
import subprocess

import pytest

from tools import paths

SCRIPTS = sorted((paths.ROOT / "host_tests/micropython").glob("*.py"))
TIMEOUT_S = 120


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script):
    where = os.pathsep.join(map(str, (paths.FIRMWARE, paths.ROOT)))
    done = subprocess.run(
        [paths.UNIX, script],
        env={**os.environ, "MICROPYPATH": where},
        capture_output=True, text=True, timeout=TIMEOUT_S, cwd=paths.ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1:] == ["passed"]
