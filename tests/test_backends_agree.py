"""The embedded backend and a real Triton give the same answers to the same HTTP requests."""

from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from fastapi.testclient import TestClient
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelQueuePolicy

from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend, shared_memory
from onegauge.service.model.repository import read_config, served_version
from onegauge.service.settings import Settings
from rig.address import free_address
from rig.publishing import add_and_publish
from rig.tritonserver import tritonserver

pytestmark = pytest.mark.triton

TOLERANCE = 1e-4  # in score units
MODEL = "onegauge"


def newest(repository: Path) -> tuple[ModelConfig, Path]:
    """Configuration and graph of the version that a repository serves."""
    folder = repository / MODEL
    return read_config(folder, "config.pbtxt"), served_version(folder).model_file()


def python_repository(repository: Path, folder: Path) -> Path:
    """The same graph, published for a Triton that has no ONNX Runtime backend."""
    config, graph = newest(repository)
    config.backend = "python"
    add_and_publish(folder / "repository", config, graph)
    return folder / "repository"


@pytest.fixture(scope="session")
def bundled_repository() -> Path:
    """The repository that the project comes with."""
    return Path(__file__).parents[1] / "model_repository"


@pytest.fixture(scope="module", params=["gauge_repository", "bundled_repository"])
def repository(request: pytest.FixtureRequest) -> Path:
    """Each repository that both backends serve."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Triton that serves the repository's graph by its Python backend."""
    folder = tmp_path_factory.mktemp("triton")
    address = free_address()
    with tritonserver(python_repository(repository, folder), folder / "log", address):
        yield address


@pytest.fixture(scope="module")
def embedded_client(repository: Path) -> Iterator[TestClient]:
    settings = Settings(repository=repository, model=MODEL)
    with TestClient(create_app(settings, load_backend(settings))) as client:
        yield client


@pytest.fixture(scope="module", params=[False, True], ids=["messages", "shared memory"])
def triton_client(request: pytest.FixtureRequest, triton: str) -> Iterator[TestClient]:
    settings = Settings(
        backend="triton", triton_url=triton, model=MODEL, triton_shared_memory=request.param
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_memory, "TIMEOUT_S", 60)  # a busy server is not given up
        with TestClient(create_app(settings, load_backend(settings))) as client:
            yield client
    assert regions(triton) == 0


def regions(triton: str) -> int:
    """How many places in shared memory Triton knows of."""
    with tritonclient.grpc.InferenceServerClient(triton) as client:
        return len(client.get_system_shared_memory_status().regions)


def part(seed: int) -> bytes:
    """A PNG of a smooth dark part with a bright spot; size, shade and place follow the seed."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(40, 120, 2)
    pixels = np.tile(rng.integers(10, 90, (1, width, 3), np.uint8), (height, 1, 1))
    top, left = rng.integers(0, 30, 2)
    pixels[top : top + 9, left : left + 9] += rng.integers(0, 160, dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def inspect(
    client: TestClient, images: list[bytes], *, explain: bool = False
) -> list[dict[str, Any]]:
    files = [("image", (f"{index}.png", image)) for index, image in enumerate(images)]
    response = client.post("/inspect", params={"map": "npy", "explain": explain}, files=files)
    assert response.status_code == 200, response.text
    return response.json()["results"]


def numbers(result: dict[str, Any]) -> list[float]:
    scalars = [result[name] for name in ("score", "p_value", "raw_score", "novelty")]
    peaks = [region["peak"] for region in result["regions"]]
    return [*scalars, *result["normal"].values(), *peaks]


def anomaly_map(result: dict[str, Any]) -> np.ndarray:
    return np.load(BytesIO(b64decode(result["anomaly_map"]["data"])))


@pytest.mark.parametrize("count", [1, 2, 11], ids=["one image", "a batch", "several batches"])
def test_both_backends_answer_alike(embedded_client, triton_client, count):
    images = [part(seed) for seed in range(count)]
    expected, answered = inspect(embedded_client, images), inspect(triton_client, images)
    assert len(answered) == count
    for mine, theirs in zip(expected, answered, strict=True):
        assert theirs["decision"] == mine["decision"]
        assert numbers(theirs) == pytest.approx(numbers(mine), abs=TOLERANCE)
        assert [r["box"] for r in theirs["regions"]] == [r["box"] for r in mine["regions"]]
        np.testing.assert_allclose(anomaly_map(theirs), anomaly_map(mine), atol=TOLERANCE)


def test_a_batch_scores_each_image_as_it_would_be_alone(triton_client):
    images = [part(seed) for seed in range(5)]
    alone = [inspect(triton_client, [image])[0]["score"] for image in images]
    together = [result["score"] for result in inspect(triton_client, images)]
    assert together == pytest.approx(alone, abs=TOLERANCE)
    assert len(set(alone)) == 5


def test_triton_sees_shared_memory_where_it_is_wanted(triton_client, triton):
    inspect(triton_client, [part(0)])
    assert bool(regions(triton)) == triton_client.app.state.gateway.settings.triton_shared_memory


def test_both_backends_describe_the_same_model(embedded_client, triton_client):
    mine, theirs = embedded_client.get("/model").json(), triton_client.get("/model").json()
    assert mine["parameters"]
    ran_by = ("backend", "version")
    assert [theirs | dict.fromkeys(ran_by)] == [mine | dict.fromkeys(ran_by)]


def ids(result: dict[str, Any]) -> list[str]:
    return [reference["id"] for reference in result["explanation"]["references"]]


def test_both_backends_explain_alike(trained_repository, product_tree, tmp_path):
    files = sorted(product_tree.glob("*/test/*/*.jpg"))
    images, address = [file.read_bytes() for file in files], free_address()
    embedded = Settings(repository=trained_repository, model=MODEL)
    triton = embedded.model_copy(update={"backend": "triton", "triton_url": address})
    answers = []
    with tritonserver(python_repository(trained_repository, tmp_path), tmp_path / "log", address):
        for settings in (embedded, triton):
            with TestClient(create_app(settings, load_backend(settings))) as client:
                answers.append(inspect(client, images, explain=True))
                assert all(found["explanation"] is None for found in inspect(client, images))
    assert any(found["regions"] for found in answers[0])
    for mine, theirs in zip(*answers, strict=True):
        assert numbers(theirs) == pytest.approx(numbers(mine), abs=TOLERANCE)
        assert ids(theirs) == ids(mine)
        assert [r["normal"] for r in theirs["regions"]] == [r["normal"] for r in mine["regions"]]


def test_triton_keeps_the_queue_policy_and_the_warmup_of_the_config(triton, repository):
    published, _ = newest(repository)
    with tritonclient.grpc.InferenceServerClient(triton) as client:
        served = client.get_model_config(MODEL).config
    policy = served.dynamic_batching.default_queue_policy
    assert policy == published.dynamic_batching.default_queue_policy
    assert policy.timeout_action == ModelQueuePolicy.REJECT
    assert [w.batch_size for w in served.model_warmup] == [1, published.max_batch_size]
