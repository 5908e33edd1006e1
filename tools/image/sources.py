"""Source trees: MicroPython, the Pico SDK and TinyUSB, from the Debian archive or from the user's own folders.

The packages of the running release are used if they are new enough. On an older Debian they come from the first release
that has them, through an apt state of our own under build/apt: nothing on the system changes.
"""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools.image import patches
from tools.paths import BUILD, SOURCES
from tools.steps import ToolError, run, say

# Package: lowest version that is known to work, as a Debian version.
SOURCE_PACKAGE = {"micropython": "1.25.0"}
BINARY_PACKAGES = {"pico-sdk-source": "2.1.1", "tinyusb-source": "0.18.0"}
FIRST_RELEASE = {"debian": "trixie"}
# Counted up when what _prepare() and patches do to the tree changes.
RECIPE = 10

APT = BUILD / "apt"
TREE = SOURCES / "micropython"
STAMP = SOURCES / "stamp"
OWN_TREES = (
    "set MICROPYTHON_DIR to a tree of MicroPython 1.25 or later with its submodules"
    " (there: make -C ports/rp2 submodules); PICO_SDK_PATH too if the Pico SDK lies elsewhere"
)
KEYRINGS = Path("/usr/share/keyrings")


def own_tree():
    """The user's MicroPython tree from MICROPYTHON_DIR, or None. Raises ToolError if it is not one."""
    return _from_environment("MICROPYTHON_DIR", "ports/rp2/CMakeLists.txt", "a MicroPython source tree")


def own_sdk():
    """The user's Pico SDK from PICO_SDK_PATH, or None. Raises ToolError if it is not one."""
    return _from_environment("PICO_SDK_PATH", "pico_sdk_init.cmake", "a Pico SDK")


def _from_environment(name, sign, what):
    value = os.environ.get(name)
    if not value:
        return None
    path = Path(value).expanduser().resolve()
    if not (path / sign).exists():
        raise ToolError(f"{name}={value} is not {what}: it has no {sign}")
    return path


def tree():
    """The MicroPython tree to build from, fetched and prepared if it has to be."""
    if not (STAMP.exists() and STAMP.read_text() == fingerprint()):
        _prepare(own_tree(), own_sdk())
        STAMP.write_text(fingerprint())
    return TREE


def fingerprint():
    """A text that changes when the trees do."""
    own, sdk = own_tree(), own_sdk()
    return f"recipe {RECIPE}\n" + "".join(f"{path} {_commit(path)}\n" for path in (own, sdk) if path)


