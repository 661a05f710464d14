"""Posts events to an address by HTTP."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.webhook.connection import Answer, Connection
from onegauge.service.sinks.webhook.secrets import read_authorization, signed

ONE, SEVERAL = "application/cloudevents+json", "application/cloudevents-batch+json"
REST_S = 300.0  # at most, whatever a receiver asks for
# What is wrong with these is no event, but the address, the way or the access, which may mend
LATER = {401, 403, 404, 405, 407, 408, 410, 421, 425, 429}


@dataclass(frozen=True)
class Address:
    """Where events are posted to, how the receiver knows by whom, and how long that may take."""

    url: str
    context: ssl.SSLContext
    timeout_s: float = 10.0
    secret: bytes | None = None
    authorization: Path | None = None  # the file of the header


class Webhook:
    """A wire that takes an answer of 2xx for an event's arrival."""

    def __init__(
        self, address: Address, batch: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.at_once = batch
        self._address, self._clock = address, clock
        self._connection = Connection(address.url, address.context, address.timeout_s)
        self._headers: dict[str, str] = {}

    def open(self) -> None:
        """Get ready; raises SinkUnavailable where the file of the authorization cannot be used.

        It is read after each failure, such as a 401: so a token is changed without a restart. A
        connection is made when something is posted.
        """
        self._headers = {
            "User-Agent": "onegauge",
            "Content-Type": ONE if self.at_once == 1 else SEVERAL,
        }
        if file := self._address.authorization:
            try:
                self._headers["Authorization"] = read_authorization(file)
            except (OSError, ValueError) as exc:
                raise SinkUnavailable(f"authorization_file {file} cannot be used: {exc}") from exc

    def send(self, events: Sequence[Event]) -> None:
        """Post events; raises SinkUnavailable and RefusedEvent."""
        if not events:
            return  # only an event tells whether it would be taken
        _judge(self._connection.post(*self._message(events)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _message(self, events: Sequence[Event]) -> tuple[bytes, dict[str, str]]:
        """The body and the headers of events: one alone, or several as an array."""
        if self.at_once == 1:
            (event,) = events
            body, message = event.to_json(), event.id
        else:
            body = b"[" + b",".join(event.to_json() for event in events) + b"]"
            message = sha256("".join(event.id for event in events).encode()).hexdigest()[:32]
        seconds = int(self._clock())
        headers = self._headers | {"webhook-id": message, "webhook-timestamp": str(seconds)}
        if self._address.secret is not None:
            headers |= signed(self._address.secret, message, seconds, body)
        return body, headers


def _judge(answer: Answer) -> None:
    """Raise what an answer other than 2xx means."""
    if 200 <= answer.status < 300:
        return
    told = f"the receiver answers {answer.status} {answer.reason}".rstrip()
    if 400 <= answer.status < 500 and answer.status not in LATER:
        raise RefusedEvent(told)
    raise SinkUnavailable(told, _rest_s(answer.retry_after))


def _rest_s(told: str) -> float:
    """Seconds that a receiver asks for; a date, by a clock that may be another, asks for none."""
    return min(float(told), REST_S) if told.isascii() and told.isdecimal() else 0.0
