"""Eight real products on one line, with a real pretrained backbone."""

import json
from pathlib import Path

import pytest

from onegauge.cli import main

SHARED = Path(__file__).parents[2] / "shared"
DATA = SHARED / "data" / "mixedline"
WEIGHTS = SHARED / "weights" / "resnet18_layers1-3.safetensors"
EVERY = 4  # of the training images, so that the test stays short
TESTED = 12  # images of each product and kind
SIZE = 192  # pixels, which take half the time of the usual 256

pytestmark = [
    pytest.mark.mixedline,
    pytest.mark.skipif(
        not (DATA.is_dir() and WEIGHTS.is_file()),
        reason="the real product images and backbone weights are not beside the checkout",
    ),
]


def link(images: list[Path], folder: Path) -> None:
    for image in images:
        target = folder / image.relative_to(DATA)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(image)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unlabelled training folder and test images, taken evenly from the whole set."""
    folder = tmp_path_factory.mktemp("mixedline")
    for product in sorted(p for p in DATA.iterdir() if p.is_dir()):
        link(sorted(product.glob("train/good/*"))[::EVERY], folder)
        good = sorted(product.glob("test/good/*"))
        bad = sorted(set(product.glob("test/*/*")) - set(good))
        for kind in (good, bad):
            link(kind[:: max(1, len(kind) // TESTED)][:TESTED], folder)
    return folder


def test_one_threshold_holds_for_real_products_better_with_cada_than_without(line, tmp_path):
    backbone = ["--backbone", "resnet18", "--backbone-weights", WEIGHTS]
    options = [*backbone, "--image-size", SIZE, "--false-alarm-rate", 0.05]
    for command in (
        ["train", "--data", line, "--out", tmp_path / "run", *options],
        ["evaluate", tmp_path / "run", "--data", line, "--json", tmp_path / "figures.json"],
    ):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in command])
        assert not end.value.code
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["products"]) == 8
    none, cada = (figures["targets"][str(tmp_path / "run")][name] for name in ("none", "cada"))
    assert cada["pooled"]["image_auroc"] > none["pooled"]["image_auroc"] + 0.01
    assert cada["pooled"]["image_auroc"] > 0.85
    assert cada["at_threshold"]["false_alarm_rate"] < 0.12
    assert cada["at_threshold"]["miss_rate"] < 0.65
