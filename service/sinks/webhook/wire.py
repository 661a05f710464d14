"""Posts events to an address by HTTP."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import httpx

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.webhook.signature import signed

ONE, SEVERAL = "application/cloudevents+json", "application/cloudevents-batch+json"
CONNECT_S = 5.0
KEEP_ALIVE_S = 2.0  # less than what servers close idle connections after: none is used as it goes
REST_S = 300.0  # at most, whatever a receiver asks for
MAX_READ = 65_536  # bytes of an answer, which nobody wants: a longer one costs the connection
# What is wrong with these is no event, but the address, the way or the access, which may mend
LATER = {401, 403, 404, 405, 407, 408, 410, 421, 425, 429}


@dataclass(frozen=True)
class Address:
    """Where events are posted to, how they are signed, and how long that may take."""

    url: str
    secret: bytes | None
    context: ssl.SSLContext | bool
    timeout_s: float


class Webhook:
    """A wire that takes an answer of 2xx for an event's arrival."""

    def __init__(
        self, address: Address, batch: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.at_once = batch
        self._address, self._clock = address, clock
        self._client: httpx.Client | None = None

    def open(self) -> None:
        """Get ready; a connection is made when something is posted."""
        timeout_s = self._address.timeout_s
        self._client = httpx.Client(
            headers={"User-Agent": "onegauge"},
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            verify=self._address.context,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            trust_env=False,  # a plant's receiver is not behind the proxy to the internet
        )

    def send(self, events: Sequence[Event]) -> None:
        """Post events; raises SinkUnavailable and RefusedEvent."""
        if not events:
            return  # only an event tells whether it would be taken
        assert self._client is not None
        body, headers = self._message(events)
        try:
            post = self._client.stream("POST", self._address.url, content=body, headers=headers)
            with post as answer:
                self._read(answer)
        except httpx.HTTPError as exc:
            raise SinkUnavailable(f"{type(exc).__name__}: {exc}") from exc
        _judge(answer)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _message(self, events: Sequence[Event]) -> tuple[bytes, dict[str, str]]:
        """The body and the headers of events: one alone, or several as an array."""
        if self.at_once == 1:
            (event,) = events
            body, media_type, message = event.to_json(), ONE, event.id
        else:
            body = b"[" + b",".join(event.to_json() for event in events) + b"]"
            media_type = SEVERAL
            message = sha256("".join(event.id for event in events).encode()).hexdigest()[:32]
        seconds = int(self._clock())
        headers = {
            "Content-Type": media_type,
            "webhook-id": message,
            "webhook-timestamp": str(seconds),
        }
        if self._address.secret is not None:
            headers |= signed(self._address.secret, message, seconds, body)
        return body, headers

    def _read(self, answer: httpx.Response) -> None:
        """Read the rest of an answer, so that the connection can be used again."""
        until, length = time.monotonic() + self._address.timeout_s, 0
        for chunk in answer.iter_raw():
            length += len(chunk)
            if length > MAX_READ or time.monotonic() > until:
                return


def _judge(answer: httpx.Response) -> None:
    """Raise what an answer other than 2xx means."""
    status = answer.status_code
    if answer.is_success:
        return
    told = f"the receiver answers {status} {answer.reason_phrase}".rstrip()
    if 400 <= status < 500 and status not in LATER:
        raise RefusedEvent(told)
    raise SinkUnavailable(told, _rest_s(answer.headers.get("Retry-After", "")))


def _rest_s(told: str) -> float:
    """Seconds that a receiver asks for; a date, by a clock that may be another, asks for none."""
    return min(float(told), REST_S) if told.isascii() and told.isdecimal() else 0.0
