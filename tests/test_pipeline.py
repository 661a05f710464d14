"""Pictures → train → export → serve → decisions, by the commands and the gateway people use."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from onegauge.export import export_run
from onegauge.service.app import create_app
from onegauge.service.model.backends import load_backend
from onegauge.service.model.backends.embedded import Compiled, EmbeddedBackend
from onegauge.service.model.backends.onnx import compile_model
from onegauge.service.model.outputs import Outputs
from onegauge.service.settings import Settings
from onegauge.training.data.dataset import picture_of, readable
from tests.cli.command import status

SIZE = 128


def run(*arguments: object) -> int:
    """Exit status of a command of onegauge."""
    return status(*map(str, arguments))


def settings(repository: Path) -> Settings:
    return Settings(repository=repository, inference_threads=1)


@pytest.fixture(scope="module")
def figures(
    trained_run: Path, product_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the command says of the run on labelled images."""
    file = tmp_path_factory.mktemp("figures") / "figures.json"
    assert run("evaluate", trained_run, "--data", product_tree, "--json", file) == 0
    found: dict[str, Any] = json.loads(file.read_text())["targets"][str(trained_run)]
    return found


@pytest.fixture(scope="module")
def gateway(trained_repository: Path) -> Iterator[TestClient]:
    chosen = settings(trained_repository)
    with TestClient(create_app(chosen, load_backend(chosen))) as client:
        yield client


def inspect(client: TestClient, paths: list[Path]) -> list[dict]:
    files = [("image", (path.name, path.read_bytes())) for path in paths]
    return client.post("/inspect", files=files).json()["results"]


def test_one_threshold_tells_good_from_bad_for_every_product(gateway, product_tree):
    tested = sorted(product_tree.glob("*/test/*/*.jpg"))
    good = [path for path in tested if path.parent.name == "good"]
    bad = [path for path in tested if path.parent.name != "good"]
    passed = [r["decision"] == "normal" for r in inspect(gateway, good)]
    found = [r["decision"] == "anomalous" for r in inspect(gateway, bad)]
    assert len(passed) == len(found) == 18
    assert np.mean(passed) >= 0.8
    assert np.mean(found) >= 0.8


def test_a_defect_is_found_where_it_is(gateway, product_tree):
    hits = []
    for picture in sorted(product_tree.glob("*/test/*/*.jpg")):
        mask = product_tree / picture.parts[-4] / "ground_truth" / picture.parts[-2] / picture.name
        if picture.parent.name != "good":
            (result,) = inspect(gateway, [picture])
            if result["regions"]:
                x, y, width, height = max(result["regions"], key=lambda r: r["peak"])["box"]
                defect = np.asarray(Image.open(mask.with_suffix(".png")))
                hits.append(defect[y : y + height, x : x + width].any())
    assert len(hits) >= 14
    assert np.mean(hits) >= 0.9


