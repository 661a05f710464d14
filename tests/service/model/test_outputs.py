import numpy as np
import pytest

from onegauge.service.errors import BackendFailed
from onegauge.service.model.contract import SCALARS
from onegauge.service.model.outputs import OUTPUTS, Outputs


def tensors(batch_size: int, **changed: np.ndarray) -> dict[str, np.ndarray]:
    made = {name: np.zeros((batch_size, 1), np.float32) for name in SCALARS}
    return made | {"anomaly_map": np.zeros((batch_size, 2, 3), np.float32)} | changed


def test_scalars_are_flat_with_or_without_tritons_extra_dimension():
    for score in (np.ones(2, np.float32), np.ones((2, 1), np.float32)):
        outputs = Outputs.from_tensors(tensors(2, score=score), 2)
        assert outputs.score.shape == outputs.novelty.shape == (2,)
        assert outputs.anomaly_map.shape == (2, 2, 3)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_fail_instead_of_passing_as_normal(name, value):
    spoilt = tensors(2)
    spoilt[name].flat[-1] = value
    with pytest.raises(BackendFailed, match=name):
        Outputs.from_tensors(spoilt, 2)


def test_answer_for_another_number_of_images_fails():
    with pytest.raises(BackendFailed, match="2 images"):
        Outputs.from_tensors(tensors(3), 2)
