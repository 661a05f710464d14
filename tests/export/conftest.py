"""The gauge of a trained run and its graph."""

from pathlib import Path

import pytest
from torch import Tensor

from onegauge.export.to_onnx import trace
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
    """The gauge as an ONNX file; a test must not change it."""
    file = tmp_path_factory.mktemp("traced") / "model.onnx"
    trace(gauge, SIZE, file)
    return file
