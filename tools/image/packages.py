"""Packages of the running system: what is missing, and installing it."""

import os
import shutil
import subprocess

from tools.steps import ToolError, run

# Package: a command that it brings, or a file that its compiler must find.
HOST = {
    "build-essential": ("command", "g++"),
    "make": ("command", "make"),
    "git": ("command", "git"),
    "dpkg-dev": ("command", "dpkg-source"),
}
TOOLCHAIN = {
    "cmake": ("command", "cmake"),
    "gcc-arm-none-eabi": ("command", "arm-none-eabi-gcc"),
    "libnewlib-arm-none-eabi": ("arm-none-eabi-gcc", "nosys.specs"),
    "libstdc++-arm-none-eabi-newlib": ("arm-none-eabi-g++", "libstdc++.a"),
}


def _present(probe):
    kind, what = probe
    if kind == "command":
        return shutil.which(what) is not None
    if shutil.which(kind) is None:
        return False
    found = subprocess.run([kind, f"-print-file-name={what}"], capture_output=True, text=True).stdout.strip()
    return os.path.isabs(found) and os.path.exists(found)


def missing(wanted):
    """Names of the packages in `wanted` whose probe finds nothing."""
    return [name for name, probe in wanted.items() if not _present(probe)]


def as_root():
    """Words to put before a command that needs root: [], ["sudo", "-n"], or None if neither is possible."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    # A terminal can be asked for the password, once, before the step's output goes to its log.
    if os.isatty(0) and subprocess.run(["sudo", "-v"]).returncode == 0:
        return ["sudo", "-n"]
    return None


def install(names):
    """Install Debian packages. Raises ToolError naming them and the command to type if that is not possible."""
    if not names:
        return
    command = f"apt-get install --no-install-recommends {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise ToolError(f"missing: {', '.join(names)} (Debian's names); install them with your package manager")
    root = as_root()
    if root is None:
        raise ToolError(f"missing: {', '.join(names)}; install as root: {command}")
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    run(
        f"install {' '.join(names)}",
        [*quiet, "update"],
        [*quiet, "install", "-y", "--no-install-recommends", *names],
        hint=f"Install by hand: {command}",
    )


def ensure(*groups):
    """Install what is missing of the given groups (dicts of package name to probe)."""
    install([name for group in groups for name in missing(group)])
