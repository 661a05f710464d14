from dataclasses import dataclass

import numpy as np
import pytest
import torch

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import deviations
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.backbones.retrieval import NEW, Neighbours, Retrieval, neighbours_of
from onegauge.training.detectors import Gallery
from onegauge.training.detectors.gallery import AXES, MEMORIES
from onegauge.training.progress import Progress


@dataclass(frozen=True)
class Fitted:
    """A gallery of images, and those with the neighbours of each."""

    detector: Gallery
    features: Features
    retrieval: Retrieval

    def new(self, seen: Seen) -> Seen:
        """Images of other parts than all that are known."""
        embedding = self.retrieval.embedding(deviations(seen.stages))
        return seen._replace(neighbours=self.retrieval(embedding, torch.tensor([NEW])))


@pytest.fixture
def fit(backbone, options):
    def build(features: Features, of: Backbone = backbone) -> Fitted:
        looks, groups = deviations(features.batch(range(len(features))).stages), features.sources
        retrieval = Retrieval(looks, torch.from_numpy(groups))
        near = neighbours_of(retrieval, looks, retrieval.groups[:, None].expand(-1, 2))
        detector = Gallery(of)
        detector.fit(features.beside(near, features.own), options(), Progress())
        return Fitted(detector, features.beside(near, features.own), retrieval)

    return build


def drawn(channels: tuple[int, ...], sides: tuple[int, ...]) -> Features:
    """Twelve images whose features have nothing in common."""
    rng = np.random.default_rng(0)
    stages = [
        rng.normal(0, 1, (12, c, s, s)).astype(np.float16)
        for c, s in zip(channels, sides, strict=True)
    ]
    return Features(np.zeros((12, 8, 8, 3), np.uint8), stages, torch.device("cpu"))


def test_what_is_foreign_has_the_highest_map_value(fit, features, foreign):
    fitted = fit(features)
    normal = fitted.detector(fitted.features.batch([0]))
    odd = fitted.detector(fitted.new(foreign))[0]
    row, column = divmod(int(odd.argmax()), 8)
    assert odd.shape == (8, 8)
    assert 4 <= row <= 5
    assert 4 <= column <= 5
    assert odd.max() > 3 * normal.max()


def test_a_copy_of_a_reference_is_flawless_and_that_reference_among_the_others_is_not(fit):
    fitted = fit(drawn((8, 16, 32), (16, 8, 4)))
    copy = fitted.detector(fitted.new(fitted.features.batch([4])))[0]
    held_out = fitted.detector.out_of_fold(fitted.features, Progress())[4].float()
    assert float(copy.mean()) < 0.2 * float(held_out.mean())


def test_out_of_fold_is_what_a_gallery_without_the_image_says(fit, features):
    fitted = fit(features)
    found = fitted.detector.out_of_fold(fitted.features, Progress())[4].float()
    others = [row for row in range(12) if row != 4]
    fitted.detector.memories = fitted.detector.memories[others]
    fitted.detector.usual = fitted.detector.usual[others]
    alone = Neighbours(torch.arange(11)[None], torch.full((1, 11), 1 / 11))
    expected = fitted.detector(features.batch([4])._replace(neighbours=alone))[0]
    assert torch.allclose(found, expected, rtol=1e-2)


def test_shots_of_one_part_are_compared_with_other_parts_alone(fit, features):
    twins = Features(
        features.images.repeat(2, 0),
        [stage.repeat(2, 0) for stage in features.stages],
        features.device,
        groups=np.arange(24) // 2,
    )
    assert torch.allclose(fit(twins).detector.usual[::2], fit(features).detector.usual, rtol=0.1)


