import torch

from training.detectors import PatchCore, patchcore
from training.progress import Progress


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


def test_choices_made_together_are_those_made_one_by_one(backbone, features, options, monkeypatch):
    together = fitted(backbone, features, options(bank_size=40))
    monkeypatch.setattr(patchcore, "CHOICES_AT_A_TIME", 1)
    monkeypatch.setattr(patchcore, "POINTS_AT_A_TIME", 50)
    one_by_one = fitted(backbone, features, options(bank_size=40))
    assert torch.equal(together.bank, one_by_one.bank)
    assert torch.equal(together.source, one_by_one.source)


def test_candidates_of_few_axes_are_nearly_the_nearest(backbone, features, options, monkeypatch):
    monkeypatch.setattr(patchcore, "AXES", 12)
    detector = fitted(backbone, features, options(bank_size=400))
    assert detector.axes.shape == (16 + 32, 12)
    seen = features.batch(range(12))
    found = detector(seen)
    detector.axes = torch.eye(16 + 32)
    exact = detector(seen)
    assert (found >= exact - 1e-3).all()
    assert float(found.mean()) < 1.1 * float(exact.mean())


def test_a_remembered_image_scores_zero_but_not_out_of_fold(backbone, features, options):
    everything = fitted(backbone, features, options(bank_size=12 * 64))
    maps = everything(features.batch(range(12)))
    out_of_fold = everything.out_of_fold(features, Progress()).float()
    assert float(maps.max()) < 0.1
    assert (out_of_fold.mean((1, 2)) > 3 * maps.mean((1, 2))).all()


def test_out_of_fold_is_what_a_bank_without_the_image_says(backbone, features, options):
    detector = fitted(backbone, features, options(bank_size=12 * 64))
    found = detector.out_of_fold(features, Progress())[4].float()
    others = detector.source != 4
    detector.bank, detector.source = detector.bank[others], detector.source[others]
    assert torch.allclose(found, detector(features.batch([4]))[0], atol=1e-2)


def test_the_least_of_groups_is_the_least_of_all():
    values = torch.randn(50, 3 * patchcore.GROUP, generator=torch.Generator().manual_seed(0))
    values[0] = torch.inf
    values[1, 40:] = torch.inf
    distance, column = patchcore._least(values)
    assert torch.equal(distance, values.amin(1, keepdim=True))
    assert torch.equal(values.gather(1, column), distance)
