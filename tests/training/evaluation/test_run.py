import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from onegauge.training.backbones.compiled import ENOUGH
from onegauge.training.checkpoint import load
from onegauge.training.data.dataset import picture_of
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.errors import DataError
from onegauge.training.evaluation.run import (
    Question,
    align,
    detect,
    detect_separated,
    evaluate_run,
)
from onegauge.training.gauge.alignments import ALIGNMENTS
from onegauge.training.progress import Progress

CPU = torch.device("cpu")


def subjects(run, data, alignments=None, alpha=None):
    found = evaluate_run(run, labelled_images(data), Question(alignments, alpha, "cpu"), Progress())
    return {subject.alignment: subject for subject in found}


def test_a_reading_is_what_the_whole_graph_says(trained_run, product_tree):
    checkpoint, images = load(trained_run), labelled_images(product_tree)[:5]
    readings = align(checkpoint, detect(checkpoint, images, CPU, Progress()), "cada", 0.05)
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack([picture_of(i.path, 128).pixels[0] for i in images]))
        reading = checkpoint.gauge("cada", 0.05)(pixels)
    for name in ("score", "p_value", "raw_score", "novelty"):
        assert np.allclose(getattr(readings, name), getattr(reading, name), atol=1e-3), name
    assert np.allclose(readings.anomaly_map, reading.anomaly_map, atol=1e-2)
    assert readings.products == tuple(image.product for image in images)


def test_so_many_images_that_a_graph_pays_are_seen_the_same_by_it(trained_run, product_tree):
    checkpoint, images = load(trained_run), labelled_images(product_tree)[:5]
    few = detect(checkpoint, images, CPU, Progress())
    many = detect(checkpoint, images * (ENOUGH // 5), CPU, Progress())
    for name in ("maps", "quarters", "embedding", "weights"):
        found = getattr(many, name).unflatten(0, (-1, 5))
        assert torch.allclose(found, getattr(few, name).expand_as(found), atol=1e-3), name
    assert torch.equal(many.rows[-5:], few.rows)


def test_by_default_a_run_is_compared_with_no_alignment(trained_run, product_tree):
    found = subjects(trained_run, product_tree)
    assert list(found) == ["none", "cada"]
    assert found["cada"].alpha == 0.05
    assert found["cada"].threshold == 1.0
    card = found["cada"].card
    assert (card["detector"], card["backbone"]) == ("gallery", "starter")
    assert len(card["training data"]) == 64


def test_any_alignment_can_be_had_of_a_run(trained_run, product_tree):
    found = subjects(trained_run, product_tree, tuple(ALIGNMENTS))
    assert list(found) == list(ALIGNMENTS)
    assert all(np.isfinite(subject.readings.score).all() for subject in found.values())


def test_the_card_names_the_device_that_was_chosen(trained_run, product_tree):
    images = labelled_images(product_tree)[:3]
    (subject,) = evaluate_run(trained_run, images, Question(("none",)), Progress())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert f" ms on {device}, " in subject.card["time for an image"]


def test_labels_in_training_alone_infer_the_product(trained_run, product_tree):
    found = subjects(trained_run, product_tree, ("class-aware", "class-aware-training"))
    given, inferred = (found[name].readings.score for name in found)
    same = np.isclose(given, inferred, rtol=1e-3)
    assert same.mean() > 0.9  # the three products look different enough


def test_where_products_are_separated_an_image_is_beside_those_of_its_own_alone(
    trained_run, product_tree
):
    checkpoint = load(trained_run)
    images = labelled_images(product_tree)[::4]
    separated = detect_separated(checkpoint, images, CPU, Progress())
    assert {*separated.images} == {*images}
    known = np.array(checkpoint.evidence.products)
    for product, rows, weights in zip(
        separated.products, separated.rows, separated.weights, strict=True
    ):
        assert {*known[rows[weights > 0]]} == {product}
    readings = align(checkpoint, separated, "class-separated", 0.05)
    assert readings.products == tuple(image.product for image in separated.images)
    assert roc_auc_score(readings.anomalous, readings.score) > 0.9


def test_another_false_alarm_rate_moves_the_threshold_alone(trained_run, product_tree):
    few, many = (
        subjects(trained_run, product_tree, ("cada",), alpha)["cada"] for alpha in (0.05, 0.5)
    )
    assert many.alpha == 0.5
    assert np.array_equal(few.readings.score.argsort(), many.readings.score.argsort())
    assert (many.readings.score >= 1).sum() > (few.readings.score >= 1).sum()


def test_a_rate_that_the_calibration_cannot_promise_is_said_and_not_claimed(
    trained_run, product_tree, capsys
):
    assert subjects(trained_run, product_tree, ("cada",), 0.001)["cada"].alpha == 1 / 61
    assert "60 calibration images promise a false-alarm rate of 0.0164" in capsys.readouterr().err


def test_an_unknown_product_is_evaluated_but_not_class_aware(
    trained_run, product_tree, tmp_path, capsys
):
    shutil.copytree(product_tree / "metal" / "test", tmp_path / "bolt" / "test")
    names = ("none", "class-aware", "class-separated", "cada")
    found = subjects(trained_run, tmp_path, names)
    assert list(found) == ["none", "cada"]
    told = capsys.readouterr().err
    for name in names[1:3]:
        assert f"{name} is left out: training knows no product 'bolt'" in told


def test_an_unreadable_test_image_is_named_and_left_out(
    trained_run, product_tree, tmp_path, capsys
):
    shutil.copytree(product_tree / "metal" / "test", tmp_path / "metal" / "test")
    (tmp_path / "metal" / "test" / "good" / "bad.jpg").write_bytes(b"no image")
    found = subjects(trained_run, tmp_path, ("none",))["none"].readings
    assert len(found.images) == len(found.score) == 12
    assert "bad.jpg" in capsys.readouterr().err


def test_an_unknown_alignment_is_named(trained_run, product_tree):
    with pytest.raises(DataError, match="'mean'; there are cada"):
        subjects(trained_run, product_tree, ("mean",))