def _commit(path):
    return subprocess.run(["git", "-C", path, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


class PrivateApt:
    """apt with its lists, cache and sources under build/apt; works without root."""

    def __init__(self):
        for folder in ("lists/partial", "cache/archives/partial", "download"):
            (APT / folder).mkdir(parents=True, exist_ok=True)
        (APT / "status").touch()
        self.sources = APT / "sources.list"
        self.state = [
            "-o", f"Dir::State::Lists={APT / 'lists'}",
            "-o", f"Dir::State::Status={APT / 'status'}",
            "-o", f"Dir::Cache={APT / 'cache'}",
            "-o", "APT::Sandbox::User=root",
        ]
        ours = ["-o", f"Dir::Etc::SourceList={self.sources}", "-o", "Dir::Etc::SourceParts=/dev/null"]
        self.options = [*self.state, *ours]

    def archives(self):
        """(address, release, components) of the system's own archive; addresses come only from its configuration."""
        targets = self._targets([])
        if not targets:
            # Machines with emptied package lists: fetch them into the private state, not into the system's.
            run("read the system's package sources", ["apt-get", *self.state, "update"])
            targets = self._targets(self.state)
        found = {}
        for line in targets:
            address, release, component, created = line.split("|")
            # "-": updates, security, backports; "/": archives without components.
            if created == "Packages" and not set("-/") & set(release):
                found.setdefault((address, release), []).append(component)
        if not found:
            raise ToolError(f"apt has no package source; {OWN_TREES}")
        (address, release), components = next(iter(found.items()))
        return address, release, sorted(set(components))

    def _targets(self, options):
        form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)"
        command = ["apt-get", *options, "indextargets", "--format", form]
        out = subprocess.run(command, capture_output=True, text=True).stdout
        return [line for line in out.splitlines() if line.count("|") == 3]

    def use(self, address, release, components):
        """Read the package lists of one release."""
        keyring = KEYRINGS / f"{_system()}-archive-keyring.gpg"
        signed = f"[signed-by={keyring}] " if keyring.exists() else ""
        entry = f"{signed}{address} {release} {' '.join(components)}\n"
        self.sources.write_text(f"deb {entry}deb-src {entry}")
        run(f"package lists of {release}", ["apt-get", *self.options, "update"])

    def candidates(self):
        """True if every needed package is there in a version that works."""
        shown = subprocess.run(
            ["apt-cache", *self.options, "showsrc", *SOURCE_PACKAGE], capture_output=True, text=True
        ).stdout + subprocess.run(
            ["apt-cache", *self.options, "show", *BINARY_PACKAGES], capture_output=True, text=True
        ).stdout
        versions = {}
        name = None
        for line in shown.splitlines():
            if line.startswith("Package: "):
                name = line.split()[1].rstrip(",")
            elif line.startswith("Version: ") and name:
                versions[name] = line.split()[1]
        wanted = {**SOURCE_PACKAGE, **BINARY_PACKAGES}
        return all(
            name in versions
            and subprocess.run(["dpkg", "--compare-versions", versions[name], "ge", lowest]).returncode == 0
            for name, lowest in wanted.items()
        )


def _system():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("ID="):
            return line[3:].strip().strip('"')
    return ""


def _fetch():
    if shutil.which("apt-get") is None or not Path("/etc/os-release").exists():
        raise ToolError(f"no apt-get here; {OWN_TREES}")
    apt = PrivateApt()
    address, release, components = apt.archives()
    releases = [release]
    if FIRST_RELEASE.get(_system()) not in (None, release):
        # An older or newer Debian: the release that the build is known with comes first.
        releases.insert(0, FIRST_RELEASE[_system()])
    for name in releases:
        try:
            apt.use(address, name, components)
        except ToolError:
            if name == releases[-1]:
                raise
            continue
        if apt.candidates():
            break
    else:
        wanted = ", ".join(f"{n} >= {v}" for n, v in {**SOURCE_PACKAGE, **BINARY_PACKAGES}.items())
        raise ToolError(f"{release} does not have {wanted}; {OWN_TREES}")
    run(
        "fetch MicroPython, Pico SDK, TinyUSB",
        ["apt-get", *apt.options, "source", "--download-only", *SOURCE_PACKAGE],
        ["apt-get", *apt.options, "download", *BINARY_PACKAGES],
        cwd=APT / "download",
    )


def _newest(pattern):
    found = sorted((APT / "download").glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ToolError(f"the download brought no {pattern}; try again after: make clean")
    return found[-1]


def _prepare(own, sdk):
    """Make TREE, a tree that builds, of what the user has and of packages for the rest."""
    if not own or not (sdk or (own / "lib/pico-sdk/pico_sdk_init.cmake").exists()):
        _fetch()
    shutil.rmtree(SOURCES, ignore_errors=True)
    SOURCES.mkdir(parents=True)
    if own:
        _link_tree(own)
    else:
        _unpack_tree()
    if sdk:
        _replace(TREE / "lib/pico-sdk", sdk)
    (TREE / "lib/micropython-lib").mkdir(exist_ok=True)
    if not (TREE / "lib/micropython-lib/README.md").exists():
        (TREE / "lib/micropython-lib/README.md").touch()
    patches.apply(TREE)
    say("  sources ready")


def _link_tree(own):
    """A tree of links to the user's files, so that nothing is written into his."""
    needed = ["lib/tinyusb/src/tusb.h"]
    if not own_sdk():
        needed.append("lib/pico-sdk/pico_sdk_init.cmake")
    for file in needed:
        if not (own / file).exists():
            raise ToolError(f"{own} has no {file}; run there: make -C ports/rp2 submodules")
    ignored = shutil.ignore_patterns(".git", "build", "build-*")
    shutil.copytree(own, TREE, copy_function=os.symlink, ignore=ignored, symlinks=True)


def _unpack_tree():
    unpacked = SOURCES / "unpacked"
    unpacked.mkdir()
    with tarfile.open(_newest("micropython_*.orig.tar.*")) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(unpacked)
    next(unpacked.glob("micropython*")).rename(TREE)
    for package in BINARY_PACKAGES:
        run(f"unpack {package}", ["dpkg-deb", "-x", _newest(f"{package}_*.deb"), unpacked])
    for folder in ("pico-sdk", "tinyusb"):
        _replace(TREE / "lib" / folder, unpacked / "usr/src" / folder)


def _replace(place, folder):
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
    else:
        shutil.rmtree(place)
    place.symlink_to(folder)
