"""Fixtures of the tests that need a printer around the emulated board."""

import pytest

from tools import paths
from tools.twin.plan import plan_for
from tools.twin.printer import PrinterTwin

BOARD = "skr_pico"


@pytest.fixture(scope="session")
def firmware_image():
    """Path of the firmware's UF2 for the SKR Pico, built if sources changed."""
    from tools.image import build

    build.image(BOARD)
    return paths.image(BOARD)


@pytest.fixture
def near_plan():
    """A printer whose carriages stand close to their switches, so that homing takes little time."""
    plan = plan_for(BOARD)
    for axis in plan.axes:
        if axis.switch is not None:
            axis.start = {"x": 6.3, "y": 4.7, "z": 1.1}[axis.name]
    return plan


@pytest.fixture
def bare_twin(plain_image, near_plan):
    """The printer around a board that runs MicroPython alone, at its prompt."""
    with PrinterTwin(plain_image, BOARD, plan=near_plan) as twin:
        twin.board.boot()
        twin.run(0.3)
        yield twin


@pytest.fixture
def twin(firmware_image, near_plan):
    """The printer with the firmware, booted."""
    with PrinterTwin(firmware_image, BOARD, plan=near_plan) as twin:
        twin.boot()
        yield twin