def test_where_patches_are_always_far_apart_the_same_distance_counts_for_less(fit, features):
    stages = [np.array(stage, np.float32) for stage in features.stages]
    rng = np.random.default_rng(1)
    for stage in stages:
        half = stage[..., : stage.shape[3] // 2]
        half += rng.normal(0, 0.3, half.shape)  # the left half varies much
    varied = Features(features.images, [s.astype(np.float16) for s in stages], features.device)
    fitted = fit(varied)
    plain = fit(varied).detector
    plain.usual = torch.ones_like(plain.usual)
    seen = fitted.features.batch(range(12))
    even, raw = (d(seen) for d in (fitted.detector, plain))
    ratios = [float(maps[..., :3].mean() / maps[..., 5:].mean()) for maps in (even, raw)]
    assert 1 < ratios[0] < 0.7 * ratios[1]


def test_many_images_are_compared_by_a_graph_that_says_the_same(fit, features, monkeypatch):
    few = fit(features)
    monkeypatch.setattr("onegauge.training.backbones.compiled.ENOUGH", 12)
    many = fit(features)
    assert torch.allclose(many.detector.plain.float(), few.detector.plain.float(), rtol=1e-2)
    again = fit(drawn((8, 16, 32), (16, 8, 4)))
    many.detector.fit(again.features, None, Progress())  # in other axes
    assert torch.equal(many.detector.plain, again.detector.plain)


def test_an_image_is_compared_alone_as_in_a_batch(fit, features):
    fitted = fit(features)
    together = fitted.detector(fitted.features.batch(range(6)))
    alone = [fitted.detector(fitted.features.batch([row])) for row in range(6)]
    assert torch.allclose(torch.cat(alone), together, rtol=1e-3, atol=1e-3)


def test_neighbours_that_must_not_be_compared_are_not(fit, features):
    fitted = fit(features)
    barred = Neighbours(torch.tensor([[3, 5, 4]]), torch.tensor([[0.5, 0.5, 0.0]]))
    fewer = Neighbours(torch.tensor([[3, 5]]), torch.tensor([[0.5, 0.5]]))
    found, expected = (
        fitted.detector(features.batch([4])._replace(neighbours=near)) for near in (barred, fewer)
    )
    assert torch.allclose(found, expected)


@pytest.mark.parametrize(
    ("channels", "strides", "sides"),
    [
        ((8,), (16,), (4,)),  # one stage, of fewer patches than are remembered
        ((8, 16), (8, 16), (3, 1)),  # sides that are no multiples of each other
        ((40, 40, 40), (14, 14, 14), (4, 4, 4)),  # a transformer's
        ((8, 16, 32), (4, 8, 16), (11, 4, 2)),
    ],
)
def test_maps_of_any_backbone_and_size_are_numbers(fit, channels, strides, sides):
    fitted = fit(drawn(channels, sides), Backbone("any", torch.nn.Identity(), channels, strides))
    maps = fitted.detector(fitted.features.batch(range(12)))
    side = sides[-2:][0]
    assert maps.shape == (12, side, side)
    assert maps.isfinite().all()
    patches, axes = min(MEMORIES, side * side), min(AXES, sum(channels))
    assert fitted.detector.memories.shape == (12, patches, axes)


@pytest.mark.parametrize(("louder", "same"), [((1 / 16, 1 / 4), True), ((4, 16), False)])
def test_the_finest_stage_counts_however_weak_it_is_and_more_where_it_is_strong(fit, louder, same):
    some = drawn((8, 16, 32), (16, 8, 4))
    maps = []
    for factor in louder:
        stages = [some.stages[0] * np.float16(factor), *some.stages[1:]]
        fitted = fit(Features(some.images, stages, torch.device("cpu")))
        found = fitted.detector(fitted.features.batch(range(12)))
        maps.append(found / found.mean())
    assert torch.allclose(*maps, rtol=0.05) == same


def test_images_without_any_difference_still_give_numbers(fit):
    stages = [np.zeros((12, c, 4, 4), np.float16) for c in (8, 16, 32)]
    features = Features(np.zeros((12, 64, 64, 3), np.uint8), stages, torch.device("cpu"))
    fitted = fit(features)
    assert fitted.detector(fitted.features.batch(range(12))).isfinite().all()


def test_the_range_of_eight_bits_is_used_and_seldom_left(fit, features):
    memories = fit(features).detector.memories
    assert memories.dtype == torch.int8
    assert (memories.abs() == 127).float().mean() < 0.01
    assert memories.abs().max() > 32


@pytest.fixture
def soiled(fit, features, foreign):
    """A gallery of the twelve images and one with something foreign."""
    stages = [
        np.concatenate([stage, odd.half().numpy()])
        for stage, odd in zip(features.stages, foreign.stages, strict=True)
    ]
    return fit(Features(features.images[[*range(12), 0]], stages, features.device))


def test_plain_maps_show_what_a_defective_reference_has_beside_the_others(soiled):
    maps = soiled.detector.out_of_fold(soiled.features, Progress())
    plain = soiled.detector.plain_maps(maps).float()
    assert plain.shape == maps.shape
    assert plain[12].max() > 3 * plain[:12].amax()
