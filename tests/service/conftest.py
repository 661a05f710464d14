"""A gateway on the tiny gauge model, and parts to inspect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.model.model import Backend
from onegauge.service.settings import Settings
from rig.receiver import Receiver, receiver
from tests.service.served import records_of

Gateway = Callable[..., TestClient]


@pytest.fixture
def gateway(gauge_repository: Path) -> Iterator[Gateway]:
    """Starts a gateway with the given settings, on the given backend instead of the gauge's."""
    with ExitStack() as running:

        def start(backend: Backend | None = None, **settings: object) -> TestClient:
            chosen = Settings(repository=gauge_repository, inference_threads=1, **settings)
            app = create_app(chosen, backend or load_backend(chosen))
            return running.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture
def recording(gateway: Gateway, tmp_path: Path) -> Gateway:
    """Starts a gateway with records in a SQLite file, which it has reached."""

    def start(backend: Backend | None = None, **settings: object) -> TestClient:
        client = gateway(backend, records=f"sqlite:///{tmp_path}/records/records.db", **settings)
        records_of(client)
        return client

    return start


@pytest.fixture
def mes() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiver() as server:
        yield server


@pytest.fixture
def sinks_file(mes: Receiver, tmp_path: Path) -> Path:
    """Settings of one sink, by which the receiver is told of all."""
    file = tmp_path / "sinks.toml"
    file.write_text(f'[mes]\nkind = "webhook"\nurl = "{mes.url}"\n')
    return file


@pytest.fixture
def telling(gateway: Gateway, sinks_file: Path) -> Gateway:
    """Starts a gateway with this sink."""
    return partial(gateway, sinks=sinks_file)


@pytest.fixture
def client(gateway: Gateway) -> TestClient:
    return gateway()
