import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Seen
from onegauge.training.detectors.dinomaly import Dinomaly, mined_distance, warm_cosine
from onegauge.training.progress import Progress

WIDTH, SIDE = 64, 6


@pytest.fixture
def transformer() -> Backbone:
    """Only its shape: eight blocks over patches of 14 pixels."""
    return Backbone("blocks", nn.Identity(), (WIDTH,) * 8, (14,) * 8)


def test_it_learns_what_is_normal_and_finds_what_is_foreign(backbone, features, foreign, options):
    torch.manual_seed(0)
    detector = Dinomaly(backbone)
    with torch.inference_mode():
        before = float(detector.eval()(features.batch(range(12))).mean())
    detector.fit(features, options(epochs=10), Progress())
    with torch.inference_mode():
        normal, odd = detector(features.batch([0]))[0], detector(foreign)[0]
    assert odd.shape == (16, 16)
    assert float(normal.mean()) < 0.2 * before
    row, column = divmod(int((odd - normal).argmax()), 16)
    assert 6 <= row <= 13
    assert 6 <= column <= 13
    assert odd.max() > 1.5 * normal.max()


def test_the_map_of_an_image_is_the_same_alone_and_in_a_batch(backbone, features):
    detector = Dinomaly(backbone).eval()
    with torch.inference_mode():
        alone, together = detector(features.batch([3])), detector(features.batch([1, 3]))
    assert torch.allclose(alone[0], together[1], atol=1e-5)


def test_the_last_blocks_restore_the_shallow_half_and_the_first_blocks_the_deep_half(transformer):
    detector = Dinomaly(transformer).eval()
    shallow, deep = torch.randn(2, WIDTH)
    for i, block in enumerate(detector.decoder):
        answer = shallow if i >= 4 else deep
        block.register_forward_hook(lambda _m, _i, output, a=answer: a.expand_as(output))
    image = torch.zeros(1, 84, 84, 3, dtype=torch.uint8)
    halves = [v.view(1, -1, 1, 1).expand(1, WIDTH, SIDE, SIDE) for v in (shallow, deep)]
    with torch.inference_mode():
        restored = detector(Seen(image, [halves[0]] * 4 + [halves[1]] * 4))
        exchanged = detector(Seen(image, [halves[1]] * 4 + [halves[0]] * 4))
    assert restored.shape == (1, SIDE, SIDE)
    assert restored.abs().max() < 1e-5
    assert exchanged.min() > 0.5


def test_easy_places_keep_a_tenth_of_their_gradient_and_all_of_their_loss():
    torch.manual_seed(0)
    target = torch.randn(4, 8, 5, 5)
    restored = (target + torch.rand(4, 1, 5, 5) * torch.randn(4, 8, 5, 5)).requires_grad_()
    plain = 1 - F.cosine_similarity(target.flatten(1), restored.flatten(1))
    mined = mined_distance(target, restored, easy=0.9)
    assert torch.allclose(mined, plain, atol=1e-6)
    (all_of_it,) = torch.autograd.grad(plain.mean(), restored)
    (kept,) = torch.autograd.grad(mined.mean(), restored)
    share = (kept / all_of_it).mean(1)  # (4, 5, 5)
    distance = 1 - F.cosine_similarity(target, restored)
    hard = distance >= distance.flatten().sort().values[90]
    assert torch.allclose(share[hard], torch.ones(10), rtol=1e-3)
    assert torch.allclose(share[~hard], torch.full((90,), 0.1), rtol=1e-3)


def test_no_place_is_easy_at_first(backbone, features):
    seen, gradients = features.batch(range(4)), []
    detector = Dinomaly(backbone).eval()
    for done in (0.0, 0.1, 1.0):
        detector.zero_grad(set_to_none=True)
        detector.loss(seen, done).backward()
        gradients.append(float(detector.heads[0].weight.grad.norm()))
    assert gradients[1] == gradients[2] < 0.9 * gradients[0]


def test_features_that_are_zero_everywhere_give_finite_numbers(backbone, features):
    seen = features.batch([0])
    empty = Seen(seen.image, [torch.zeros_like(stage) for stage in seen.stages])
    detector = Dinomaly(backbone)
    detector.loss(empty, 0.5).backward()
    assert all(bool(p.grad.isfinite().all()) for p in detector.parameters())
    with torch.inference_mode():
        assert bool(detector(empty).isfinite().all())


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    assert warm_cosine(0) == 0
    assert warm_cosine(0.005) == pytest.approx(0.5)
    assert warm_cosine(0.01) == 1
    assert warm_cosine(0.505) == pytest.approx(0.55)
    assert warm_cosine(1) == pytest.approx(0.1)


def test_the_paper_s_iterations_are_advised_for_its_backbones():
    def advised(name: str) -> int:
        return Dinomaly(Backbone(name, nn.Identity(), (WIDTH,), (14,))).advised_epochs(1330, 16)

    assert advised("vit_base_patch14_reg4_dinov2") == 121  # of 83 steps
    assert advised("vit_small_patch14_reg4_dinov2.lvd142m") == 121
    assert advised("resnet18") < 121
