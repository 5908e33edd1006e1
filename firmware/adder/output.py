"""The one way to the host: whole lines, plain ASCII, one writer."""


class Output:
    """Writes lines through the hal; `last_ms` is when the last one went out."""

    def __init__(self, hal):
        self._hal = hal
        self.last_ms = hal.ticks_ms()

    def line(self, text):
        """One whole line; characters that are not printable ASCII become '?'."""
        self.last_ms = self._hal.ticks_ms()
        data = text.encode()
        for byte in data:
            if not 32 <= byte < 127:
                data = bytes(b if 32 <= b < 127 else 63 for b in data)
                break
        self._hal.write(data + b"\n")

    def ok(self):
        """The bare acknowledgement; on the fast path."""
        self._hal.write(b"ok\n")

    def raw(self, data):
        """Several lines at once, so that nothing can come between them."""
        self.last_ms = self._hal.ticks_ms()
        self._hal.write(data)
