import numpy as np
import pytest
import torch
from torch import nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors import UniAD
from onegauge.training.detectors.uniad import MASKED, neighbour_mask
from onegauge.training.progress import Progress

CHANNELS, SIDE = 16, 10


@pytest.fixture(scope="module")
def grid_of_10() -> Backbone:
    """Only its shape: a grid on which no neighbourhood is the whole."""
    return Backbone("grid", nn.Identity(), (CHANNELS,), (8,))


@pytest.fixture(scope="module")
def normal() -> Features:
    """Twelve images whose features vary a little about one pattern."""
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal((1, CHANNELS, SIDE, SIDE))
    stage = pattern + 0.1 * rng.standard_normal((12, CHANNELS, SIDE, SIDE))
    return Features(np.zeros((12, 96, 96, 3), np.uint8), [stage.astype(np.float16)], CPU)


CPU = torch.device("cpu")


def test_it_learns_what_is_normal_and_finds_what_is_foreign(grid_of_10, normal, options):
    torch.manual_seed(0)
    detector = UniAD(grid_of_10)
    with torch.inference_mode():
        before = float(detector.eval()(normal.batch(range(12))).mean())
    detector.fit(normal, options(epochs=8), Progress())
    seen = normal.batch([0])
    odd = Seen(seen.image, [seen.stages[0].clone()])
    odd.stages[0][:, ::2, 7:9, 3:5] += 4
    with torch.inference_mode():
        plain, found = detector(seen)[0], detector(odd)[0]
    assert found.shape == (SIDE, SIDE)
    assert float(plain.mean()) < 0.8 * before
    row, column = divmod(int(found.argmax()), SIDE)
    assert row in (7, 8)
    assert column in (3, 4)
    assert found.max() > 1.5 * plain.max()


def test_a_token_is_hidden_from_itself_and_from_three_to_every_side():
    mask = neighbour_mask(torch.Size((10, 12)), CPU).view(10, 12, 10, 12)
    hidden = torch.zeros(10, 12)
    hidden[1:8, 2:9] = MASKED
    assert torch.equal(mask[4, 5], hidden)
    corner = torch.zeros(10, 12)
    corner[:4, :4] = MASKED
    assert torch.equal(mask[0, 0], corner)


def test_what_is_restored_at_a_place_is_not_read_from_its_neighbourhood(grid_of_10, normal):
    torch.manual_seed(0)
    detector = UniAD(grid_of_10).eval()
    detector.encoder = nn.ModuleList()  # over several layers what is hidden comes round
    detector.decoder = detector.decoder[:1]
    tokens = normal.batch([0]).stages[0].flatten(2).transpose(1, 2)  # (1, T, C)
    near, far, centre = tokens.clone(), tokens.clone(), 5 * SIDE + 5
    near.view(1, SIDE, SIDE, CHANNELS)[:, 2:9, 2:9] += 5
    far.view(1, SIDE, SIDE, CHANNELS)[:, 1, 5] += 5
    grid = torch.Size((SIDE, SIDE))
    with torch.inference_mode():
        plain, *others = (detector._restored(t, grid)[0, centre] for t in (tokens, near, far))
    assert torch.allclose(others[0], plain, atol=1e-5)
    assert not torch.allclose(others[1], plain, atol=1e-3)


def test_a_place_without_far_places_attends_to_all():
    small = Backbone("grid", nn.Identity(), (CHANNELS,), (16,))
    seen = Seen(torch.zeros(0), [torch.randn(1, CHANNELS, 3, 3)])
    with torch.inference_mode():
        assert UniAD(small).eval()(seen).isfinite().all()


def test_features_are_jittered_in_training_alone(grid_of_10, normal):
    detector, seen = UniAD(grid_of_10).eval(), normal.batch(range(4))  # eval: no dropout either
    losses = [detector.loss(seen, 0).item() for _ in range(2)]
    assert losses[0] != losses[1]
    with torch.inference_mode():
        assert torch.equal(detector(seen), detector(seen))


def test_the_jitter_grows_with_the_features_and_not_with_their_number(grid_of_10, monkeypatch):
    """A standard deviation of 20 norms a channel, as in the paper's section 3.4."""
    detector, read = UniAD(grid_of_10).eval(), []
    monkeypatch.setattr(detector, "_restored", lambda tokens, _: read.append(tokens) or tokens)
    ones = torch.ones(8, CHANNELS, SIDE, SIDE)
    for seen in (ones, 3 * ones):
        detector.loss(Seen(torch.zeros(0), [seen]), 0)
    expected = 20 * CHANNELS**0.5 / CHANNELS
    assert float(read[0].std()) == pytest.approx(expected, rel=0.05)
    assert float(read[1].std()) == pytest.approx(3 * expected, rel=0.05)


def test_stages_are_read_on_the_grid_of_the_coarsest_and_mapped_on_the_finest(backbone, features):
    detector = UniAD(backbone).eval()
    with torch.inference_mode():
        alone, together = detector(features.batch([3])), detector(features.batch([1, 3]))
    assert alone.shape == (1, 16, 16)
    assert torch.allclose(alone[0], together[1], atol=1e-4)


def test_a_resumed_fit_gives_what_an_uninterrupted_one_gives(grid_of_10, normal, options):
    class Interrupted(UniAD):
        steps = 0

        def loss(self, seen, done):
            self.steps += 1
            if self.steps == 4:
                raise KeyboardInterrupt
            return super().loss(seen, done)

    torch.manual_seed(0)
    whole, halved = UniAD(grid_of_10), Interrupted(grid_of_10)
    halved.load_state_dict(whole.state_dict())
    with pytest.raises(KeyboardInterrupt):
        halved.fit(normal, options(epochs=2), Progress())
    resumed = UniAD(grid_of_10)
    resumed.fit(normal, options(epochs=2), Progress())
    options(epochs=2).state.unlink()
    whole.fit(normal, options(epochs=2), Progress())
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_paper_s_epochs_are_advised_on_its_backbone_only():
    def advised(name: str) -> int:
        return UniAD(Backbone(name, nn.Identity(), (CHANNELS,), (16,))).advised_epochs(1330, 16)

    assert advised("efficientnet_b4.ra2_in1k") == 1000
    assert advised("resnet18") < 100
