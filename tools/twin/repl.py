"""Runs Python snippets on an emulated board that stands at MicroPython's prompt (raw REPL)."""


class RemoteError(Exception):
    """The snippet raised; the text is the board's traceback."""


class Repl:
    """The raw REPL of a booted board. `exec` returns what the snippet printed."""

    def __init__(self, board, timeout=5.0):
        self.board = board
        board.boot(timeout)
        self._buffer = bytearray()
        board.write(b"\r\x03\x03")
        board.run(0.05)
        board.read()
        board.write(b"\r\x01")
        self._wait(b"raw REPL; CTRL-B to exit\r\n>", timeout)

    def _wait(self, mark, timeout):
        """Bytes up to `mark`, which is dropped. Timeout of the emulator if it does not come."""

        def there():
            self._buffer += self.board.read()
            return mark in self._buffer

        self.board.run_until(there, timeout)
        at = self._buffer.index(mark)
        head = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return head

    def start(self, source, timeout=5.0):
        """Sends a snippet and returns as soon as it runs."""
        self.board.write(source.encode() + b"\x04")
        self._wait(b"OK", timeout)

    def finish(self, timeout=10.0):
        """Output of the running snippet, when it has ended. RemoteError if it raised."""
        output = self._wait(b"\x04", timeout)
        error = self._wait(b"\x04>", timeout)
        if error:
            raise RemoteError(error.decode(errors="replace"))
        return output.decode(errors="replace").replace("\r\n", "\n")

    def exec(self, source, timeout=10.0):
        self.start(source)
        return self.finish(timeout)
