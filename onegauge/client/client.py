"""The Python client of a gateway: needs httpx, pydantic and numpy alone.

    with Client("http://gateway:8000", api_key=key) as gateway:
        answer = gateway.inspect([Path("part.jpg")], Options(line="press-3", map="npy"))
        for found in answer.results:
            print(found.decision, found.score, anomaly_map(found).max())

Connections are kept and used again. An inspection changes nothing, and a view of a part counts
once, so it is sent again while the gateway is busy or away, until the call's time is over: after as
long as `Retry-After` says, else after pauses that grow.
"""

import os
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from io import BytesIO
from typing import Self, TypeVar, cast

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from onegauge.client.calls import (
    RETRIES,
    TIMEOUT_S,
    Calls,
    ClientError,
    Found,
    Image,
    Steps,
    time_left,
)
from onegauge.schemas import (
    Answer,
    CriterionCard,
    Decision,
    InspectedPage,
    Inspection,
    ModelCard,
    NextState,
    Opinion,
    Options,
    Proposal,
    ProposalList,
    Readiness,
    Search,
    SinkList,
    SinkState,
)

A = TypeVar("A", bound=BaseModel)
_DEFAULT, _ALL = Options(), Search()


class Client:
    """A gateway, asked from one thread or several.

    `timeout_s` is for a call with all that is sent again, `retries` for answers that do not say
    when to come back. `pause` sleeps before that, and returns True to end the call instead.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], bool | None] = time.sleep,
    ) -> None:
        self._pause = pause
        self._calls = Calls(url, api_key, timeout_s, retries)
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
        images: Sequence[Image],
        options: Options = _DEFAULT,
        mask: bytes | None = None,
    ) -> Answer:
        """What the gateway finds in images, in their order; `mask` is a picture for all of them.

        An image that cannot be read has a Rejection in its place; where that is all of them, it
        raises Refused. Raises ClientError.
        """
        return self._run(self._calls.inspect(images, options, mask))

    def inspections(self, search: Search = _ALL) -> InspectedPage:
        """A page of what was inspected, the newest first. Raises ClientError.

        The next page is that of `search` with the `next` of this one as `after`.
        """
        return self._run(self._calls.inspections(search))

    def inspection(self, inspection: str) -> Inspection:
        """All that is known of an inspection, by its id. Raises ClientError."""
        return self._run(self._calls.inspection(inspection))

    def judge(
        self,
        inspection: str,
        verdict: Opinion | None,
        *,
        by: str | None = None,
        note: str | None = None,
        whole_part: bool = False,
    ) -> Inspection:
        """Say what an inspection was, None to take that back. Raises ClientError.

        `by` is who says so, by default the name of the API key; `whole_part` says it of the other
        pictures of the same part, too.
        """
        return self._run(self._calls.judge(inspection, verdict, by, note, whole_part))

    def model(self) -> ModelCard:
        """What is served. Raises ClientError."""
        return self._run(self._calls.call(ModelCard, "GET", "/v1/model"))

    def criterion(self) -> CriterionCard:
        """What decides where a request brings no criterion. Raises ClientError."""
        return self._run(self._calls.call(CriterionCard, "GET", "/v1/criterion"))

    def save_criterion(
        self,
        *,
        threshold: float | None = None,
        max_false_alarm_rate: float | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> CriterionCard:
        """Have the gateway decide by another one, by its settings where none is given.

        `by` is who says so, by default the name of the API key. Raises ClientError.
        """
        return self._run(self._calls.save_criterion(threshold, max_false_alarm_rate, by, note))

    def proposals(self) -> ProposalList:
        """What waits to be learnt, and what was made of it. Raises ClientError."""
        return self._run(self._calls.call(ProposalList, "GET", "/v1/proposals"))

    def proposal(self, number: int) -> Proposal:
        """One of them, with what it would change. Raises ClientError."""
        return self._run(self._calls.call(Proposal, "GET", f"/v1/proposals/{number}"))

    def propose(self, *, remove: Sequence[str] = (), by: str | None = None) -> Proposal:
        """Have a version made of all that waits, or without normal images, by their ids.

        `by` is who wants it so, by default the name of the API key. Raises ClientError.
        """
        return self._run(self._calls.propose(remove, by))

    def take_step(self, number: int, state: NextState, *, by: str | None = None) -> Proposal:
        """Take the next step with a proposal, or take it back. Raises ClientError."""
        return self._run(self._calls.take_step(number, state, by))

    def sinks(self) -> SinkList:
        """What becomes of decisions on their way to a plant. Raises ClientError."""
        return self._run(self._calls.call(SinkList, "GET", "/v1/sinks"))

    def switch_sink(self, name: str, *, enabled: bool) -> SinkState:
        """Turn a sink on or off until the gateway ends. Raises ClientError."""
        return self._run(self._calls.switch_sink(name, enabled))

    def ready(self) -> Readiness:
        """Return when the gateway would answer. Raises ClientError."""
        return self._run(self._calls.call(Readiness, "GET", "/readyz"))

    def _run(self, steps: Steps[A]) -> A:
        found: Found = None
        try:
            while True:
                step = steps.send(found)
                found = None
                if not isinstance(step, float):
                    found = self._send(step)
                elif self._pause(step):
                    raise ClientError("the call was ended before its answer came")
        except StopIteration as end:
            return cast(A, end.value)

    def _send(self, request: httpx.Request) -> httpx.Response | httpx.RequestError:
        try:
            response = self._http.send(request, stream=True)
            with closing(response):
                stream = cast(httpx.SyncByteStream, response.stream)
                response.stream = _InTime(stream, request)
                response.read()
            return response
        except httpx.RequestError as exc:
            return exc


class _InTime(httpx.SyncByteStream):
    """An answer that may come piece by piece, but not for longer than the call may take."""

    def __init__(self, stream: httpx.SyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request
        self._end = time.monotonic() + time_left(request)

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            if time.monotonic() > self._end:
                raise httpx.ReadTimeout("the answer did not end in time", request=self._request)
            yield data

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._stream.close()


def anomaly_map(found: Decision) -> NDArray[np.float32]:
    """The anomaly map (H, W) of an image's size, in score units, of an answer with `map="npy"`."""
    if found.anomaly_map is None or found.anomaly_map.encoding != "npy":
        raise ClientError("the answer has no map as numbers: ask with Options(map='npy')")
    try:
        file = BytesIO(b64decode(found.anomaly_map.data or ""))
        return cast(NDArray[np.float32], np.load(file, allow_pickle=False))
    except (ValueError, EOFError) as exc:
        raise ClientError(f"the answer's map is no array of NumPy: {exc}") from exc


def key_of_environment() -> str | None:
    """The API key that the command line uses."""
    return os.environ.get("ONEGAUGE_API_KEY", "").strip("\ufeff \t\r\n") or None  # of a file
