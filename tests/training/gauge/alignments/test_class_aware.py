from dataclasses import replace

import pytest
import torch

from onegauge.training.errors import DataError
from onegauge.training.gauge.alignments.class_aware import ClassAware, ClassAwareMax


def test_each_product_has_its_own_mean_and_deviation(world):
    aligned = ClassAware(world.references)(world.maps, world.look)
    assert len(aligned.location.unique()) == 2
    assert aligned.location[0] == aligned.location[2]
    assert aligned.scale[1] > 5 * aligned.scale[0]


def test_normal_images_of_each_product_come_out_alike(world):
    references = world.references
    aligned = ClassAware(references).given_products(
        references.maps, references.look, references.products
    )
    scores = references.scoring(aligned.maps)
    for offset in (0, 1):
        assert float(scores[offset::2].mean()) == pytest.approx(0, abs=1e-3)
        assert float(scores[offset::2].std()) == pytest.approx(1, abs=1e-3)


def test_the_paper_form_puts_the_mean_at_zero_and_the_maximum_at_one(world):
    references = world.references
    aligned = ClassAwareMax(references).given_products(
        references.maps, references.look, references.products
    )
    for offset in (0, 1):
        of_class = aligned.maps[offset::2]
        assert float(of_class.mean()) == pytest.approx(0, abs=1e-4)
        assert float(of_class.max()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("form", [ClassAware, ClassAwareMax])
def test_a_given_product_goes_before_the_looks(form, world):
    alignment = form(world.references)
    swapped = ["b" if product == "a" else "a" for product in world.products]
    given = alignment.given_products(world.maps, world.look, swapped)
    guessed = alignment(world.maps, world.look)
    assert torch.equal(given.location[::2], guessed.location[1::2])
    assert torch.equal(given.location[1::2], guessed.location[::2])


def test_a_product_that_was_not_in_training_is_refused(world):
    with pytest.raises(DataError, match="'c'"):
        ClassAware(world.references).given_products(world.maps[:1], world.look.of(slice(1)), ["c"])


def test_a_product_of_one_image_has_no_deviation_and_is_refused(world):
    alone = ("lonely", *world.references.products[1:])
    with pytest.raises(DataError, match="'lonely'"):
        ClassAware(replace(world.references, products=alone))