def test_what_is_none_of_the_products_is_reported_as_unknown(gateway, product_tree, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (known,) = inspect(gateway, [product_tree / "wood" / "train" / "good" / "0000.jpg"])
    (strange,) = inspect(gateway, [tmp_path / "noise.png"])
    assert not known["unknown_product"]
    assert strange["unknown_product"]


def test_a_defect_does_not_make_a_product_unknown(gateway, product_tree):
    bad = [p for p in product_tree.glob("*/test/*/*.jpg") if p.parent.name != "good"]
    assert np.mean([result["unknown_product"] for result in inspect(gateway, bad)]) <= 0.1


def test_the_gateway_scores_as_the_evaluation_did(figures, gateway, product_tree):
    bad = [p for p in product_tree.glob("*/test/*/*.jpg") if p.parent.name != "good"]
    missed = [result["score"] < 1 for result in inspect(gateway, bad)]
    rates = figures["cada"]["at_threshold"]
    assert np.mean(missed) == pytest.approx(rates["miss_rate"])


def test_reports_of_the_run_and_of_what_is_published_tell_the_same(
    trained_run, trained_repository, product_tree, tmp_path
):
    decisions = []
    for target in (trained_run, trained_repository):
        out = tmp_path / target.name
        assert run("report", target, "--data", product_tree, "--out", out) == 0
        assert str(target) in (out / "report.html").read_text()
        with (out / "scores.csv").open(newline="") as file:
            decisions.append([(row["path"], row["decision"]) for row in csv.DictReader(file)])
    of_run, of_published = decisions
    assert len(of_run) == 36
    assert of_run == of_published


def test_the_model_card_tells_the_provenance(trained_run, gateway):
    record = json.loads((trained_run / "checkpoint.json").read_text())
    card = gateway.get("/model").json()
    assert (card["height"], card["width"]) == (SIZE, SIZE)
    parameters = card["parameters"]
    assert parameters["training_digest"] == record["training_digest"]
    assert parameters["backbone"] == "starter"
    assert float(parameters["false_alarm_rate"]) == 0.05


class RecordingBackend(EmbeddedBackend):
    """Keeps the images that it was given."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, compile_model)
        self.images: list[np.ndarray] = []

    def run(self, compiled: Compiled, images: np.ndarray, *, explain: bool) -> Outputs:
        self.images += list(images)
        return super().run(compiled, images, explain=explain)


def odd_files(folder: Path) -> list[Path]:
    """Pictures of which every reader makes something else: rotated, deep, transparent, large."""
    rng = np.random.default_rng(1)
    colour = Image.fromarray(rng.integers(0, 256, (60, 90, 3), np.uint8))
    rotated = Image.Exif()
    rotated[0x0112] = 6
    colour.save(folder / "rotated.jpg", exif=rotated)
    colour.resize((1500, 1100)).save(folder / "large.jpg")
    colour.quantize(32).save(folder / "palette.png")
    colour.save(folder / "lossy.webp")
    Image.fromarray(rng.integers(0, 2**16, (50, 70), np.uint16)).save(folder / "deep.png")
    Image.fromarray(rng.integers(0, 256, (40, 40, 4), np.uint8)).save(folder / "clear.png")
    return sorted(folder.iterdir())


def test_upload_file_and_training_loader_give_identical_pixels(trained_repository, tmp_path):
    files = odd_files(tmp_path)
    chosen = settings(trained_repository)
    backend = RecordingBackend(chosen)
    with TestClient(create_app(chosen, backend)) as client:
        for file in files:
            sent = client.post("/inspect", files=[("image", (file.name, file.read_bytes()))])
            assert sent.status_code == 200, sent.text
    from_files = [picture_of(file, SIZE).pixels[0] for file in files]
    from_loader = [picture.pixels[0] for _, picture in readable(files, SIZE)]
    assert len(backend.images) == len(files) == 6
    for uploaded, read, loaded in zip(backend.images, from_files, from_loader, strict=True):
        assert uploaded.shape == (SIZE, SIZE, 3)
        assert np.array_equal(uploaded, read)
        assert np.array_equal(loaded, read)


def test_the_answer_is_what_the_graph_says(trained_repository, gateway, product_tree):
    picture = product_tree / "metal" / "test" / "good" / "0000.jpg"
    session = onnxruntime.InferenceSession(trained_repository / "onegauge" / "1" / "model.onnx")
    (score,) = session.run(["score"], {"image": picture_of(picture, SIZE).pixels[0][None]})
    (result,) = inspect(gateway, [picture])
    assert result["score"] == pytest.approx(score[0], abs=1e-4)


def test_a_second_export_is_the_next_version(
    trained_run, trained_repository, tmp_path, monkeypatch
):
    repository = Path(shutil.copytree(trained_repository, tmp_path / "repository"))
    first = onnx.load(repository / "onegauge" / "1" / "model.onnx")
    # The same graph, which takes a while to trace
    monkeypatch.setattr(export_run, "trace", lambda _gauge, _size, path: onnx.save(first, path))
    options = ("--name", "onegauge", "--max-batch-size", 4)
    assert run("export", trained_run, "--repository", repository, *options) == 0
    assert {v.name for v in (repository / "onegauge").iterdir()} == {"1", "2", "config.pbtxt"}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["train", "--data", "absent", "--out", "run"], "absent"),
        (["train", "--data", ".", "--out", "run", "--device", "abacus"], "abacus"),
        (["train", "--data", ".", "--out", "run", "--image-size", "100"], "'starter', not 100"),
        (["train", "--data", ".", "--out", "run", "--batch-size", "0"], "batch_size"),
        (["train", "--data", ".", "--out", "run", "--false-alarm-rate", "1.5"], "1.5"),
        (["evaluate", "run", "--data", ".", "--false-alarm-rate", "0"], "between 0 and 1"),
        (["evaluate", "run", "--data", "."], "no test images in ."),
        (["export", "absent", "--repository", "r", "--name", "parts"], "absent"),
    ],
)
def test_a_command_that_cannot_work_says_why(command, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        Image.new("L", (8, 8)).save(f"{number}.png")
    assert run(*command) == 1
    told = capsys.readouterr().err
    assert told.startswith("onegauge: ")
    assert named in told
