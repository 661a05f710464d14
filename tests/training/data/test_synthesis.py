import numpy as np
import pytest

from onegauge.training.data.synthesis import add_anomaly


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (256, 256)])
def test_an_anomaly_is_local_and_leaves_the_original_alone(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before, shares = image.copy(), []
    for seed in range(30):
        harmed = add_anomaly(image, np.random.default_rng(seed))
        assert harmed.shape == image.shape
        assert harmed.dtype == np.uint8
        shares.append(float((harmed != image).any(-1).mean()))
    assert np.array_equal(image, before)
    assert max(shares) < 0.25
    assert np.mean(np.array(shares) > 0) > 0.9


def test_the_generator_decides_everything():
    image = np.full((64, 64, 3), 120, np.uint8)
    first, same, other = (add_anomaly(image, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
