"""A gauge of three products in a repository, and a fourth product that it does not know."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from demo.products.tree import write_tree
from onegauge.export import export_run, to_onnx
from tests.traced import with_constants_of_gauges

NAME = "onegauge"


def call_constants_as_before(repository: Path, name: str, before: str) -> None:
    """Have the graph of version 1 call constants what an older onegauge called them."""
    file, config = (repository / NAME / "1" / n for n in ("model.onnx", "config.pbtxt"))
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace(name, before)
    for node in model.graph.node:
        node.input[:] = [given.replace(name, before) for given in node.input]
    onnx.save(model, file)
    for text in (config, repository / NAME / "config.pbtxt"):  # which tell another digest
        text.write_text(text.read_text().replace("model_digest", "another_digest"))


def shots(source: Path, folder: Path, count: int = 3) -> None:
    """Each picture of a folder a few times, a little elsewhere, in other light and noise."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        part = np.asarray(Image.open(file), float)
        for number in range(count):
            shot = np.roll(part, rng.integers(-2, 3, 2), (0, 1)) * rng.uniform(0.9, 1.1)
            pixels = (shot + rng.normal(0, 2, shot.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{file.stem}-{number}.png")


@pytest.fixture
def traced_before(trained_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs made of `trained_run` have its graph with constants of their own."""
    trace = with_constants_of_gauges(trained_repository / NAME / "1" / "model.onnx")
    for module in (to_onnx, export_run):
        monkeypatch.setattr(module, "trace", trace)


@pytest.fixture
def repository(trained_repository: Path, tmp_path: Path) -> Path:
    """`trained_repository`, to change."""
    return Path(shutil.copytree(trained_repository, tmp_path / "repository"))


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 normal images of a product that is new, and some with labels."""
    root = tmp_path_factory.mktemp("rings")
    counts = {"train": 20, "test_good": 8, "test_defective": 8}
    write_tree(root, **counts, seed=3, size=128, products=("ring",))
    return root
