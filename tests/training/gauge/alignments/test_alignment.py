import pytest
import torch
from sklearn.metrics import roc_auc_score

from onegauge.training.gauge.alignments import ALIGNMENTS
from onegauge.training.gauge.alignments.alignment import Unaligned, normalised

ALIGNING = sorted(set(ALIGNMENTS) - {"none"})


def pooled_auroc(name: str, world) -> float:
    aligned = ALIGNMENTS[name](world.references)(world.maps, world.look)
    return roc_auc_score(world.anomalous, world.references.scoring(aligned.maps))


def test_normalising_moves_each_image_by_its_own_statistics():
    maps = torch.tensor([[[1.0, 3.0]], [[10.0, 30.0]]])
    aligned = normalised(maps, torch.tensor([1.0, 10.0]), torch.tensor([2.0, 20.0]))
    assert aligned.maps.tolist() == [[[0.0, 1.0]], [[0.0, 1.0]]]


def test_without_alignment_no_threshold_separates_and_the_maps_stay(world):
    aligned = Unaligned(world.references)(world.maps, world.look)
    assert torch.equal(aligned.maps, world.maps)
    assert aligned.location.tolist() == [0] * 80
    assert aligned.scale.tolist() == [1] * 80
    assert pooled_auroc("none", world) < 0.85


@pytest.mark.parametrize("name", ALIGNING)
def test_with_alignment_one_threshold_separates(name, world):
    assert pooled_auroc(name, world) >= 0.98


@pytest.mark.parametrize("name", ALIGNING)
def test_location_and_scale_are_those_of_the_class_and_not_of_the_defect(name, world):
    alignment = ALIGNMENTS[name](world.references)
    clean = alignment(torch.zeros_like(world.maps), world.look)
    aligned = alignment(world.maps, world.look)
    assert torch.equal(aligned.location, clean.location)
    assert torch.equal(aligned.scale, clean.scale)
    of_a, of_b = aligned.location[::2], aligned.location[1::2]
    assert of_a.max() < 2.5
    assert of_b.min() > 4.5
    assert aligned.scale.min() > 0


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_an_image_is_aligned_alone_as_in_a_batch(name, world):
    alignment = ALIGNMENTS[name](world.references)
    together = alignment(world.maps[:6], world.look.of(slice(6))).maps
    each = [slice(i, i + 1) for i in range(6)]
    alone = [alignment(world.maps[image], world.look.of(image)).maps for image in each]
    assert torch.allclose(torch.cat(alone), together, atol=1e-3)


@pytest.mark.parametrize("name", ["cada", "cada-scalar"])
def test_few_references_and_copies_of_one_give_numbers(name, poor):
    aligned = ALIGNMENTS[name](poor.references)(poor.maps, poor.look)
    assert aligned.maps.isfinite().all()


@pytest.mark.parametrize("name", ["cada", "cada-paper", "cada-scalar", "none"])
def test_product_names_change_nothing(name, world):
    alignment = ALIGNMENTS[name](world.references)
    unlabelled = alignment(world.maps, world.look).maps
    labelled = alignment.given_products(world.maps, world.look, ["no product"] * 80).maps
    assert torch.equal(labelled, unlabelled)
