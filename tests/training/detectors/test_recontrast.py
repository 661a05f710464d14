from itertools import count, pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.checkpoint import restore_detector
from onegauge.training.config import FitOptions
from onegauge.training.detectors import ReContrast, RevDist
from onegauge.training.detectors.recontrast import falling
from onegauge.training.progress import Progress

CHANNELS, SIDE = (16, 32, 64), 64  # pixels to a side; maps are a quarter of it
NOTHING_EASY = -1.0  # long before the ramp the threshold lies below every distance


class Convolutions(nn.Module):
    """A stem and three stages that halve the resolution, normalised as a ResNet is."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 8, *CHANNELS)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps[1:]


def images(count: int) -> Tensor:
    """One pattern of stripes of two colours, a little brighter or darker, uint8 (B, H, W, 3)."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(SIDE)[None, None, :, None] / 4) * np.array([1.0, -0.5, 0.2])
    brightness = rng.uniform(110, 140, (count, 1, 1, 1))
    return torch.from_numpy((brightness + 60 * wave).repeat(SIDE, 1).astype(np.uint8))


def look(backbone: Backbone, image: Tensor) -> Seen:
    with torch.no_grad():
        return Seen(image, backbone(image))


def store(backbone: Backbone, image: Tensor) -> Features:
    stages = [stage.half().numpy() for stage in look(backbone, image).stages]
    return Features(image.numpy(), stages, torch.device("cpu"))


def small_backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone("small", Convolutions(), CHANNELS, (4, 8, 16)).eval()


@pytest.fixture
def convolutions() -> Backbone:
    return small_backbone()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Backbone, ReContrast]:
    """A backbone and what was fitted on 160 images of it."""
    backbone = small_backbone()
    detector = ReContrast(backbone)
    state = tmp_path_factory.mktemp("fit") / "fit.safetensors"
    detector.fit(store(backbone, images(160)), FitOptions(5, 4, 0, 0, state), Progress())
    return backbone, detector


def test_a_foreign_patch_is_where_the_map_is_highest(trained):
    backbone, detector = trained
    image = images(162)[160:]  # not fitted on
    foreign = image.clone()
    foreign[:, 32:48, 8:24] = torch.tensor([20, 240, 20], dtype=torch.uint8)
    with torch.inference_mode():
        normal = detector(look(backbone, image))
        odd = detector(look(backbone, foreign))
    assert odd.shape == (2, 16, 16)
    for i in range(2):
        row, column = divmod(int(odd[i].argmax()), 16)
        assert 7 <= row <= 12
        assert 1 <= column <= 6
        assert odd[i].max() > 1.7 * normal[i].max()


def test_a_copy_of_the_backbone_is_trained_but_its_batch_norm_keeps_its_statistics(trained):
    backbone, detector = trained
    before, after = small_backbone().state_dict(), detector.encoder.state_dict()
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name]), name
        kept = name in {"mean", "std"} or "running" in name or "tracked" in name
        assert torch.equal(tensor, after[name]) == kept, name


def test_both_ways_weigh_alike_and_only_what_restores_is_moved(convolutions):
    """Where no place is easy the loss is the distance of whole stages, as in RD4AD."""
    detector, seen = ReContrast(convolutions), look(convolutions, images(4))
    trained = detector.encoder(seen.image)
    both = [torch.cat(pair) for pair in zip(trained, seen.stages, strict=True)]
    decoded = detector.decoder(detector.bottleneck(both))
    expected = torch.zeros(())
    for i, stage in enumerate(decoded):
        pairs = (
            (seen.stages[i], detector.to_frozen[i](stage[:4])),
            (trained[i], detector.to_trained[i](stage[4:])),
        )
        for true, restored in pairs:
            cosine = F.cosine_similarity(true.detach().flatten(1), restored.flatten(1))
            expected = expected + (1 - cosine).mean() / 2
    loss = detector.loss(seen, NOTHING_EASY)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    loss.backward()
    found = [p.grad for p in detector.parameters()]
    detector.zero_grad(set_to_none=True)
    expected.backward()
    for gradient, parameter in zip(found, detector.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, rtol=1e-3, atol=1e-6)


def test_easy_places_stop_pulling_once_the_ramp_is_over(convolutions):
    detector, seen = ReContrast(convolutions), look(convolutions, images(4))
    gradients: list[Tensor] = []
    detector.to_frozen[0].register_full_backward_hook(
        lambda _module, _inputs, outputs: gradients.append(outputs[0])
    )
    losses = [detector.loss(seen, done) for done in (NOTHING_EASY, 0.1, 0.9)]
    for loss in losses:
        loss.backward(retain_graph=True)
    pulled = [float((g.abs().sum(1) > 0).float().mean()) for g in gradients]  # share of places
    assert losses[0] == losses[1] == losses[2]
    assert pulled[0] > 0.98
    assert 0 < pulled[1] < 0.3
    assert pulled[2] == pulled[1]


def test_the_rates_fall_for_the_last_fifth():
    assert [falling(done) for done in (0, 0.5, 0.79, 0.8, 1)] == [1, 1, 1, 0.2, 0.2]


def test_the_map_of_an_image_is_the_same_alone_and_in_a_batch(convolutions):
    detector = ReContrast(convolutions).eval()
    image = images(3)
    with torch.inference_mode():
        alone = detector(look(convolutions, image[2:]))
        together = detector(look(convolutions, image))
    assert torch.allclose(alone[0], together[2], atol=1e-5)


def test_a_resumed_fit_gives_what_an_uninterrupted_one_gives(convolutions, options):
    features, wanted = store(convolutions, images(12)), options(epochs=3)
    torch.manual_seed(0)
    uninterrupted, crashing = ReContrast(convolutions), ReContrast(convolutions)
    crashing.load_state_dict(uninterrupted.state_dict())
    uninterrupted.fit(features, wanted, Progress())
    wanted.state.unlink()
    steps = count(1)

    def crash(*_: object) -> None:
        if next(steps) == 8:  # in the last epoch
            raise InterruptedError

    crashing.encoder.register_forward_hook(crash)
    with pytest.raises(InterruptedError):
        crashing.fit(features, wanted, Progress())
    resumed = ReContrast(convolutions)  # from other weights, which the state replaces
    resumed.fit(features, wanted, Progress())
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, uninterrupted.state_dict()[name]), name


def test_a_restored_detector_makes_the_same_maps_and_holds_one_encoder(trained):
    backbone, detector = trained
    state, seen = detector.state_dict(), look(backbone, images(2))
    restored = restore_detector("recontrast", backbone, state)
    with torch.inference_mode():
        assert torch.equal(restored(seen), detector(seen))
    encoders = [name for name in state if name.endswith("layers.0.0.weight")]
    assert encoders == ["encoder.network.layers.0.0.weight"]


def test_the_paper_s_iterations_are_advised_on_its_backbone_only(convolutions):
    with torch.device("meta"):
        network = nn.Identity()
        paper = ReContrast(Backbone("wide_resnet50_2.tv_in1k", network, (8, 8), (4, 8)))
    assert paper.advised_epochs(1330, 16) == 61  # of 83 steps
    assert paper.advised_epochs(5, 16) == 5000
    small = ReContrast(convolutions).advised_epochs(1330, 16)
    assert 1 <= small <= RevDist(convolutions).advised_epochs(1330, 16)
