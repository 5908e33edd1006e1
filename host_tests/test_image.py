"""The image: what is frozen, where native code lies, what is refused, and that an unchanged tree builds nothing."""

import re
import shutil
import subprocess

import pytest

from tools import paths
from tools.deploy import compile_all
from tools.image import build, manifest, packages, patches, sources
from tools.steps import ToolError

BOARDS = paths.board_names()


def test_every_module_is_in_the_manifest(tmp_path):
    text = manifest.firmware("pico", tmp_path)
    for _, target in manifest.modules():
        assert (repr(target) in text) == (target not in manifest.ELSEWHERE)
    targets = [target for _, target in manifest.modules()]
    assert "main.py" in targets
    assert {f"boards/{name}.py" for name in BOARDS} <= set(targets)
    assert (tmp_path / "_board.py").read_text() == 'BOARD = "pico"\n'


@pytest.mark.parametrize("board", BOARDS)
def test_image_fits_below_the_file_system(board):
    storage = 1408 * 1024
    assert paths.image(board, "bin").stat().st_size < 2 * 1024 * 1024 - storage


@pytest.mark.parametrize("board", BOARDS)
def test_usb_strings_are_ours(board):
    assert b"Adder 3D printer" in paths.image(board, "bin").read_bytes()


@pytest.mark.parametrize("board", BOARDS)
def test_native_code_lies_in_ram_on_whole_words(board):
    elf = paths.BUILD / board / "cmake/firmware.elf"
    listing = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    # "t": code, and frozen code is native code; bytecode is read-only data.
    seldom = tuple(f"adder_{name}" for name in patches.SELDOM)
    places = {True: [], False: []}
    for place, name in re.findall(r"^([0-9a-f]{8}) t fun_data_(\w+)", listing, re.MULTILINE):
        places[name.startswith(seldom)].append(int(place, 16))
    assert all(places.values())
    assert all(place % 4 == 0 for group in places.values() for place in group)
    assert all(0x20000000 <= place < 0x20042000 for place in places[False])
    assert all(0x10000000 <= place < 0x10200000 for place in places[True])


@pytest.mark.parametrize("board", [paths.PLAIN, *BOARDS])
def test_unchanged_tree_builds_nothing(board, monkeypatch):
    def fail(*_):
        raise AssertionError("built again")

    monkeypatch.setattr(build, "_build_image", fail)
    assert build.image(board) == paths.image(board)


def test_unknown_board_is_refused():
    with pytest.raises(ToolError, match=r"BOARD=nothing: there is no boards/nothing\.py; boards: "):
        build.image("nothing")


def test_folders_of_the_user_are_checked(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPYTHON_DIR", str(tmp_path))
    with pytest.raises(ToolError, match=r"is not a MicroPython source tree: it has no ports/rp2/CMakeLists\.txt"):
        sources.own_tree()
    monkeypatch.setenv("PICO_SDK_PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"is not a Pico SDK: it has no pico_sdk_init\.cmake"):
        sources.own_sdk()


def test_user_tree_stays_untouched(monkeypatch, tmp_path):
    own = tmp_path / "own"
    changed = [
        "shared/tinyusb/mp_usbd.c",
        "ports/rp2/CMakeLists.txt", "ports/rp2/mpconfigport.h", "ports/rp2/mphalport.c", "ports/rp2/modrp2.c",
        "ports/rp2/main.c", "shared/tinyusb/mp_usbd_cdc.c", "tools/mpy-tool.py",
    ]
    for file in (*changed, "lib/tinyusb/src/tusb.h"):
        (own / file).parent.mkdir(parents=True, exist_ok=True)
        (own / file).write_text("#define MICROPY_PY_SSL (1)\n")
    (own / "lib/pico-sdk").mkdir()
    (own / "lib/pico-sdk/pico_sdk_init.cmake").touch()
    monkeypatch.setenv("MICROPYTHON_DIR", str(own))
    monkeypatch.setattr(sources, "SOURCES", tmp_path / "src")
    monkeypatch.setattr(sources, "TREE", tmp_path / "src/micropython")
    monkeypatch.setattr(sources, "STAMP", tmp_path / "src/stamp")
    tree = sources.tree()
    assert (tree / "ports/rp2/mpconfigport.h").read_text() == "#define MICROPY_PY_SSL (0)\n"
    assert (own / "ports/rp2/mpconfigport.h").read_text() == "#define MICROPY_PY_SSL (1)\n"
    assert not (own / "lib/micropython-lib").exists()


def test_missing_package_without_root_names_the_command(monkeypatch):
    monkeypatch.setattr(packages, "as_root", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    wanted = "missing: cmake; install as root: apt-get install --no-install-recommends cmake$"
    with pytest.raises(ToolError, match=wanted):
        packages.install(["cmake"])


def test_native_code_patch_applies_to_the_tree():
    text = (sources.TREE / "tools/mpy-tool.py").read_text()
    assert ".time_critical.frozen" in text
    assert "aligned (2)" not in text
    assert patches._place_native_code(text) == text


@pytest.mark.parametrize(
    ("file", "patch", "there"),
    [
        (
            "shared/tinyusb/mp_usbd_cdc.c", patches._take_packets_whole,
            "        ringbuf_put_bytes(&stdin_ringbuf, piece, count);\n    }\n}\n",
        ),
        (
            "ports/rp2/mphalport.c", patches._look_into_the_ring_first,
            "        if (c == -1) {\n            mp_usbd_cdc_poll_interfaces(0);\n            c = ringbuf_get(",
        ),
        ("ports/rp2/CMakeLists.txt", patches._faster_calls, "/map.c\n    ${MICROPY_PY_DIR}/nativeglue.c\n"),
        ("ports/rp2/modrp2.c", patches._receive_lines, "{ MP_ROM_QSTR(MP_QSTR_receive), MP_ROM_PTR("),
    ],
)
def test_input_patches_apply_to_the_tree(file, patch, there):
    text = (sources.TREE / file).read_text()
    assert text.count(there) == 1
    assert patch(text) == text
    assert patch("/* another version */\n") == "/* another version */\n"


def test_collections_are_timed_in_the_tree():
    text = (sources.TREE / "ports/rp2/main.c").read_text()
    body = text[text.index("void gc_collect(void)") :]
    body = body[: body.index("}\n\n")]
    assert body.index("time_us_32()") < body.index("gc_collect_start()") < body.index("scratch[0] = spent")
    assert "scratch[1] += 1" in body


def test_deploy_compiles_every_module(tmp_path):
    folder = tmp_path / "deploy"
    compile_all("pico", folder)
    for _, target in manifest.modules():
        name = target if target in ("boot.py", "main.py") else target[:-3] + ".mpy"
        assert (folder / name).stat().st_size > 0
    assert (folder / "_board.mpy").exists()
