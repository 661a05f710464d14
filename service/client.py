"""The Python client of a gateway, sync and async: needs httpx, pydantic and numpy alone.

    with Client("http://gateway:8000", api_key=key) as gateway:
        answer = gateway.inspect([Path("part.jpg")], Options(line="press-3", map="npy"))
        for found in answer.results:
            print(found.decision, found.score, anomaly_map(found).max())

Connections are kept and used again. An inspection changes nothing, so it is sent again while the
gateway is busy or away, until the call's time is over: after as long as `Retry-After` says, else
after pauses that grow.
"""

import asyncio
import os
import random
import time
from base64 import b64decode
from collections.abc import Callable, Generator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from service.proxy import transport_to, with_proxy
from service.schemas import Answer, Decision, ModelCard, Options, Readiness

TIMEOUT_S = 60.0  # for a call, with all that is sent again
RETRIES = 3  # where the gateway does not say when to come back
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
AWAY = (502, 503)  # the backend is being restarted, perhaps

A = TypeVar("A", bound=BaseModel)
T = TypeVar("T")
_DEFAULT = Options()


class ClientError(Exception):
    """There is no answer to use; the message says why."""


class Unreachable(ClientError):
    """No gateway answered in time."""


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


Picture: TypeAlias = Path | bytes | Named
Found: TypeAlias = httpx.Response | httpx.TransportError | None
Steps: TypeAlias = Generator[httpx.Request | float, Found, A]


class Client:
    """A gateway, asked from one thread or several.

    `timeout_s` is for a call with all that is sent again, `retries` for answers that do not say
    when to come back.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, api_key, timeout_s, retries)
        self._http = httpx.Client(transport=transport or self._calls.way(httpx.HTTPTransport))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def inspect(
        self,
        images: Sequence[Picture],
        options: Options = _DEFAULT,
        mask: bytes | None = None,
    ) -> Answer:
        """What the gateway finds in images, in their order; `mask` is a picture for all of them.

        An image that cannot be read has a Rejection in its place; where that is all of them, it
        raises Refused. Raises ClientError.
        """
        return self._run(self._calls.inspect(images, options, mask))

    def model(self) -> ModelCard:
        """What is served. Raises ClientError."""
        return self._run(self._calls.call(ModelCard, "GET", "/v1/model"))

    def ready(self) -> Readiness:
        """Return when the gateway would answer. Raises ClientError."""
        return self._run(self._calls.call(Readiness, "GET", "/readyz"))

    def _run(self, steps: Steps[A]) -> A:
        found: Found = None
        try:
            while True:
                step = steps.send(found)
                found = None
                if isinstance(step, float):
                    time.sleep(step)
                else:
                    try:
                        found = self._http.send(step)
                    except httpx.TransportError as exc:
                        found = exc
        except StopIteration as end:
            return cast(A, end.value)


class AsyncClient:
    """The same for one event loop."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, api_key, timeout_s, retries)
        way = transport or self._calls.way(httpx.AsyncHTTPTransport)
        self._http = httpx.AsyncClient(transport=way)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def inspect(
        self,
        images: Sequence[Picture],
        options: Options = _DEFAULT,
        mask: bytes | None = None,
    ) -> Answer:
        """As Client.inspect."""
        return await self._run(self._calls.inspect(images, options, mask))

    async def model(self) -> ModelCard:
        """As Client.model."""
        return await self._run(self._calls.call(ModelCard, "GET", "/v1/model"))

    async def ready(self) -> Readiness:
        """As Client.ready."""
        return await self._run(self._calls.call(Readiness, "GET", "/readyz"))

    async def _run(self, steps: Steps[A]) -> A:
        found: Found = None
        try:
            while True:
                step = steps.send(found)
                found = None
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    try:
                        found = await self._http.send(step)
                    except httpx.TransportError as exc:
                        found = exc
        except StopIteration as end:
            return cast(A, end.value)


