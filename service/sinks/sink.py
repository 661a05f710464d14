"""What waits for one sink, and the thread that has it brought: no answer waits for a plant."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Thread
from time import sleep, time

from onegauge.schemas import SinkState
from onegauge.service.observe.metrics import Metrics
from onegauge.service.observe.sinks import Told
from onegauge.service.outbox.queue import Queue, Until
from onegauge.service.outbox.spool import Spool
from onegauge.service.sinks.carrier import Carrier
from onegauge.service.sinks.choice import Rate
from onegauge.service.sinks.delivery import Delivery
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.settings import SinkSettings
from onegauge.service.sinks.wire import Wire

GATHER_S = 0.1  # in which events gather that are brought together; the first goes at once
SHOW_S = 0.02  # the same where a controller waits for the state
KEEP_S = 0.5  # between two looks at what is new while nothing can be brought: it is put by
IDLE_S = 1.0  # after which a wire is asked whether it works
FAULT_PAUSE_S = 1.0  # after an error that nobody has foreseen

_log = logging.getLogger("onegauge.sinks")


@dataclass(frozen=True)
class Waiting:
    """Something decided, of which the first thread that needs it makes the event."""

    line: str | None
    decision: str
    unknown_product: bool
    time: datetime
    make: Callable[[], Event]
    size = 0

    @cached_property
    def event(self) -> Event:
        """The event, once for all sinks."""
        return self.make()


class Sink:
    """Takes decisions on the event loop and has one thread deliver their events."""

    def __init__(
        self,
        name: str,
        settings: SinkSettings,
        wire: Wire,
        spool: Spool | None,
        metrics: Metrics,
    ) -> None:
        """`spool` is None where the last state alone counts."""
        self.name, self._kind, self._enabled = name, settings.kind, settings.enabled
        self._choice, self._rate = settings.choice, Rate(settings.rate)
        self._tally = metrics.sinks.tally(name)
        self._delivery = Delivery(name, Carrier(name, wire), spool, self._tally)
        self._failed = metrics.background_failures.labels(f"sink {name}")
        self._gather_s = SHOW_S if spool is None else GATHER_S
        self._queue: Queue[Waiting] = Queue()
        self._busy = False  # whether something was brought a moment ago
        self._thread = Thread(target=self._run, name=f"sink {name}", daemon=True)
        delivery = self._delivery
        metrics.sinks.observe(
            name,
            Told(
                lambda: len(self._queue),
                lambda: delivery.spooled,
                lambda: self.lag_s,
                lambda: self._enabled and delivery.unreachable,
            ),
        )

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def take(self, waiting: Waiting) -> None:
        """Append what is chosen. For the event loop."""
        chosen = self._choice.wants(waiting.line, waiting.decision, unknown=waiting.unknown_product)
        if chosen and self._enabled and not self._queue.put(waiting):
            self._tally.count("queue-full")

    def switch(self, *, enabled: bool) -> None:
        """Take decisions, or none: then nothing is delivered, and what was put by stays.

        A wire is let go within a second.
        """
        self._enabled = enabled
        _log.info("sink is switched", extra={"fields": {"sink": self.name, "enabled": enabled}})

    @property
    def lag_s(self) -> float:
        """Age of the oldest event that is to be delivered and has not been, in seconds."""
        if not self._enabled:
            return 0.0
        first = self._queue.first
        known = (self._delivery.since, first.time.timestamp() if first else None)
        return max([0.0, *(time() - since for since in known if since is not None)])

    @property
    def state(self) -> SinkState:
        """What becomes of its events."""
        return SinkState(
            name=self.name,
            kind=self._kind,
            enabled=self._enabled,
            reachable=not self._delivery.unreachable,
            waiting=len(self._queue),
            spooled_bytes=self._delivery.spooled,
            lag_s=round(self.lag_s, 3),
            events=dict(self._tally.counts),
            last_error=self._delivery.last_error,
        )

    def end(self) -> None:
        """Take the last decisions, deliver them or put them by, and end."""
        self._queue.end()

    def join(self, within_s: float) -> None:
        """Return when it has ended; what takes longer is lost."""
        self._thread.join(max(0.0, within_s))
        if self._thread.is_alive():
            self._tally.count("stopped", len(self._queue))
            told = {"sink": self.name, "events": len(self._queue)}
            _log.error("events are lost", extra={"fields": told})

    def _run(self) -> None:
        self._attempt(self._delivery.begin, 0)
        self._turn([])  # so that who waits for a server or a greeting has it from the start
        self._queue.each_batch(self._until, self._turn)
        self._attempt(self._delivery.end, 0)

    def _until(self) -> Until:
        if not (self._enabled and self._delivery.free):
            return Until(KEEP_S)
        if self._delivery.has_more:
            return Until(0.0)
        return Until(self._gather_s) if self._busy else Until(IDLE_S, 1)

    def _turn(self, batch: list[Waiting]) -> None:
        self._attempt(lambda: self._bring(batch), len(batch))
        self._busy = bool(batch)

    def _bring(self, batch: list[Waiting]) -> None:
        allowed = [waiting for waiting in batch if self._rate.allows()]
        self._tally.count("rate-limited", len(batch) - len(allowed))
        events = [waiting.event for waiting in allowed]
        if not self._enabled:
            self._delivery.rest(events)
        elif events or self._busy:
            self._delivery.bring(events)
        else:
            self._delivery.bring(())
            self._delivery.look()

    def _attempt(self, work: Callable[[], None], events: int) -> None:
        try:
            work()
        except Exception:  # as in Background: an error that nobody has foreseen ends no thread
            told = {"sink": self.name, "events": events}
            _log.exception("events are lost", extra={"fields": told})
            self._failed.inc()
            self._tally.count("error", events)
            sleep(FAULT_PAUSE_S)
