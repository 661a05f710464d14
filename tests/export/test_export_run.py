import json
import re
import shutil
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import onnxruntime
import pytest
import torch

from export import export_run as module
from export.effect import ALLOWANCES, Allowance
from export.errors import ExportError, RepositoryError, VerificationError
from export.export_run import Flavour, export_run
from export.to_onnx import trace
from service.contract import Contract, parse_config
from training.checkpoint import load, load_verification_images
from training.errors import CheckpointError, DataError


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def repository(trained_run, tmp_path_factory):
    repository = tmp_path_factory.mktemp("repository")
    assert export_run(trained_run, repository, "parts", Flavour(max_batch_size=3)) == 1
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
        "precision": "fp32",
        "training_digest": checkpoint.training_digest,
        "training_images": str(60 - calibrated),
    }


def test_a_wrong_graph_is_not_published_and_the_repository_untouched(
    repository, trained_run, monkeypatch
):
    def wrong(_gauge, image_size, path):
        trace(load(trained_run).gauge("none"), image_size, path)

    before = tree(repository)
    monkeypatch.setattr(module, "trace", wrong)
    with pytest.raises(VerificationError):
        export_run(trained_run, repository, "parts", Flavour(max_batch_size=3))
    assert tree(repository) == before


def test_a_name_that_no_folder_can_have_is_refused(trained_run, tmp_path):
    with pytest.raises(RepositoryError, match=r"\.\./parts"):
        export_run(trained_run, tmp_path, "../parts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "flavour"), [("two words", Flavour()), ("parts", Flavour(triton_backend="python"))]
)
def test_what_the_repository_cannot_take_is_refused_before_the_work(
    repository, trained_run, monkeypatch, name, flavour
):
    monkeypatch.delattr(module, "trace")
    with pytest.raises(RepositoryError):
        export_run(trained_run, repository, name, flavour)


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="train it first"):
        export_run(tmp_path, tmp_path / "repository", "parts")
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_published_in_the_graph_and_decides_alike(
    repository, trained_run, product_tree, tmp_path, capsys
):
    flavour = Flavour(precision="fp16", images=product_tree, max_batch_size=3)
    export_run(trained_run, tmp_path, "parts", flavour)
    assert re.search(r"fp16 on \d+ images.*AUROC", capsys.readouterr().err, re.DOTALL)
    half, full = (
        onnxruntime.InferenceSession(folder / "parts" / "1" / "model.onnx")
        for folder in (tmp_path, repository)
    )
    assert [i.type for i in half.get_inputs()] == ["tensor(uint8)"]
    assert {o.type for o in half.get_outputs()} == {"tensor(float)"}
    images = load_verification_images(trained_run).numpy()
    scores = [session.run(["score"], {"image": images})[0] for session in (half, full)]
    np.testing.assert_allclose(*scores, rtol=0.02, atol=0.02)
    config = parse_config((tmp_path / "parts" / "config.pbtxt").read_text())
    assert Contract.from_config(config, "1").parameters["precision"] == "fp16"


def test_precision_is_measured_on_the_training_images_as_the_run_chose_them(trained_run, tmp_path):
    run = shutil.copytree(trained_run, tmp_path / "run")
    record = json.loads((run / "checkpoint.json").read_text())
    record["config"]["exclude"] = ["*.jpg"]
    (run / "checkpoint.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"\(--exclude\)"):
        export_run(run, tmp_path / "repository", "parts", Flavour(precision="fp16"))


def test_precision_that_costs_too_much_is_not_published(
    trained_run, product_tree, tmp_path, monkeypatch
):
    monkeypatch.setitem(ALLOWANCES, "int8", Allowance(margin=0, auroc_loss=-1))
    flavour = Flavour(precision="int8", images=product_tree)
    with pytest.raises(VerificationError, match="the smaller precision"):
        export_run(trained_run, tmp_path / "repository", "parts", flavour)
    assert not (tmp_path / "repository").exists()


def test_tensorrt_is_for_the_backend_that_has_it():
    with pytest.raises(ExportError, match="not python"):
        Flavour("python", tensorrt=True)


def test_plan_is_published_beside_the_graph(trained_run, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "trtexec"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nfor o; do case $o in --saveEngine=*) echo "$@" >"${o#*=}";; esac; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    export_run(trained_run, tmp_path / "models", "parts", Flavour("tensorrt", max_batch_size=4))
    version = tmp_path / "models" / "parts" / "1"
    asked = (version / "model.plan").read_text()
    assert "--stronglyTyped" in asked
    assert "--maxShapes=image:4x128x128x3" in asked
    assert parse_config((version / "config.pbtxt").read_text()).backend == "tensorrt"
    assert (version / "model.onnx").is_file()
