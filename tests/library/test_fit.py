"""What follows from a library is what torch makes of the same images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from onegauge.library.errors import LibraryError
from onegauge.library.fit import Fit, Seen
from onegauge.library.library import Library
from onegauge.training.backbones.embedding import deviations, quarters
from onegauge.training.backbones.retrieval import NEW
from onegauge.training.checkpoint import Checkpoint, load, load_verification_images
from onegauge.training.gauge.gauge import build_gauge


@pytest.fixture(scope="module")
def checkpoint(trained_run: Path) -> Checkpoint:
    return load(trained_run)


@pytest.fixture(scope="module")
def library(checkpoint: Checkpoint) -> Library:
    return checkpoint.library()


@pytest.fixture(scope="module")
def with_some_apart(checkpoint: Checkpoint) -> Checkpoint:
    """The run with five images that set the threshold apart from what is too like them."""
    evidence, rows = checkpoint.evidence, torch.tensor([3, 8, 21, 22, 50])
    of_a_row = ("maps", "deviations", "quarters", "parts", "groups", "own", "pictures")
    twice = {n: torch.cat([getattr(evidence, n), getattr(evidence, n)[rows]]) for n in of_a_row}
    twice["maps"][60:] *= 1.5
    twice["own"][60:, 1] += 2
    products = (*evidence.products, *evidence.products_of(rows))
    held_out = torch.tensor([*(row for row in range(60) if row not in rows), *range(60, 65)])
    changed = replace(evidence, **twice, products=products, held_out=held_out)
    return replace(checkpoint, evidence=changed)


@pytest.mark.parametrize("which", ["checkpoint", "with_some_apart"])
def test_every_constant_is_what_the_trained_graph_has(which, request):
    run = request.getfixturevalue(which)
    gauge = build_gauge(run.config, run.backbone, run.detector, run.evidence)
    graph = gauge.state_dict()
    for name, value in Fit.of(run.library()).constants().items():
        expected = graph[name].numpy()
        assert value.shape == expected.shape, name
        assert np.allclose(value, expected, rtol=1e-4, atol=1e-4), name


def test_it_promises_what_the_run_does(checkpoint, library):
    fit = Fit.of(library)
    promised = fit.false_alarm_rate, fit.novelty_rate, fit.calibration_images
    assert promised == (
        checkpoint.false_alarm_rate,
        checkpoint.novelty_rate,
        checkpoint.calibration_images,
    )


def test_it_judges_images_as_the_graph_does(trained_run, checkpoint, library):
    gauge = checkpoint.gauge()
    images = load_verification_images(trained_run)
    with torch.inference_mode():
        said = gauge(images)
        seen, _ = gauge.see(images, torch.tensor([NEW]))
        described = deviations(seen.stages), quarters(seen.stages), gauge.detector(seen)
    new = np.repeat([NEW], len(images), 0)
    score, novelty = Fit.of(library).judge(Seen(*(d.numpy() for d in described)), new)
    assert np.allclose(score, said.score.numpy(), atol=1e-3)
    assert np.allclose(novelty, said.novelty.numpy(), atol=1e-3)  # some are references


def test_normal_images_that_are_left_out_keep_the_promise(library):
    fit = Fit.of(library)
    flagged = (fit.scores(library.held_out) >= 1).mean()
    assert flagged <= fit.false_alarm_rate


def test_where_the_score_looks_is_all_that_counts(library):
    blind = replace(library, inspected=np.zeros(library.maps.shape[1:], bool))
    blind.inspected[:4] = True
    loud = replace(blind, maps=blind.maps.copy())
    loud.maps[:, 8:] *= 5
    raw = Fit.of(blind).cada.raw.scores
    assert np.array_equal(Fit.of(loud).cada.raw.scores, raw)
    assert not np.array_equal(Fit.of(library).cada.raw.scores, raw)


def test_too_few_images_are_refused(library):
    few = library.without(np.arange(21))
    with pytest.raises(LibraryError, match="39 references: it needs 40"):
        Fit.of(few)


def test_normal_images_of_another_form_are_refused(library):
    with pytest.raises(LibraryError, match="another form of alignment.*train the model anew"):
        Fit.of(replace(library, form=library.form - 1))
