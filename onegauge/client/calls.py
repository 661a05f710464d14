"""Calls of a gateway: what to send, what to do about the answers, and how they can fail."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from onegauge.client.proxy import transport_to, with_proxy
from onegauge.files import read_file
from onegauge.pauses import Pauses
from onegauge.schemas import (
    Answer,
    CriterionCard,
    InspectedPage,
    Inspection,
    NewCriterion,
    NewJudgement,
    NewProposal,
    NewState,
    NextState,
    Opinion,
    Options,
    Proposal,
    Search,
    SinkState,
)

TIMEOUT_S = 60.0  # for a call, with all that is sent again
RETRIES = 3  # where the gateway does not say when to come back
PAUSES = Pauses(first_s=0.2, longest_s=5.0)
LEAST_PAUSE_S = 0.05  # where the gateway says to come back at once
AWAY = (502, 503)  # the backend is being restarted, perhaps
LAST_PORT = 65535
NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

A = TypeVar("A", bound=BaseModel)
T = TypeVar("T")
_JSON_OBJECT = TypeAdapter(dict[str, Any])


class ClientError(Exception):
    """There is no answer to use; the message says why."""


class Unreachable(ClientError):
    """No gateway answered in time."""


class Away(Unreachable):
    """Nobody takes calls at the address."""


class Refused(ClientError):
    """The gateway answered with a problem, of which `status` and `problem` tell."""

    def __init__(self, message: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem  # RFC 9457, see docs/api.md


class NoGateway(ClientError):
    """Something else than a onegauge gateway answered."""


class Named(NamedTuple):
    """An image's bytes, and the name that its answer has."""

    name: str
    data: bytes


Image: TypeAlias = Path | bytes | Named
Found: TypeAlias = httpx.Response | httpx.RequestError | None
Steps: TypeAlias = Generator[httpx.Request | float, Found, A]


