from hashlib import sha256
from importlib.metadata import version

import numpy as np
import pytest
import torch

from export import export_run as module
from export.errors import RepositoryError, VerificationError
from export.export_run import export_run
from export.to_onnx import write_onnx
from service.contract import Contract, parse_config
from training.checkpoint import load
from training.errors import CheckpointError


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def repository(trained_run, tmp_path_factory):
    repository = tmp_path_factory.mktemp("repository")
    assert export_run(trained_run, repository, "parts", max_batch_size=3) == 1
    return repository


@pytest.fixture(scope="module")
def contract(repository):
    return Contract.from_config(
        parse_config((repository / "parts" / "config.pbtxt").read_text()), "1"
    )


def test_the_configuration_is_that_of_the_graph(contract):
    assert contract.name == "parts"
    assert (contract.height, contract.width) == (128, 128)
    assert (contract.map_height, contract.map_width) == (32, 32)
    assert contract.max_batch_size == 3


def test_a_part_of_a_map_can_be_scored_by_the_parameters(contract, trained_run):
    gauge = load(trained_run).gauge()
    pixels, scores = contract.rescoring
    assert pixels == gauge.scoring.pixels(torch.zeros(1, 32, 32)) == 20
    np.testing.assert_array_equal(scores, gauge.calibration.scores.numpy())


def test_the_provenance_tells_where_the_model_comes_from(contract, repository, trained_run):
    checkpoint = load(trained_run)
    graph = (repository / "parts" / "1" / "model.onnx").read_bytes()
    record = (trained_run / "checkpoint.json").read_bytes()
    calibrated = len(checkpoint.calibration_products)
    rates = {
        name: float(contract.parameters[name]) for name in ("false_alarm_rate", "novelty_rate")
    }
    assert rates == pytest.approx(
        {"false_alarm_rate": 0.05, "novelty_rate": 1 / (calibrated + 1)}, rel=1e-4
    )
    rescoring = {"score_pixels", "calibration_scores"}
    assert {k: v for k, v in contract.parameters.items() if k not in {*rates, *rescoring}} == {
        "alignment": "cada",
        "backbone": "starter",
        "calibrated_at": str(checkpoint.calibrated_at),
        "calibration_images": str(calibrated),
        "checkpoint_digest": sha256(record).hexdigest(),
        "detector": "patchcore",
        "model_digest": sha256(graph).hexdigest(),
        "onegauge_version": version("onegauge"),
        "training_digest": checkpoint.training_digest,
        "training_images": str(60 - calibrated),
    }


def test_a_wrong_graph_is_not_published_and_the_repository_untouched(
    repository, trained_run, monkeypatch
):
    def wrong(_gauge, image_size, path):
        write_onnx(load(trained_run).gauge("none"), image_size, path)

    before = tree(repository)
    monkeypatch.setattr(module, "write_onnx", wrong)
    with pytest.raises(VerificationError):
        export_run(trained_run, repository, "parts", max_batch_size=3)
    assert tree(repository) == before


def test_a_name_that_no_folder_can_have_is_refused(trained_run, tmp_path):
    with pytest.raises(RepositoryError, match=r"\.\./parts"):
        export_run(trained_run, tmp_path, "../parts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refused", [{"name": "two words"}, {"triton_backend": "python"}])
def test_what_the_repository_cannot_take_is_refused_before_the_work(
    repository, trained_run, monkeypatch, refused
):
    monkeypatch.delattr(module, "write_onnx")
    with pytest.raises(RepositoryError):
        export_run(trained_run, repository, **{"name": "parts"} | refused)


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="train it first"):
        export_run(tmp_path, tmp_path / "repository", "parts")
    assert list(tmp_path.iterdir()) == []
