"""What the bundled model promises, on freshly rendered pictures of its products."""

from dataclasses import dataclass

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.metrics import roc_auc_score

from demo.products.tree import write_tree
from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.settings import Settings
from onegauge.training.data.dataset import test_images as images_below

SEED = 2  # neither that of the training pictures nor that of the figures in the README
IMAGES = 15  # of each product and kind
BATCH = 10


@dataclass(frozen=True)
class Answers:
    """What the gateway says of every picture, and what is true, (N,) each."""

    anomalous: np.ndarray
    flagged: np.ndarray
    unknown: np.ndarray
    scores: np.ndarray


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Of the model in the gateway's default repository, on fresh pictures of all its products."""
    folder = tmp_path_factory.mktemp("fresh")
    write_tree(folder, train=0, test_good=IMAGES, test_defective=IMAGES, seed=SEED, size=256)
    images = images_below(folder)
    results: list[dict] = []
    with TestClient(create_app(Settings(), load_backend(Settings()))) as gateway:
        for start in range(0, len(images), BATCH):
            paths = [image.path for image in images[start : start + BATCH]]
            files = [("image", (path.name, path.read_bytes())) for path in paths]
            results += gateway.post("/inspect", files=files).json()["results"]
    return Answers(
        np.array([image.anomalous for image in images]),
        np.array([result["decision"] == "anomalous" for result in results]),
        np.array([result["unknown_product"] for result in results]),
        np.array([result["score"] for result in results]),
    )


def test_one_threshold_serves_all_products(answers):
    assert roc_auc_score(answers.anomalous, answers.scores) >= 0.97
    assert answers.flagged[~answers.anomalous].mean() <= 0.03
    assert (~answers.flagged[answers.anomalous]).mean() <= 0.10


def test_the_products_are_known_to_it_defective_or_not(answers):
    assert answers.unknown[~answers.anomalous].mean() <= 0.01
    assert answers.unknown[answers.anomalous].mean() <= 0.05


def test_it_is_small_enough_to_be_bundled():
    model = Settings().repository / "onegauge" / "1" / "model.onnx"
    assert model.stat().st_size <= 10_000_000
