"""Faults and changes while requests go on: each is answered rightly, or told 503 or 504."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import numpy as np
import onnx
import pytest
import tritonclient.grpc
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelConfig

from onegauge.export.errors import RepositoryError
from onegauge.export.publish import ModelSpec, add_version, model_config, publish, rollback
from onegauge.service.model.repository import read_config
from rig.address import free_address
from rig.gateway_process import Process, gateway_process
from rig.pictures import encode, picture
from rig.publishing import add_and_publish
from rig.tritonserver import tritonserver
from tests.conftest import CELL, HEIGHT, MAX_BATCH_SIZE, PROVENANCE, WIDTH
from tests.line import CLIENTS, Clients, wait_until

MODEL = "onegauge"
PROBLEM = "application/problem+json"
RECOVERED_WITHIN_S = 5.0
EXPLICIT = ("--model-control-mode=explicit", f"--load-model={MODEL}")
ADMIN_KEY = "sesame"
RESTRICTED = f"--grpc-restricted-protocol=model-repository:admin-key={ADMIN_KEY}"


def part(*, defective: bool) -> bytes:
    image = Image.new("RGB", (96, 64), (40, 40, 40))
    if defective:
        image.paste((255, 255, 255), (64, 16, 80, 24))
    return encode(image)


PARTS = {"normal": part(defective=False), "anomalous": part(defective=True)}


class Load(Clients):
    """Clients that send one part after the other, and note what they were told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.told: list[str] = []  # version that answered rightly, or status of the refusal

    def until(self, wanted: str) -> None:
        """Wait until the last answers are all as wanted."""
        wait_until(lambda: self.told[-3 * CLIENTS :] == [wanted] * 3 * CLIENTS)

    def ask(self, gateway: httpx.Client, number: int) -> bool:
        """Send some parts, all normal or all anomalous."""
        self.told.append(send(gateway, list(PARTS)[number % 2]))
        return True


def send(gateway: httpx.Client, expected: str, images: int = 5) -> str:
    """The version that decided rightly on all images, or the status of a problem."""
    response = gateway.post("/inspect", files=[("image", PARTS[expected])] * images)
    if response.status_code != 200:
        assert response.headers["Content-Type"] == PROBLEM
        assert response.status_code in (503, 504), response.text
        return str(response.status_code)
    answer = response.json()
    assert [result["decision"] for result in answer["results"]] == [expected] * images
    return answer["model"]["version"]


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz").status_code == 200


def open_files(process: Process) -> int:
    return len(list(Path(f"/proc/{process.popen.pid}/fd").iterdir()))


@pytest.fixture
def repository(gauge_repository: Path, tmp_path: Path) -> Path:
    """The gauge for a Triton without ONNX Runtime backend; the embedded backend takes it, too."""
    folder = gauge_repository / MODEL
    config = read_config(folder, "config.pbtxt")
    config.backend = "python"
    add_and_publish(tmp_path / "repository", config, folder / "1" / "model.onnx")
    return tmp_path / "repository"


def add_another(repository: Path, graph: Path | None = None) -> int:
    """The same gauge, or another graph, as the next version; not served yet."""
    folder = repository / MODEL
    config: ModelConfig = read_config(folder, "1/config.pbtxt")
    return add_version(repository, config, graph or folder / "1" / "model.onnx")


@pytest.fixture
def address() -> str:
    return free_address()


@contextmanager
def triton_gateway(repository: Path, address: str, **settings: str) -> Iterator[Process]:
    choice = {"ONEGAUGE_BACKEND": "triton", "ONEGAUGE_TRITON_URL": address}
    with gateway_process(repository, **choice, **settings) as process:
        yield process


@pytest.mark.drill
@pytest.mark.triton
def test_gateway_waits_for_a_triton_that_comes_late(repository, address, tmp_path):
    with triton_gateway(repository, address) as gateway:
        assert httpx.get(f"{gateway.url}/healthz").status_code == 200
        assert httpx.get(f"{gateway.url}/readyz").status_code == 503
        with httpx.Client(base_url=gateway.url) as client:
            assert send(client, "normal") == "503"
        with tritonserver(repository, tmp_path / "log", address):
            assert wait_until(lambda: is_ready(gateway.url)) < RECOVERED_WITHIN_S
            with httpx.Client(base_url=gateway.url) as client:
                assert send(client, "normal") == send(client, "anomalous") == "1"


