import pytest
import torch

from onegauge.training.detectors import PatchCore, patchcore
from onegauge.training.progress import Progress


def fitted(backbone, features, options) -> PatchCore:
    detector = PatchCore(backbone)
    detector.fit(features, options, Progress())
    return detector


def test_what_is_foreign_has_the_highest_map_value(backbone, features, foreign, options):
    detector = fitted(backbone, features, options())
    normal, odd = detector(features.batch([0])), detector(foreign)[0]
    row, column = divmod(int(odd.argmax()), 16)
    assert odd.shape == (16, 16)
    assert 7 <= row <= 12
    assert 7 <= column <= 12
    assert odd.max() > 3 * normal.max()


def test_the_bank_is_a_coreset_of_the_size_asked_for(backbone, features, options):
    detector = fitted(backbone, features, options(bank_size=40))
    assert detector.bank.shape == (40, 16 + 32)
    assert len(detector.bank.float().unique(dim=0)) == 40
    assert set(detector.source.tolist()) <= set(range(12))


@pytest.mark.parametrize(("at_least", "drawn"), [(200, 320), (400, 408), (10_000, 12 * 64)])
def test_a_bank_is_chosen_among_enough_patches(backbone, features, monkeypatch, at_least, drawn):
    """Eight for each of its forty places, or more where that is few; all where there are fewer."""
    monkeypatch.setattr(patchcore, "DRAWN", at_least)
    rng = torch.Generator().manual_seed(0)
    patches, source = PatchCore(backbone)._draw(features, 40, rng, Progress())
    assert drawn <= len(patches) < drawn + 12  # as many of each image
    assert set(source.bincount().tolist()) == {len(patches) // 12}


def test_a_remembered_image_scores_zero_but_not_out_of_fold(backbone, features, options):
    everything = fitted(backbone, features, options(bank_size=12 * 64))
    maps = everything(features.batch(range(12))._replace(own=None))
    out_of_fold = everything.out_of_fold(features, Progress()).float()
    assert float(maps.max()) < 0.1
    assert (out_of_fold.mean((1, 2)) > 3 * maps.mean((1, 2))).all()


def test_out_of_fold_is_what_a_bank_without_the_image_says(backbone, features, options):
    detector = fitted(backbone, features, options(bank_size=12 * 64))
    found = detector.out_of_fold(features, Progress())[4].float()
    others = detector.source != 4
    detector.bank, detector.source = detector.bank[others], detector.source[others]
    assert torch.allclose(found, detector(features.batch([4]))[0], atol=1e-2)
