"""Every detector on every kind of backbone: pictures → run → one verified graph, as served."""

import numpy as np
import pytest
import timm
from safetensors.torch import save_file

from onegauge.export.export_run import Flavour, export_run
from onegauge.export.session import Session
from onegauge.service.model.contract import ANOMALY_MAP, IMAGE, SCALARS
from onegauge.training.checkpoint import load_verification_images
from onegauge.training.config import TrainConfig
from onegauge.training.train import train

OPTIONS = {"image_size": 96, "bank_size": 200, "epochs": 1, "false_alarm_rate": 0.05}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Options of a vision transformer, the smallest of timm, with weights drawn at random."""
    file = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), file)
    return {"backbone": "test_vit", "backbone_weights": file}


@pytest.mark.parametrize(
    ("detector", "on"),
    [
        ("revdist", "starter"),
        ("recontrast", "starter"),
        ("uniad", "starter"),
        ("dinomaly", "starter"),
        ("dinomaly", "transformer"),
        ("patchcore", "starter"),
        ("gallery", "transformer, recentred"),
    ],
)
def test_it_trains_and_its_graph_is_verified(detector, on, transformer, product_tree, tmp_path):
    options = dict(OPTIONS)
    if on != "starter":
        options |= transformer
    recentred = on.endswith("recentred")
    run = tmp_path / "run"
    train(TrainConfig(product_tree, run, detector, **options, recentred=recentred, device="cpu"))
    flavour = Flavour(max_batch_size=4)
    version = export_run(run, tmp_path / "models", "parts", flavour)  # raises if it differs
    model = tmp_path / "models" / "parts" / str(version) / "model.onnx"
    session = Session(model)
    images = load_verification_images(run)[:3].numpy()
    three = session.outputs([ANOMALY_MAP, *SCALARS], [{IMAGE: images}])
    one = session.outputs([ANOMALY_MAP, *SCALARS], [{IMAGE: images[:1]}])
    assert all(np.isfinite(array).all() for array in three)
    for alone, together in zip(one, three, strict=True):
        np.testing.assert_allclose(alone[0], together[0], rtol=1e-2, atol=1e-2)
