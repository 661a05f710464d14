import numpy as np
import pytest

from onegauge.teach.share import Share


def test_a_share_is_of_scores_from_the_threshold_on():
    assert Share.of(np.array([0.5, 1.0, 2.0], np.float32)) == Share(2, 3)
    assert str(Share(5, 100)) == "5 of 100 (5.0\N{NO-BREAK SPACE}%, 2.2–11.2\N{NO-BREAK SPACE}%)"


@pytest.mark.parametrize(
    ("share", "ends"),  # of Wilson's interval, as statistics packages give them
    [(Share(0, 10), (0, 0.2775)), (Share(10, 10), (0.7225, 1)), (Share(1, 20), (0.0089, 0.2361))],
)
def test_an_interval_keeps_to_what_a_rate_can_be(share, ends):
    assert share.interval == pytest.approx(ends, abs=1e-4)
