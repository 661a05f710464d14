"""A gateway in this process: on a real port in a thread, or asked without one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings


@contextmanager
def served(repository: Path, **options: object) -> Iterator[str]:
    """Its address, while the block lasts; `options` are fields of the settings."""
    server = uvicorn.Server(uvicorn.Config(_app(repository, options), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes calls before uvicorn does
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def in_process(repository: Path, **options: object) -> Iterator[TestClient]:
    """A client that needs no port, while the block lasts; `options` as above."""
    with TestClient(_app(repository, options)) as client:
        yield client


def _app(repository: Path, options: dict[str, object]) -> FastAPI:
    settings = Settings(repository=repository, inference_threads=1, **options)
    return create_app(settings, load_backend(settings))
