"""The records of a gateway: takes answers, finds them again, and lets go of old ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import TypeVar

from anyio import to_thread

from onegauge.records.database import Database
from onegauge.records.errors import PictureGone, RecordsUnavailable, UnknownInspection
from onegauge.records.history import History, Page
from onegauge.records.keep import Keep
from onegauge.records.pictures import Pictures
from onegauge.records.retention import Limits
from onegauge.records.search import Filter
from onegauge.schemas import Search
from onegauge.service.imaging.depth import Depth
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.spool import Spool
from onegauge.service.recording import evidence
from onegauge.service.recording.criteria import Criteria
from onegauge.service.recording.recorder import Recorder
from onegauge.service.recording.retention import Retention
from onegauge.service.recording.store import Store
from onegauge.service.recording.writer import Writer
from onegauge.service.settings import Settings

T = TypeVar("T")
ASK_S = 10.0


class Records:
    """What a gateway has of its records; made only where they are on."""

    def __init__(self, settings: Settings, metrics: Metrics, deployment: Deployment) -> None:
        """Raises InvalidPolicy; nothing is reached yet."""
        self._grace_s = settings.grace_s
        self._store = Store(settings.records, settings.place_of_pictures)
        spool = Spool(settings.place_of_spool, settings.records_spool_bytes)
        writer = Writer(self._store, spool, metrics)
        self._recorder = Recorder(writer, Keep.parse(settings.keep), metrics)
        limits = Limits(settings.pictures_days, settings.pictures_bytes, settings.records_days)
        self._retention = Retention(self._store, limits, metrics)
        self.criteria = Criteria(
            self._store, settings.model, settings.place_of_spool, deployment, metrics
        )
        self.take, self.take_part = self._recorder.take, self._recorder.take_part
        self.flush = self._recorder.flush

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the block lasts, and at its end what waits."""
        self._recorder.start()
        self._retention.start()
        await self.criteria.start()
        try:
            yield
        finally:
            await self.criteria.stop()
            await self._retention.stop()
            await to_thread.run_sync(self._recorder.stop, self._grace_s)
            self._store.close()

    async def ask(self, asked: Callable[["Records"], T]) -> T:
        """What is asked of the records, in a thread, with all that was answered before it.

        Raises what it raises, and RecordsUnavailable after ten seconds.
        """
        await self.flush()
        return await self._ask(asked)

    async def ask_of_one(self, asked: Callable[["Records"], T]) -> T:
        """The same of one inspection: mostly it is written already, and nothing is waited for."""
        if self._store.reached:
            with suppress(UnknownInspection):
                return await self._ask(asked)
        return await self.ask(asked)

    async def _ask(self, asked: Callable[["Records"], T]) -> T:
        try:
            async with asyncio.timeout(ASK_S):
                return await to_thread.run_sync(asked, self, abandon_on_cancel=True)
        except TimeoutError as exc:
            late = f"the records have not answered within {ASK_S:g} s"
            raise RecordsUnavailable(late) from exc

    def find(self, search: Search) -> Page:
        """A page of what was inspected; raises InvalidCursor and RecordsUnavailable."""
        which = Filter(**search.model_dump(exclude={"order", "after", "limit"}))
        return self.history.find(which, order=search.order, after=search.after, limit=search.limit)

    def original(self, inspection: str) -> bytes:
        """A picture as it was uploaded; raises UnknownInspection, PictureGone."""
        return self.pictures.read(self._digest(inspection))

    def picture(self, inspection: str, depth: Depth) -> bytes:
        """A picture as a JPEG file for a browser; raises UnknownInspection, PictureGone."""
        return evidence.picture(self.original(inspection), depth)

    def overlay(self, inspection: str, depth: Depth) -> bytes:
        """The same, coloured by its anomaly map; raises UnknownInspection, PictureGone."""
        original, small_map = self.original(inspection), self.history.map(inspection)
        return evidence.overlay(original, small_map, depth)

    def thumbnail(self, inspection: str, depth: Depth) -> bytes:
        """A small picture as a JPEG file, which is made when it is asked for the first time.

        Raises UnknownInspection and PictureGone.
        """
        digest = self._digest(inspection)
        with suppress(PictureGone):
            return self.pictures.thumbnail(digest)
        made = evidence.thumbnail(self.pictures.read(digest), depth)
        with suppress(RecordsUnavailable):  # a full disk is no reason not to show it
            self.pictures.put_thumbnail(digest, made)
        return made

    def small_map(self, inspection: str) -> bytes:
        """A small anomaly map as a PNG file; raises UnknownInspection, PictureGone."""
        self._digest(inspection)
        return self.history.map(inspection)

    def _digest(self, inspection: str) -> str:
        digest = self.history.get(inspection).record.picture
        if digest is None:
            raise PictureGone(
                f"the picture of {inspection} was not kept: ONEGAUGE_KEEP says which are"
            )
        return digest

    @cached_property
    def secret(self) -> bytes:
        """What all gateways with these records know; raises RecordsUnavailable."""
        return self._store.database.secret("sessions")

    @property
    def database(self) -> Database:
        """Where it is kept; raises RecordsUnavailable until it was reached."""
        return self._store.database

    @property
    def history(self) -> History:
        """What was inspected; raises RecordsUnavailable until the database was reached."""
        return self._store.history

    @property
    def pictures(self) -> Pictures:
        """What was kept of it; raises RecordsUnavailable."""
        return self._store.pictures