class Calls:
    """What both clients have in common: the requests, and what to do about their answers."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, retries: int) -> None:
        if not url.lower().startswith(("http://", "https://")):
            raise ClientError(f"{url} is not an address: it must begin with http:// or https://")
        try:
            address = httpx.URL(url)
            name = address.host.encode("idna")
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise ClientError(f"{url} is not an address: {exc}") from exc
        if not name or (address.port or 0) > LAST_PORT:
            raise ClientError(
                f"{url} is not an address: a host, and a port up to {LAST_PORT}, make one"
            )
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._retries = retries
        self._headers = {"Accept": "application/json"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()):
                raise ClientError("the API key has a character that no key has: copy it anew")
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._asked = self._url  # as messages tell it

    def way(self, kind: Callable[..., T]) -> T:
        """A transport to the gateway; raises ClientError for a proxy that cannot be used."""
        self._asked = with_proxy(self._url)
        return transport_to(self._url, kind, ClientError)

    def inspect(
        self, images: Sequence[Image], options: Options, mask: bytes | None
    ) -> Steps[Answer]:
        """The call of `POST /v1/inspect`."""
        named = map(_named, images)
        parts = [("image", (readable(image.name), image.data)) for image in named]
        if mask is not None:
            parts.append(("mask", ("mask", mask)))
        query = options.model_dump(exclude_none=True)
        return self.call(Answer, "POST", "/v1/inspect", params=query, files=parts)

    def inspections(self, search: Search) -> Steps[InspectedPage]:
        """The call of `GET /v1/inspections`."""
        query = search.model_dump(mode="json", exclude_none=True)
        return self.call(InspectedPage, "GET", "/v1/inspections", params=query)

    def inspection(self, inspection: str) -> Steps[Inspection]:
        """The call of `GET /v1/inspections/{inspection}`."""
        return self.call(Inspection, "GET", f"/v1/inspections/{quote(inspection, safe='')}")

    def judge(
        self,
        inspection: str,
        verdict: Opinion | None,
        by: str | None,
        note: str | None,
        whole_part: bool,
    ) -> Steps[Inspection]:
        """The call of `PUT /v1/inspections/{inspection}/verdict`; raises ClientError."""
        with client_errors():
            judgement = NewJudgement(verdict=verdict, by=by, note=note, whole_part=whole_part)
        path = f"/v1/inspections/{quote(inspection, safe='')}/verdict"
        return self.call(Inspection, "PUT", path, json=judgement.model_dump())

    def save_criterion(
        self,
        threshold: float | None,
        max_false_alarm_rate: float | None,
        by: str | None,
        note: str | None,
    ) -> Steps[CriterionCard]:
        """The call of `PUT /v1/criterion`; raises ClientError."""
        with client_errors():
            criterion = NewCriterion(
                threshold=threshold, max_false_alarm_rate=max_false_alarm_rate, by=by, note=note
            )
        return self.call(CriterionCard, "PUT", "/v1/criterion", json=criterion.model_dump())

    def propose(self, remove: Sequence[str], by: str | None) -> Steps[Proposal]:
        """The call of `POST /v1/proposals`; raises ClientError."""
        with client_errors():
            proposal = NewProposal(remove=[*remove] or None, by=by)
        return self.call(Proposal, "POST", "/v1/proposals", json=proposal.model_dump())

    def take_step(self, number: int, state: NextState, by: str | None) -> Steps[Proposal]:
        """The call of `PUT /v1/proposals/{number}/state`; raises ClientError."""
        with client_errors():
            step = NewState(state=state, by=by)
        return self.call(Proposal, "PUT", f"/v1/proposals/{number}/state", json=step.model_dump())

    def switch_sink(self, name: str, enabled: bool) -> Steps[SinkState]:
        """The call of `PUT /v1/sinks/{name}`."""
        path = f"/v1/sinks/{quote(name, safe='')}"
        return self.call(SinkState, "PUT", path, json={"enabled": enabled})

    def call(self, wanted: type[A], method: str, path: str, **content: Any) -> Steps[A]:
        """Yield requests to send and seconds to pause, take answers, return the last one read."""
        deadline = time.monotonic() + self._timeout_s
        unsaid = 0  # answers that did not say when to come back
        while True:
            left = max(1e-3, deadline - time.monotonic())
            found = yield self._request(method, path, left, content)
            pause = _said_pause(found)
            if pause is None and _is_away(found) and unsaid < self._retries:
                unsaid += 1
                pause = PAUSES.after(unsaid)
            if pause is None or time.monotonic() + pause >= deadline:
                return self._read(wanted, found)
            yield pause

    def _request(
        self, method: str, path: str, left: float, content: dict[str, Any]
    ) -> httpx.Request:
        headers = {**self._headers, "Request-Timeout": f"{left:.3f}"}
        timeout = {"timeout": httpx.Timeout(left).as_dict()}
        return httpx.Request(
            method, f"{self._url}{path}", headers=headers, extensions=timeout, **content
        )

    def _read(self, wanted: type[A], found: Found) -> A:
        if not isinstance(found, httpx.Response):
            kind = Away if isinstance(found, NO_CONNECTION) else Unreachable
            late = isinstance(found, httpx.TimeoutException)
            why = str(found) or ("timed out" if late else repr(found))  # as httpx has it sometimes
            raise kind(f"no answer from {self._asked}: {why}") from found
        if not found.is_success:
            problem = _problem(found)
            said = problem.get("detail") or f"{found.reason_phrase}; is it a onegauge gateway?"
            message = f"{self._asked} answered {found.status_code}: {said}"
            raise Refused(message, found.status_code, problem)
        try:
            return wanted.model_validate_json(found.content)
        except ValidationError as exc:
            raise NoGateway(f"{self._asked} does not answer like a onegauge gateway") from exc


@contextmanager
def client_errors() -> Iterator[None]:
    """Raise ClientError for what no gateway takes."""
    try:
        yield
    except ValidationError as exc:
        first = exc.errors()[0]
        where = f"{first['loc'][0]} {first['input']!r}: " if first["loc"] else ""
        raise ClientError(f"{where}{first['msg'].removeprefix('Value error, ')}") from exc


def time_left(request: httpx.Request) -> float:
    """The seconds that the answer to a request may take."""
    return float(request.extensions["timeout"]["read"])


def _named(image: Image) -> Named:
    if isinstance(image, Path):
        try:
            return Named(image.name, read_file(image))
        except OSError as exc:
            raise ClientError(f"{image} cannot be read: {exc.strerror}") from exc
    return image if isinstance(image, Named) else Named("image", image)


def _said_pause(found: Found) -> float | None:
    """The seconds that the gateway asks to wait, None where it does not."""
    if not isinstance(found, httpx.Response) or found.is_success:
        return None
    try:
        pause = float(found.headers["Retry-After"])
    except (KeyError, ValueError):  # a date is what a proxy may send
        return None
    return max(pause, LEAST_PAUSE_S) if math.isfinite(pause) else None


def _is_away(found: Found) -> bool:
    return not isinstance(found, httpx.Response) or found.status_code in AWAY


def _problem(found: httpx.Response) -> dict[str, Any]:
    """The problem details; empty for an answer that has none."""
    if not found.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    try:
        return _JSON_OBJECT.validate_json(found.content)
    except ValidationError:
        return {}


def readable(name: str) -> str:
    """A file's name with escapes for bytes that are no UTF-8, which nothing could print or send."""
    return name.encode(errors="backslashreplace").decode()
