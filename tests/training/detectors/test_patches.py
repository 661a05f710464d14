import pytest
import torch
import torch.nn.functional as F

from onegauge.training.detectors.patches import local_patches


@pytest.mark.parametrize("sides", [(16, 8, 4), (8, 8), (12, 9, 5), (8,)])
def test_patches_are_pooled_3_by_3_and_resampled(sides):
    generator = torch.Generator().manual_seed(0)
    stages = [
        torch.randn(2, channels, side, side + 4, generator=generator)
        for channels, side in enumerate(sides, 3)
    ]
    size = stages[-2:][0].shape[-2:]
    expected = []
    for stage in stages:
        pooled = F.avg_pool2d(stage, 3, 1, 1)
        steps = [max(1, old // new) for old, new in zip(stage.shape[-2:], size, strict=True)]
        pooled = F.avg_pool2d(pooled, steps)
        expected.append(F.interpolate(pooled, size, mode="bilinear", align_corners=False))
    found = local_patches(stages)
    assert found.shape == (2, *size, sum(stage.shape[1] for stage in stages))
    torch.testing.assert_close(found, torch.cat(expected, 1).permute(0, 2, 3, 1))
