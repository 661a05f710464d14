"""A broker that takes three messages at once, as some do.

mosquitto acknowledges each before it looks at the next, so that it cannot be asked for too much.
"""

from select import select
from socket import MSG_WAITALL, create_server, socket
from threading import Thread

AT_ONCE = 3
WELCOME = bytes([0x20, 6, 0, 0, 3, 0x21, 0, AT_ONCE])  # a CONNACK with that as Receive Maximum
ACKNOWLEDGED = bytes([0x40, 2])
MORE_WITHIN_S = 0.1


class Choosy(Thread):
    """Acknowledges a message, and then so many times three."""

    def __init__(self, times: int) -> None:
        super().__init__(daemon=True)
        self._times = times
        self._server = create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self.too_many = False

    def run(self) -> None:
        with self._server, self._server.accept()[0] as client:
            _packet(client)
            client.sendall(WELCOME)
            for count in (1, *[AT_ONCE] * self._times):
                numbers = [_number(_packet(client)) for _ in range(count)]
                more, _, _ = select([client], [], [], MORE_WITHIN_S)
                self.too_many |= bool(more)
                for number in numbers:
                    client.sendall(ACKNOWLEDGED + number)
            _packet(client)


def _packet(client: socket) -> bytes:
    """The next one, without its header."""
    client.recv(1)
    length = shift = 0
    more = True
    while more:
        (byte,) = client.recv(1)
        length |= (byte & 127) << shift
        shift, more = shift + 7, byte > 127
    return client.recv(length, MSG_WAITALL)


def _number(published: bytes) -> bytes:
    """Of a message, which is acknowledged by it."""
    topic = int.from_bytes(published[:2])
    return published[2 + topic : 4 + topic]
