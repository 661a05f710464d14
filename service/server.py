"""The gateway as a process."""

import socket
import sys
from pathlib import Path

import uvicorn

from service.app import create_app
from service.backends import load_backend
from service.logs import configure_logs
from service.settings import Settings

GRACE_S = 10  # for requests in flight when the process is told to stop
_WILDCARDS = {"0.0.0.0", "::"}


def serve(settings: Settings) -> None:
    """Run the gateway until it is told to stop.

    Raises a subclass of `service.errors.BackendError` when the model cannot be loaded.
    """
    app = create_app(settings, load_backend(settings))
    configure_logs(settings.log_format, settings.log_level)
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    _Server(config).run()


class _Server(uvicorn.Server):
    """Says how to use the gateway as soon as it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            sys.stdout.write(_welcome(self.config.host, port))
            sys.stdout.flush()


def _welcome(host: str, port: int) -> str:
    host = "localhost" if host in _WILDCARDS else host
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"""
onegauge listens on {url}

  Try it   curl -F image=@{_sample()} {url}/inspect
  Explore  {url}/docs

"""


def _sample() -> Path:
    """A sample image of the project, where there is one."""
    folders = (Path("docs/samples"), Path(__file__).parents[1] / "docs" / "samples")
    found = (file for folder in folders for file in sorted(folder.glob("*.[jp][pn]g")))
    return next(found, Path("photo.jpg"))
