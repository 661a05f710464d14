from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onegauge.export.errors import VerificationError
from onegauge.export.held_out import HeldOut
from onegauge.export.precision_effect import Allowance, Sample, measure_effect, sample_of
from onegauge.training.checkpoint import load

WIDE = Allowance(margin=10, auroc_loss=1)


def scorer(file: Path, *, factor: float = 1.0, offset: float = 0.0) -> Path:
    """A graph whose score is the mean grey level, of 128, and changed so.

    It knows all images: one whose own group is not left out has a very low score.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["grey"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["grey", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["apart"]),
        helper.make_node("Cast", ["own"], ["groups"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["groups"], ["group"], axes=[0, 1], keepdims=0),
        helper.make_node("Min", ["group", "zero"], ["itself"]),
        helper.make_node("Add", ["apart", "itself"], ["score"]),
        helper.make_node("Mul", ["score", "zero"], ["novelty"]),
    ]
    numbers = {"factor": factor / 128, "offset": offset, "zero": 0.0}
    constants = [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in numbers.items()]
    constants.append(helper.make_tensor("own", TensorProto.INT64, [1, 2], [-1, -1]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", 4, 4, 3])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B"])
        for name in ("score", "novelty")
    ]
    graph = helper.make_graph(nodes, "scorer", [image], outputs, constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), file)
    return file


def greys(*levels: int) -> np.ndarray:
    return np.stack([np.full((4, 4, 3), level, np.uint8) for level in levels])


SAMPLE = Sample(greys(20, 60, 120), greys(100, 140, 250), [(0, 0), (1, 1), (1, 1)])


def test_what_changes_is_told(tmp_path):
    full, other = scorer(tmp_path / "a.onnx"), scorer(tmp_path / "b.onnx", factor=1.1)
    effect = measure_effect(full, other, SAMPLE, WIDE)
    assert effect.images == 6
    assert effect.auroc == effect.auroc_before == pytest.approx(8 / 9)
    assert effect.flipped == 1  # that of grey 120
    assert 0 < effect.score_median <= effect.score_99 <= 0.11


def test_decision_far_from_the_threshold_may_not_change(tmp_path):
    full, other = scorer(tmp_path / "a.onnx"), scorer(tmp_path / "b.onnx", offset=-0.2)
    with pytest.raises(VerificationError, match="0.09 from the threshold"):
        measure_effect(full, other, SAMPLE, Allowance(0.05, 1))
    assert measure_effect(full, other, SAMPLE, Allowance(0.1, 1)).flipped == 1


def test_loss_of_auroc_is_bounded(tmp_path):
    full, other = scorer(tmp_path / "a.onnx"), scorer(tmp_path / "b.onnx", factor=-1.0)
    with pytest.raises(
        VerificationError, match="points of AUROC on 6 images.*export with a higher --precision"
    ):
        measure_effect(full, other, SAMPLE, Allowance(10, 0.005))


def test_values_that_are_no_numbers_are_refused(tmp_path):
    full, other = scorer(tmp_path / "a.onnx"), scorer(tmp_path / "b.onnx", offset=float("nan"))
    with pytest.raises(VerificationError, match="finite"):
        measure_effect(full, other, SAMPLE, WIDE)


def test_sample_is_of_pictures_that_were_held_out_and_tells_their_groups(trained_run):
    held_out = HeldOut.of(load(trained_run), None)
    sample = sample_of(held_out)
    tiles = (picture.tobytes() for picture in held_out.pictures())
    known = dict(zip(tiles, held_out.own, strict=True))
    assert [known[image.tobytes()] for image in sample.normal] == sample.own
    assert sample.normal.shape == sample.anomalous.shape == (60, 128, 128, 3)
    assert (sample.normal != sample.anomalous).any(axis=(1, 2, 3)).all()
