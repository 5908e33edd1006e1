"""What the tests on the emulated board share: images, booted boards, boards without an image."""

import pytest

from host_tests.board.bare import Bare
from tools import paths
from tools.twin.emulator import Board
from tools.twin.repl import Repl


def pytest_collection_modifyitems(items):
    """Everything in this folder runs on the emulated board."""
    here = paths.ROOT / "host_tests" / "board"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.board)


def build(name):
    """Path of the UF2 of a board, built if it is not there or sources changed."""
    from tools.image import build as builder

    builder.image(name)
    return paths.image(name)


@pytest.fixture(scope="session")
def plain_image():
    """Path of MicroPython alone, as a UF2."""
    path = paths.image(paths.PLAIN)
    return path if path.exists() else build(paths.PLAIN)


@pytest.fixture
def micropython(plain_image):
    """A booted board that runs MicroPython alone, at the raw REPL."""
    with Board(plain_image) as board:
        yield Repl(board)


@pytest.fixture(params=["sleeping", "busy", "long instructions"])
def any_cpu(request):
    """A board without an image whose CPU does this, to show that it does not matter."""
    board = Bare(request.param)
    yield board
    board.board.close()


@pytest.fixture
def bare():
    """A board without an image whose CPU sleeps; tests write its registers."""
    board = Bare("sleeping")
    yield board
    board.board.close()
