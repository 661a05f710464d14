"""A run that looks at a part of the picture only, from training to the gateway."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from onegauge.export.export_run import export_run
from onegauge.training.config import TrainConfig
from onegauge.training.evaluation.evaluate import both_kinds, evaluate
from onegauge.training.evaluation.run import Question
from onegauge.training.train import train
from rig.pictures import encode
from tests.service.served import in_process

SIDE, HALF_A_CELL = 128, 4  # pixels; the latter of the map, which is enlarged


@pytest.fixture(scope="module")
def run(product_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained to inspect the left half."""
    folder = tmp_path_factory.mktemp("masked")
    mask = Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 8))
    mask.save(folder / "mask.png")
    options = {"image_size": SIDE, "false_alarm_rate": 0.05, "device": "cpu"}
    train(TrainConfig(product_tree, folder / "run", mask=folder / "mask.png", **options))
    return folder / "run"


@pytest.fixture(scope="module")
def repository(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("repository")
    export_run(run, repository, "onegauge")
    return repository


@pytest.fixture(scope="module")
def gateway(repository: Path) -> Iterator[TestClient]:
    with in_process(repository) as client:
        yield client


def damaged(picture: Path, left: int) -> bytes:
    """The picture with a loud patch."""
    image = Image.open(picture).convert("RGB")
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    image.paste(Image.fromarray(noise), (left, 50))
    return encode(image)


def inspect(gateway: TestClient, image: bytes) -> tuple[dict, np.ndarray]:
    files = [("image", image)]
    (result,) = gateway.post("/v1/inspect", files=files).json()["results"]
    accept = {"Accept": "application/x-npy"}
    return result, np.load(
        BytesIO(gateway.post("/v1/inspect", files=files, headers=accept).content)
    )


def test_a_defect_counts_in_the_inspected_part_alone(gateway, product_tree):
    picture = product_tree / "metal" / "test" / "good" / "0000.jpg"
    seen, _ = inspect(gateway, damaged(picture, left=20))
    unseen, anomaly_map = inspect(gateway, damaged(picture, left=90))
    assert seen["decision"] == "anomalous"
    assert unseen["decision"] == "normal"
    assert (anomaly_map[:, SIDE // 2 + HALF_A_CELL :] == 0).all()
    assert anomaly_map[:, : SIDE // 2 - HALF_A_CELL].any()


def test_what_is_served_is_what_is_evaluated(run, repository, product_tree):
    targets = [str(run), str(repository)]
    figures = evaluate(targets, both_kinds(product_tree), Question(["cada"]))["targets"]
    mine, published = (figures[str(target)]["cada"] for target in (run, repository))
    assert published["pooled"]["image_auroc"] == pytest.approx(mine["pooled"]["image_auroc"])
    assert published["at_threshold"] == mine["at_threshold"]


def white(*box: int) -> bytes:
    """A mask of another size than the pictures, white in a box of x, y, x, y."""
    mask = Image.new("L", (64, 64))
    mask.paste(255, box)
    return encode(mask)


def under(gateway: TestClient, image: bytes, mask: bytes) -> dict:
    (result,) = gateway.post("/v1/inspect", files=[("image", image), ("mask", mask)]).json()[
        "results"
    ]
    return {**result, "timing_ms": None}


def test_a_mask_of_the_request_works_within_that_of_the_training(gateway, product_tree):
    for picture in sorted(product_tree.glob("*/test/*/0000.jpg")):
        image = picture.read_bytes()
        whole = inspect(gateway, image)[0] | {"timing_ms": None}
        for all_of_it in (white(0, 0, 64, 64), white(0, 0, 32, 64)):
            assert under(gateway, image, all_of_it) == whole
        for part in (white(0, 0, 64, 16), white(16, 8, 20, 12), white(28, 0, 64, 64)):
            found = under(gateway, image, part)
            assert found["score"] <= whole["score"]
            assert found["p_value"] >= whole["p_value"]
    beside = [("image", image), ("mask", white(33, 0, 64, 64))]
    refused = gateway.post("/v1/inspect", files=beside)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-option")
    assert "inspected" not in gateway.get("/v1/model").json()["parameters"]