@pytest.mark.triton
@pytest.mark.parametrize("shared_memory", ["false", pytest.param("true", marks=pytest.mark.drill)])
def test_triton_killed_under_load_costs_refusals_and_nothing_else(
    repository, address, tmp_path, shared_memory
):
    choice = {"ONEGAUGE_TRITON_SHARED_MEMORY": shared_memory}
    with triton_gateway(repository, address, **choice) as gateway:
        with (
            tritonserver(repository, tmp_path / "log", address) as triton,
            Load(gateway.url) as load,
        ):
            load.until("1")
            before = open_files(gateway)
            triton.kill()
            load.until("503")
            gone = httpx.get(f"{gateway.url}/readyz")
            assert (gone.status_code, gone.headers["Content-Type"]) == (503, PROBLEM)
            assert address in gone.json()["detail"]
            assert httpx.get(f"{gateway.url}/healthz").status_code == 200
            triton.wait()
            with tritonserver(repository, tmp_path / "log2", address):
                assert wait_until(lambda: load.told[-1] == "1") < RECOVERED_WITHIN_S
                load.until("1")
                after = open_files(gateway)
        assert set(load.told) <= {"1", "503", "504"}
        assert after <= before + 1
        metrics = httpx.get(f"{gateway.url}/metrics").text
        assert "onegauge_requests_in_flight 0.0" in metrics
        assert "onegauge_buffered_bytes 0.0" in metrics


@pytest.mark.drill
@pytest.mark.triton
def test_triton_that_hangs_costs_no_more_than_the_deadline(repository, address, tmp_path):
    with (
        triton_gateway(repository, address) as gateway,
        tritonserver(repository, tmp_path / "log", address) as triton,
    ):
        wait_until(lambda: is_ready(gateway.url))
        triton.send_signal(signal.SIGSTOP)
        try:
            files = [("image", PARTS["normal"])]
            start = monotonic()
            late = httpx.post(
                f"{gateway.url}/inspect", files=files, headers={"Request-Timeout": "0.5"}
            )
            assert monotonic() - start < 2
            assert late.status_code == 504
            assert httpx.get(f"{gateway.url}/readyz").status_code == 504
            assert httpx.get(f"{gateway.url}/healthz").status_code == 200
        finally:
            triton.send_signal(signal.SIGCONT)
        assert wait_until(lambda: is_ready(gateway.url)) < RECOVERED_WITHIN_S
        with httpx.Client(base_url=gateway.url) as client:
            assert send(client, "anomalous") == "1"


@pytest.mark.drill
@pytest.mark.triton
def test_model_that_is_unloaded_or_replaced_by_one_of_another_size(
    repository, address, tmp_path, gauge_model
):
    with (
        triton_gateway(repository, address) as gateway,
        tritonserver(repository, tmp_path / "log", address, *EXPLICIT),
        tritonclient.grpc.InferenceServerClient(address) as triton,
        httpx.Client(base_url=gateway.url) as client,
    ):
        wait_until(lambda: is_ready(gateway.url))
        triton.unload_model(MODEL)
        assert send(client, "normal") == "503"
        assert client.get("/readyz").status_code == 503
        shutil.rmtree(repository / MODEL)
        add_and_publish(repository, *halved(gauge_model, tmp_path))
        triton.load_model(MODEL)
        assert send(client, "anomalous") == "1"
        assert client.get("/model").json()["height"] == 16


