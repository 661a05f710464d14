import numpy as np
import pytest

from onegauge.training.report.distributions import (
    LONGEST_NAME,
    ROW_HEIGHTS,
    draw_distributions,
    raw_threshold,
    short,
)
from onegauge.training.report.plots import keep


def test_the_raw_threshold_gives_as_many_false_alarms(line):
    readings = line(nut=([0.1, 1.2, 0.4], [3.0]), bolt=([0.2, 2.0], [0.5]))
    normal = readings.raw_score[~readings.anomalous]
    assert (normal >= raw_threshold(readings)).sum() == 2
    quiet = line(nut=([0.1, 0.4], [3.0]))
    assert quiet.raw_score[1] < raw_threshold(quiet) < quiet.raw_score[2]
    loud = line(nut=([1.1, 1.4], [3.0]))
    assert (loud.raw_score >= raw_threshold(loud)).all()
    assert raw_threshold(line(nut=([], [3.0]))) == np.inf


def test_there_is_a_row_for_every_product_in_the_order_given(line):
    readings = line(nut=([0.1, 1.2], [3.0]), bolt=([0.2], [0.5]))
    figure = draw_distributions(readings, ["nut", "bolt"])
    raw, aligned = figure.axes
    assert [label.get_text() for label in raw.get_yticklabels()] == ["nut", "bolt"]
    assert raw.get_ylim() == aligned.get_ylim() == (1.5, -0.5)  # the first on top
    medians = [
        line.get_segments()[0][0][0]
        for line in aligned.collections
        if hasattr(line, "get_segments")
    ]
    assert medians == pytest.approx([0.65, 3.0, 0.2, 0.5])
    assert (
        aligned.get_title()
        == "After alignment: 33.3\N{NO-BREAK SPACE}% false alarms, 50.0\N{NO-BREAK SPACE}% misses"
    )


def test_many_products_have_low_rows_and_few_are_not_blown_up(line):
    few = draw_distributions(line({"a": ([0.1], [2.0])}), ["a"])
    names = [f"product {k:02d}" for k in range(60)]
    many = draw_distributions(line({name: ([0.1], [2.0]) for name in names}), names)
    assert few.get_figheight() < 2
    assert many.get_figheight() < 1.2 * many.get_figwidth()
    assert many.get_figheight() > 60 * ROW_HEIGHTS[0]


def test_long_names_are_shortened_in_the_middle():
    assert short("nut") == "nut"
    assert short("hall 4/line 2/" + 30 * "x" + "/left") == "hall 4/line…xxxxxxx/left"
    assert len(short(80 * "x")) == LONGEST_NAME
    assert short("geh\udce4use") == "geh?use"


def test_any_name_can_be_drawn(line, tmp_path):
    names = [r"$\frac$", "六角螺母", "<b>&\"'", "geh\udce4use"]
    readings = line({name: ([0.1], [2.0]) for name in names})
    uri = keep(lambda: draw_distributions(readings, names), tmp_path / "plot.png")
    assert uri.startswith("data:image/svg+xml;base64,")
    assert (tmp_path / "plot.png").stat().st_size > 1000
