from functools import partial

import pytest
import torch
from torch import nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.detectors.bottleneck import (
    Block,
    Bottleneck,
    Decoder,
    PinchedBlock,
    disagreement,
    require_halving,
)
from onegauge.training.errors import ConfigError


@pytest.mark.parametrize("block", [Block, partial(PinchedBlock, pinch=2)])
@pytest.mark.parametrize("stages", [2, 3, 4])
def test_every_stage_is_restored_in_its_own_shape(block, stages):
    channels = (8, 16, 32, 64)[:stages]
    true = [torch.rand(2, c, 32 >> i, 32 >> i) for i, c in enumerate(channels)]
    embedding = Bottleneck(channels, block, 2)(true)
    restored = Decoder(channels, block)(embedding)
    assert embedding.shape == (2, 2 * channels[-1], 32 >> stages, 32 >> stages)
    assert [r.shape for r in restored] == [t.shape for t in true]


@pytest.mark.parametrize("strides", [(8,), (4, 16), (14, 14, 14)])
def test_stages_that_do_not_halve_are_refused(strides):
    backbone = Backbone("pattern", nn.Identity(), [8] * len(strides), strides)
    with pytest.raises(ConfigError, match="reverse distillation needs.*--stages"):
        require_halving(backbone, "reverse distillation")


def test_the_map_sums_what_disagrees_over_stages():
    true = [torch.ones(1, 4, 16, 16), torch.ones(1, 8, 8, 8)]
    restored = [stage.clone() for stage in true]
    assert disagreement(true, restored, 4).abs().max() < 1e-5
    restored[0][:, :, :, 8:] *= -1  # cosine -1: a distance of 2
    restored[1][:, :4, :4] = 0  # half of the channels: 1 - cosine of 45 degrees
    found = disagreement(true, restored, 4)[0]
    expected = {(0, 0): 1 - 0.5**0.5, (15, 0): 0, (0, 15): 3 - 0.5**0.5, (15, 15): 2}
    for (row, column), value in expected.items():
        assert float(found[row, column]) == pytest.approx(value, abs=1e-2)
