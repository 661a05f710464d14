from copy import deepcopy

import pytest
import torch

from onegauge.export.errors import VerificationError
from onegauge.export.verify import verify
from onegauge.training.gauge.gauge import Gauge


def changed(gauge: Gauge, name: str, by: float) -> Gauge:
    """The gauge with one of its tensors, an offset or a factor, moved a little."""
    other = deepcopy(gauge)
    other.get_buffer(name).add_(by)
    return other


def test_the_graph_of_the_gauge_passes(gauge, traced, images):
    agreement = verify(gauge, traced, images, 4)
    assert agreement.images == len(images)
    assert 0 <= agreement.score < 2e-3
    assert 0 <= agreement.anomaly_map < 1e-2


def test_a_graph_whose_scores_differ_is_refused(gauge, traced, images):
    # small enough to flip no decision, far from the threshold as these images are
    shifted = changed(gauge, "calibration.origin", 0.02 * float(gauge.calibration.span))
    with pytest.raises(VerificationError, match="score"):
        verify(shifted, traced, images, 4)


@pytest.mark.parametrize(
    ("tensor", "decision"), [("calibration.origin", "score"), ("novelty.threshold", "novelty")]
)
def test_a_graph_that_decides_otherwise_is_refused(gauge, traced, images, tensor, decision):
    with torch.inference_mode():
        typical = getattr(gauge(images), decision).median()
    by = {
        "score": (typical - 1) * gauge.calibration.span,
        "novelty": -0.9 * gauge.novelty.threshold,
    }
    with pytest.raises(VerificationError, match=f"by {decision}"):
        verify(changed(gauge, tensor, float(by[decision])), traced, images, 4)


def test_a_graph_that_gives_no_numbers_is_refused(gauge, traced, images):
    broken = changed(gauge, "calibration.span", float("nan"))
    with pytest.raises(VerificationError):
        verify(broken, traced, images, 4)


class OtherMap(torch.nn.Module):
    """The gauge with one pixel of its map out of place; the scores stay."""

    def __init__(self, gauge: Gauge) -> None:
        super().__init__()
        self.gauge = gauge
        self.calibration = gauge.calibration

    def forward(self, image):
        reading = self.gauge(image)
        anomaly_map = reading.anomaly_map.clone()
        anomaly_map[-1, 0, 0] += 0.05
        return reading._replace(anomaly_map=anomaly_map)


def test_a_graph_whose_map_differs_in_a_pixel_is_refused(gauge, traced, images):
    with pytest.raises(VerificationError, match="map"):
        verify(OtherMap(gauge), traced, images, 4)


@pytest.mark.parametrize(
    ("tensor", "by", "told"),
    # a clean image finds itself and is below all that was calibrated on
    [("alignment.raw.scores", 0.5, "normal_location"), ("calibration.scores", -5, "p_value")],
)
def test_a_graph_that_explains_itself_otherwise_is_refused(gauge, traced, images, tensor, by, told):
    with pytest.raises(VerificationError, match=f"{told}.* not as in torch"):
        verify(changed(gauge, tensor, by), traced, images, 4)
