from base64 import b64encode
from math import inf

import numpy as np
import pytest

from onegauge.schemas import Options
from onegauge.service.inspection.judge import Judge
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import Criterion

LEFT = np.array([[True, False]] * 2)
BITS = b64encode(np.packbits(LEFT).tobytes()).decode()


def judge(mask: np.ndarray | None = None, **parameters: str) -> Judge:
    contract = Contract("gauge", "1", 8, 8, 2, 2, 2, "onnxruntime", parameters)
    criterion = Criterion(max_false_alarm_rate=0.7)
    return Judge(contract, criterion, Options(), 100, False, mask)


def test_regions_of_an_anomalous_image_begin_no_higher_than_its_highest_pixel():
    highest = np.float32(0.7)  # less than the decimal number
    anomaly_map = np.array([[highest, 0.1], [0.2, 0.3]], np.float32)
    assert judge().level(0.7, anomaly_map) == float(highest)
    assert judge().level(0.5, anomaly_map) == 0.5
    assert judge().level(1.5, anomaly_map + 2) == 1.0
    assert judge(LEFT).level(0.0, anomaly_map * [[-1, 1]]) == float(np.float32(-0.2))


@pytest.mark.parametrize("by", [judge(LEFT), judge(inspected=BITS)], ids=["request", "training"])
@pytest.mark.parametrize("level", [inf, 1.0, 0.0, -0.1, -2.0])
def test_nothing_is_shown_at_the_level_where_nothing_is_inspected(by, level):
    shown = by.shown(np.array([[3, 3], [-1, 3]], np.float32), level)
    assert shown[:, 0].tolist() == [3, -1]
    assert (shown[:, 1].astype(np.float64) < level).all()
    assert level <= 0 or (shown[:, 1] == 0).all()
    assert shown.dtype == np.float32


def test_map_of_a_model_that_looks_everywhere_is_shown_as_it_is():
    anomaly_map = np.zeros((2, 2), np.float32)
    assert judge().shown(anomaly_map, 0.0) is anomaly_map
