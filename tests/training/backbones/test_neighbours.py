import pytest
import torch

from onegauge.training.backbones.neighbours import comparable, distances
from onegauge.training.errors import DataError


def points(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_distances_are_euclidean():
    queries, bank = points(4, 0), points(9, 1)
    assert torch.allclose(distances(queries, bank), torch.cdist(queries, bank), atol=1e-5)


def test_the_distance_to_itself_is_a_number():
    far = points(50, 0) + 1000  # where rounding would make the square negative
    assert distances(far, far).isfinite().all()


def test_no_more_are_compared_than_every_image_has_others():
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 3])
    assert [comparable(groups, k) for k in (3, 4, 20)] == [3, 4, 4]
    with pytest.raises(DataError, match="4 of the 5 images .* are of one part"):
        comparable(torch.tensor([0, 0, 0, 0, 1]), 20)
