import json
import re

import pytest

from onegauge.records.tally import Scored
from onegauge.service.http.keys import add_key
from onegauge.service.review.threshold import KINDS, pieces_of, really
from tests.service.review.conftest import FORM

PATH = "/review/threshold"


def data(page):
    """What the page's script counts with."""
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page)[1])


def save(client, **fields):
    form = {"threshold": "1.0", "by": "Anna", **fields}
    return client.post(PATH, data=form, headers=FORM, follow_redirects=False)


def holds(client):
    told = client.get("/v1/criterion").json()
    return told["threshold"], told["max_false_alarm_rate"], told["saved"]


def scored(score, verdict=None, decision="normal"):
    return Scored("0" * 32, "1", score, 0.5, decision, verdict)


@pytest.mark.parametrize(
    ("verdict", "decision", "found"),
    [
        ("confirmed", "anomalous", "d"),
        ("confirmed", "normal", "g"),
        ("false_alarm", "anomalous", "g"),
        ("missed", "normal", "d"),
        ("unclear", "anomalous", "-"),
        (None, "normal", "-"),
    ],
)
def test_verdicts_say_what_an_image_really_was(verdict, decision, found):
    assert really(scored(1.0, verdict, decision)) == found


def test_bars_are_stacked_by_verdicts_and_take_in_what_is_beyond():
    found = [scored(score) for score in (0.3, 0.349, -2.0, 2.0, 99.0, 2.0, 2.0)]
    found += [scored(0.3, "false_alarm"), scored(0.3, "unclear"), scored(0.999, "missed")]
    told = [(piece.kind, round(piece.left, 2), piece.count) for piece in pieces_of(found)]
    assert told == [
        ("none", 0.0, 1),
        ("false_alarm", 0.3, 1),
        ("none", 0.3, 3),
        ("missed", 0.95, 1),
        ("none", 2.0, 4),
    ]
    pieces = pieces_of(found)
    assert pieces[1].height + pieces[2].height == pytest.approx(1)  # 4 images, as beyond the scale
    assert pieces[2].bottom == pieces[1].height == pytest.approx(0.25)
    assert pieces[0].height == pytest.approx(0.5)
    assert set(KINDS) >= {piece.kind for piece in pieces}
    assert pieces_of([]) == []


def test_the_page_has_the_newest_scores_of_a_line_and_the_promise(review):
    made = [review.add(number, score=0.9 + number / 10, line="press") for number in range(3)]
    review.add(9, line="oven")
    review.add(10, line="press", model="another")
    review.history.judge(made[2].id, "false_alarm", by="Ann")
    told = data(review.client.get(f"{PATH}?line=press").text)
    assert told["ids"] == "".join(record.id for record in reversed(made))
    assert told["scores"] == [1.1, 1.0, 0.9]
    assert (told["now"], told["really"]) == ("aan", "g--")
    assert (told["trained"], told["threshold"], told["rate"]) == (0.01, 1.0, None)
    assert len(told["calibration"]) == 99
    assert told["calibration"] == sorted(told["calibration"])


@pytest.mark.parametrize(("asked", "looked_at"), [("200", 200), ("1000", 205), ("7", 205)])
def test_as_many_are_looked_at_as_is_asked(review, asked, looked_at):
    for number in range(205):
        review.add(number)
    told = data(review.client.get(f"{PATH}?number={asked}").text)
    assert len(told["scores"]) == len(told["ids"]) / 32 == looked_at


@pytest.mark.parametrize(
    ("asked", "begun"), [("0.75", "0.75"), ("nan", "1.0"), ("1e999", "1.0"), ("x", "1.0")]
)
def test_an_address_may_begin_with_another_threshold(review, asked, begun):
    page = review.client.get(f"{PATH}?threshold={asked}").text
    assert re.findall(r'name="threshold" step="any" value="(.*?)"', page) == [begun]
    assert data(page)["threshold"] == 1.0


