"""On the backbones of their papers the detectors are the networks of the literature.

Counted on the meta device, without memory or weights; a multiply-add is one product and one sum.
"""

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.features import Seen
from onegauge.training.detectors import DETECTORS, Detector


def built(detector: str, name: str, size: int) -> tuple[Backbone, Detector, float]:
    """Backbone and detector, and the multiply-adds of both for one image."""
    with torch.device("meta"):
        backbone = load_backbone(name, image_size=size, pretrained=False)
        network = DETECTORS[detector](backbone).eval()
        image = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(Seen(image, backbone(image)))
    return backbone, network, counter.get_total_flops() / 2


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "size", "multiply_adds"),
    [
        ("vit_base_patch14_reg4_dinov2", 148e6, 104.7e9),
        ("vit_small_patch14_reg4_dinov2", 37.4e6, 26.3e9),
    ],
)
def test_dinomaly_is_that_of_the_paper_s_table_a2(name, size, multiply_adds):
    """The paper counts two blocks that nothing reads, and no products of attention."""
    backbone, detector, counted = built("dinomaly", name, 392)
    unread = 2 * parameters(backbone.network.network.blocks[0])
    assert parameters(backbone, detector) + unread == pytest.approx(size, rel=0.01)
    width, tokens, prefix = backbone.channels[0], 28 * 28, 5
    attention = 10 * 2 * (tokens + prefix) ** 2 * width + 8 * 2 * tokens * 64 * width
    assert counted - attention == pytest.approx(multiply_adds, rel=0.01)


def test_revdist_is_as_large_as_ader_and_mambaad_count_it():
    backbone, detector, counted = built("revdist", "wide_resnet50_2", 256)
    assert parameters(backbone, detector) == pytest.approx(80.6e6, rel=2e-3)
    assert counted == pytest.approx(28.4e9, rel=5e-3)


def test_recontrast_is_the_authors_network():
    """Both encoders included; counted without a 1×1 convolution that the authors never call.

    On WideResNet50-2 they have 144.68 M parameters, of them 8.39 M in that convolution and its
    norm, and at 256² 64.13 GMAC, of them 1.61 for outputs that they throw away.
    """
    backbone, detector, counted = built("recontrast", "wide_resnet50_2", 256)
    assert parameters(backbone, detector) == pytest.approx(144.68e6 - 8.39e6, rel=1e-3)
    assert counted == pytest.approx(64.13e9 - 1.61e9, rel=1e-3)


def test_uniad_is_as_large_as_ader_counts_it():
    """24.5 M parameters, with the backbone's last blocks, which no stage reads."""
    _, detector, _ = built("uniad", "efficientnet_b4", 224)
    with torch.device("meta"):
        uncut = timm.create_model("efficientnet_b4", features_only=True)
    assert parameters(uncut, detector) == pytest.approx(24.5e6, rel=5e-3)
    assert parameters(detector) == pytest.approx(7.7e6, rel=5e-3)


def test_resnet18_keeps_what_is_trained_small():
    trained = sorted(set(DETECTORS) - {"gallery", "patchcore"})
    of_18 = {name: parameters(built(name, "resnet18", 256)[1]) for name in trained}
    assert of_18["dinomaly"] < of_18["uniad"] < of_18["revdist"] < of_18["recontrast"] < 20e6
