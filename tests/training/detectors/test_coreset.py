import pytest
import torch

from onegauge.training.detectors import coreset
from onegauge.training.detectors.coreset import farthest_points, farthest_points_of_each
from onegauge.training.progress import Progress


def points(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def greedy(points: torch.Tensor, wanted: int) -> list[int]:
    """The algorithm as the paper has it, begun at the point farthest from the mean."""
    chosen = [int((points - points.mean(0)).norm(dim=1).argmax())]
    while len(chosen) < wanted:
        chosen.append(int(torch.cdist(points, points[chosen]).amin(1).argmax()))
    return chosen


@pytest.mark.parametrize(("together", "at_a_time"), [(1024, 2**16), (5, 50), (1, 50)])
def test_choices_made_together_are_those_of_the_greedy_algorithm(monkeypatch, together, at_a_time):
    monkeypatch.setattr(coreset, "CHOICES_AT_A_TIME", together)
    monkeypatch.setattr(coreset, "POINTS_AT_A_TIME", at_a_time)
    found = farthest_points(points(300, 6), 40, Progress())
    assert found.tolist() == greedy(points(300, 6), 40)


def test_where_more_points_are_wanted_than_there_are_all_are_chosen():
    assert farthest_points(points(7, 3), 20, Progress()).tolist() == [*range(7)]


def test_each_set_of_points_has_its_own_choices():
    sets = points(3, 50, 6)
    found = farthest_points_of_each(sets, 12)
    assert found.tolist() == [greedy(each, 12) for each in sets]


def test_sets_of_few_points_are_chosen_whole_and_no_point_twice():
    found = farthest_points_of_each(points(2, 5, 6), 12)
    assert found.sort(1).values.tolist() == [[*range(5)]] * 2
