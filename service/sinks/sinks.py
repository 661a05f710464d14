"""The sinks of a gateway: takes decisions, and tells what becomes of them."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic

from anyio import to_thread

from onegauge.schemas import SinkState
from onegauge.service.inspection.inquiry import Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken
from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.spool import Spool
from onegauge.service.settings import Settings
from onegauge.service.sinks.errors import UnknownSink
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.settings import DeliverySettings, SinkSettings
from onegauge.service.sinks.sink import Sink, Waiting
from onegauge.service.sinks.table import read_sinks


class Sinks:
    """Made only where there is a file of them."""

    def __init__(self, file: Path, settings: Settings, metrics: Metrics) -> None:
        """Raises InvalidSinks, and BackendUnavailable without a library; nothing is reached yet."""
        self._gateway = settings.source or socket.gethostname()
        self._source = f"/onegauge/{self._gateway}"
        self._spools = settings.sinks_spool or file.parent / "spool"
        self._grace_s = settings.grace_s
        self._sinks = {
            name: self._sink(name, of_sink, metrics) for name, of_sink in read_sinks(file).items()
        }

    def _sink(self, name: str, settings: SinkSettings, metrics: Metrics) -> Sink:
        spool = None
        if isinstance(settings, DeliverySettings):
            spool = Spool(self._spools / name, settings.spool_bytes)
        return Sink(name, settings, settings.wire(name, self._gateway), spool, metrics)

    def take(self, taken: Taken, _upload: Upload) -> None:
        """Have the event of a decision delivered. For the event loop."""
        record, make = taken.record, partial(Event.of, taken, self._source)
        self._have_told(
            Waiting(record.line, record.decision, record.unknown_product, record.time, make)
        )

    def take_part(self, part: DecidedPart) -> None:
        """The same of what was decided on a part of several views."""
        decision, make = str(part.decision.decision), partial(Event.of_part, part, self._source)
        self._have_told(Waiting(part.line, decision, part.unknown_product, part.time, make))

    def _have_told(self, waiting: Waiting) -> None:
        for sink in self._sinks.values():
            sink.take(waiting)

    @property
    def states(self) -> list[SinkState]:
        """What becomes of the events of each sink."""
        return [sink.state for sink in self._sinks.values()]

    def switch(self, name: str, *, enabled: bool) -> SinkState:
        """Turn a sink on or off until the gateway ends; raises UnknownSink."""
        if name not in self._sinks:
            raise UnknownSink(f"There is no sink {name!r}, but {', '.join(self._sinks)}")
        self._sinks[name].switch(enabled=enabled)
        return self._sinks[name].state

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while the block lasts, and at its end what waits, or put it by."""
        for sink in self._sinks.values():
            sink.start()
        try:
            yield
        finally:
            await to_thread.run_sync(self._end)

    def _end(self) -> None:
        until = monotonic() + self._grace_s
        for sink in self._sinks.values():
            sink.end()
        for sink in self._sinks.values():
            sink.join(until - monotonic())
