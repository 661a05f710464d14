"""The second stage, by a gateway that is asked: bytes → rows."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from onegauge.bulk.batch import Batch, name_of, refusals
from onegauge.bulk.errors import BulkError
from onegauge.bulk.row import Row, decided, not_had, refused, table
from onegauge.client.async_client import AsyncClient
from onegauge.client.batches import BATCH, IN_FLIGHT, REFUSED, Requests
from onegauge.client.calls import ClientError, Named, Refused
from onegauge.schemas import Answer, Decision, Options

INVALID_OPTION = "/problems/invalid-option"


class ByGateway:
    """Has a gateway decide."""

    def __init__(self, url: str, api_key: str | None, options: Options, mask: bytes | None) -> None:
        self._options = options
        self._runner = asyncio.Runner()  # connections stay with their event loop
        self._requests = Requests(AsyncClient(url, api_key=api_key), options, mask)

    def __call__(self, batch: Batch) -> pa.Table:
        """A row for each image, in their order; raises BulkError where no gateway answers."""
        rows = refusals(batch, self._options)
        todo = [row for row in range(len(batch["path"])) if row not in rows]
        names = [name_of(batch, row) for row in todo]
        contents = zip(names, batch["data"][todo], strict=True)
        images = [Named(PurePosixPath(name).name, data) for name, data in contents]
        try:
            said = self._runner.run(self._send(images))
        except ClientError as exc:
            raise BulkError(str(exc)) from None  # of a request, which cannot travel
        rows |= dict(zip(todo, self._rows(names, said), strict=True))
        return table([rows[row] for row in sorted(rows)])

    async def _send(self, images: Sequence[Named]) -> list[Answer | ClientError]:
        turns = asyncio.Semaphore(IN_FLIGHT)

        async def send(some: Sequence[Named]) -> list[Answer | ClientError]:
            async with turns:
                return await self._requests.send(some)

        starts = range(0, len(images), BATCH)
        said = await asyncio.gather(*(send(images[start : start + BATCH]) for start in starts))
        return [answer for answers in said for answer in answers]

    def _rows(self, names: Sequence[str], said: Sequence[Answer | ClientError]) -> Iterator[Row]:
        coming = iter(names)
        for answer in said:
            if isinstance(answer, ClientError):
                yield refused(next(coming), _problem(answer), self._options)
                continue
            for result in answer.results:
                if isinstance(result, Decision):
                    yield decided(next(coming), answer.model, result, self._options)
                else:
                    yield refused(next(coming), result.problem.model_dump(), self._options)


def _problem(why: ClientError) -> dict[str, Any]:
    """The problem details of an image that a gateway had no decision for; raises BulkError.

    What it says of the image is for good. For another reason it may decide another time.
    """
    if not (isinstance(why, Refused) and why.status in REFUSED):
        return not_had(why)
    if why.problem.get("type") == INVALID_OPTION:
        raise BulkError(str(why))
    return {"status": why.status, "detail": str(why), **why.problem}
