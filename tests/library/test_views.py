import numpy as np
import torch
import torch.nn.functional as F

from onegauge.library.likeness import Neighbours
from onegauge.library.views import Scoring, Views, enlarged, thinned
from onegauge.training.gauge.alignments import views
from onegauge.training.gauge.scoring import Scoring as TorchScoring


def maps(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(side).gamma(2, size=(count, side, side)).astype(np.float32)


def test_maps_are_thinned_and_enlarged_as_in_the_graph():
    fine = maps(3, 71)
    thin = thinned(fine)
    assert np.allclose(thin, views.thinned(torch.from_numpy(fine)).numpy(), atol=1e-6)
    back = F.interpolate(torch.from_numpy(thin)[None], (71, 71), mode="bilinear")[0]
    assert np.allclose(enlarged(thin, (71, 71)), back.numpy(), atol=1e-5)


def test_scores_are_those_of_the_graph_under_a_mask_as_well():
    inspected = np.zeros((16, 16), bool)
    inspected[3:9, 2:12] = True
    some = maps(4, 16)
    for mask in (None, inspected):
        torch_mask = None if mask is None else torch.from_numpy(mask)
        expected = TorchScoring(0.05, torch_mask)(torch.from_numpy(some))
        assert np.allclose(Scoring(0.05, mask)(some), expected.numpy(), atol=1e-6)


def test_place_by_place_a_pixel_counts_in_the_spread_that_it_has_there():
    rng = np.random.default_rng(2)
    quiet = rng.normal(1, 0.1, (50, 8, 8))
    quiet[:, 0, 0] = rng.normal(9, 3, 50)  # such as an edge
    near = Neighbours(np.arange(50).repeat(50).reshape(50, 50).T, np.full((50, 50), 0.02, "f4"))
    found = Views.of(quiet.astype(np.float32), near, Scoring(0.1, None))
    image = np.full((1, 8, 8), 1, np.float32)
    image[0, 0, 0], image[0, 4, 4] = 12, 4
    one = Neighbours(near.rows[:1], near.weights[:1])
    placed = found.by_place(image, one)[0]
    assert placed[4, 4] > 2 * placed[0, 0] > 0
