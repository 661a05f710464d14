import pytest

from onegauge.training.report.gallery import (
    ERRORS,
    most_novel,
    on_the_edge,
    typical,
    worst_false_alarms,
    worst_misses,
)


def scores(gallery) -> list[float]:
    return [pytest.approx(one.score) for one in gallery.exhibits]


def test_the_worst_false_alarms_are_the_highest_normal_images(line):
    found = worst_false_alarms(line(nut=([0.1, 1.2, 3.0], [5.0]), bolt=([2.0], [0.5])))
    assert scores(found) == [3.0, 2.0, 1.2]
    assert found.reading == "3 of 4 normal images are flagged; the highest score first."


def test_the_worst_misses_are_the_lowest_anomalous_images(line):
    found = worst_misses(line(nut=([0.1], [5.0, 0.9]), bolt=([2.0], [-0.5])))
    assert scores(found) == [-0.5, 0.9]
    assert found.reading == "2 of 3 anomalous images pass; the lowest score first."


def test_of_many_errors_the_worst_are_shown_and_all_are_counted(line):
    found = worst_false_alarms(line(nut=([1 + k / 10 for k in range(30)], [2.0])))
    assert len(found.exhibits) == ERRORS
    assert found.exhibits[0].score == pytest.approx(3.9)
    assert "30 of 30 normal images, of which 9 are shown, are flagged" in found.reading


def test_no_errors_and_no_images_are_said_kindly(line):
    good = line(nut=([0.1, 0.2], [2.0]))
    assert worst_false_alarms(good).reading == "No false alarm: all 2 normal images pass."
    assert worst_misses(good).reading == "No miss: all 1 anomalous images are flagged."
    assert "no anomalous images" in worst_misses(line(nut=([0.1], []))).reading
    assert "no normal images" in worst_false_alarms(line(nut=([], [0.1]))).reading


def test_hard_cases_are_nearest_to_the_threshold_or_the_most_novel(line):
    readings = line(nut=([0.1, 0.9], [1.2, 6.0]))
    assert scores(on_the_edge(readings))[:2] == [0.9, 1.2]
    novel = most_novel(readings)  # a fifth of the score
    assert scores(novel)[0] == 6.0
    assert novel.exhibits[0].unknown
    assert novel.reading.endswith("1 of 4 do.")


def test_typical_images_have_the_median_score_of_their_kind(line):
    readings = line(nut=([0.3, 0.1, 0.2], [2.0, 9.0, 3.0]), bolt=([], [4.0]))
    shown = typical(readings, ["bolt", "nut"])
    assert list(shown) == ["bolt", "nut"]
    found = {product: [one.score for one in exhibits] for product, exhibits in shown.items()}
    assert found["nut"] == [pytest.approx(0.2), pytest.approx(3.0)]
    assert found["bolt"] == [pytest.approx(4.0)]
