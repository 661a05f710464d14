"""A gateway in this process: on a real port in a thread, or asked without one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from onegauge.records.errors import RecordsUnavailable
from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings

if TYPE_CHECKING:
    from onegauge.service.recording.records import Records

REACHED_WITHIN_S = 300.0


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


def records_of(client: TestClient) -> "Records":
    """What its gateway remembers, once the database was reached, also beside other work."""
    records: Records = client.app.state.gateway.records
    give_up = monotonic() + REACHED_WITHIN_S
    while True:
        client.portal.call(records.flush)
        try:
            records.database  # noqa: B018
        except RecordsUnavailable:
            assert monotonic() < give_up
            sleep(0.05)
        else:
            return records


def _app(repository: Path, options: dict[str, object]) -> FastAPI:
    settings = Settings(repository=repository, inference_threads=1, **options)
    return create_app(settings, load_backend(settings))
