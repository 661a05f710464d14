"""The criterion that a person saved: every gateway of the records' database decides by it.

What held last is kept in a file, too, for a gateway that starts while the database is away.
"""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from anyio import move_on_after, to_thread

from onegauge.records.criteria import SavedCriterion, save_criterion, saved_criteria
from onegauge.records.errors import RecordsError, RecordsUnavailable
from onegauge.schemas import NewCriterion
from onegauge.service.inspection.background import Background
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.model.criterion import DEFAULT_THRESHOLD, DeploymentCriterion
from onegauge.service.observe.metrics import Metrics
from onegauge.service.recording.store import Store

FOLLOW_S = 2.0  # between looks at what was saved
START_S = 5.0  # how long a start waits for the database
END_S = 1.0  # and an end
HISTORY = 100
FILE, DRAFT = "criterion.json", "criterion.draft"

_log = logging.getLogger("onegauge.criterion")


class Criteria:
    """Follows the last one that was saved for a model. For the event loop."""

    def __init__(
        self, store: Store, model: str, folder: Path, deployment: Deployment, metrics: Metrics
    ) -> None:
        """`folder` is where the last one is kept for a start without the database."""
        self._store, self._model, self._folder = store, model, folder
        self._deployment = deployment
        self._saved: SavedCriterion | None = None
        self._task = Background("criteria", metrics)
        self._turn = asyncio.Lock()  # so that what was read first is not taken last
        self._reading = Lock()

    async def start(self) -> None:
        """Decide by what was saved last, as far as can be known, and follow."""
        await self._take(await to_thread.run_sync(self._remembered))
        with suppress(RecordsError), move_on_after(START_S):  # of which the writer tells
            await to_thread.run_sync(self._store.open, abandon_on_cancel=True)
            await self._look()
        self._task.repeat(self._follow, FOLLOW_S)

    async def stop(self) -> None:
        """Follow no longer."""
        await self._task.stop()
        # what is under way in a thread ends before the database is closed
        await to_thread.run_sync(partial(self._reading.acquire, timeout=END_S))

    async def save(self, new: NewCriterion, by: str | None) -> None:
        """Have all gateways decide by another one; raises RecordsUnavailable."""
        values = new.model_dump(include={"threshold", "max_false_alarm_rate", "note"})
        async with self._turn:
            save = partial(save_criterion, self._store.database, self._model, by=by, **values)
            await self._take(await to_thread.run_sync(save))

    def history(self) -> list[SavedCriterion]:
        """What was saved, the last one first; blocks, and raises RecordsUnavailable."""
        return saved_criteria(self._store.database, self._model, limit=HISTORY)

    async def _follow(self) -> None:
        with suppress(RecordsUnavailable):  # what is known holds until the database is back
            await self._look()

    async def _look(self) -> None:
        async with self._turn:
            await self._take(await to_thread.run_sync(self._newest, abandon_on_cancel=True))

    def _newest(self) -> SavedCriterion | None:
        with self._reading:
            return next(iter(saved_criteria(self._store.database, self._model, limit=1)), None)

    async def _take(self, saved: SavedCriterion | None) -> None:
        if saved == self._saved:
            return
        self._saved = saved
        self._deployment.use(_criterion(saved))
        told = asdict(saved) | {"time": saved.time.isoformat()} if saved else {}
        fields = {"saved" if name == "time" else name: value for name, value in told.items()}
        _log.info("criterion", extra={"fields": fields})
        await to_thread.run_sync(self._remember, told)

    def _remember(self, told: dict[str, Any]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / DRAFT
            draft.write_text(json.dumps(told))
            draft.replace(self._folder / FILE)
        except OSError as exc:
            _log.warning("criterion is not remembered", extra={"fields": {"detail": str(exc)}})

    def _remembered(self) -> SavedCriterion | None:
        """What held when the gateway ended, None where nobody knows."""
        try:
            told = json.loads((self._folder / FILE).read_text())
            saved = SavedCriterion(**told | {"time": datetime.fromisoformat(told["time"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return saved if saved.model == self._model else None


def _criterion(saved: SavedCriterion | None) -> DeploymentCriterion | None:
    """What a gateway decides by, None where that is left to the settings."""
    if saved is None or saved.threshold is saved.max_false_alarm_rate is None:
        return None
    threshold = DEFAULT_THRESHOLD if saved.threshold is None else saved.threshold
    return DeploymentCriterion(threshold, saved.max_false_alarm_rate, "The saved criterion")
