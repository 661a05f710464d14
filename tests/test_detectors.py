"""Every detector, on small backbones: pictures → run → one verified graph, as served."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from onegauge.export.export_run import Flavour, export_run
from onegauge.export.session import Session
from onegauge.service.model.contract import ANOMALY_MAP, IMAGE, SCALARS
from onegauge.training.checkpoint import load_verification_images
from onegauge.training.config import TrainConfig
from onegauge.training.train import train

OPTIONS = {"image_size": 96, "bank_size": 200, "epochs": 1, "false_alarm_rate": 0.05}
# To trace a layer takes a while: the smallest of timm, and the alignment where it is the default
BACKBONES = {"convolutional": "test_efficientnet", "transformer": "test_vit"}


@pytest.mark.parametrize(
    ("detector", "kind", "recentred"),
    [
        ("revdist", "convolutional", False),
        ("recontrast", "convolutional", False),
        ("uniad", "convolutional", False),
        ("dinomaly", "convolutional", False),
        ("dinomaly", "transformer", False),
        ("gallery", "transformer", True),
    ],
)
def test_it_trains_and_its_graph_is_verified(detector, kind, recentred, product_tree, tmp_path):
    name, weights = BACKBONES[kind], tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(name, num_classes=0).state_dict(), weights)
    options = OPTIONS | {"backbone": name, "backbone_weights": weights, "recentred": recentred}
    options["alignment"] = "cada" if detector == "gallery" else "none"
    run = tmp_path / "run"
    train(TrainConfig(product_tree, run, detector, **options, device="cpu"))
    flavour = Flavour(max_batch_size=4)
    export_run(run, tmp_path / "models", "parts", flavour)  # raises if it differs
    require_alike_alone(tmp_path / "models" / "parts", run)


def test_patchcore_on_the_starter_answers_alone_as_in_a_batch(patchcore_run, patchcore_repository):
    require_alike_alone(patchcore_repository / "onegauge", patchcore_run)


def require_alike_alone(model: Path, run: Path) -> None:
    """Each of a few images has the outputs that it has among others."""
    session = Session(model / "1" / "model.onnx")
    images = load_verification_images(run)[:3].numpy()
    three = session.outputs([ANOMALY_MAP, *SCALARS], [{IMAGE: images}])
    one = session.outputs([ANOMALY_MAP, *SCALARS], [{IMAGE: images[:1]}])
    assert all(np.isfinite(array).all() for array in three)
    for alone, together in zip(one, three, strict=True):
        np.testing.assert_allclose(alone[0], together[0], rtol=1e-2, atol=1e-2)
