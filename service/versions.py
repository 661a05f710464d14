"""The model version that answers, and how another one takes its place while requests go on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.backends import Backend, Model, Refusal
from service.contract import Contract
from service.errors import (
    BackendError,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    ContractError,
    LoadFailed,
)
from service.measured import MeasuredModel, measured
from service.metrics import Metrics

WATCH_S = 1.0  # between looks at what is served
# Errors that say nothing about the version, which is tried again
_PASSING = (BackendOverloaded, BackendTimeout, BackendUnavailable)

_log = logging.getLogger("onegauge.versions")


class Versions:
    """Follows what the backend says is served, and keeps the last version that proved itself."""

    def __init__(self, backend: Backend, metrics: Metrics, shadow: str | None = None) -> None:
        self.refused: Refusal | None = None
        self.shadow: Model | None = None
        self._backend = backend
        self._metrics = metrics
        self._shadow_version = shadow
        self._shadow_due = False
        self._shadow_error: str | None = None
        self._model: MeasuredModel | None = None
        self._seen: Contract | None = None  # the last that was loaded or refused
        self._error: BackendError = BackendUnavailable("No model has been loaded yet.")
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the backend while the block lasts."""
        await self._backend.start()
        self._seen = None
        try:
            await self.refresh()
            watch = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
        finally:
            self._model = self.shadow = None
            await self._backend.stop()

    def current(self) -> MeasuredModel:
        """The version that answers; raises why there is none."""
        if self._model is None:
            raise self._error
        return self._model

    async def ready(self) -> Model:
        """The version that answers, once the backend has confirmed that it would."""
        model = self.current()
        await self._backend.ready()
        return model

    async def reload(self) -> None:
        """Have the backend read its repository anew and follow; raises LoadFailed if it cannot."""
        if refusal := await self._backend.reload():
            self._refuse(refusal)
        else:
            if self.refused:
                self._pardon()
            await self.refresh()
        if self.refused:
            raise LoadFailed(
                f"Version {self.refused.version} was refused, and what was served before still is: "
                f"{self.refused.detail}"
            )

    async def refresh(self) -> None:
        """Look at what is served now, and take it over once it is loaded and verified."""
        async with self._lock:
            try:
                contract = await self._backend.served()
            except ContractError as exc:
                self._error = exc
                self._refuse(Refusal("unknown", exc.detail))
            except BackendError as exc:
                self._error = exc  # the version that answered may be there again in a moment
            else:
                await self._follow(contract)
            if self._shadow_version and self._shadow_due:
                await self._load_shadow(self._shadow_version)

    async def _follow(self, contract: Contract) -> None:
        if self._model and contract == self._model.contract:
            if contract != self._seen:
                self._pardon()  # back from a version that was refused
        elif contract != self._seen:
            await self._take(contract)

    async def _take(self, contract: Contract) -> None:
        try:
            model = await self._backend.load(contract)
        except _PASSING as exc:
            self._error = exc
            return
        except BackendError as exc:
            self._error = exc
            self._seen = contract
            self._refuse(Refusal(contract.version, exc.detail))
            return
        self._model = measured(model, self._metrics)
        self._pardon()
        self._shadow_due = self._shadow_version is not None
        _log.info("serving", extra={"fields": {"version": contract.version}})

    def _refuse(self, refusal: Refusal) -> None:
        if refusal != self.refused:
            self.refused = refusal
            self._metrics.refuses(refusal.version)
            _log.error("version refused", extra={"fields": vars(refusal)})

    def _pardon(self) -> None:
        """Nothing else is asked for than what answers, as far as we know."""
        self.refused = None
        if self._model:
            self._seen = self._model.contract
            self._metrics.serves(self._seen)

    async def _load_shadow(self, version: str) -> None:
        try:
            self.shadow = await self._backend.load(await self._backend.version(version))
        except BackendError as exc:
            self._shadow_due = isinstance(exc, _PASSING)
            if exc.detail != self._shadow_error:  # once, not every second
                fields = {"version": version, "detail": exc.detail}
                _log.error("shadow refused", extra={"fields": fields})
            self._shadow_error = exc.detail
        else:
            self._shadow_due, self._shadow_error = False, None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self.refresh()
