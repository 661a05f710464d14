import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from onegauge.training.checkpoint import load, load_verification_images, save
from onegauge.training.errors import CheckpointError
from onegauge.training.gauge.gauge import build_gauge

FILES = ("checkpoint.safetensors", "references.safetensors", "verification.safetensors")


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the trained run that a test may damage."""
    return shutil.copytree(trained_run, tmp_path / "run")


def test_a_saved_run_reads_images_as_before(trained_run, tmp_path):
    before, images = load(trained_run), load_verification_images(trained_run)
    out = tmp_path / "again"
    out.mkdir()
    save(replace(before, config=replace(before.config, out=out)), images)
    after = load(out)
    assert after.evidence.products == before.evidence.products
    assert after.evidence.tensors().keys() == before.evidence.tensors().keys()
    assert after.training_digest == before.training_digest
    assert after.calibration_files == before.calibration_files
    assert replace(after.config, out=trained_run) == before.config
    with torch.inference_mode():
        readings = zip(after.gauge()(images), before.gauge()(images), strict=True)
    for found, expected in readings:
        assert torch.equal(found, expected)


def test_a_run_says_which_files_it_was_calibrated_on(trained_run, product_tree):
    run = load(trained_run)
    files = run.calibration_files
    assert len(files) == run.calibration_images == 60
    assert {*run.fitted_files} == files.keys()  # each was left out in turn
    assert all((product_tree / name).is_file() for name in run.fitted_files)
    for name, digest in files.items():
        assert sha256((product_tree / name).read_bytes()).hexdigest() == digest


def test_a_run_can_be_moved(run):
    assert load(run).config.out == run


def test_nothing_in_a_run_is_pickled(trained_run):
    assert {path.name for path in trained_run.iterdir()} == {"checkpoint.json", *FILES}
    for name in FILES:
        assert load_file(trained_run / name)


def test_verification_images_are_of_the_models_size(trained_run):
    images = load_verification_images(trained_run)
    assert images.dtype == torch.uint8
    assert tuple(images.shape[1:]) == (128, 128, 3)
    assert len(images) >= 8


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_noticed_and_the_file_named(run, name):
    content = bytearray((run / name).read_bytes())
    content[-1] ^= 1
    (run / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        load(run)


@pytest.mark.parametrize("name", ["checkpoint.json", *FILES])
def test_a_run_with_a_missing_file_is_not_finished(run, name):
    (run / name).unlink()
    with pytest.raises(CheckpointError, match=f"(?s){run}.*{name}"):
        load(run)


@pytest.mark.parametrize("record", ["", "{", "{}", "[]", '{"digests": {}, "config": {}}'])
def test_a_damaged_record_is_an_error_that_names_the_run(run, record):
    (run / "checkpoint.json").write_text(record)
    with pytest.raises(CheckpointError, match=str(run)):
        load(run)


def test_a_detector_that_is_unknown_here_is_named(run):
    record = json.loads((run / "checkpoint.json").read_text())
    record["config"]["detector"] = "oracle"
    (run / "checkpoint.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="'oracle'"):
        load(run)


def without(run: Path, tensor: str) -> Path:
    """The run as if its version had not had a tensor."""
    weights, record = run / "checkpoint.safetensors", run / "checkpoint.json"
    tensors = load_file(weights)
    del tensors[tensor]
    save_file(tensors, weights)
    told = json.loads(record.read_text())
    told["digests"][weights.name] = sha256(weights.read_bytes()).hexdigest()
    record.write_text(json.dumps(told))
    return run


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        ("backbone.network.conv_stem.weight", "starter differs in network.conv_stem.weight"),
        ("detector.axes", "gallery differs in axes"),
    ],
)
def test_a_run_of_an_older_version_is_to_be_trained_anew(run, tensor, told):
    with pytest.raises(CheckpointError, match=f"{told}; train it anew"):
        load(without(run, tensor))


def test_thresholds_of_another_form_of_alignment_do_not_hold(run):
    record = run / "checkpoint.json"
    told = json.loads(record.read_text())
    for older in ({**told, "form": told["form"] - 1}, {k: told[k] for k in told.keys() - {"form"}}):
        record.write_text(json.dumps(older))
        with pytest.raises(CheckpointError, match=r"thresholds do not hold .* train it anew"):
            load(run)


def test_what_a_run_decided_is_not_decided_again(trained_run, monkeypatch):
    checkpoint, images = load(trained_run), load_verification_images(trained_run)
    anew = build_gauge(
        checkpoint.config,
        checkpoint.backbone,
        checkpoint.detector,
        checkpoint.evidence,
    )
    monkeypatch.delattr("onegauge.training.gauge.gauge.aligned_maps")
    gauge = load(trained_run).gauge()
    with torch.inference_mode():
        for kept, found in zip(gauge(images), anew(images), strict=True):
            assert torch.equal(kept, found)


def test_the_rate_asked_for_moves_the_threshold_and_no_order(trained_run):
    checkpoint, images = load(trained_run), load_verification_images(trained_run)
    with torch.inference_mode():
        strict = checkpoint.gauge(false_alarm_rate=0.05)(images).score
        lenient = checkpoint.gauge(false_alarm_rate=0.4)(images).score
    assert torch.equal(strict.argsort(), lenient.argsort())
    alarms = strict >= 1
    assert alarms.any()
    assert (lenient[alarms] > 1.2 * strict[alarms]).all()


def test_every_alignment_can_be_had_of_a_run_and_no_other(trained_run):
    checkpoint, images = load(trained_run), load_verification_images(trained_run)[:2]
    with torch.inference_mode():
        raw = checkpoint.gauge("none")(images)
        aligned = checkpoint.gauge("cada-scalar")(images)
    assert torch.equal(raw.raw_score, aligned.raw_score)
    assert not torch.allclose(raw.score, aligned.score)
    with pytest.raises(CheckpointError, match="mean"):
        checkpoint.gauge("mean")


def test_the_promise_is_what_the_calibration_images_carry(trained_run):
    checkpoint = load(trained_run)
    assert checkpoint.calibration_images == 60
    assert checkpoint.false_alarm_rate == pytest.approx(0.05)
    assert checkpoint.novelty_rate == pytest.approx(1 / 61)
    record = json.loads((trained_run / "checkpoint.json").read_text())
    assert set(record["products"]) == {"cloth", "metal", "wood"}
