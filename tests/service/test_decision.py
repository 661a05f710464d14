import numpy as np
import pytest

from service.contract import Contract
from service.decision import Criterion, DeploymentCriterion, Region, decimal, find_regions
from service.errors import InvalidOption, UnpromisedRate


def contract(**parameters: str) -> Contract:
    return Contract("gauge", "1", 32, 48, 8, 12, 4, "onnxruntime", parameters)


@pytest.mark.parametrize(
    ("score", "verdict"), [(0.9999, "normal"), (1.0, "anomalous"), (-3.0, "normal")]
)
def test_score_at_the_threshold_is_anomalous(score, verdict):
    assert Criterion().judge(score, p_value=0.5) == verdict


def test_threshold_can_be_moved():
    assert Criterion(threshold=0.5).judge(0.6, p_value=0.5) == "anomalous"
    assert Criterion(threshold=1.5).judge(1.4, p_value=0.01) == "normal"


def test_false_alarm_rate_decides_by_the_p_value_alone():
    criterion = Criterion(max_false_alarm_rate=0.05)
    assert criterion.judge(0.2, p_value=0.05) == "anomalous"
    assert criterion.judge(9.0, p_value=0.06) == "normal"
    assert criterion.score_threshold is None


@pytest.mark.parametrize("images", range(1, 200))
def test_the_least_false_alarm_rate_can_be_reached_in_single_precision(images):
    p_value = decimal(np.float32(1 / (images + 1)))
    assert Criterion(max_false_alarm_rate=1 / (images + 1)).judge(0.0, p_value) == "anomalous"


def test_rate_below_what_the_calibration_can_promise_is_refused():
    Criterion(max_false_alarm_rate=0.01).check(contract(calibration_images="99"))
    with pytest.raises(InvalidOption, match="below 1/100, the least that 99 calibration images"):
        Criterion(max_false_alarm_rate=0.0099).check(contract(calibration_images="99"))


def test_rate_is_refused_when_the_calibration_is_unknown():
    Criterion().check(contract())
    with pytest.raises(InvalidOption, match="does not say"):
        Criterion(max_false_alarm_rate=0.5).check(contract())


def test_rate_of_the_deployment_is_held_against_the_operator_by_the_name_of_the_variable():
    criterion = DeploymentCriterion(max_false_alarm_rate=0.0099)
    with pytest.raises(UnpromisedRate, match="ONEGAUGE_MAX_FALSE_ALARM_RATE.* 99 calibration"):
        criterion.check(contract(calibration_images="99"))
    criterion.check(contract(calibration_images="101"))


def test_regions_are_in_original_pixels_with_the_highest_peak_first():
    anomaly_map = np.zeros((8, 12), np.float32)
    anomaly_map[0, 0:3] = 1.0
    anomaly_map[6:8, 10:12] = 1.2
    anomaly_map[7, 11] = 1.5
    assert find_regions(anomaly_map, 1.0, (120, 40)) == [
        Region(box=(100, 30, 20, 10), area=200, peak=1.5),
        Region(box=(0, 0, 30, 5), area=150, peak=1.0),
    ]


def test_pixels_that_touch_by_a_corner_are_one_region():
    anomaly_map = np.eye(4, dtype=np.float32)
    (region,) = find_regions(anomaly_map, 1.0, (4, 4))
    assert (region.box, region.area) == ((0, 0, 4, 4), 4)


def test_a_ring_is_one_region_and_its_middle_another():
    anomaly_map = np.ones((5, 5), np.float32)
    anomaly_map[1:4, 1:4] = 0
    anomaly_map[2, 2] = 2
    areas = [region.area for region in find_regions(anomaly_map, 1.0, (5, 5))]
    assert areas == [1, 16]


def test_boxes_cover_their_pixels_and_stay_inside_a_small_image():
    anomaly_map = np.zeros((8, 12), np.float32)
    anomaly_map[7, 11] = 1
    (region,) = find_regions(anomaly_map, 1.0, (1, 1))
    assert (region.box, region.area) == ((0, 0, 1, 1), 1)


def test_no_pixel_at_the_threshold_no_region():
    assert find_regions(np.full((4, 4), 0.99, np.float32), 1.0, (4, 4)) == []


def test_boxes_end_exactly_at_the_border_whatever_the_size():
    anomaly_map = np.zeros((7, 9), np.float32)
    anomaly_map[6, 8] = 1
    for side in range(1, 300):
        (region,) = find_regions(anomaly_map, 1.0, (side, side + 1))
        left, top, width, height = region.box
        assert (left + width, top + height) == (side, side + 1)
