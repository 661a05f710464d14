import re
import shutil
from contextlib import redirect_stderr
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from onegauge.export import export_run as module
from onegauge.export.errors import ExportError, RepositoryError, VerificationError
from onegauge.export.export_run import Flavour, export_run, provenance
from onegauge.export.graph import constants_of, leaving_out, replace_constants
from onegauge.export.held_out import HeldOut
from onegauge.export.precision_effect import ALLOWANCES, Allowance
from onegauge.export.session import Session
from onegauge.service.model.contract import Contract, parse_config
from onegauge.service.model.criterion import Criterion, p_values
from onegauge.service.model.repository import StoredVersion
from onegauge.training.checkpoint import load, load_verification_images, save
from onegauge.training.errors import CheckpointError
from onegauge.training.gauge.calibration import Calibration
from onegauge.training.gauge.gauge import look_of


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def repository(trained_run, traced, tmp_path_factory):
    repository = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "trace", copier_of(traced))
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
    assert (contract.map_height, contract.map_width) == (16, 16)
    assert contract.max_batch_size == 3


def test_a_part_of_a_map_can_be_scored_by_the_parameters(contract, trained_run):
    gauge = load(trained_run).gauge()
    pixels, scores = contract.rescoring
    assert pixels == gauge.scoring.pixels(torch.zeros(1, 16, 16)) == 3
    np.testing.assert_array_equal(scores, gauge.calibration.scores.numpy())


def test_the_provenance_tells_where_the_model_comes_from(contract, repository, trained_run):
    checkpoint = load(trained_run)
    files = (repository / "parts" / "1" / name for name in ("model.onnx", "model.onnx.data"))
    record = (trained_run / "checkpoint.json").read_bytes()
    rates = {
        name: float(contract.parameters[name]) for name in ("false_alarm_rate", "novelty_rate")
    }
    assert rates == {"false_alarm_rate": 0.05, "novelty_rate": 1 / 61}
    Criterion(max_false_alarm_rate=rates["novelty_rate"]).check(contract)  # as it is told
    rescoring = {"score_pixels", "calibration_scores"}
    assert {k: v for k, v in contract.parameters.items() if k not in {*rates, *rescoring}} == {
        "alignment": "cada",
        "backbone": "starter",
        "calibrated_at": str(checkpoint.calibrated_at),
        "calibration": "leave-one-out",
        "calibration_images": "60",
        "checkpoint_digest": sha256(record).hexdigest(),
        "detector": "gallery",
        "model_digest": sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        "onegauge_version": version("onegauge"),
        "precision": "fp32",
        "references": "60",
        "training_digest": checkpoint.training_digest,
        "training_images": "60",
    }


def test_constants_lie_beside_the_graph_and_are_mapped_not_copied(repository):
    version = repository / "parts" / "1"
    graph, constants = (version / name for name in ("model.onnx", "model.onnx.data"))
    assert graph.stat().st_size < constants.stat().st_size / 4
    assert graph.stat().st_mode == constants.stat().st_mode  # who may read one may read the other
    session = Session(graph)
    assert str(constants) in Path("/proc/self/maps").read_text()
    assert session.inputs == {"image"}


def test_the_provenance_of_a_split_tells_what_was_held_out(split_run):
    told = provenance(split_run, split_run.config.out)
    names = ("calibration", "calibration_images", "references", "training_images")
    assert [told[name] for name in names] == ["split", "19", "41", "41"]


def test_a_wrong_graph_is_not_published_and_the_repository_untouched(
    repository, trained_run, traced, monkeypatch
):
    def wrong(_gauge, _size, path):
        model = onnx.load(traced)
        (span,) = constants_of(model, ["calibration.span"]).values()
        replace_constants(model, {"calibration.span": 2 * span})
        onnx.save(model, path)

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


@pytest.fixture(scope="module", params=["fp16", "int8"])
def smaller(request, trained_run, traced, tmp_path_factory) -> tuple[str, Path, str]:
    """A precision, the folder of the version that was published in it, and what was said."""
    repository = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as said:
        patch.setattr(module, "SCALING_IMAGES", 16)
        patch.setitem(ALLOWANCES, request.param, Allowance(margin=9, auroc_loss=1))
        patch.setattr(module, "trace", copier_of(traced))
        export_run(trained_run, repository, "parts", Flavour(precision=request.param))
    return request.param, repository / "parts" / "1", said.getvalue()


def copier_of(traced: Path):
    """What writes this graph wherever one is to be traced, which takes a while."""
    return lambda _gauge, _size, path: shutil.copy(traced, path)


def read_by(folder: Path, images: np.ndarray, *outputs: str) -> list[np.ndarray]:
    """What the graph of a version says of images uint8 (N, H, W, 3)."""
    batches = ({"image": image[np.newaxis]} for image in images)
    return Session(folder / "model.onnx").outputs(outputs, batches)


def read_apart(folder: Path, held_out: HeldOut, *outputs: str) -> list[np.ndarray]:
    """The same of held-out pictures, none compared with its own group."""
    asked = zip(held_out.pictures(), held_out.own, strict=True)
    batches = ({"image": tiles, "own": np.array([group])} for tiles, group in asked)
    return Session(leaving_out(folder / "model.onnx")).outputs(outputs, batches)


