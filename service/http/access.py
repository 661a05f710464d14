"""Who may use a route, and how often: API keys, scopes and rate limits."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from onegauge.service.errors import Forbidden, KeysUnreadable, TooManyRequests, Unauthorized
from onegauge.service.http.keys import Key, KeyFile, KeyFileError, Scope
from onegauge.service.settings import Settings

SCHEME = "HTTPBearer"  # as OpenAPI calls it
ACCESS_PROBLEMS = (Unauthorized, Forbidden, TooManyRequests, KeysUnreadable)  # that `allow` raises
_bearer = HTTPBearer(
    scheme_name=SCHEME, auto_error=False, description="A key that `onegauge key` made"
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Access:
    """Checks a request's key; with keys turned off, everybody may do everything."""

    def __init__(self, settings: Settings) -> None:
        self._keys = KeyFile(settings.api_keys) if isinstance(settings.api_keys, Path) else None
        self._rate = _Rate(settings.rate_limit) if settings.rate_limit else None

    @property
    def open(self) -> bool:
        """Whether keys are turned off."""
        return self._keys is None

    def keys_unreadable(self) -> bool:
        """Whether the file of the keys cannot be used now."""
        return self._keys is not None and not self._keys.usable()

    def check(self, secret: str | None, *scopes: Scope) -> str | None:
        """The name of the key, which has one of the scopes.

        Raises Unauthorized, Forbidden, TooManyRequests or KeysUnreadable.
        """
        if self._keys is None:
            return None
        if secret is None:
            raise Unauthorized("Send an API key as 'Authorization: Bearer KEY'.")
        with _read_errors():
            key = self._keys.find(secret)
        if key is None:
            raise Unauthorized("The API key is not known, or was revoked.")
        if not key.scopes.intersection(scopes):
            raise Forbidden(f"The API key {key.name} has not the scope {' or '.join(scopes)}.")
        if self._rate:
            self._rate.count(key.name)
        return key.name

    def named(self, name: str) -> Key | None:
        """The key of this name, None where there is none; raises KeysUnreadable."""
        if self._keys is None:
            return None
        with _read_errors():
            return self._keys.named(name)


class _Rate:
    """How often each key may be used."""

    def __init__(self, limit: str) -> None:
        from limits import parse, storage, strategies  # takes long, and few gateways have a rate

        self._limit = parse(limit)
        self._limiter = strategies.MovingWindowRateLimiter(storage.MemoryStorage())

    def count(self, name: str) -> None:
        """Once more; raises TooManyRequests."""
        if not self._limiter.hit(self._limit, name):
            reset, _ = self._limiter.get_window_stats(self._limit, name)
            raise TooManyRequests(
                f"The API key {name} is good for {self._limit}.",
                retry_after=max(1, ceil(reset - time.time())),
            )


@contextmanager
def _read_errors() -> Iterator[None]:
    try:
        yield
    except KeyFileError as exc:
        raise KeysUnreadable(
            "The gateway cannot read its API keys and accepts none until it can; see its log."
        ) from exc


async def allow(request: Request, *scopes: Scope) -> None:
    """Let a request pass whose key has one of the scopes; raises as `Access.check` does."""
    access: Access = request.app.state.gateway.access
    if access.open:
        return
    credentials = await _bearer(request)
    name = access.check(credentials.credentials if credentials else None, *scopes)
    if name is not None:
        request.state.access["key"] = name


def needs(*scopes: Scope) -> Callable[..., Awaitable[None]]:
    """A dependency that does so, and has OpenAPI tell of it."""

    async def allowed(request: Request, _credentials: Credentials) -> None:
        await allow(request, *scopes)

    return allowed


async def needs_for_metrics(request: Request, _credentials: Credentials) -> None:
    """A dependency that asks for a key only where the settings say so."""
    if request.app.state.gateway.settings.metrics_need_key:
        await allow(request, "read")
