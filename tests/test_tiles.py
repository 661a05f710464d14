"""A run on tiles of the original resolution, from training to the gateway."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from onegauge.export import export_run
from onegauge.export.held_out import HeldOut
from onegauge.export.recalibration import judged, recalibrate
from onegauge.training.checkpoint import load
from onegauge.training.config import TrainConfig
from onegauge.training.evaluation.evaluate import both_kinds, evaluate
from onegauge.training.evaluation.run import Question
from onegauge.training.train import train
from rig.pictures import encode
from tests.service.served import in_process
from tests.traced import with_constants_of_gauges

TILE, OVERLAP = 128, 32
SIZE, TILES = (400, 300), 12


def part(seed: int, *, scratched: bool = False) -> Image.Image:
    """A brushed plate with a hole; a scratch of 20 pixels would vanish in a smaller picture."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    streaks = rng.normal(0, 12, (height, 1)) + rng.normal(0, 4, (height, width))
    image = Image.fromarray((130 + streaks).clip(0, 255).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(image)
    x, y = rng.integers(180, 220), rng.integers(140, 160)
    draw.ellipse((x - 40, y - 40, x + 40, y + 40), (30, 30, 34))
    if scratched:
        draw.line((320, 60, 334, 74), (250, 250, 250), 3)
    return image


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MVTec-style tree of plates."""
    root = tmp_path_factory.mktemp("plates")
    for folder, seeds in (("train/good", range(40)), ("test/good", range(100, 110))):
        (root / "plate" / folder).mkdir(parents=True)
        for seed in seeds:
            part(seed).save(root / "plate" / folder / f"{seed:03}.png")
    (root / "plate" / "test" / "scratch").mkdir()
    for seed in range(200, 210):
        file = root / "plate" / "test" / "scratch" / f"{seed}.png"
        part(seed, scratched=True).save(file)
    return root


@pytest.fixture(scope="module")
def run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiled") / "run"
    options = {"image_size": 128, "false_alarm_rate": 0.1, "device": "cpu"}
    train(TrainConfig(tree, out, tile=TILE, overlap=OVERLAP, **options))
    return out


@pytest.fixture(scope="module")
def repository(
    run: Path, trained_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    repository = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        traced = trained_repository / "onegauge" / "1" / "model.onnx"
        patch.setattr(export_run, "trace", with_constants_of_gauges(traced))
        export_run.export_run(run, repository, "onegauge")
    return repository


@pytest.fixture(scope="module")
def gateway(repository: Path) -> Iterator[TestClient]:
    with in_process(repository) as client:
        yield client


def test_calibration_counts_pictures_and_not_tiles(run):
    checkpoint = load(run)
    assert checkpoint.images == checkpoint.calibration_images == 40
    assert len(checkpoint.evidence.maps) == TILES * checkpoint.images
    gauge = checkpoint.gauge()
    assert len(gauge.calibration.scores) == checkpoint.calibration_images
    assert checkpoint.false_alarm_rate == 0.1


def test_graph_calibrated_anew_counts_pictures_by_their_highest_tile(run, repository, tmp_path):
    held_out = HeldOut.of(load(run), None)
    model = tmp_path / "model.onnx"
    onnx.save(onnx.load(repository / "onegauge" / "1" / "model.onnx"), model)
    recalibrate(model, load(run).gauge(), held_out)
    score, _ = judged(model, held_out.pictures(), held_out.own)
    highest = score.reshape(-1, TILES).max(1)
    assert len(highest) == load(run).calibration_images == 40
    assert (highest >= 1).sum() == 40 - math.ceil(41 * 0.9)
    assert np.sort(highest)[19] == 0  # the median


def test_a_defect_is_found_where_it_is_at_the_original_resolution(gateway):
    parts = [part(300, scratched=True), *(part(seed) for seed in range(301, 311))]
    files = [("image", encode(image)) for image in parts]
    answer = gateway.post("/v1/inspect", files=files, params={"map": "npy"}).json()
    found, *fine = answer["results"]
    assert found["decision"] == "anomalous"
    assert sum(result["decision"] == "anomalous" for result in fine) <= 3, "one is promised"
    x, y, width, height = found["regions"][0]["box"]
    assert x <= 327 <= x + width
    assert y <= 67 <= y + height
    assert found["anomaly_map"]["width"] == SIZE[0]
    assert found["p_value"] <= 0.1


def test_what_is_served_is_what_is_evaluated(run, repository, tree):
    targets = [str(run), str(repository)]
    figures = evaluate(targets, both_kinds(tree), Question(["cada"]))["targets"]
    mine, published = (next(iter(figures[str(t)].values())) for t in (run, repository))
    assert mine["pooled"]["image_auroc"] > 0.95
    assert published["pooled"]["image_auroc"] == pytest.approx(mine["pooled"]["image_auroc"])
    assert published["at_threshold"] == mine["at_threshold"]


def test_a_picture_smaller_than_a_tile_is_one_tile(gateway):
    (result,) = gateway.post(
        "/v1/inspect", files=[("image", encode(part(0).crop((0, 0, 60, 50))))]
    ).json()["results"]
    assert result["decision"] in ("normal", "anomalous")


def test_damage_that_shows_late_is_the_problem_of_its_picture(gateway):
    whole = encode(part(0))
    files = [("image", whole[: len(whole) // 2]), ("image", whole)]
    cut, fine = gateway.post("/v1/inspect", files=files).json()["results"]
    assert cut["problem"]["type"] == "/problems/unreadable-image"
    assert fine["decision"] == "normal"


def test_no_mask_with_tiles(gateway):
    parts = [("image", encode(part(0))), ("mask", encode(Image.new("L", SIZE, 255)))]
    refused = gateway.post("/v1/inspect", files=parts)
    assert refused.status_code == 422
    assert "looks at tiles" in refused.json()["detail"]
