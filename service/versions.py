"""The model version that answers, and how another one takes its place while requests go on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.backends import Backend, Model, Refusal
from service.contract import Contract
from service.errors import BackendError, BackendUnavailable, LoadFailed
from service.metrics import Metrics

WATCH_S = 1.0  # between looks at what is served

_log = logging.getLogger("onegauge.versions")


class Versions:
    """Follows what the backend says is served, and keeps the last version that proved itself."""

    def __init__(self, backend: Backend, metrics: Metrics, shadow: str | None = None) -> None:
        self.refused: Refusal | None = None
        self.shadow: Model | None = None
        self._backend = backend
        self._metrics = metrics
        self._shadow_version = shadow
        self._model: Model | None = None
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

    def current(self) -> Model:
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
            except BackendError as exc:
                self._error = exc  # the version that answered may be there again in a moment
                return
            if contract == self._seen:
                return
            await self._take(contract)
            await self._load_shadow()

    async def _take(self, contract: Contract) -> None:
        try:
            model = await self._backend.load(contract)
        except BackendUnavailable as exc:
            self._error = exc  # it says nothing about the version
            return
        except BackendError as exc:
            self._error = exc
            self._refuse(Refusal(contract.version, exc.detail))
        else:
            self._model, self.refused = model, None
            self._metrics.serves(contract)
            _log.info("serving", extra={"fields": {"version": contract.version}})
        self._seen = contract

    def _refuse(self, refusal: Refusal) -> None:
        self.refused = refusal
        self._metrics.refuses(refusal.version)
        _log.error("version refused", extra={"fields": vars(refusal)})

    async def _load_shadow(self) -> None:
        if self._shadow_version is None:
            return
        try:
            contract = await self._backend.version(self._shadow_version)
            self.shadow = await self._backend.load(contract)
        except BackendError as exc:
            fields = {"version": self._shadow_version, "detail": exc.detail}
            _log.error("shadow refused", extra={"fields": fields})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self.refresh()
