"""python -m tools.docs: writes the pages of docs/ that are generated from the firmware's tables."""

import importlib.util
import subprocess
import sys

from tools import paths
from tools.steps import ToolError, main

GENERATORS = ("tools.settings_doc", "tools.gcodes")


def docs():
    """Run every generator that there is. Raises ToolError if one fails."""
    for name in GENERATORS:
        if importlib.util.find_spec(name) and subprocess.run([sys.executable, "-m", name], cwd=paths.ROOT).returncode:
            raise ToolError(f"{name} has failed: see above")


if __name__ == "__main__":
    main(docs)
