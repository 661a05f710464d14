import json
import re
import shutil

import pytest

from onegauge.training.choice import Choice
from onegauge.training.errors import CheckpointError, DataError
from onegauge.training.evaluation.evaluate import both_kinds, evaluate
from onegauge.training.evaluation.run import Question

IMAGE = {"image_auroc", "image_ap", "image_f1_max"}
PIXEL = {"pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"}
CADA = Question(("cada",))


def test_the_figures_have_the_documented_shape(trained_run, product_tree, tmp_path):
    file = tmp_path / "figures.json"
    question = Question(("none", "class-aware", "cada"))
    figures = evaluate([str(trained_run)], both_kinds(product_tree), question, file)
    assert json.loads(file.read_text()) == figures
    assert figures["products"] == ["cloth", "metal", "wood"]
    (alignments,) = figures["targets"].values()
    assert list(alignments) == ["none", "class-aware", "cada"]
    for figure in alignments.values():
        assert set(figure["pooled"]) == set(figure["product_mean"]) == IMAGE | PIXEL
        assert list(figure["per_product"]) == figures["products"]
        assert figure["at_threshold"]["alpha"] == 0.05
        assert set(figure["p_values"]) == {"ks"}
        assert list(figure["at_rates"]) == ["0.01", "0.05"]
        assert all(0 <= value <= 1 for value in figure["pooled"].values())


def test_products_without_masks_have_no_figures_by_pixel(trained_run, product_tree, tmp_path):
    for name in ("metal", "wood"):
        shutil.copytree(product_tree / name / "test", tmp_path / name / "test")
    shutil.copytree(product_tree / "wood" / "ground_truth", tmp_path / "wood" / "ground_truth")
    figures = evaluate([str(trained_run)], both_kinds(tmp_path), CADA)
    per_product = figures["targets"][str(trained_run)]["cada"]["per_product"]
    assert set(per_product["wood"]) >= PIXEL
    assert not set(per_product["metal"]) & PIXEL


def test_what_is_evaluated_on_is_told_and_may_be_chosen(
    trained_run, product_tree, tmp_path, capsys
):
    tree = shutil.copytree(product_tree, tmp_path / "tree")
    (tree / "wood" / "test").rename(tree / "wood" / "Test")
    choice = Choice(exclude=("cloth",))
    figures = evaluate([str(trained_run)], both_kinds(tree, choice), CADA)
    assert figures["products"] == ["metal", "wood"]
    told = capsys.readouterr().out
    assert re.search(r"taken +12  normal: metal/test/good \(6\), wood/Test/good \(6\)", told)
    assert "--exclude: cloth/" in told


def test_several_targets_are_compared(trained_run, product_tree, tmp_path, capsys):
    other = shutil.copytree(trained_run, tmp_path / "other")
    figures = evaluate([str(trained_run), str(other)], both_kinds(product_tree), CADA)
    first, second = figures["targets"].values()
    assert first == second
    assert "other" in capsys.readouterr().out


def test_what_is_no_target_is_named(product_tree, tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing"):
        evaluate([str(tmp_path / "nothing")], both_kinds(product_tree), CADA)


def test_images_of_one_kind_alone_are_refused(product_tree, tmp_path):
    shutil.copytree(product_tree / "wood" / "test" / "good", tmp_path / "wood" / "test" / "good")
    with pytest.raises(DataError, match="all normal"):
        both_kinds(tmp_path)
