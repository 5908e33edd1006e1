"""python -m tools.deploy BOARD [PORT]: puts the firmware, compiled, on a board that runs MicroPython already."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

from tools import paths
from tools.image import build, manifest
from tools.steps import ToolError, main, run, say

FOLDER = paths.BUILD / "deploy"
ARCHITECTURE = "armv6m"
OPTIMISATION = 3  # no line numbers: the code lies in RAM here, and it is short
# Rows, and their columns that only documentation needs
ROW_WORDS = {"ROWS": (3, 4, 5), "SETTINGS": (8,)}
# MicroPython starts these by their names, and only as source.
KEPT_AS_SOURCE = ("boot.py", "main.py")


def without_words(source):
    """The text of a module less what only documentation needs: titles in rows of codes and settings.

    Code that is not frozen lies in RAM, and these texts are an eighth of it.
    """
    tree = ast.parse(source)
    for node in tree.body:
        named = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in ROW_WORDS
        if named and isinstance(node.value, ast.Tuple):
            for row in node.value.elts:
                for column in ROW_WORDS[node.targets[0].id]:
                    row.elts[column] = ast.Constant("")
    return ast.unparse(tree)


def compile_all(board, folder):
    """Compile the firmware for `board` into `folder` (emptied first) as it is to lie on the board."""
    compiler = build.mpy_cross()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    generated = folder.with_name(folder.name + "-generated") / f"{manifest.BOARD_MODULE}.py"
    generated.parent.mkdir(exist_ok=True)
    generated.write_text(manifest.board_source(board))
    commands = []
    for source, target in [*manifest.modules(), (generated, generated.name)]:
        place = folder / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if target in KEPT_AS_SOURCE:
            shutil.copyfile(source, place)
            continue
        text = source.read_text()
        if any(f"\n{name} = (" in text for name in ROW_WORDS):
            lean = generated.parent / target
            lean.parent.mkdir(parents=True, exist_ok=True)
            lean.write_text(without_words(text))
            source = lean
        options = [f"-march={ARCHITECTURE}", f"-O{OPTIMISATION}", "-s", target]
        commands.append([compiler, *options, "-o", place.with_suffix(".mpy"), source])
    run("compile the firmware", *commands)


def _mpremote(port, *words):
    connect = ["connect", port] if port else []
    command = [sys.executable, "-m", "mpremote", *connect, *words]
    return subprocess.run(command, capture_output=True, text=True)


def _checked(port, *words):
    done = _mpremote(port, *words)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no answer"]
        raise ToolError(
            f"mpremote {' '.join(words)}: {lines[-1]}; is the board connected, running MicroPython 1.25 or later,"
            " and its port not in use (PORT=/dev/ttyACM0 chooses one)?"
        )
    return done.stdout


def deploy():
    board = sys.argv[1] if len(sys.argv) > 1 else "skr_pico"
    port = sys.argv[2] if len(sys.argv) > 2 else ""
    if board not in paths.board_names():
        raise ToolError(f"BOARD={board}: there is no boards/{board}.py; boards: {', '.join(paths.board_names())}")
    compile_all(board, FOLDER)
    _check_version(_checked(port, "exec", "import sys; print(*sys.implementation.version[:2])"))
    # Modules that are no more, and the same ones as source, would be found before the new ones.
    for name in sorted({Path(target).parts[0] for _, target in manifest.modules()}):
        _mpremote(port, "resume", "fs", "rm", "-r", f":{name}")
    say("copy to the board")
    for path in sorted(FOLDER.iterdir()):
        words = ["cp", "-r"] if path.is_dir() else ["cp"]
        _checked(port, "resume", "fs", *words, str(path), ":")
    _checked(port, "resume", "reset")
    say(f"the firmware for {board} is on the board and starts now")


def _check_version(answer):
    words = answer.split()
    if len(words) < 2 or (int(words[-2]), int(words[-1])) < (1, 25):
        raise ToolError(f"the board runs MicroPython {'.'.join(words)}, 1.25 or later is needed: make flash")


if __name__ == "__main__":
    main(deploy)
