"""Many images → outcomes: a few requests at a time, each with a few images.

An image that fails is asked for once more, alone, so that it costs the others no decision.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path

from onegauge.client.calls import Away, ClientError, Named, Refused
from onegauge.client.client import AsyncClient
from onegauge.client.outcome import Outcome, outcomes_of, without_decision
from onegauge.files import read_file
from onegauge.schemas import Options

BATCH = 8  # images per request
IN_FLIGHT = 4  # requests at a time
REFUSED = (413, 415, 422)  # because of what was sent, not because something is broken
FATAL = (401, 403, 404, 406)  # whatever is sent: a wrong key or address


async def inspect_in_batches(
    client: AsyncClient,
    images: Sequence[Path],
    options: Options,
    mask: bytes | None = None,
) -> AsyncIterator[Outcome]:
    """Send the images in batches, a few at a time, and yield the outcomes in their order.

    Raises ClientError when no gateway answers at the client's address, or one that answers none.
    """
    requests = _Batches(client, options, mask)
    pending: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        for start in range(0, len(images), BATCH):
            if len(pending) == IN_FLIGHT:
                for outcome in await pending.popleft():
                    yield outcome
            batch = requests.outcomes(images[start : start + BATCH])
            pending.append(asyncio.create_task(batch))
        while pending:
            for outcome in await pending.popleft():
                yield outcome
    except ClientError:
        for outcome in _found(pending):
            yield outcome
        raise
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _found(batches: Iterable[asyncio.Task[list[Outcome]]]) -> Iterator[Outcome]:
    """The outcomes of the batches that have ended well."""
    for task in batches:
        if task.done() and not task.exception():
            yield from task.result()


class _Batches:
    """What is asked for all images, and whether there are answers."""

    def __init__(self, client: AsyncClient, options: Options, mask: bytes | None) -> None:
        self._client = client
        self._options = options
        self._mask = mask
        self._answered = False  # since a batch failed altogether

    async def outcomes(self, paths: Sequence[Path]) -> list[Outcome]:
        """The outcomes of a batch; files that cannot be read here are not sent."""
        contents: dict[Path, bytes] = {}
        outcomes: dict[Path, Outcome] = {}
        for path in paths:
            try:
                contents[path] = read_file(path)
            except OSError as exc:
                outcomes[path] = Outcome(path, problem=f"cannot be read: {exc.strerror}")
        if contents:
            outcomes |= {o.path: o for o in await self._send(contents)}
        return [outcomes[path] for path in paths]

    async def _send(self, contents: dict[Path, bytes]) -> list[Outcome]:
        """One request; where it fails, one for each image, which may fail alone."""
        if len(contents) > 1:
            try:
                return await self._ask(contents)
            except ClientError as exc:
                _raise_if_fatal(exc)
        outcomes, failures = [], []
        for path, data in contents.items():
            try:
                outcomes += await self._ask({path: data})
            except ClientError as exc:
                _raise_if_fatal(exc)
                outcomes.append(without_decision(path, exc))
                if not (isinstance(exc, Refused) and exc.status in REFUSED):
                    failures.append(exc)
        if len(failures) == len(contents) and not await self._works():
            raise failures[0]
        return outcomes

    async def _ask(self, contents: dict[Path, bytes]) -> list[Outcome]:
        images = [Named(path.name, data) for path, data in contents.items()]
        answer = await self._client.inspect(images, self._options, self._mask)
        outcomes = outcomes_of(list(contents), answer)
        self._answered = True
        return outcomes

    async def _works(self) -> bool:
        """Whether there was an answer since this was asked, or the gateway says there would be."""
        answered, self._answered = self._answered, False
        if answered:
            return True
        try:
            await self._client.ready()
        except ClientError:
            return False
        return True


def _raise_if_fatal(exc: ClientError) -> None:
    if isinstance(exc, Away) or (isinstance(exc, Refused) and exc.status in FATAL):
        raise exc
