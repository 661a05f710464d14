import numpy as np
import pytest

from onegauge.service.errors import BackendFailed
from onegauge.service.model.contract import SCALARS
from onegauge.service.model.outputs import EXPLAINED, Outputs


def tensors(batch_size: int, **changed: np.ndarray) -> dict[str, np.ndarray]:
    made = {name: np.zeros((batch_size, 1), np.float32) for name in SCALARS}
    return made | {"anomaly_map": np.zeros((batch_size, 2, 3), np.float32)} | changed


def explained(*first: int) -> dict[str, np.ndarray]:
    """Tensors of images whose nearest references have these numbers."""
    numbers = np.array(first, np.int32)[:, np.newaxis] + np.arange(2, dtype=np.int32)  # (B, 2)
    points = np.zeros((len(first), 2, 3, 4), np.float32) + numbers[:, :1, np.newaxis, np.newaxis]
    told = {"neighbours": numbers, "weights": np.ones(numbers.shape, np.float32), "points": points}
    return tensors(len(first), **told)


def test_scalars_are_flat_with_or_without_tritons_extra_dimension():
    for score in (np.ones(2, np.float32), np.ones((2, 1), np.float32)):
        outputs = Outputs.from_tensors(tensors(2, score=score), 2)
        assert outputs.score.shape == outputs.novelty.shape == (2,)
        assert outputs.anomaly_map.shape == (2, 2, 3)


def test_each_image_keeps_what_explains_it_when_batches_are_joined_and_parted():
    batches = [Outputs.from_tensors(explained(*first), len(first)) for first in ([7, 3], [5])]
    joined = Outputs.joined(batches)
    assert joined.score.shape == (3,)
    for index, first in enumerate((7, 3, 5)):
        insight = joined.row(index).insight
        assert insight is not None
        np.testing.assert_array_equal(insight.neighbours, [[first, first + 1]])
        assert insight.weights.shape == (1, 2)
        np.testing.assert_array_equal(insight.points, np.full((1, 2, 3, 4), first))


def test_nothing_explains_what_was_not_asked_for():
    joined = Outputs.joined([Outputs.from_tensors(tensors(2), 2) for _ in range(2)])
    assert joined.insight is None
    assert joined.row(3).insight is None


@pytest.mark.parametrize("name", EXPLAINED)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_fail_instead_of_passing_as_normal(name, value):
    spoilt = explained(0, 1)
    spoilt[name] = spoilt[name].astype(np.float32)
    spoilt[name].flat[-1] = value
    with pytest.raises(BackendFailed, match=name):
        Outputs.from_tensors(spoilt, 2)


def test_answer_for_another_number_of_images_fails():
    with pytest.raises(BackendFailed, match="2 images"):
        Outputs.from_tensors(tensors(3), 2)
