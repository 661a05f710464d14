import shutil
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch

from onegauge.export.export_run import provenance
from onegauge.library.suspicion import most_suspicious
from onegauge.training.checkpoint import load
from onegauge.training.config import TrainConfig
from onegauge.training.train import train

PLANTED = {"00-planted.jpg", "01-planted.jpg", "02-planted.jpg"}


@pytest.fixture(scope="module")
def soiled(product_tree, tmp_path_factory):
    """Normal images of three products, and beside those of each a defective one."""
    root = tmp_path_factory.mktemp("soiled")
    for number, product in enumerate(("cloth", "metal", "wood")):
        shutil.copytree(product_tree / product / "train" / "good", root / product)
        defective = sorted((product_tree / product / "test").glob("[!g]*/*.jpg"))[0]
        shutil.copy(defective, root / product / f"{number:02}-planted.jpg")
    return root


@pytest.fixture(scope="module")
def assumed(soiled, tmp_path_factory):
    """A run that takes as many images for defective as are, and what it told."""
    out = tmp_path_factory.mktemp("runs") / "run"
    config = TrainConfig(
        soiled, out, image_size=128, false_alarm_rate=0.05, assume_clean=0.95, device="cpu"
    )
    told = StringIO()
    with redirect_stderr(told):
        train(config)
    return load(out), told.getvalue()


@pytest.mark.parametrize("detector", ["gallery", "patchcore"])
def test_defective_images_among_normal_ones_are_the_first_suspects(assumed, tmp_path, detector):
    changes = {"assume_clean": 1, "detector": detector, "bank_size": 500}
    run = train(replace(assumed[0].config, out=tmp_path / "run", **changes))
    worst = most_suspicious(run.evidence.suspicion, run.evidence.pictures[:63].numpy())
    assert len(worst) == 63
    assert {Path(run.fitted_files[picture]).name for picture in worst[:6]} >= PLANTED


def test_what_is_assumed_to_be_defective_is_left_out_everywhere_and_told(assumed):
    run, told = assumed
    assert {Path(name).name for name in run.left_out} == PLANTED
    assert "3 of 63 images are left out, as 0.95 of them are assumed to be clean" in told
    assert all(name in told for name in run.left_out)
    assert run.images == run.calibration_images == len(run.evidence.references) == 60
    assert not {*run.left_out} & ({*run.fitted_files} | run.calibration_files.keys())
    assert provenance(run, run.config.out)["assumed_clean"] == "0.95"


def test_a_run_without_them_is_as_if_they_had_not_been_there(assumed, soiled, tmp_path):
    clean = shutil.copytree(soiled, tmp_path / "clean", ignore=lambda *_: PLANTED)
    config = replace(assumed[0].config, data=clean, out=tmp_path / "run", assume_clean=1)
    for name, value in train(config).decided.items():
        assert torch.allclose(value, assumed[0].decided[name], atol=0.01), name
