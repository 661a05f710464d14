"""The gauge of a trained run and its graph."""

import shutil
from pathlib import Path

import pytest
from torch import Tensor

from onegauge.export.to_onnx import store_compactly, trace
from onegauge.training.checkpoint import load, load_verification_images
from onegauge.training.gauge.gauge import Gauge

SIZE = 128


@pytest.fixture(scope="session")
def gauge(trained_run: Path) -> Gauge:
    return load(trained_run).gauge()


@pytest.fixture(scope="session")
def images(trained_run: Path) -> Tensor:
    """Images uint8 (V, H, W, 3), clean and with a synthetic anomaly."""
    return load_verification_images(trained_run)


@pytest.fixture(scope="session")
def traced(gauge: Gauge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gauge as an ONNX file, as the exporter leaves it; a test must not change it."""
    file = tmp_path_factory.mktemp("traced") / "traced.onnx"
    trace(gauge, SIZE, file)
    return file


@pytest.fixture(scope="session")
def graph(traced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as it is published."""
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    shutil.copyfile(traced, file)
    store_compactly(file)
    return file
