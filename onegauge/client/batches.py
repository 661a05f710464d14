"""Many images → outcomes: a few requests at a time, each with a few images.

An image that fails is asked for once more, alone, so that it costs the others no decision.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from onegauge.client.async_client import AsyncClient
from onegauge.client.calls import Away, ClientError, Named, Refused
from onegauge.client.outcome import Outcome, outcomes_of, whole, without_decision
from onegauge.files import read_file
from onegauge.schemas import Answer, Options

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
    requests = Requests(client, options, mask)
    pending: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        for start in range(0, len(images), BATCH):
            if len(pending) == IN_FLIGHT:
                for outcome in await pending.popleft():
                    yield outcome
            batch = _outcomes(requests, images[start : start + BATCH])
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


async def _outcomes(requests: "Requests", paths: Sequence[Path]) -> list[Outcome]:
    """The outcomes of a batch; files that cannot be read here are not sent."""
    contents: dict[Path, bytes] = {}
    outcomes: dict[Path, Outcome] = {}
    for path in paths:
        try:
            contents[path] = read_file(path)
        except OSError as exc:
            outcomes[path] = Outcome(path, problem=f"cannot be read: {exc.strerror}")
    sent = iter(contents)
    for said in await requests.send([Named(path.name, data) for path, data in contents.items()]):
        if isinstance(said, Answer):
            found = outcomes_of(list(islice(sent, len(said.results))), said)
        else:
            found = [without_decision(next(sent), said)]
        outcomes |= {outcome.path: outcome for outcome in found}
    return [outcomes[path] for path in paths]


class Requests:
    """What is asked for all images, and whether there are answers."""

    def __init__(self, client: AsyncClient, options: Options, mask: bytes | None) -> None:
        self._client = client
        self._options = options
        self._mask = mask
        self._answered = False  # since a batch failed altogether

    async def send(self, images: Sequence[Named]) -> list[Answer | ClientError]:
        """One request; where it fails, one for each image, which may fail alone.

        The answers follow each other in the order of the images, with what went wrong in the place
        of one. Raises ClientError when no gateway answers, or one that answers none.
        """
        if len(images) > 1:
            try:
                return [await self._ask(images)]
            except ClientError as exc:
                _raise_if_fatal(exc)
        said: list[Answer | ClientError] = []
        failures = []
        for image in images:
            try:
                said.append(await self._ask([image]))
            except ClientError as exc:
                _raise_if_fatal(exc)
                said.append(exc)
                if not (isinstance(exc, Refused) and exc.status in REFUSED):
                    failures.append(exc)
        if failures and len(failures) == len(images) and not await self._works():
            raise failures[0]
        return said

    async def _ask(self, images: Sequence[Named]) -> Answer:
        answer = whole(await self._client.inspect(images, self._options, self._mask), len(images))
        self._answered = True
        return answer

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
