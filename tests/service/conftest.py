"""A gateway on the tiny gauge model, and parts to inspect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.backends import Backend, load_backend
from service.settings import Settings
from tests.service.pictures import encode

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
def client(gateway: Gateway) -> TestClient:
    return gateway()


@pytest.fixture(scope="session")
def normal() -> bytes:
    """A dark part of 96 x 64 pixels."""
    return encode(Image.new("RGB", (96, 64), (40, 40, 40)))


@pytest.fixture(scope="session")
def defective() -> bytes:
    """The part with a white spot at x 64..79, y 16..23."""
    image = Image.new("RGB", (96, 64), (40, 40, 40))
    image.paste((255, 255, 255), (64, 16, 80, 24))
    return encode(image)
