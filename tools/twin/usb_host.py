"""The PC at the other end of the cable: enumerates the board and opens its CDC serial port.

It sends what `write` was given as fast as the device takes it and the bus allows, and never sends
anything else: no empty packets. Received bytes go to `on_rx(data)` if set, else to a buffer.
"""

CYCLES_PER_US = 125
# From the pull-up on the data line to the first transaction.
ATTACH_US = 2000
IN, CLASS_INTERFACE = 0x80, 0x21


def request(kind, number, value=0, index=0, length=0):
    return bytes((kind, number)) + b"".join(v.to_bytes(2, "little") for v in (value, index, length))


class UsbHost:
    """`attached`: the device is on the bus; `ready`: the serial port is open."""

    def __init__(self, board, controller):
        self.board = board
        self.controller = controller
        controller.host = self
        self.on_rx = None
        self.on_ready = None
        self.on_gone = None
        self.strings = {}  # "manufacturer", "product", "serial" as the device tells them
        self.ids = (0, 0)  # vendor, product
        self.first_in = self.last_in = self.last_out = None  # cycles of received, sent bytes
        self.enabled = True  # False: the cable is out
        self.waiting = bytearray()
        self.received_bytes = bytearray()
        self._string_indices = {}
        self._control_interface = 0
        self._clear()

    def _clear(self):
        self.attached = False
        self.ready = False
        self.bulk_in = self.bulk_out = -1
        self._requests = []  # (setup, data to send, what to do with the answer)
        self._stage = None
        self._answer = bytearray()

    # ---- the cable ----
    def plugged(self):
        if self.attached or not self.enabled:
            return
        self.attached = True
        self.board.schedule(self.board.cycle + ATTACH_US * CYCLES_PER_US, self._enumerate)

    def unplugged(self):
        was_ready = self.ready
        self._clear()
        if was_ready:
            self.waiting.clear()  # the port is gone, and what was not sent with it
            if self.on_gone:
                self.on_gone()

    def unplug(self):
        """Pulls the cable. The board (powered otherwise) sees the bus fall silent, no more."""
        self.enabled = False
        self.unplugged()

    def plug(self):
        """Puts the cable in again; the board is enumerated anew."""
        self.enabled = True
        if self.controller.wants_host():
            self.plugged()

    # ---- enumeration ----
    def _enumerate(self):
        if not self.attached:
            return
        self.controller.bus_reset()
        self._ask(request(IN, 6, 0x0100, 0, 18), self._device)
        self._ask(request(0, 5, 1))
        self._ask(request(IN, 6, 0x0200, 0, 9), self._config_head)

    def _device(self, answer):
        if len(answer) < 18:
            return
        self.ids = (int.from_bytes(answer[8:10], "little"), int.from_bytes(answer[10:12], "little"))
        self._string_indices = dict(zip(("manufacturer", "product", "serial"), answer[14:17], strict=True))

    def _config_head(self, answer):
        total = int.from_bytes(answer[2:4], "little")
        self._ask(request(IN, 6, 0x0200, 0, total), self._config)

    def _config(self, answer):
        at, control, in_data = 0, 0, False
        while at + 2 <= len(answer) and answer[at]:
            item = answer[at : at + answer[at]]
            if item[1] == 4:
                in_data = item[5] == 10
                if item[5] == 2:
                    control = item[2]
            elif item[1] == 5 and in_data and item[3] & 3 == 2:
                if item[2] & 0x80:
                    self.bulk_in = item[2] & 15
                else:
                    self.bulk_out = item[2] & 15
                if self.bulk_in >= 0 and self.bulk_out >= 0:
                    in_data = False
            at += item[0]
        for name, index in self._string_indices.items():
            if index:
                self._ask(request(IN, 6, 0x0300 + index, 0x0409, 255), self._string(name))
        self._ask(request(0, 9, 1))
        coding = (115200).to_bytes(4, "little") + bytes((0, 0, 8))
        self._ask(request(CLASS_INTERFACE, 0x20, 0, control, 7), data=coding)
        self._ask(request(CLASS_INTERFACE, 0x22, 3, control), self._opened)
        self._control_interface = control

    def _string(self, name):
        def keep(answer):
            self.strings[name] = bytes(answer[2:]).decode("utf-16-le", "replace")

        return keep

    def _opened(self, _answer):
        self.ready = True
        if self.on_ready:
            self.on_ready()
        self._go()

    def set_lines(self, dtr=True, rts=True):
        """What a terminal does when it opens (dtr) or closes the port."""
        if self.ready:
            value = (1 if dtr else 0) | (2 if rts else 0)
            self._ask(request(CLASS_INTERFACE, 0x22, value, self._control_interface))

    # ---- control transfers ----
    def _ask(self, setup, then=None, data=b""):
        self._requests.append((setup, data, then))
        if len(self._requests) == 1:
            self._start()

    def _start(self):
        self._answer = bytearray()
        self._stage = "setup"
        self.controller.setup(self._requests[0][0])

    def setup_sent(self):
        setup, data, _then = self._requests[0]
        wanted = int.from_bytes(setup[6:8], "little")
        if wanted and setup[0] & IN:
            self._stage = "data in"
        else:
            self._stage = "data out" if data else "status in"

    def stalled(self):
        if self._requests and self._stage != "setup":
            self._done()

    def _done(self):
        then = self._requests.pop(0)[2]
        answer, self._stage = self._answer, None
        if then:
            then(answer)
        if self._requests and self._stage is None:
            self._start()

    # ---- what the controller asks and tells ----
    def takes(self, endpoint):
        """Whether the host collects data from this IN endpoint now."""
        if endpoint == 0:
            return self._stage in ("data in", "status in")
        return True

    def data_for(self, endpoint, limit):
        """Up to `limit` bytes for an OUT endpoint, b"" for a status packet, None for nothing."""
        if endpoint == 0:
            if self._stage == "data out":
                return self._requests[0][1][:limit]
            return b"" if self._stage == "status out" else None
        if endpoint == self.bulk_out and self.ready and self.waiting:
            data = bytes(self.waiting[:limit])
            del self.waiting[:limit]
            return data
        return None

    def received(self, endpoint, data):
        if endpoint == 0:
            self._control_in(data)
        elif endpoint == self.bulk_in and data:
            self.last_in = self.board.cycle
            if self.first_in is None:
                self.first_in = self.last_in
            if self.on_rx:
                self.on_rx(data)
            else:
                self.received_bytes += data

    def _control_in(self, data):
        if self._stage == "status in":
            self._done()
        elif self._stage == "data in":
            self._answer += data
            wanted = int.from_bytes(self._requests[0][0][6:8], "little")
            if len(data) < 64 or len(self._answer) >= wanted:
                self._stage = "status out"
                self.controller.poll(0, True)
            else:
                self.controller.poll(0, False)

    def delivered(self, endpoint, data):
        if endpoint == self.bulk_out:
            self.last_out = self.board.cycle
        elif endpoint == 0:
            if self._stage == "status out":
                self._done()
            elif self._stage == "data out":
                self._stage = "status in"
                self.controller.poll(0, False)

    # ---- the serial port ----
    def write(self, data):
        """Queues bytes for the board; they are sent as it takes them."""
        self.waiting += data
        self._go()

    def _go(self):
        if self.ready and self.waiting:
            self.controller.poll(self.bulk_out, True)

    def read(self):
        """What came since the last call (only while `on_rx` is not set)."""
        data = bytes(self.received_bytes)
        self.received_bytes.clear()
        self.first_in = None
        return data
