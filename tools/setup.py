"""python3 -m tools.setup: makes build/venv with what requirements.txt asks for; a second run costs nothing.

Runs on the system's Python with the standard library alone.
"""

import hashlib
import shutil
import subprocess
import sys

from tools.image import packages
from tools.paths import ROOT, VENV
from tools.steps import ToolError, main, run

LOWEST_PYTHON = (3, 10)
REQUIREMENTS = ("requirements.txt", "requirements-nodeps.txt")
STAMP = VENV / "stamp"


def _digest():
    hashed = hashlib.sha256(sys.version.encode())
    for name in REQUIREMENTS:
        hashed.update((ROOT / name).read_bytes())
    return hashed.hexdigest()


def _can_make_venv():
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def setup():
    """Make the environment if it is not there or requirements changed. Raises ToolError."""
    if sys.version_info < LOWEST_PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        raise ToolError(f"Python {have} is too old, 3.10 or later is needed")
    if STAMP.exists() and STAMP.read_text() == _digest():
        return
    if not _can_make_venv():
        packages.install(["python3-venv"])
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.parent.mkdir(exist_ok=True)
    python = VENV / "bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    plain, nodeps = (ROOT / name for name in REQUIREMENTS)
    run("Python environment", [sys.executable, "-m", "venv", VENV])
    run("Python packages", [*pip, "-r", plain], [*pip, "--no-deps", "-r", nodeps])
    STAMP.write_text(_digest())


if __name__ == "__main__":
    main(setup)
