"""Lets the firmware's modules be imported on CPython."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools" / "host"))


def pytest_runtest_makereport(item, call):
    """Figures that a test recorded, as plain numbers: those of NumPy do not get through to another process."""
    item.user_properties[:] = [
        (name, value.item() if hasattr(value, "item") else value) for name, value in item.user_properties
    ]
