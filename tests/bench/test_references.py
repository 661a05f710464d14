"""Graphs of many references: they have as many, and say of an image what they said with few."""

import numpy as np
import onnx
import pytest

from bench.references import grow, inspect
from bench.support.session import session

KNOWN = 60  # of `trained_run`


@pytest.fixture
def model(trained_repository):
    return trained_repository / "onegauge" / "1" / "model.onnx"


def test_a_grown_graph_has_so_many_references(model, tmp_path):
    grown = grow(model, KNOWN, 150, tmp_path)
    before, after = (
        {tensor.name: list(tensor.dims) for tensor in onnx.load(file).graph.initializer}
        for file in (model, grown)
    )
    changed = {name for name in before if before[name] != after[name]}
    assert {"detector.memories", "retrieval.references", "novelty.bank"} <= changed
    assert all(after[name] == [150, *before[name][1:]] for name in changed)


def test_a_grown_graph_answers_as_before(model, tmp_path):
    grown = grow(model, KNOWN, 2 * KNOWN, tmp_path)
    few, many = (inspect(session(file)) for file in (model, grown))
    assert [part.shape for part in few] == [part.shape for part in many]
    assert all(np.isfinite(part).all() for part in many)
