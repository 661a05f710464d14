import numpy as np
import pytest

from onegauge.training.data.noise import fractal_noise


def roughness(field: np.ndarray) -> float:
    return float(np.abs(np.diff(field.astype(float), axis=1)).mean())


@pytest.mark.parametrize("shape", [(40, 64), (1, 1), (7, 300)])
def test_noise_has_the_asked_shape_and_range(shape):
    noise = fractal_noise(np.random.default_rng(0), *shape, scale=16)
    assert noise.shape == shape
    assert noise.dtype == np.float32
    assert noise.min() >= 0
    assert noise.max() <= 1


def test_noise_fills_its_range():
    noise = fractal_noise(np.random.default_rng(0), 64, 64, scale=16)
    assert (noise.min(), noise.max()) == (0, 1)


def test_larger_scale_is_smoother():
    fine, coarse = (
        fractal_noise(np.random.default_rng(0), 96, 96, scale=scale, octaves=2) for scale in (8, 48)
    )
    assert roughness(coarse) < roughness(fine) / 2


def test_more_octaves_are_rougher():
    plain, rich = (
        fractal_noise(np.random.default_rng(0), 96, 96, scale=48, octaves=n) for n in (1, 5)
    )
    assert roughness(rich) > 1.5 * roughness(plain)