def test_a_threshold_is_saved_taken_back_and_used_again(review):
    client = review.client
    assert save(client, threshold="1.25", note="dust").headers["Location"] == PATH
    assert holds(client) == (1.25, None, True)
    client.put("/v1/criterion", json={"max_false_alarm_rate": 0.02, "by": "Ben"})
    page = client.get(PATH).text
    assert data(page)["rate"] == 0.02
    newest, before, settings = re.findall(r'name="again" value="(.*?)">(.*?)</button>', page)
    assert newest == ("threshold 1.25", "Take back")
    assert before == ("threshold 1.25", "Use again")
    assert settings == ("threshold ", "Use again")
    save(client, again=newest[0])
    assert holds(client) == (1.25, None, True)
    save(client, again="max_false_alarm_rate 0.02")
    assert holds(client) == (None, 0.02, True)
    save(client, again="threshold ")
    assert holds(client) == (1.0, None, False)
    history = client.get("/v1/criterion").json()["history"]
    assert [entry["by"] for entry in history] == ["Anna", "Anna", "Anna", "Ben", "Anna"]
    assert history[-1]["note"] == "dust"


def test_the_first_that_was_saved_is_taken_back_to_the_settings(review):
    save(review.client, threshold="1.25")
    page = review.client.get(PATH).text
    assert re.findall(r'name="again" value="(.*?)">Take back', page) == ["threshold "]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"threshold": "high"}, "threshold"),
        ({"threshold": ""}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
        ({"by": " "}, "Say who you are"),
        ({"again": "max_false_alarm_rate 0.001"}, "below 1/100"),
        ({"again": "max_false_alarm_rate 7"}, "max_false_alarm_rate"),
    ],
)
def test_what_makes_no_sense_is_not_saved(review, fields, told):
    answer = save(review.client, **fields)
    assert answer.status_code == 422
    assert told in answer.text
    assert review.client.get("/v1/criterion").json()["history"] == []


def test_forms_of_other_sites_save_nothing(review):
    other = {"Origin": "http://evil.example"}
    answer = review.client.post(PATH, data={"threshold": "9", "by": "Eve"}, headers=other)
    assert answer.status_code == 403
    assert holds(review.client) == (1.0, None, False)


@pytest.mark.parametrize(("scopes", "status"), [("review", 403), ("review,teach", 303)])
def test_who_may_only_review_looks_but_does_not_save(start, tmp_path, scopes, status):
    secret = add_key(tmp_path / "keys", "shift-1", scopes.split(","))
    client = start(api_keys=tmp_path / "keys").client
    assert client.get(PATH, follow_redirects=False).headers["Location"].startswith("/review/login")
    client.post("/review/login", data={"key": secret}, headers=FORM)
    page = client.get(PATH).text
    assert ("may look" in page) == (status == 403)
    assert ('name="again"' in page) is False
    assert save(client, threshold="1.1", by="Eve").status_code == status
    bearer = {"Authorization": f"Bearer {secret}"}
    history = client.get("/v1/criterion", headers=bearer).json()["history"]
    assert [entry["by"] for entry in history] == (["shift-1"] if status == 303 else [])


def test_tiles_are_of_what_is_asked_for(review):
    first, second = review.add_seen(1), review.add(2)
    left = "0" * 32  # meanwhile
    page = review.client.get(f"{PATH}/tiles?ids={second.id},{left},{first.id}").text
    assert re.findall(r'class="part">(.*?)<', page) == ["part-2", "part-1"]
    assert page.count("<img") == 1
    for ids in ("", "1", ",".join([first.id] * 13)):
        assert review.client.get(f"{PATH}/tiles?ids={ids}").status_code == 422


def test_what_persons_wrote_is_text(review):
    nasty = "</script><img src=x onerror=alert(1)>"
    review.client.put("/v1/criterion", json={"threshold": 1.1, "by": nasty[:60], "note": nasty})
    review.add(1, line=nasty)
    page = review.client.get(PATH).text
    assert "<img" not in page
    assert "&lt;/script&gt;" in page
