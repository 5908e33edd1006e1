"""What we change in MicroPython's tree; every change is harmless where it is not needed."""

# mbedtls is not in the Debian package, so what needs it stays out.
SWITCHED_OFF = ("MICROPY_PY_HASHLIB_SHA1", "MICROPY_PY_CRYPTOLIB", "MICROPY_SSL_MBEDTLS", "MICROPY_PY_SSL")


def apply(tree):
    """Change the files of `tree` (a Path). A file that is a link is replaced by a changed copy."""
    _change(tree / "ports/rp2/CMakeLists.txt", _without_mbedtls)
    _change(tree / "ports/rp2/mpconfigport.h", _switch_off)
    _change(tree / "tools/mpy-tool.py", _place_native_code)


def _change(path, function):
    text = function(path.read_text())
    path.unlink()
    path.write_text(text)


def _without_mbedtls(text):
    return "".join(line for line in text.splitlines(keepends=True) if "mbedtls" not in line.lower())


def _switch_off(text):
    lines = text.splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[1] in SWITCHED_OFF:
            lines[number] = f"#define {words[1]} (0)"
    return "\n".join(lines) + "\n"


def _place_native_code(text):
    """Frozen viper and assembler code: into RAM, on whole words.

    In flash it would share the 16 KB cache with the interpreter, so its speed would depend on what ran before. And on
    ARMv6-M it loads constants relative to the program counter rounded down to a word: at an odd halfword, where the two
    bytes' alignment that is asked for may put it, it would load wrong ones.
    """
    text = text.replace(r'(".text,\\"ax\\",%progbits', r'(".time_critical.frozen,\\"ax\\",%progbits')
    return text.replace("__attribute__ ((aligned (2)))", "__attribute__ ((aligned (4)))")