def contract_of(folder: Path) -> Contract:
    return Contract.from_config(parse_config((folder / "config.pbtxt").read_text()), "1")


def test_smaller_precision_keeps_the_promise_by_its_own_scores(smaller, trained_run, repository):
    _, folder, _ = smaller
    held_out = HeldOut.of(load(trained_run), None)
    score, p_value = read_apart(folder, held_out, "score", "p_value")
    contract = contract_of(folder)
    np.testing.assert_array_equal(p_values(score, contract.rescoring[1]), p_value)
    assert contract.calibration_images == len(score) == 60
    reached = (score[np.newaxis] >= score[:, np.newaxis]).sum(1)
    np.testing.assert_array_equal(p_value, ((1 + reached) / 61).astype(np.float32))
    np.testing.assert_array_equal(score >= 1, p_value <= np.float32(0.05))
    before = contract_of(repository / "parts" / "1").rescoring[1]
    assert not np.array_equal(contract.rescoring[1], before)


def test_smaller_precision_decides_much_as_fp32_does(smaller, repository, trained_run):
    precision, folder, said = smaller
    assert re.search(rf"{precision} on 120 images.*\n?.*AUROC", said, re.DOTALL)
    assert contract_of(folder).parameters["precision"] == precision
    images = load_verification_images(trained_run).numpy()
    (found,) = read_by(folder, images, "score")
    (exact,) = read_by(repository / "parts" / "1", images, "score")
    near = {"fp16": 0.03, "int8": 0.5}[precision]
    np.testing.assert_allclose(found, exact, rtol=near, atol=near)


def test_verification_of_a_smaller_precision_is_what_its_graph_says(smaller):
    _, folder, _ = smaller
    verification = StoredVersion(contract_of(folder), folder).verification()
    score, novelty = read_by(folder, verification.images, "score", "novelty")
    np.testing.assert_allclose(verification.score, score, rtol=1e-4)
    np.testing.assert_allclose(verification.novelty, novelty, rtol=1e-4)


@pytest.fixture
def without_tracing(traced, monkeypatch):
    """The gauge of the trained run as a graph that is there already."""
    monkeypatch.setattr(module, "trace", copier_of(traced))


@pytest.mark.usefixtures("without_tracing")
def test_precision_that_costs_too_much_is_not_published(trained_run, tmp_path, monkeypatch):
    monkeypatch.setitem(ALLOWANCES, "fp16", Allowance(margin=0, auroc_loss=-1))
    with pytest.raises(VerificationError, match="the smaller precision"):
        export_run(trained_run, tmp_path / "repository", "parts", Flavour(precision="fp16"))
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_precision_is_refused_before_the_work_without_the_images(
    trained_run, tmp_path, monkeypatch, precision
):
    monkeypatch.delattr(module, "trace")
    flavour = Flavour(precision=precision, images=tmp_path / "gone")
    with pytest.raises(ExportError, match=f"{tmp_path / 'gone'}.*--images"):
        export_run(trained_run, tmp_path / "repository", "parts", flavour)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_tracing")
def test_full_precision_needs_no_images(trained_run, tmp_path):
    flavour = Flavour(images=tmp_path / "gone")
    assert export_run(trained_run, tmp_path / "repository", "parts", flavour) == 1


def test_class_aware_model_is_calibrated_as_it_will_be_used(trained_run, tmp_path, monkeypatch):
    """A graph is told no products, so that what is known of the held-out ones must not count."""
    known = load(trained_run)
    first, *others, last = known.evidence.products
    run = replace(
        known,
        config=replace(known.config, out=tmp_path, alignment="class-aware"),
        evidence=replace(known.evidence, products=(last, *others, first)),  # which look otherwise
    )
    save(run, load_verification_images(trained_run))

    def stop(gauge, _size, _path):
        raise Traced(gauge.calibration)

    monkeypatch.setattr(module, "trace", stop)
    with pytest.raises(Traced) as end:
        export_run(tmp_path, tmp_path / "repository", "parts")
    evidence, gauge = run.evidence, run.gauge("class-aware")
    look = look_of(evidence, evidence.held_out, gauge.retrieval)
    inferred = gauge.scoring(gauge.alignment(evidence.maps.float(), look).maps)
    expected = Calibration.of(inferred, run.config.false_alarm_rate).scores
    torch.testing.assert_close(end.value.args[0].scores, expected, rtol=1e-4, atol=1e-4)


class Traced(Exception):
    """What an export would have traced."""


def test_tensorrt_is_for_the_backend_that_has_it():
    with pytest.raises(ExportError, match="not python"):
        Flavour("python", tensorrt=True)


@pytest.mark.usefixtures("without_tracing")
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
    assert {"--stronglyTyped", "--noTF32"} <= {*asked.split()}
    assert "--maxShapes=image:4x128x128x3" in asked
    assert parse_config((version / "config.pbtxt").read_text()).backend == "tensorrt"
    assert (version / "model.onnx").is_file()
