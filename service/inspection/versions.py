"""The model version that answers, and how another one takes its place while requests go on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from time import monotonic

from onegauge.service.errors import (
    BackendError,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    ContractError,
    LoadFailed,
    UnpromisedRate,
)
from onegauge.service.inspection.background import MAX_PAUSE_S, Background
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Backend, Model, Refusal
from onegauge.service.observe.metrics import Metrics

FOLLOW_S = 1.0  # between looks at what is served
# Errors that say nothing about the version, which is tried again
_PASSING = (BackendOverloaded, BackendTimeout, BackendUnavailable)

_log = logging.getLogger("onegauge.versions")


class Versions:
    """Follows what the backend says is served, and keeps the last version that proved itself."""

    def __init__(
        self,
        backend: Backend,
        metrics: Metrics,
        check: Callable[[Contract], None],
        shadow: str | None = None,
    ) -> None:
        """`check` raises UnpromisedRate for a version that is not to take another one's place."""
        self.shadow: Model | None = None
        self._refusal: Refusal | None = None
        self._unreadable: Refusal | None = None  # while nobody can tell what is served
        self._backend = backend
        self._check = check
        self._metrics = metrics
        self._following = Background("versions", metrics)
        self._shadow_version = shadow
        self._shadow_again = _Again(never=True)
        self._shadow_error: str | None = None
        self._model: Model | None = None
        self._seen: Contract | None = None  # the last that was loaded or refused
        self._again = _Again(never=True)
        self._told: Refusal | None = None
        self._error: BackendError = BackendUnavailable("No model has been loaded yet.")
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the backend while the block lasts."""
        await self._backend.start()
        self._seen = None
        try:
            await self.refresh()
            self._following.repeat(self.refresh, FOLLOW_S)
            try:
                yield
            finally:
                await self._following.stop()
        finally:
            self._model = self.shadow = None
            await self._backend.stop()

    @property
    def refused(self) -> Refusal | None:
        """What was to be served and could not be, None where what is asked for answers."""
        return self._unreadable or self._refusal

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
            if self.refused:
                self._pardon()
            await self.refresh()
        if self.refused:
            raise LoadFailed(
                f"Version {self.refused.version} was refused, and what was served before still is: "
                f"{self.refused.detail}"
            )

    async def shadow_on(self, version: str | None) -> None:
        """Have a version be the shadow, once it is loaded, or none."""
        async with self._lock:
            self._shadow_version, self.shadow = version, None
            self._shadow_again, self._shadow_error = _Again(), None
        await self.refresh()

    async def refresh(self) -> None:
        """Look at what is served now, and take it over once it is loaded and verified."""
        async with self._lock:
            try:
                contract = await self._backend.served()
            except ContractError as exc:
                self._error = exc
                self._unreadable = Refusal("unknown", exc.detail)
                self._tell()
            except BackendError as exc:
                self._error = exc  # the version that answered may be there again in a moment
            else:
                if self._unreadable:
                    self._unreadable = None
                    self._tell()
                await self._follow(contract)
            if self._shadow_version and self._shadow_again.due:
                await self._load_shadow(self._shadow_version)

    async def _follow(self, contract: Contract) -> None:
        if self._model and contract == self._model.contract:
            if contract != self._seen:
                self._pardon()  # back from a version that was refused
        elif contract != self._seen:
            self._again = _Again()
            await self._take(contract)
        elif self._again.due:
            await self._take(contract)

    async def _take(self, contract: Contract) -> None:
        try:
            if self._model:  # which can go on
                self._check(contract)
            model = await self._backend.load(contract)
        except _PASSING as exc:
            self._error = exc
            return
        except BackendError as exc:
            self._error = exc
            self._seen = contract
            self._again.failed(exc)
            self._refuse(Refusal(contract.version, exc.detail))
            return
        self._model = model
        self._pardon()
        self._shadow_again = _Again()
        _log.info("serving", extra={"fields": {"version": contract.version}})

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._tell()

    def _pardon(self) -> None:
        """Nothing else is asked for than what answers, as far as we know."""
        self._refusal = self._seen = None
        if self._model:
            self._seen = self._model.contract
            self._metrics.model.serves(self._seen)  # and with it that nothing is refused
            self._told = None
        self._tell()

    def _tell(self) -> None:
        """Tell of what is refused when that has changed."""
        refused = self.refused
        if refused == self._told:
            return
        self._told = refused
        self._metrics.model.refuses(refused.version if refused else None)
        if refused:
            _log.error("version refused", extra={"fields": vars(refused)})

    async def _load_shadow(self, version: str) -> None:
        try:
            self.shadow = await self._backend.load(await self._backend.version(version))
        except BackendError as exc:
            self._shadow_again.failed(exc)
            if exc.detail != self._shadow_error:  # once, not every second
                fields = {"version": version, "detail": exc.detail}
                _log.error("shadow refused", extra={"fields": fields})
            self._shadow_error = exc.detail
        else:
            self._shadow_again, self._shadow_error = _Again(never=True), None


class _Again:
    """Whether to try once more what failed: what may mend by itself, ever more seldom."""

    def __init__(self, *, never: bool = False) -> None:
        self._at = inf if never else -inf
        self._pause = FOLLOW_S / 2

    @property
    def due(self) -> bool:
        return monotonic() >= self._at

    def failed(self, error: BackendError) -> None:
        """Wait as the error suggests."""
        if isinstance(error, _PASSING):
            self._at = -inf
        elif _may_mend(error):
            self._pause = min(2 * self._pause, MAX_PAUSE_S)
            self._at = monotonic() + self._pause
        else:
            self._at = inf


def _may_mend(error: BackendError) -> bool:
    """Whether files that are still copied are the cause, or a criterion that can be another."""
    return isinstance(error, UnpromisedRate) or (isinstance(error, ContractError) and error.passing)
