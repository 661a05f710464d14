"""Takes answers on the event loop and has one thread write them: no answer waits for a database."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from threading import Thread
from time import sleep

from onegauge.records.keep import Keep
from onegauge.service.inspection.inquiry import Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken
from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.queue import BATCH, MAX_ROWS, Queue, Until
from onegauge.service.recording.entry import Pending, PendingPart
from onegauge.service.recording.writer import Writer

PAUSE_S = 0.5  # between two batches: what a process that is killed may lose
REPLAY_PAUSE_S = 0.02  # while something is to be written that was put by
BACKLOG = MAX_ROWS // 2  # of a database that is too slow: the disk takes what is more
FLUSH_S = 2.0  # how long a reader waits for what was answered before it
FAULT_PAUSE_S = 1.0  # after an error that nobody has foreseen

_log = logging.getLogger("onegauge.records")


class Recorder:
    """Has a record made of each decision."""

    def __init__(self, writer: Writer, keep: Keep, metrics: Metrics) -> None:
        self._writer, self._keep, self._metrics = writer, keep, metrics
        self._queue: Queue[Pending | PendingPart] = Queue()
        self._thread = Thread(target=self._run, name="records", daemon=True)
        metrics.records.waiting.set_function(lambda: len(self._queue))

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def take(self, taken: Taken, upload: Upload) -> None:
        """Take a decision, with its picture where that is to be kept and there is room."""
        pending = Pending(taken)
        if self._keep.wants(taken.record):
            kept = Pending.kept(taken, upload)
            if self._queue.has_room(kept.size):
                pending = kept
            else:
                self._metrics.records.lost("picture")
        self._put(pending)

    def take_part(self, part: DecidedPart) -> None:
        """Take what was decided on the views of a part, each of which was taken before."""
        self._put(PendingPart(part))

    def _put(self, pending: Pending | PendingPart) -> None:
        if not self._queue.put(pending):
            self._metrics.records.lost("queue-full")

    async def flush(self) -> None:
        """Return when what was answered before is written or put by, or after two seconds."""
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._queue.flush()), FLUSH_S)
        except TimeoutError:
            _log.warning("records are behind", extra={"fields": {"waiting": len(self._queue)}})

    def stop(self, within_s: float) -> None:
        """Write what waits, or put it by, and end; what takes longer is lost."""
        self._queue.end()
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._metrics.records.lost("stopped", len(self._queue))
            _log.error("records are lost", extra={"fields": {"records": len(self._queue)}})

    def _run(self) -> None:
        self._attempt(self._writer.begin, 0)
        self._queue.each_batch(self._pause, self._turn)

    def _pause(self) -> Until:
        return Until(REPLAY_PAUSE_S if self._writer.has_more else PAUSE_S)

    def _turn(self, batch: list[Pending | PendingPart]) -> None:
        """Write what came, and then some of what was put by."""
        self._attempt(partial(self._write, batch), len(batch))
        if self._writer.has_more and len(self._queue) < BATCH:
            self._attempt(self._writer.replay, 0)

    def _write(self, batch: list[Pending | PendingPart]) -> None:
        self._writer.write([pending.entry() for pending in batch], late=len(self._queue) > BACKLOG)

    def _attempt(self, work: Callable[[], None], records: int) -> None:
        try:
            work()
        except Exception:  # as in Background: an error that nobody has foreseen ends no thread
            _log.exception("records are lost", extra={"fields": {"records": records}})
            self._metrics.background_failures.labels("records").inc()
            self._metrics.records.lost("error", records)
            sleep(FAULT_PAUSE_S)
