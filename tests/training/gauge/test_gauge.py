"""What a run decided on its own images, each as if nothing had seen it."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from onegauge.training.backbones.retrieval import NEW
from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.data.dataset import picture_of
from onegauge.training.errors import DataError
from onegauge.training.gauge.gauge import Gauge, Reading


@pytest.fixture(scope="module")
def run(trained_run: Path) -> Checkpoint:
    return load(trained_run)


@pytest.fixture(scope="module")
def images(run: Checkpoint, product_tree: Path) -> Tensor:
    """Those calibrated on, in the order of the evidence."""
    paths = [product_tree / name for name in run.calibration_files]
    return torch.stack([torch.from_numpy(picture_of(path, 128).pixels[0]) for path in paths])


def reading(gauge: Gauge, images: Tensor, own: Tensor) -> Reading:
    """What the gauge says of images, beside references of none of the groups `own`."""
    with torch.inference_mode():
        return gauge(images, own)


@pytest.fixture(scope="module")
def left_out(run: Checkpoint, images: Tensor) -> Reading:
    """Each image beside those of all other parts."""
    return reading(run.gauge(), images, run.evidence.own[run.evidence.held_out])


def test_every_image_is_calibrated_on_as_the_graph_sees_it_among_the_others(run, left_out):
    apart = (left_out.score.sort().values - run.gauge().calibration.scores).abs()
    assert len(apart) == run.images == 60
    assert int((apart > 0.03).sum()) <= 1  # the one that is moved to the threshold


def test_no_image_among_the_others_is_of_an_unknown_product(left_out):
    assert 0.8 < float(left_out.novelty.max()) < 1


def test_an_image_that_the_run_knows_is_flawless_to_it_and_not_among_the_others(
    run, images, left_out
):
    known = reading(run.gauge(), images, torch.tensor([NEW]))
    assert (known.raw_score < 0.95 * left_out.raw_score).all()
    assert float(known.score.max()) < float(left_out.score.min())
    assert (known.novelty < left_out.novelty).all()


def without(run: Checkpoint, row: int) -> Gauge:
    """The gauge, not calibrated, of a run that has never seen an image."""
    evidence, detector = run.evidence, deepcopy(run.detector)
    others = torch.arange(len(evidence.references)) != row
    detector.memories, detector.usual = detector.memories[others], detector.usual[others]
    fewer = replace(
        evidence,
        maps=evidence.maps[others],
        deviations=evidence.deviations[others],
        quarters=evidence.quarters[others],
        parts=evidence.parts[others],
        groups=evidence.groups[others],
        own=evidence.own[others],
        pictures=evidence.pictures[others],
        products=tuple(p for p, kept in zip(evidence.products, others, strict=True) if kept),
        references=torch.arange(int(others.sum())),
        held_out=torch.arange(int(others.sum())),
    )
    return Gauge(run.config, run.backbone, detector, fewer).eval()


@pytest.mark.parametrize("row", [3, 25, 47])
def test_an_image_among_the_others_is_read_as_by_a_run_that_has_never_seen_it(
    run, images, left_out, row
):
    """As far as that is exact: others' statistics, axes and components were found beside it."""
    alone = reading(without(run, row), images[row : row + 1], torch.tensor([NEW]))
    calibration = run.gauge().calibration
    assert float(alone.raw_score) == pytest.approx(float(left_out.raw_score[row]), rel=0.02)
    assert float(alone.normal_location) == pytest.approx(
        float(left_out.normal_location[row]), rel=0.02
    )
    assert float(calibration(alone.score)) == pytest.approx(float(left_out.score[row]), abs=0.2)


def test_a_product_of_one_part_cannot_be_separated(run):
    products, groups = list(run.evidence.products), run.evidence.groups.clone()
    products[:3], groups[:3] = ["lonely"] * 3, groups[0]
    evidence = replace(run.evidence, products=tuple(products), groups=groups)
    config = replace(run.config, alignment="class-separated")
    with pytest.raises(DataError, match="no two parts of the product 'lonely'"):
        Gauge(config, run.backbone, run.detector, evidence)
