"""A gateway on a real port, in a thread of this process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import uvicorn

from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings


@contextmanager
def served(repository: Path, **options: object) -> Iterator[str]:
    """Its address, while the block lasts; `options` are fields of the settings."""
    settings = Settings(repository=repository, inference_threads=1, **options)
    config = uvicorn.Config(create_app(settings, load_backend(settings)), log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes calls before uvicorn does
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
