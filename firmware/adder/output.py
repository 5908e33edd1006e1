"""The one way to the host: whole lines, plain ASCII, one writer."""

import micropython

_OK = b"ok\n"


@micropython.viper
def _clean(data: ptr8, length: int) -> int:
    # Printable ASCII only
    i = 0
    while i < length:
        c = data[i]
        if c < 32 or c > 126:
            return 0
        i += 1
    return 1


class Output:
    """Writes lines through the hal, each with one call."""

    def __init__(self, hal):
        self._write = hal.write

    def line(self, text):
        """One whole line; characters that are not printable ASCII become '?'."""
        data = text.encode()
        if not _clean(data, len(data)):
            data = "".join([c if 32 <= ord(c) < 127 else "?" for c in text]).encode()
        self._write(data + b"\n")

    def ok(self):
        """The bare acknowledgement."""
        self._write(_OK)

    def raw(self, data):
        """Several lines at once, so that nothing can come between them."""
        self._write(data)
