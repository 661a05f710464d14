import torch

from onegauge.training.detectors import RevDist
from onegauge.training.progress import Progress


def test_it_learns_what_is_normal_and_finds_what_is_foreign(backbone, features, foreign, options):
    torch.manual_seed(0)
    detector = RevDist(backbone)
    with torch.inference_mode():
        before = float(detector.eval()(features.batch(range(12))).mean())
    detector.fit(features, options(), Progress())
    with torch.inference_mode():
        normal, odd = detector(features.batch([0]))[0], detector(foreign)[0]
    assert odd.shape == (16, 16)
    assert float(normal.mean()) < 0.5 * before
    row, column = divmod(int((odd - normal).argmax()), 16)
    assert 6 <= row <= 13
    assert 6 <= column <= 13
    assert odd.max() > 2 * normal.max()


def test_the_map_of_an_image_is_the_same_alone_and_in_a_batch(backbone, features):
    detector = RevDist(backbone).eval()
    with torch.inference_mode():
        alone, together = detector(features.batch([3])), detector(features.batch([1, 3]))
    assert torch.allclose(alone[0], together[1], atol=1e-4)
