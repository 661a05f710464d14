"""A tiny gauge model that obeys the graph's contract, and a small run that was really trained."""

import os

# Before numpy and torch read it: the arrays are tiny here, and more threads wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
from base64 import b64encode
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from onegauge.export.publish import ModelSpec, model_config
from onegauge.service.model.contract import SCALARS
from rig.mosquitto import Mosquitto, mosquitto
from rig.once import once
from rig.pictures import encode
from rig.postgresql import Postgresql
from rig.postgresql import postgresql as running_postgresql
from rig.publishing import add_and_publish
from rig.small_disk import small_disk as disk_at
from tests.cli.command import status

HEIGHT, WIDTH, CELL = 32, 48, 4
MAX_BATCH_SIZE = 4
PATIENCE_S = 60.0
PROVENANCE = {
    "detector": "brightness",
    "backbone": "none",
    "calibration_images": "99",
    "false_alarm_rate": "0.01",
    "score_pixels": "1",
    "calibration_scores": b64encode(np.linspace(0, 1, 99, dtype="<f4").tobytes()).decode(),
}


def pytest_configure() -> None:
    """What holds for all tests."""
    os.environ["ONEGAUGE_API_KEYS"] = "off"
    os.environ.update(RAY_worker_niceness="0")  # by default all other tests would go first
    # A shell has its jobs in the background ignore Ctrl-C, which processes started here would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker makes the trained run at the start, while others have tests that need none."""
    given = ((item.path, getattr(item, "fixturenames", ())) for item in items)
    needing = dict.fromkeys(path for path, fixtures in given if "trained_run" in fixtures)
    first = next(iter(needing), None)
    items.sort(key=lambda item: (item.path != first, item.path in needing))


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """No question to a gateway is given up because the machine is busy: httpx has 5 seconds."""
    seconds = signature(httpx.get).parameters["timeout"].default
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "read", "write", "pool"):
            patch.setattr(seconds, name, PATIENCE_S)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of pytest-xdist see, for what is made `once`."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def gauge_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file whose anomaly map is the mean brightness of cells of 4 x 4 pixels.

    A cell of grey 128 has the map value 1.0, white 255/128; the image score is the map's maximum,
    so that a bright spot on a dark part is a defect. The p-value is 1.01 - score, at least 0.01.
    The novelty is the mean difference of red and blue in units of 64: a red part is unknown.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "threshold_grey"], ["pixels"]),  # (B, H, W, 3)
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Unsqueeze", ["grey", "axis_1"], ["channel"]),  # (B, 1, H, W)
        helper.make_node(
            "AveragePool", ["channel"], ["cells"], kernel_shape=[CELL] * 2, strides=[CELL] * 2
        ),
        helper.make_node("Squeeze", ["cells", "axis_1"], ["anomaly_map"]),  # (B, h, w)
        helper.make_node("ReduceMax", ["anomaly_map"], ["score"], axes=[1, 2], keepdims=0),
        helper.make_node("Sub", ["p_limit", "score"], ["p_open"]),
        helper.make_node("Max", ["p_open", "p_least"], ["p_value"]),
        helper.make_node("Mul", ["score", "two"], ["raw_score"]),
        helper.make_node("Mul", ["score", "zero"], ["normal_location"]),
        helper.make_node("Add", ["normal_location", "two"], ["normal_scale"]),
        helper.make_node("Gather", ["float", "first"], ["red"], axis=3),
        helper.make_node("Gather", ["float", "third"], ["blue"], axis=3),
        helper.make_node("Sub", ["red", "blue"], ["difference"]),
        helper.make_node("Div", ["difference", "novel"], ["strange"]),
        helper.make_node("ReduceMean", ["strange"], ["novelty"], axes=[1, 2], keepdims=0),
    ]
    numbers = {"threshold_grey": 128, "p_limit": 1.01, "p_least": 0.01}
    numbers |= {"two": 2, "zero": 0, "novel": 64}
    constants = [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in numbers.items()]
    constants += [
        helper.make_tensor("axis_1", TensorProto.INT64, [1], [1]),
        helper.make_tensor("first", TensorProto.INT64, [], [0]),
        helper.make_tensor("third", TensorProto.INT64, [], [2]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", HEIGHT, WIDTH, 3])
    map_shape = ["B", HEIGHT // CELL, WIDTH // CELL]
    outputs = [helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, map_shape)]
    outputs += [helper.make_tensor_value_info(s, TensorProto.FLOAT, ["B"]) for s in SCALARS]
    graph = helper.make_graph(nodes, "gauge", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    file = tmp_path_factory.mktemp("gauge") / "model.onnx"
    onnx.save(model, file)
    return file


@pytest.fixture(scope="session")
def gauge_repository(gauge_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the gauge as `onegauge`."""
    repository = tmp_path_factory.mktemp("repository")
    sizes = (HEIGHT, WIDTH), (HEIGHT // CELL, WIDTH // CELL)
    spec = ModelSpec("onegauge", *sizes, MAX_BATCH_SIZE, "onnxruntime", PROVENANCE)
    add_and_publish(repository, model_config(spec), gauge_model)
    return repository


@pytest.fixture(scope="session")
def product_tree(shared: Path) -> Path:
    """An MVTec-style tree of three procedural products, pictures of 128 x 128 pixels."""
    from demo.products.tree import write_tree

    counts = {"train": 20, "test_good": 6, "test_defective": 6}
    options = {**counts, "seed": 0, "size": 128, "products": ("cloth", "metal", "wood")}
    return once(shared / "products", lambda root: write_tree(root, **options))


@pytest.fixture(scope="session")
def trained_run(product_tree: Path, shared: Path) -> Path:
    """The default detector on `product_tree`, calibrated leave-one-out; a test must not change it.

    60 images, each of which is a reference and held out. It is made by the command.
    """
    options = ("--image-size", "128", "--false-alarm-rate", "0.05", "--device", "cpu")

    def make(out: Path) -> None:
        assert status("train", "--data", str(product_tree), "--out", str(out), *options) == 0

    return once(shared / "run", make)


@pytest.fixture(scope="session")
def trained_repository(trained_run: Path, shared: Path) -> Path:
    """A repository with `trained_run` as version 1 of `onegauge`; a test must not change it.

    It is made by the command.
    """
    options = ("--name", "onegauge", "--max-batch-size", "4")

    def make(folder: Path) -> None:
        assert status("export", str(trained_run), "--repository", str(folder), *options) == 0

    return once(shared / "published", make)


@pytest.fixture(scope="session")
def patchcore_run(product_tree: Path, shared: Path) -> Path:
    """PatchCore with a tiny memory bank on `product_tree`; a test must not change it."""
    from onegauge.training.config import TrainConfig
    from onegauge.training.train import train

    options = {"image_size": 64, "bank_size": 200, "false_alarm_rate": 0.05, "device": "cpu"}
    return once(
        shared / "patchcore",
        lambda out: train(TrainConfig(product_tree, out, "patchcore", **options)),
    )


@pytest.fixture(scope="session")
def patchcore_repository(patchcore_run: Path, shared: Path) -> Path:
    """A repository with `patchcore_run` as version 1 of `onegauge`, which keeps no library."""
    from onegauge.export.export_run import export_run

    return once(
        shared / "published-patchcore",
        lambda folder: export_run(patchcore_run, folder, "onegauge"),
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL; each test that wants a database asks it for a new one."""
    with running_postgresql("fsync=off") as server:
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """An MQTT broker of this test's own."""
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with disk_at(folder):
        yield folder


@pytest.fixture(scope="session")
def ray_machines() -> Iterator[Any]:
    """A Ray cluster of one node with two CPUs, to which others are added."""
    from rig.ray_cluster import ray_cluster

    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ray_address(ray_machines: Any) -> str:
    """That of the cluster."""
    return str(ray_machines.address)


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
