"""Pictures of 12 bits from a folder to the gateway: all read by the depth that training found."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tritonclient.grpc.model_config_pb2 import ModelParameter

from onegauge.export.export_run import provenance
from onegauge.files import images_below
from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.service.imaging.image import read_original
from onegauge.service.model.repository import read_config
from onegauge.training.checkpoint import load, load_verification_images, save
from onegauge.training.config import TrainConfig
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.evaluation.run import Question, evaluate_run
from onegauge.training.progress import Progress
from onegauge.training.report.exhibit import exhibit
from onegauge.training.train import train
from rig.pictures import encode, png_of_12_bits, png_of_16_bits
from rig.publishing import add_and_publish
from tests.service.served import in_process


@pytest.fixture(scope="module")
def deep_tree(product_tree, tmp_path_factory) -> Path:
    """The products as a camera of 12 bits has them."""
    root = tmp_path_factory.mktemp("deep")
    for file in images_below(product_tree):
        place = root / file.relative_to(product_tree).with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        levels = read_original(file.read_bytes(), max_pixels=10**6)
        place.write_bytes(png_of_12_bits(np.asarray(levels)))
    return root


@pytest.fixture(scope="module")
def deep_run(trained_run, tmp_path_factory) -> Path:
    """The run as it would be of `deep_tree`: that the pixels are the same is another test."""
    out = tmp_path_factory.mktemp("deep-run")
    known = load(trained_run)
    config = replace(known.config, out=out)
    save(replace(known, config=config, depth=Depth(12)), load_verification_images(trained_run))
    return out


def test_training_finds_the_depth_keeps_it_and_sees_what_8_bits_would_show(tmp_path):
    options = {"image_size": 64, "false_alarm_rate": 0.1, "device": "cpu"}
    seen = {}
    for name, encoded in (
        ("plain", lambda x: encode(Image.fromarray(x))),
        ("deep", png_of_12_bits),
    ):
        (tmp_path / name).mkdir()
        for i in range(20):
            levels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
            (tmp_path / name / f"{i:02}.png").write_bytes(encoded(levels))
        run = tmp_path / f"{name}-run"
        known = train(TrainConfig(tmp_path / name, run, **options))
        assert load(run).depth == known.depth == (Depth(12) if name == "deep" else UNKNOWN)
        seen[name] = load_verification_images(run).numpy()
    np.testing.assert_array_equal(seen["deep"], seen["plain"])


def test_evaluation_and_report_read_by_the_depth_of_the_run(
    trained_run, deep_run, product_tree, deep_tree
):
    question = Question(("cada",), device="cpu")
    (plain,) = evaluate_run(trained_run, labelled_images(product_tree), question, Progress())
    (deep,) = evaluate_run(deep_run, labelled_images(deep_tree), question, Progress())
    np.testing.assert_array_equal(deep.readings.score, plain.readings.score)
    assert exhibit(deep.readings, 0).picture == exhibit(plain.readings, 0).picture


def test_a_model_is_told_the_depth_of_its_run(trained_run, deep_run):
    assert Depth.from_parameters(provenance(load(deep_run), deep_run)) == Depth(12)
    assert "bit_depth" not in provenance(load(trained_run), trained_run)


@pytest.fixture
def gateway(gauge_repository, gauge_model, tmp_path):
    """Of a model that was trained on 12 bits."""
    config = read_config(gauge_repository / "onegauge", "config.pbtxt")
    config.parameters["bit_depth"].CopyFrom(ModelParameter(string_value="12"))
    add_and_publish(tmp_path, config, gauge_model)
    with in_process(tmp_path) as client:
        yield client


def inspect(client, image: bytes, **options: str):
    return client.post("/inspect", files=[("image", image)], params=options)


def test_the_gateway_reads_by_the_depth_of_the_model_also_what_it_shows(gateway, defective):
    picture = Image.open(BytesIO(defective))
    plain, deep = (
        inspect(gateway, data, map="overlay").json()["results"][0]
        for data in (defective, png_of_12_bits(np.asarray(picture)))
    )
    assert deep["decision"] == plain["decision"] == "anomalous"
    for name in ("score", "regions", "anomaly_map"):
        assert deep[name] == plain[name]


def test_a_value_beyond_the_depth_is_a_problem_of_the_image_and_not_clipped(gateway):
    bright = np.full((32, 48, 3), 2000)
    bright[5, 7, 1] = 4096
    answer = inspect(gateway, png_of_16_bits(bright))
    assert answer.status_code == 422
    assert (answer.json()["type"], answer.json()["limit_bits"]) == ("/problems/beyond-depth", 12)
    assert "4096" in answer.json()["detail"]


def test_a_mask_has_the_depth_of_its_own_white(gateway, defective):
    painted = np.zeros((64, 96), np.uint16)
    painted[:, :48] = 1
    scores = set()
    for white in (255, 1023, 4095, 65535):
        files = [("image", defective), ("mask", png_of_16_bits(painted * white))]
        (result,) = gateway.post("/inspect", files=files).json()["results"]
        scores.add(result["score"])
    assert scores == {40 / 128}
