"""Which Python files go into an image, and the manifest that freezes them."""

from tools.paths import BOARDS, FIRMWARE

# 1 drops assert statements and keeps line numbers for tracebacks.
OPTIMISATION = 1
BOARD_MODULE = "_board"
# The assembler in adder/hal takes its place on this chip; native code that is frozen takes RAM.
ELSEWHERE = ("adder/bending.py", "adder/plan.py", "adder/slices.py")


def modules():
    """(file, path on the board) of every module of the firmware, sorted."""
    files = [(path, path.relative_to(FIRMWARE)) for path in FIRMWARE.rglob("*.py")]
    files += [(path, path.relative_to(BOARDS.parent)) for path in BOARDS.glob("*.py")]
    return sorted((path, str(target)) for path, target in files if "__pycache__" not in path.parts)


def board_source(board):
    """Text of the module that tells the firmware which board it runs on."""
    return f'BOARD = "{board}"\n'


def plain():
    """Manifest of MicroPython alone."""
    return 'freeze("$(PORT_DIR)/modules")\ninclude("$(MPY_DIR)/extmod/asyncio")\n'


def firmware(board, generated):
    """Manifest of the firmware for `board`; writes the generated module into the folder `generated`.

    asyncio is left out, the firmware does not use it.
    """
    generated.mkdir(parents=True, exist_ok=True)
    source = generated / f"{BOARD_MODULE}.py"
    if not source.exists() or source.read_text() != board_source(board):
        source.write_text(board_source(board))
    lines = ['freeze("$(PORT_DIR)/modules")', f"freeze({str(generated)!r}, {source.name!r}, opt={OPTIMISATION})"]
    for path, target in modules():
        if target in ELSEWHERE:
            continue
        base = str(path)[: -len(target) - 1]
        lines.append(f"freeze({base!r}, {target!r}, opt={OPTIMISATION})")
    return "\n".join(lines) + "\n"
