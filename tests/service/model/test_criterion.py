import numpy as np
import pytest

from onegauge.service.errors import InvalidOption, UnpromisedRate
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import Criterion, DeploymentCriterion, decimal, p_values


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
    assert Criterion(threshold=1e300).judge(1.4, p_value=0.01) == "normal"
    assert Criterion(threshold=-1e300).judge(-1.4, p_value=0.01) == "anomalous"


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


def test_p_values_count_the_calibration_scores_that_are_as_high():
    calibration = np.float32([0.0, 0.5, 0.5, 0.9])
    found = p_values(np.float32([-1, 0.5, 0.6, 1]), calibration)
    np.testing.assert_allclose(found, [1.0, 0.8, 0.4, 0.2])


@pytest.mark.parametrize("criterion", [Criterion(0.3), Criterion(max_false_alarm_rate=0.05)])
def test_many_images_are_decided_on_as_each_alone(criterion):
    scores, p_values = np.float32([0.1, 0.3, 0.5]), np.float32([0.9, 0.05, 0.01])
    met = criterion.met_by(scores, p_values)
    alone = map(criterion.judge, scores.tolist(), p_values.tolist())
    assert met.tolist() == [verdict == "anomalous" for verdict in alone] == [False, True, True]
