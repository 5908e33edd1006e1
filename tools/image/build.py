"""The builds. Each does nothing when what it depends on is unchanged, by a fingerprint kept beside its result."""

import contextlib
import fcntl
import functools
import hashlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

from tools import paths
from tools.image import manifest, packages, sources
from tools.steps import ToolError, run, say

HERE = Path(__file__).resolve().parent
FLASH_BASE = "0x10000000"
FAMILY_RP2040 = "0xe48bff56"
JOBS = f"-j{os.cpu_count() or 2}"


def _environment(**more):
    # Without it MicroPython would take its version from git, here: from the git of this tree.
    return {"MICROPY_GIT_TAG": "v" + _version(), "MICROPY_GIT_HASH": "adder", **more}


def _version():
    found = {}
    for line in (sources.TREE / "py/mpconfig.h").read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "#define" and words[1].startswith("MICROPY_VERSION_"):
            found.setdefault(words[1].rsplit("_", 1)[1], words[2])
    return ".".join(found[part] for part in ("MAJOR", "MINOR", "MICRO"))


def _digest(*things):
    """Hash of texts and of the contents of files (Path)."""
    hashed = hashlib.sha256()
    for thing in things:
        hashed.update(thing.read_bytes() if isinstance(thing, Path) else thing.encode())
        hashed.update(b"\0")
    return hashed.hexdigest()


def _own_files():
    return sorted(HERE.glob("*.py"))


_depth = 0


@contextlib.contextmanager
def _alone():
    """Only one process builds at a time; others wait and then find the result."""
    global _depth
    paths.BUILD.mkdir(exist_ok=True)
    with (paths.BUILD / "lock").open("w") as lock:
        # A build that is part of another one has the lock already.
        if _depth == 0:
            fcntl.flock(lock, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def _exclusive(function):
    @functools.wraps(function)
    def wrapped(*arguments):
        with _alone():
            return function(*arguments)

    return wrapped


class Stamp:
    """Remembers with which inputs a result was made."""

    def __init__(self, folder, digest, *results):
        self.file = folder / "stamp"
        self.digest = digest
        self.results = results

    def fresh(self):
        return self.file.exists() and self.file.read_text() == self.digest and all(r.exists() for r in self.results)

    def write(self):
        self.file.write_text(self.digest)


@_exclusive
def mpy_cross():
    """build/mpy-cross, the compiler of .py to .mpy; returns its path."""
    folder = paths.BUILD / "mpy-cross.obj"
    stamp = Stamp(folder, _digest(sources.fingerprint()), paths.MPY_CROSS)
    if not stamp.fresh():
        packages.ensure(packages.HOST)
        source = sources.tree()
        run("mpy-cross", ["make", "-C", source / "mpy-cross", JOBS, f"BUILD={folder}"], env=_environment())
        shutil.copy2(folder / "mpy-cross", paths.MPY_CROSS)
        stamp.write()
    return paths.MPY_CROSS


@_exclusive
def unix():
    """build/unix/micropython, MicroPython for this machine; returns its path."""
    folder = paths.BUILD / "unix"
    stamp = Stamp(folder, _digest(sources.fingerprint()), paths.UNIX)
    if not stamp.fresh():
        packages.ensure(packages.HOST)
        source = sources.tree()
        off = [f"MICROPY_{name}=0" for name in ("PY_SSL", "SSL_MBEDTLS", "PY_BTREE", "PY_FFI")]
        run(
            "MicroPython for this machine",
            ["make", "-C", source / "ports/unix", JOBS, *off, "FROZEN_MANIFEST=", f"BUILD={folder / 'obj'}"],
            env=_environment(),
        )
        shutil.copy2(folder / "obj/micropython", paths.UNIX)
        stamp.write()
    return paths.UNIX


@_exclusive
def image(board):
    """The image of `board` ("plain": MicroPython alone); returns the path of its UF2."""
    folder = paths.BUILD / board
    uf2 = paths.image(board)
    if board == paths.PLAIN:
        board_folder, inputs = None, [manifest.plain()]
    else:
        board_folder = _board_folder(board)
        inputs = [path for path, _ in manifest.modules()] + sorted(board_folder.iterdir())
        inputs += [target for _, target in manifest.modules()]
    digest = _digest(sources.fingerprint(), board, *_own_files(), *inputs)
    stamp = Stamp(folder, digest, uf2, paths.image(board, "bin"))
    if not stamp.fresh():
        _build_image(board, folder, board_folder)
        stamp.write()
        say(f"  {uf2.relative_to(paths.ROOT)}  {paths.image(board, 'bin').stat().st_size} bytes")
    return uf2


def _board_folder(board):
    if board not in paths.board_names():
        raise ToolError(f"BOARD={board}: there is no boards/{board}.py; boards: {', '.join(paths.board_names())}")
    title = runpy.run_path(str(paths.BOARDS / f"{board}.py"))["BOARD"]["title"]
    folder = paths.BUILD / board / f"ADDER_{board.upper()}"
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted((HERE / "board").iterdir()):
        text = template.read_text().replace("TITLE", title.replace('"', "'"))
        made = folder / template.name
        if not made.exists() or made.read_text() != text:
            made.write_text(text)
    return folder


def _build_image(board, folder, board_folder):
    packages.ensure(packages.HOST, packages.TOOLCHAIN)
    source = sources.tree()
    compiler = mpy_cross()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = folder / "manifest.py"
    text = manifest.plain() if board == paths.PLAIN else manifest.firmware(board, folder / "frozen")
    chosen.write_text(text)
    made = folder / "cmake"
    env = _environment(MICROPY_MPYCROSS=str(compiler))
    options = ["-DPICO_NO_PICOTOOL=1", f"-DMICROPY_FROZEN_MANIFEST={chosen}", "-DMICROPY_BOARD=RPI_PICO"]
    if board_folder:
        options[-1] = f"-DMICROPY_BOARD={board_folder.name}"
        options.append(f"-DMICROPY_BOARD_DIR={board_folder}")
    configure = ["cmake", "-S", source / "ports/rp2", "-B", made, *options]
    configured = Stamp(made, _digest(sources.fingerprint(), *map(str, configure)), made / "Makefile")
    if not configured.fresh():
        shutil.rmtree(made, ignore_errors=True)
        run(f"configure {board}", configure, env=env)
        configured.write()
    run(f"image {board}", ["make", "-C", made, JOBS], env=env)
    _convert(board, source, made)
    _write_version(board, folder)


def _convert(board, source, made):
    binary = paths.image(board, "bin")
    shutil.copyfile(made / "firmware.bin", binary)
    convert = [sys.executable, source / "tools/uf2conv.py", "-b", FLASH_BASE, "-f", FAMILY_RP2040, "-c"]
    run(f"uf2 {board}", [*convert, "-o", paths.image(board), binary])


def _write_version(board, folder):
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=paths.ROOT, capture_output=True, text=True
    ).stdout.strip()
    binary = paths.image(board, "bin")
    (folder / "version.txt").write_text(
        f"adder {described or 'unknown'}\nboard {board}\nmicropython {_version()}\n"
        f"bytes {binary.stat().st_size}\nsha256 {_digest(binary)}\n"
    )
