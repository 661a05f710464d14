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
    """Starts a gateway with records in a SQLite file."""
    return partial(gateway, records=f"sqlite:///{tmp_path}/records/records.db")


@pytest.fixture
def client(gateway: Gateway) -> TestClient:
    return gateway()
