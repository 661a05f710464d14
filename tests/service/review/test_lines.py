import re
from datetime import UTC, datetime, timedelta

import pytest

from onegauge.service.review.lines import FEWEST, bars_of


def ago(**before: float) -> datetime:
    return datetime.now(UTC) - timedelta(**before)


def test_the_last_bar_has_what_is_beyond_the_scale():
    bars = bars_of([0] * 19 + [5, 7])
    assert [(round(bar.low, 1), bar.count) for bar in bars if bar.count] == [(1.9, 5), (2.0, 7)]
    assert bars[-1].high is None
    assert bars[-2].high == pytest.approx(2.0)
    assert bars_of([]) == []


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page, re.DOTALL)
    told = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    return [[re.sub(r"<[^>]+>|\s", "", cell) for cell in row] for row in told]


def test_a_line_tells_of_its_last_hour_and_day(review):
    for number in range(3):
        review.add(number, line="press-3", time=ago(minutes=number))
    review.add(3, line="press-3", time=ago(minutes=5), decision="anomalous", score=1.4)
    old = review.add(4, line="press-3", time=ago(hours=5), unknown_product=True)
    review.add(5, line="press-3", time=ago(hours=25))
    review.add(6, line="press-4", time=ago(hours=30))
    review.history.judge(old.id, "confirmed", by="Anna")
    page = review.client.get("/review/lines").text
    assert cells(page) == [["4", "1(25.0%)", "0", "0"], ["5", "1(20.0%)", "1", "1"]]
    assert "press-4" not in page
    assert "0.2 – 0.3: 4" in page
    assert "1.4 – 1.5: 1" in page


def test_images_without_a_line_are_told_of_too(review):
    review.add(0, line=None, time=ago(minutes=1))
    page = review.client.get("/review/lines").text
    assert "Without a line" in page
    assert "0.2 – 0.3: 1" in page
    assert 'class="tile' in page
    review.add(1, line="press", time=ago(minutes=1))
    page = review.client.get("/review/lines").text
    assert [row[0] for row in cells(page)] == ["1"] * 4
    assert page.count('class="tile') == 2
    shown = re.search(r'<a href="([^"]+)">Without a line', page)[1]
    assert re.findall('class="tile', review.client.get(shown).text) == ['class="tile']


def test_images_without_a_line_drift_by_themselves(review):
    for number in range(FEWEST):
        review.add(number, line=None, time=ago(minutes=number), p_value=0.5)
        review.add(number, time=ago(minutes=number), p_value=(number + 0.5) / FEWEST)
    unnamed, _, named = review.client.get("/review/lines").text.rpartition("<h2")
    assert "Has drifted" in unnamed
    assert "As calibrated" in named


@pytest.mark.parametrize(
    ("p_value", "told", "why"),
    [
        (lambda n: (n + 0.5) / FEWEST, "As calibrated", ["from uniform"]),
        (lambda _: 0.5, "Has drifted", ["from uniform"]),
        (lambda n: n / FEWEST if n >= FEWEST / 5 else 0, "Has drifted", ["20.0 % of 50 images"]),
        (lambda _: 0, "Has drifted", ["100.0 % of 50 images", "from uniform"]),
    ],
    ids=["normal", "uneven", "many-flagged", "both"],
)
def test_a_line_drifts_where_its_p_values_are_not_those_of_normal_images(
    review, p_value, told, why
):
    for number in range(FEWEST):
        review.add(number, time=ago(minutes=number), p_value=p_value(number))
    page = review.client.get("/review/lines").text
    assert told in page
    found = re.findall("[0-9.]+ % of 50 images|from uniform", page)
    assert found == why


def test_too_few_images_tell_nothing_of_a_drift(review):
    for number in range(FEWEST):
        version = "1" if number else "0"  # which had p-values of its own
        review.add(number, time=ago(minutes=number), p_value=0.5, version=version)
    assert "Too few images of this version" in review.client.get("/review/lines").text
