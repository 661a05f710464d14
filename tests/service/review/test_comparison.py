import numpy as np
import pytest

from onegauge.library.library import Origin
from onegauge.schemas import Decision, Normal, NormalPatch, RegionAnswer
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.review.comparison import REGIONS, _view, pairs_of
from tests.records.made import record

NONE = np.zeros(0, np.int8)
ORIGINS = [Origin("a.png", "a" * 64, 200, 100, 0)]


def region(peak: float, reference: str | None = "a" * 12) -> RegionAnswer:
    """One of 20 x 10 pixels at 40, 30, whose normal place is in the middle of a reference."""
    normal = reference and NormalPatch(reference=reference, origin="a.png", box=(90, 40, 20, 20))
    box = (40, 30, 20, 10)
    return RegionAnswer(box=box, area=200, peak=peak, mean=1, contours=[], normal=normal or None)


def pairs(*regions: RegionAnswer):
    """Of an image of 100 x 50 pixels."""
    decision = Decision.model_construct(regions=list(regions), normal=Normal(location=0, scale=1))
    explainer = Explainer(NONE, NONE, NONE, ORIGINS, [b""])
    return pairs_of(record(width=100, height=50), decision, explainer)


def test_a_region_is_beside_its_normal_place_and_both_show_as_much():
    (pair,) = pairs(region(1.5))
    assert pair.view == (30.0, 10.0, 40.0, 40.0)
    assert (pair.reference, pair.size) == ("a" * 12, (200, 100))
    assert pair.normal_view == (60.0, 10.0, 80.0, 80.0)  # of a picture twice as large


def test_those_that_speak_loudest_come_first_and_not_too_many():
    peaks = [1.0 + number / 10 for number in range(REGIONS + 3)]
    found = pairs(*map(region, peaks))
    assert [pair.peak for pair in found] == sorted(peaks, reverse=True)[:REGIONS]


def test_a_region_without_a_normal_place_is_left_out():
    assert pairs(region(1.5, None), region(1.4, "b" * 12)) == []


@pytest.mark.parametrize(
    ("box", "side", "view"),
    [
        ((40, 20, 20, 20), 40.0, (30.0, 10.0, 40.0, 40.0)),
        ((0, 0, 10, 10), 40.0, (0, 0, 40.0, 40.0)),
        ((90, 50, 10, 10), 40.0, (60.0, 20.0, 40.0, 40.0)),
        ((0, 0, 100, 60), 100.0, (0.0, 0.0, 100.0, 100.0)),
    ],
)
def test_a_view_is_around_its_box_and_in_the_picture(box, side, view):
    assert _view(box, side, (100, 60)) == view