def anomaly_map(found: Decision) -> NDArray[np.float32]:
    """The anomaly map (H, W) of an image's size, in score units, of an answer with `map="npy"`."""
    if found.anomaly_map is None or found.anomaly_map.encoding != "npy":
        raise ClientError("the answer has no map as numbers: ask with Options(map='npy')")
    file = BytesIO(b64decode(found.anomaly_map.data or ""))
    return cast(NDArray[np.float32], np.load(file, allow_pickle=False))


def key_of_environment() -> str | None:
    """The API key that the command line uses."""
    return os.environ.get("ONEGAUGE_API_KEY", "").strip("\ufeff \t\r\n") or None  # of a file


class _Calls:
    """What both clients have in common: the requests, and what to do about their answers."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float, retries: int) -> None:
        if not url.lower().startswith(("http://", "https://")):
            raise ClientError(f"{url} is not an address: it must begin with http:// or https://")
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
        self, images: Sequence[Picture], options: Options, mask: bytes | None
    ) -> Steps[Answer]:
        parts = [("image", (image.name, image.data)) for image in map(_named, images)]
        if mask is not None:
            parts.append(("mask", ("mask", mask)))
        query = options.model_dump(exclude_none=True)
        return self.call(Answer, "POST", "/v1/inspect", params=query, files=parts)

    def call(self, wanted: type[A], method: str, path: str, **content: Any) -> Steps[A]:
        """Yield requests to send and seconds to pause, take answers, return the last one read."""
        deadline = time.monotonic() + self._timeout_s
        unsaid = 0  # answers that did not say when to come back
        while True:
            left = max(1e-3, deadline - time.monotonic())
            found = yield self._request(method, path, left, content)
            pause = _said_pause(found)
            if pause is None and _is_away(found) and unsaid < self._retries:
                pause = min(FIRST_PAUSE_S * 2**unsaid, LONGEST_PAUSE_S) * random.uniform(0.5, 1)
                unsaid += 1
            if pause is None or time.monotonic() + pause >= deadline:
                return self._read(wanted, found)
            yield pause

    def _request(
        self, method: str, path: str, left: float, content: dict[str, Any]
    ) -> httpx.Request:
        headers = {**self._headers, "Request-Timeout": f"{left:.3f}"}
        timeout = {"timeout": httpx.Timeout(left).as_dict()}
        try:
            return httpx.Request(
                method, f"{self._url}{path}", headers=headers, extensions=timeout, **content
            )
        except httpx.InvalidURL as exc:
            raise ClientError(f"{self._url} is not an address: {exc}") from exc

    def _read(self, wanted: type[A], found: Found) -> A:
        if not isinstance(found, httpx.Response):
            raise Unreachable(f"no answer from {self._asked}: {found or repr(found)}") from found
        if not found.is_success:
            problem = _problem(found)
            said = problem.get("detail", f"{found.reason_phrase}; is it a onegauge gateway?")
            message = f"{self._asked} answered {found.status_code}: {said}"
            raise Refused(message, found.status_code, problem)
        try:
            return wanted.model_validate_json(found.content)
        except ValidationError as exc:
            raise NoGateway(f"{self._asked} does not answer like a onegauge gateway") from exc


def _named(image: Picture) -> Named:
    if isinstance(image, Path):
        return Named(image.name, image.read_bytes())
    return image if isinstance(image, Named) else Named("image", image)


def _said_pause(found: Found) -> float | None:
    """The seconds that the gateway asks to wait, None where it does not."""
    if not isinstance(found, httpx.Response) or found.is_success:
        return None
    try:
        return float(found.headers["Retry-After"])
    except (KeyError, ValueError):  # a date is what a proxy may send
        return None


def _is_away(found: Found) -> bool:
    return not isinstance(found, httpx.Response) or found.status_code in AWAY


def _problem(found: httpx.Response) -> dict[str, Any]:
    """The problem details; empty for an answer that has none."""
    if found.headers.get("content-type") != "application/problem+json":
        return {}
    try:
        return dict(found.json())
    except ValueError:
        return {}
