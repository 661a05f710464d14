import pytest

from onegauge.service.model.uniformity import ks_distance


@pytest.mark.parametrize(
    ("p_values", "distance"),
    [([0.1 * i for i in range(1, 11)], 0.0), ([1.0] * 5, 0.9), ([0.1] * 5, 0.9), ([0.5], 0.5)],
)
def test_distance_from_uniform(p_values, distance):
    assert ks_distance(p_values, calibration_images=9) == pytest.approx(distance)
