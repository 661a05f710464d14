import numpy as np
import pytest

from onegauge.training.report.curves import (
    draw_p_values,
    draw_roc,
    draw_trade_off,
    expected_shares,
)


def curves(figure) -> dict:
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}


def test_the_operating_point_lies_on_the_roc_after_alignment(line):
    found = curves(draw_roc(line(nut=([0.1, 1.2, 0.2, 0.3], [3.0, 0.25]))))
    point = found["at the one threshold"][0]
    assert point == pytest.approx((0.25, 0.5))
    after = next(xy for label, xy in found.items() if label.startswith("after alignment"))
    assert point.tolist() in after.tolist()
    assert any(label.endswith("AUROC 75.0 %") for label in found)


def test_the_trade_off_passes_through_the_error_rates_at_the_threshold(line):
    readings = line(nut=([0.1, 1.0, 0.2, 0.3], [3.0, 0.25]))
    found = curves(draw_trade_off(readings, 0.05))
    for name, rate in (("false alarms", 0.25), ("misses", 0.5)):
        thresholds, shares = found[name].T
        assert shares[np.argmin(np.abs(thresholds - 1))] == rate
    assert set(found["threshold"][:, 0]) == {1.0}
    assert set(found["promise"][:, 1]) == {0.05}
    assert "misses" not in curves(draw_trade_off(line(nut=([0.1], [])), 0.05))


def test_p_values_are_drawn_as_the_share_of_normal_images_at_or_below(line):
    readings = line(nut=([0.1, 1.0, 0.2, 0.3], [3.0, 0.25]))
    found = curves(draw_p_values(readings, 0.2, 19))
    assert found["at the promise"].tolist() == [[0.2, 0.25]]
    assert found["measured"][-1].tolist() == [pytest.approx(0.46), 1.0]


def test_the_band_holds_the_shares_of_sound_gauges():
    rng = np.random.default_rng(0)
    levels, low, high = expected_shares(images=200, calibration=99)
    held = []
    for _ in range(400):
        calibration, new = rng.normal(size=99), rng.normal(size=(200, 1))
        p = (1 + (calibration >= new).sum(1)) / 100  # (200,)
        shares = (p[:, None] <= levels + 1e-9).mean(0)  # (L,)
        held.append((low <= shares) & (shares <= high))
    kept = np.mean(held, 0)
    assert kept.min() > 0.91
    assert kept[levels < 0.9].max() < 0.995  # no wider than it must be
