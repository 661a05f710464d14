"""The gauge of a trained run and its graph."""

from pathlib import Path

import onnx
import pytest
from torch import Tensor

from onegauge.training.checkpoint import Checkpoint, load, load_verification_images
from onegauge.training.config import TrainConfig
from onegauge.training.gauge.gauge import Gauge
from onegauge.training.train import train


@pytest.fixture(scope="session")
def gauge(trained_run: Path) -> Gauge:
    return load(trained_run).gauge()


@pytest.fixture(scope="session")
def images(trained_run: Path) -> Tensor:
    """Images uint8 (V, H, W, 3), clean and with a synthetic anomaly."""
    return load_verification_images(trained_run)


@pytest.fixture(scope="session")
def traced(trained_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gauge as one ONNX file, alone in its folder; a test must not change it."""
    file = tmp_path_factory.mktemp("traced") / "model.onnx"
    onnx.save(onnx.load(trained_repository / "onegauge" / "1" / "model.onnx"), file)
    return file


@pytest.fixture(scope="session")
def split_run(product_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """PatchCore with a tiny memory bank, fitted on 41 of the images and calibrated on 19 others."""
    options = {"image_size": 64, "bank_size": 200, "false_alarm_rate": 0.05, "device": "cpu"}
    out = tmp_path_factory.mktemp("split")
    return train(TrainConfig(product_tree, out, "patchcore", **options, calibration="split"))
