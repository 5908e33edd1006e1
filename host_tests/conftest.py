"""Lets the firmware's modules be imported on CPython."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools" / "host"))
