"""The gateway as a process."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from onegauge.service.app import create_app
from onegauge.service.http.connection import Connection
from onegauge.service.http.gateway import Gateway
from onegauge.service.model.model import Backend
from onegauge.service.observe.logs import configure_logs
from onegauge.service.settings import Settings

_log = logging.getLogger("onegauge.server")
_NEW_OBJECTS = 20_000  # after which garbage is looked for; requests leave none
_WILDCARDS = {"0.0.0.0", "::"}


def run(settings: Settings, backend: Backend) -> None:
    """Run the gateway until it is told to stop."""
    configure_logs(settings.log_format, settings.log_level)
    if settings.api_keys == "off":
        _log.warning(
            "API keys are off: everybody who can reach %s may use the gateway", settings.host
        )
    _Server(settings, create_app(settings, backend)).run()


def leave_alone_what_stays() -> None:
    """Look for garbage more seldom, and never among what was there before the first request.

    To look through all of that takes longer than the event loop may be held.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


class _Server(uvicorn.Server):
    """Says how to use the gateway as soon as it listens, and ends in good order.

    SIGTERM: not ready any more, then no new connections, then the end with status 0 as soon as
    the requests under way are answered, or the grace period is over. A second one ends at once.
    """

    def __init__(self, settings: Settings, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            settings.host,
            settings.port,
            log_config=None,
            http=Connection,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.grace_s,
        )
        super().__init__(config)
        self._gateway: Gateway = app.state.gateway
        self._drain_s = settings.drain_s

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM:
            self._gateway.shutting_down = True  # which ends what would go on for long
            super().handle_exit(sig, frame)  # Ctrl-C: nobody waits for a balancer
        elif self._gateway.shutting_down:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        else:
            # not left to uvicorn, which would raise the signal again after an end in good order
            self._gateway.shutting_down = True
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_s, self._end)

    def _end(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            leave_alone_what_stays()
            port = self.servers[0].sockets[0].getsockname()[1]
            review = self._gateway.records is not None
            sys.stdout.write(_welcome(self.config.host, port, review=review))
            sys.stdout.flush()


def _welcome(host: str, port: int, *, review: bool) -> str:
    host = "localhost" if host in _WILDCARDS else host
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    lines = [
        f"onegauge listens on {url}",
        "",
        f"  Try it   curl -F image=@{_sample()} {url}/inspect",
        f"  Explore  {url}/docs",
    ]
    if review:
        lines.append(f"  Review   {url}/review")
    return "\n".join(["", *lines, "", ""])


def _sample() -> Path:
    """A sample image of the project, where there is one."""
    folders = (Path("docs/samples"), Path(__file__).parents[2] / "docs" / "samples")
    found = (file for folder in folders for file in sorted(folder.glob("*.[jp][pn]g")))
    return next(found, Path("photo.jpg"))
