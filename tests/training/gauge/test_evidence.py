import numpy as np
import torch

from onegauge.training.backbones.backbone import load_backbone
from onegauge.training.backbones.embedding import deviations
from onegauge.training.backbones.features import Features
from onegauge.training.gauge.evidence import corrupted_deviations
from onegauge.training.progress import Progress


def test_images_are_seen_with_an_anomaly_each_its_own(monkeypatch):
    backbone, drawn = load_backbone("starter"), []

    def whiten(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn.append(rng.random())
        return np.full_like(image, 255)

    monkeypatch.setattr("onegauge.training.gauge.evidence.add_anomaly", whiten)
    features = Features(np.zeros((20, 32, 32, 3), np.uint8), [], torch.device("cpu"))
    white = backbone(torch.full((1, 32, 32, 3), 255, dtype=torch.uint8))
    found = corrupted_deviations(features, backbone, 0, Progress())
    assert torch.allclose(found, deviations(white).expand(20, -1), atol=1e-4)
    assert len(set(drawn)) == 20
    some = features.subset(np.array([2, 17]))  # whoever else is in view
    corrupted_deviations(some, backbone, 0, Progress())
    assert drawn[20:] == [drawn[2], drawn[17]]
