import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from onegauge.export.graph import leaving_out
from onegauge.export.held_out import HeldOut
from onegauge.export.recalibration import recalibrate, store_calibration
from onegauge.export.session import Session
from onegauge.export.verify import verify
from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.errors import DataError
from onegauge.training.gauge.gauge import Gauge, Reading


def distort(source: Path, target: Path, factor: float, offset: float) -> Path:
    """A graph with what is calibrated, scores and novelty, changed as no precision should."""
    model = onnx.load(source)
    graph = model.graph
    for name, value in (("factor", factor), ("offset", offset)):
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    nodes = []
    for node in list(graph.node):
        if {"calibration.origin", "novelty.threshold"} & {*node.input}:
            before = node.input[0]
            node.input[0] = f"{node.name}.distorted"
            nodes.append(helper.make_node("Mul", [before, "factor"], [f"{node.name}.stretched"]))
            moved = [f"{node.name}.stretched", "offset"]
            nodes.append(helper.make_node("Add", moved, [node.input[0]]))
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    onnx.save(model, target)
    return target


def read(model: Path, held_out: HeldOut) -> Reading:
    """What a graph says of the pictures, none compared with its own group."""
    asked = zip(held_out.pictures(), held_out.own, strict=True)
    batches = ({"image": tiles, "own": np.array([group])} for tiles, group in asked)
    return Reading(*Session(leaving_out(model)).outputs(Reading._fields, batches))


class World(NamedTuple):
    """A graph that was distorted, as it read the held-out images before and since."""

    model: Path
    gauge: Gauge
    undistorted: Reading
    before: Reading
    since: Reading


@pytest.fixture(scope="module")
def checkpoint(trained_run) -> Checkpoint:
    """The run with a rate that some of the images it was calibrated on must reach."""
    run = load(trained_run)
    config = replace(run.config, false_alarm_rate=0.2)
    return replace(run, config=config, decided=run.gauge(false_alarm_rate=0.2).decided)


@pytest.fixture(scope="module")
def held_out(checkpoint) -> HeldOut:
    return HeldOut.of(checkpoint, None)


@pytest.fixture(scope="module")
def world(traced, checkpoint, held_out, tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("distorted")
    gauge, exact = checkpoint.gauge(), shutil.copy(traced, folder / "exact.onnx")
    store_calibration(exact, gauge)
    model = distort(exact, folder / "model.onnx", 5.0, 0.4)
    before = read(model, held_out)
    recalibrate(model, gauge, held_out)
    return World(model, gauge, read(exact, held_out), before, read(model, held_out))


def test_as_many_are_flagged_as_the_rule_says(world, checkpoint):
    images, rate = checkpoint.calibration_images, checkpoint.config.false_alarm_rate
    allowed = images - math.ceil((images + 1) * (1 - rate))
    assert (world.before.score >= 1).sum() > allowed
    assert (world.since.score >= 1).sum() == allowed == 11


def test_p_values_count_the_scores_of_the_graph_itself(world):
    scores = world.since.score
    reached = (scores[np.newaxis] >= scores[:, np.newaxis]).sum(1)
    expected = (1 + reached) / (len(scores) + 1)
    np.testing.assert_array_equal(world.since.p_value, expected.astype(np.float32))
    assert len({*world.before.p_value}) < len({*expected})


def test_scores_maps_and_novelty_are_in_the_old_unit_again(world):
    """As what was distorted is affine, all is as if it had not been, but for a rounding."""
    for name in ("score", "anomaly_map"):
        expected, found = getattr(world.undistorted, name), getattr(world.since, name)
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2, err_msg=name)
        assert np.abs(getattr(world.before, name) - expected).max() > 0.5
    assert (world.before.novelty >= 1).sum() > 1
    assert (world.since.novelty >= 1).sum() <= 1


def test_gauge_has_the_calibration_of_its_graph(world, traced, images, tmp_path):
    p_value = world.gauge.calibration.p_value(torch.from_numpy(world.since.score))
    np.testing.assert_array_equal(p_value.numpy(), world.since.p_value)
    other = shutil.copy(traced, tmp_path / "model.onnx")
    store_calibration(Path(other), world.gauge)
    assert verify(world.gauge, Path(other), images, 4).score < 2e-3  # raises where they differ


def test_exact_graph_is_calibrated_as_the_run_was(checkpoint, held_out, traced, tmp_path):
    """By what torch says of the pictures; the run went by maps and features kept in fp16."""
    run, exact, gauge = (checkpoint.gauge() for _ in range(3))
    with torch.inference_mode():
        told = [
            run(torch.from_numpy(tiles), torch.tensor([group]))
            for tiles, group in zip(held_out.pictures(), held_out.own, strict=True)
        ]
    score = torch.cat([reading.score for reading in told])
    distances = torch.cat([reading.novelty for reading in told]) * run.novelty.threshold
    aligned = score * run.calibration.span + run.calibration.origin
    exact.novelty.threshold.fill_(1)
    exact.calibrate(aligned, distances, torch.arange(len(told)), checkpoint.config)
    recalibrate(Path(shutil.copy(traced, tmp_path / "model.onnx")), gauge, held_out)
    for expected, apart in ((exact, 1e-4), (run, 5e-3)):
        for name in ("calibration.origin", "calibration.span", "novelty.threshold"):
            found = gauge.decided[name]
            torch.testing.assert_close(found, expected.decided[name], rtol=apart, atol=apart)


def test_scores_that_do_not_differ_are_no_calibration(checkpoint, held_out, traced, tmp_path):
    flat = distort(traced, tmp_path / "model.onnx", 0.0, 1.0)
    with pytest.raises(DataError, match="do not differ"):
        recalibrate(flat, checkpoint.gauge(), held_out)
