"""No request holds the event loop, on which all others wait, for longer than a moment."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Thread, get_ident
from time import thread_time

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from onegauge.service.app import create_app
from onegauge.service.http.connection import Connection
from onegauge.service.model.backends import load_backend
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Backend
from onegauge.service.model.outputs import Outputs
from onegauge.service.observe.drift import WINDOW
from onegauge.service.observe.metrics import MAX_LINES, Metrics
from onegauge.service.settings import Settings
from rig.pictures import encode
from tests.service.decisions import decision
from tests.service.fake_backend import FakeBackend, FakeModel

MOMENT_S = 5e-3  # of the loop's thread; time that others take from it does not count
TURNS = 375_000  # of an empty loop take a core at rest a moment: others slow it down, too
ATTEMPTS = 10  # a machine may stumble, but what blocks the loop blocks it each time
SIZE = 2400, 1600


@dataclass
class Observed:
    """A gateway on a port of its own, and the longest callback of its event loop."""

    url: str
    thread: int
    metrics: Metrics
    longest: float = 0.0
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def held(self, method: str, path: str, **request: object) -> float:
        """For how many seconds of a core at rest such a request holds the loop in one piece."""
        found = []
        for _ in range(1 + ATTEMPTS):  # the first one is for warmth
            self.longest = 0.0
            response = self.client.request(method, self.url + path, **request)
            assert response.status_code in (200, 415), response.text
            self.client.get(self.url + "/healthz")  # by when the callback that answered has ended
            found.append(self.longest * MOMENT_S / min(moment() for _ in range(3)))
            if found[-1] < MOMENT_S and len(found) > 1:
                break
        return min(found[1:])


def moment() -> float:
    """Seconds of a thread that a moment takes just now."""
    begun = thread_time()
    for _ in range(TURNS):
        pass
    return thread_time() - begun


@contextmanager
def observed(backend: Backend, settings: Settings) -> Iterator[Observed]:
    app = create_app(settings, backend)
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_config=None))
    run = asyncio.Handle._run
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.MonkeyPatch.context() as patch:
        loop = Thread(target=lambda: asyncio.run(server.serve([listening])))
        loop.start()
        gateway = Observed(
            f"http://127.0.0.1:{listening.getsockname()[1]}",
            loop.ident or 0,
            app.state.gateway.metrics,
        )
        gateway.client.get(gateway.url + "/healthz")

        def timed(handle: asyncio.Handle) -> None:
            begun = thread_time()
            run(handle)
            if get_ident() == gateway.thread:
                gateway.longest = max(gateway.longest, thread_time() - begun)

        patch.setattr(asyncio.Handle, "_run", timed)
        gc.collect()
        gc.disable()  # which stops whatever thread it falls on
        try:
            yield gateway
        finally:
            gc.enable()
            server.should_exit = True
            loop.join()
            gateway.client.close()


def settings(repository: Path, **options: object) -> Settings:
    return Settings(repository=repository, inference_threads=1, **options)


@pytest.fixture(scope="module")
def gateway(gauge_repository: Path) -> Iterator[Observed]:
    chosen = settings(gauge_repository)
    with observed(load_backend(chosen), chosen) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def large() -> bytes:
    """A picture whose regions are many, with outlines that are long."""
    spots = np.random.default_rng(0).integers(0, 2, (8, 12), np.uint8) * 255
    grey = Image.fromarray(spots).resize(SIZE, Image.Resampling.NEAREST)
    return encode(grey.convert("RGB"), "JPEG")


def test_views_of_a_part(gateway):
    bitmap = encode(Image.new("RGB", SIZE), "BMP")  # 12 MB, which are digested
    request = {"files": {"image": bitmap}, "params": {"part": "4711", "views": 2}}
    assert gateway.held("POST", "/inspect", **request) < MOMENT_S


def small(large: bytes) -> bytes:
    return encode(Image.open(BytesIO(large)).resize((640, 480)))


@pytest.mark.parametrize("encoding", ["none", "png", "png16", "npy", "mask", "overlay"])
def test_json(gateway, large, encoding):
    files = [("image", large)]
    assert gateway.held("POST", "/v1/inspect", files=files, params={"map": encoding}) < MOMENT_S


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("image/png", "overlay"),
        ("image/png", "png16"),
        ("image/jpeg", "overlay"),
        ("application/x-npy", "npy"),
        ("multipart/form-data", "npy"),
    ],
)
def test_other_forms(gateway, large, accept, encoding):
    request = {"headers": {"Accept": accept}, "params": {"map": encoding}}
    files = [("image", large)]
    assert gateway.held("POST", "/v1/inspect", files=files, **request) < MOMENT_S


def test_raw_body(gateway):
    noise = np.random.default_rng(0).integers(0, 256, (1600, 2400, 3), np.uint8)
    body = encode(Image.fromarray(noise), "BMP")
    request = {"content": body, "headers": {"Content-Type": "image/bmp"}}
    assert gateway.held("POST", "/v1/inspect", **request) < MOMENT_S


def test_mask_of_a_request(gateway, large):
    mask = encode(Image.new("L", SIZE, 255), "BMP")
    files = [("image", large), ("mask", mask)]
    assert gateway.held("POST", "/v1/inspect", files=files) < MOMENT_S


@pytest.mark.parametrize("options", [{}, {"map": "npy"}], ids=str)
def test_many_images(gateway, large, options):
    files = [("image", small(large))] * 24
    assert gateway.held("POST", "/v1/inspect", files=files, params=options) < MOMENT_S


def test_many_images_that_cannot_be_read(gateway):
    assert gateway.held("POST", "/v1/inspect", files=[("image", b"text")] * 64) < MOMENT_S


def test_lookout(gateway, large):
    path = "/2020-11-20/projects/press-3/models/1/detect"
    request = {"content": large, "headers": {"Content-Type": "image/jpeg"}}
    assert gateway.held("POST", path, **request) < MOMENT_S


@pytest.mark.parametrize("path", ["/v1/model", "/readyz", "/healthz", "/docs"])
def test_what_is_small(gateway, path):
    assert gateway.held("GET", path) < MOMENT_S


def test_reload(gateway):
    assert gateway.held("POST", "/v1/model/reload") < MOMENT_S


def test_metrics_of_many_lines(gauge_repository):
    chosen = settings(gauge_repository)
    with observed(load_backend(chosen), chosen) as gateway:
        for number in range(MAX_LINES):
            for _ in range(WINDOW):
                gateway.metrics.answered(decision(), f"line {number}")
        assert gateway.held("GET", "/metrics") < MOMENT_S


SPOTS = np.zeros((256, 256), np.float32)
SPOTS[::4, ::4] = 2


class Large(FakeBackend):
    """A model of large inputs in large batches, which is not at hand."""

    def __init__(self, **parameters: str) -> None:
        super().__init__()
        self.parameters = parameters

    async def version(self, number: str) -> Contract:
        sides = (512, 512, 256, 256)
        return Contract("large", number, *sides, 8, "onnxruntime", self.parameters)

    async def load(self, contract: Contract) -> "LargeModel":
        return LargeModel(contract, self)


class LargeModel(FakeModel):
    async def infer(self, images: np.ndarray, _deadline: float) -> Outputs:
        score = np.full(len(images), 2, np.float32)
        return Outputs(score, *[0 * score] * 5, np.stack([SPOTS] * len(images)))


def test_large_batches(gauge_repository, large):
    request = {"files": [("image", small(large))] * 40, "params": {"threshold": 3}}
    with observed(Large(), settings(gauge_repository)) as gateway:
        assert gateway.held("POST", "/v1/inspect", **request) < MOMENT_S


def test_tiles(gauge_repository, large):
    pytest.importorskip("pyvips")
    backend = Large(tile_size="256", tile_overlap="16")
    with observed(backend, settings(gauge_repository)) as gateway:
        request = {"files": [("image", large)], "params": {"threshold": 3}}
        assert gateway.held("POST", "/v1/inspect", **request) < MOMENT_S


def test_many_regions(gauge_repository, large):
    files = [("image", small(large))]
    with observed(Large(), settings(gauge_repository)) as gateway:
        assert gateway.held("POST", "/v1/inspect", files=files) < MOMENT_S


def test_records_and_lists_of_them(gauge_repository, large, tmp_path):
    chosen = settings(gauge_repository, records=f"sqlite:///{tmp_path}/records.db", keep="all")
    one, many = ([("image", small(large))] * count for count in (1, 40))
    with observed(Large(), chosen) as gateway:
        assert gateway.held("POST", "/v1/inspect", files=many, params={"threshold": 3}) < MOMENT_S
        assert gateway.held("POST", "/v1/inspect", files=one) < MOMENT_S
        params = {"limit": 500}
        assert gateway.held("GET", "/v1/inspections", params=params) < MOMENT_S
        page = gateway.client.get(f"{gateway.url}/v1/inspections", params=params).json()
        (of_many_regions, *others) = page["inspections"]
        assert len(others) >= 2 * len(many)
        path = f"/v1/inspections/{of_many_regions['id']}"
        assert gateway.held("GET", path) < MOMENT_S
        assert gateway.held("GET", f"{path}/overlay") < MOMENT_S
