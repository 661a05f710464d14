import json
import shutil

import pytest

from training.errors import DataError
from training.evaluation.evaluate import evaluate_run

METRICS = {"image_auroc", "image_ap", "image_f1_max"}
RATES = {"false_alarm_rate", "miss_rate"}


def test_the_figures_have_the_documented_shape(trained_run, product_tree, tmp_path):
    file = tmp_path / "figures.json"
    figures = evaluate_run(trained_run, product_tree, ("none", "class-aware", "cada"), file)
    assert json.loads(file.read_text()) == figures
    assert figures["products"] == ["cloth", "metal", "wood"]
    assert list(figures["alignments"]) == ["none", "class-aware", "cada"]
    for figure in figures["alignments"].values():
        assert set(figure) == {"pooled", "product_mean", "per_product", "at_threshold"}
        assert set(figure["pooled"]) == set(figure["product_mean"]) == METRICS
        assert list(figure["per_product"]) == figures["products"]
        at = figure["at_threshold"]
        assert set(at) == {"alpha", "worst_product"} | RATES
        assert set(at["worst_product"]) == RATES
        assert at["alpha"] == 0.05
        assert all(0 <= figure["pooled"][name] <= 1 for name in METRICS)


def test_another_false_alarm_rate_moves_the_threshold_alone(trained_run, product_tree):
    (few, many) = (
        evaluate_run(trained_run, product_tree, ("cada",), false_alarm_rate=rate)["alignments"][
            "cada"
        ]
        for rate in (0.05, 0.5)
    )
    assert many["pooled"] == few["pooled"]
    assert many["at_threshold"]["alpha"] == 0.5
    assert many["at_threshold"]["false_alarm_rate"] > few["at_threshold"]["false_alarm_rate"]


def test_a_rate_that_the_calibration_cannot_promise_is_said_and_not_claimed(
    trained_run, product_tree, capsys
):
    figures = evaluate_run(trained_run, product_tree, ("cada",), false_alarm_rate=0.001)
    assert figures["alignments"]["cada"]["at_threshold"]["alpha"] == 1 / 20
    assert "19 calibration images promise a false-alarm rate of 0.05" in capsys.readouterr().err


def test_an_unknown_product_is_evaluated_but_not_class_aware(
    trained_run, product_tree, tmp_path, capsys
):
    shutil.copytree(product_tree / "metal" / "test", tmp_path / "bolt" / "test")
    figures = evaluate_run(trained_run, tmp_path, ("none", "class-aware", "cada"))
    assert figures["products"] == ["bolt"]
    assert list(figures["alignments"]) == ["none", "cada"]
    assert "class-aware is left out: training knows no product 'bolt'" in capsys.readouterr().err


def test_an_unreadable_test_image_is_named_and_left_out(
    trained_run, product_tree, tmp_path, capsys
):
    shutil.copytree(product_tree / "metal" / "test", tmp_path / "metal" / "test")
    (tmp_path / "metal" / "test" / "good" / "bad.jpg").write_bytes(b"no image")
    assert evaluate_run(trained_run, tmp_path, ("none",))["products"] == ["metal"]
    assert "bad.jpg" in capsys.readouterr().err


def test_a_product_without_anomalies_and_an_unknown_alignment_are_named(
    trained_run, product_tree, tmp_path
):
    with pytest.raises(DataError, match="'mean'"):
        evaluate_run(trained_run, product_tree, ("mean",))
    shutil.copytree(product_tree / "wood" / "test" / "good", tmp_path / "wood" / "test" / "good")
    with pytest.raises(DataError, match="'wood' are all normal"):
        evaluate_run(trained_run, tmp_path, ("none",))