def halved(gauge_model: Path, folder: Path) -> tuple[ModelConfig, Path]:
    """The gauge for images of half the height, with its configuration."""
    graph = onnx.load(gauge_model)
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = HEIGHT // 2
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = HEIGHT // 2 // CELL
    onnx.save(graph, folder / "halved.onnx")
    sizes = (HEIGHT // 2, WIDTH), (HEIGHT // 2 // CELL, WIDTH // CELL)
    spec = ModelSpec(MODEL, *sizes, MAX_BATCH_SIZE, "python", PROVENANCE)
    return model_config(spec), folder / "halved.onnx"


@pytest.mark.drill
@pytest.mark.triton
def test_wrong_model_name_is_told(repository, address, tmp_path):
    with (
        tritonserver(repository, tmp_path / "log", address),
        triton_gateway(repository, address, ONEGAUGE_MODEL="onegage") as gateway,
    ):
        told = httpx.get(f"{gateway.url}/readyz")
        assert told.status_code == 503
        assert "'onegage'" in told.json()["detail"]


@pytest.fixture(params=["embedded", pytest.param("triton", marks=pytest.mark.triton)])
def gateway(
    request: pytest.FixtureRequest, repository: Path, address: str, tmp_path: Path
) -> Iterator[Process]:
    """A gateway of either kind that is ready."""
    if request.param == "embedded":
        with gateway_process(repository) as process:
            yield process
        return
    key = tmp_path / "admin_key"
    key.write_text(f"{ADMIN_KEY}\n")
    with (
        tritonserver(repository, tmp_path / "log", address, *EXPLICIT, RESTRICTED),
        triton_gateway(repository, address, ONEGAUGE_TRITON_ADMIN_KEY=str(key)) as process,
    ):
        wait_until(lambda: is_ready(process.url))
        yield process


def test_versions_change_under_load_without_a_dropped_or_mixed_answer(gateway, repository):
    version = add_another(repository)
    with Load(gateway.url) as load:
        load.until("1")
        publish(repository, MODEL, version)
        assert (
            httpx.post(f"{gateway.url}/v1/model/reload", timeout=60).json()["model"]["version"]
            == "2"
        )
        load.until("2")
        assert rollback(repository, MODEL) == 1
        httpx.post(f"{gateway.url}/v1/model/reload", timeout=60)
        load.until("1")
    assert set(load.told) == {"1", "2"}


@pytest.mark.triton
def test_models_are_loaded_by_who_has_the_admin_key(repository, address, tmp_path):
    with (
        tritonserver(repository, tmp_path / "log", address, *EXPLICIT, RESTRICTED),
        triton_gateway(repository, address) as gateway,
    ):
        wait_until(lambda: is_ready(gateway.url))
        refused = httpx.post(f"{gateway.url}/v1/model/reload", timeout=60)
        assert refused.status_code == 503
        assert "restricted" in refused.json()["detail"]
        assert is_ready(gateway.url)


def test_broken_version_is_refused_and_the_old_one_goes_on(gateway, repository, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((repository / MODEL / "1" / "model.onnx").read_bytes()[:-100])
    version = add_another(repository, broken)
    with Load(gateway.url) as load:
        load.until("1")
        publish(repository, MODEL, version)
        told = httpx.post(f"{gateway.url}/v1/model/reload", timeout=60)
        load.until("1")
    assert set(load.told) == {"1"}
    assert told.json()["type"] == "/problems/load-failed"
    assert "Version 2" in told.json()["detail"]
    assert str(repository) not in told.text
    ready = httpx.get(f"{gateway.url}/readyz").json()
    assert ready["model"]["version"] == "1"
    assert ready["refused"]["version"] == "2"
    assert 'onegauge_model_refused{version="2"} 1.0' in httpx.get(f"{gateway.url}/metrics").text


def test_full_disk_leaves_the_repository_as_it_was(repository, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    with small_disk(small):
        shutil.copytree(repository, small / "repository")
        before = {p: p.stat().st_size for p in (small / "repository").rglob("*")}
        big = tmp_path / "big.onnx"
        big.write_bytes(bytes(2**20))
        with pytest.raises(RepositoryError, match="No space left on device"):
            add_another(small / "repository", big)
        assert {p: p.stat().st_size for p in (small / "repository").rglob("*")} == before


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 512 KB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_log_of_a_gateway_has_no_path_of_the_server(gateway, repository):
    httpx.post(f"{gateway.url}/inspect", files=[("image", b"no image")])
    gateway.popen.terminate()
    status, log = gateway.end()
    assert status == 0
    assert str(repository) not in log
    for line in log.splitlines():
        json.loads(line)


@pytest.mark.drill
def test_5000_damaged_images_cost_nothing_but_refusals(gauge_repository):
    rng = np.random.default_rng(0)
    files = [encode(picture(), encoding) for encoding in ("JPEG", "PNG", "WEBP", "BMP", "TIFF")]
    with gateway_process(gauge_repository) as process, httpx.Client(base_url=process.url) as client:
        for sent in range(0, 5000, 10):
            damaged = [damage(files[i % len(files)], rng) for i in range(10)]
            parts = [("image", image) for image in damaged]
            response = client.post("/v1/inspect", files=parts, params={"map": "overlay"})
            assert response.status_code in (200, 413, 415, 422), response.text
            if sent == 1000:
                before = resident_kib(process)
        assert resident_kib(process) < before + 64 * 2**10  # one large picture, not thousands
        assert client.get("/readyz").status_code == 200


def damage(image: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, perhaps a piece cut out, doubled or cut off."""
    data = bytearray(image)
    for position in rng.integers(0, len(data), rng.integers(1, 8)):
        data[position] = rng.integers(256)
    start, end = sorted(rng.integers(0, len(data), 2))
    match rng.integers(4):
        case 0:
            del data[start:end]
        case 1:
            data[start:start] = data[start:end]
        case 2:
            del data[end:]
    return bytes(data)


def resident_kib(process: Process) -> int:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
