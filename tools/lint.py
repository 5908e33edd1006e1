"""python -m tools.lint: the style of all Python, and whether every module compiles for the board."""

import subprocess
import sys

from tools import paths
from tools.deploy import ARCHITECTURE
from tools.image import build, manifest
from tools.steps import ToolError, main


def broken_modules():
    """Messages of mpy-cross about modules that do not compile for the board."""
    compiler = build.mpy_cross()
    out = paths.BUILD / "lint.mpy"
    messages = []
    for path, target in manifest.modules():
        command = [compiler, f"-march={ARCHITECTURE}", "-s", target, "-o", out, path]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            places = [line.strip() for line in lines if line.lstrip().startswith("File")]
            messages.append(f"{(places or [target])[-1]}: {lines[-1]}")
    return messages


def lint():
    """Raises ToolError if anything is wrong; what it is has been printed then."""
    style = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", paths.ROOT]).returncode
    broken = broken_modules()
    for message in broken:
        print(message)
    if style or broken:
        raise ToolError(f"{'style' if style else 'modules that MicroPython does not compile'}: see above")


if __name__ == "__main__":
    main(lint)
