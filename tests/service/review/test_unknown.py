"""Images of unknown products are decided on group by group."""

from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from onegauge.records.lessons import Lessons
from onegauge.service.review import unknown
from rig.pictures import encode
from tests.service.review.conftest import ANNA, FORM

NOW = datetime.now(UTC)
RED, BLUE = (
    encode(Image.new("RGB", (96, 64), colour)) for colour in ((200, 20, 20), (20, 20, 200))
)


@pytest.fixture
def strange(review):
    """Remembers an image of an unknown product."""

    def add(number, picture=RED, **fields):
        time = NOW + timedelta(seconds=number)
        digest = review.pictures.put(picture)  # whose thumbnail is made when it is looked at
        made = {"picture": digest, "media_type": "image/png", "unknown_product": True, **fields}
        return review.add(number, time=time, **made)

    return add


@pytest.fixture
def lessons(review):
    return Lessons(review.client.app.state.gateway.records.database)


def say(review, kind, *taken, **fields):
    chosen = {f"take-{one.id}": "on" for one in taken}
    data = {"kind": kind, **chosen, **ANNA, **fields}
    return review.client.post("/review/unknown", data=data, headers=FORM, follow_redirects=False)


def test_they_are_grouped_by_how_they_look(review, strange):
    for number in range(3):
        strange(number)
    strange(3, BLUE)
    strange(4, unknown_product=False)
    text = review.client.get("/review/unknown").text
    assert "Group 1: 3" in text
    assert "Group 2: 1" in text
    assert "Group 3" not in text


def test_what_has_no_tick_waits_on(review, strange, lessons):
    first, second, third = (strange(number) for number in range(3))
    response = say(review, "new_product", first, second, product="ring 3")
    assert response.headers["Location"] == "/review/unknown?said=2"
    assert [(found.record.part, found.product, found.by) for found in lessons.open("onegauge")] == [
        ("part-1", "ring 3", "Anna"),
        ("part-0", "ring 3", "Anna"),
    ]
    text = review.client.get("/review/unknown").text
    assert f"take-{third.id}" in text
    assert f"take-{first.id}" not in text


def test_pictures_that_take_long_come_with_the_next_look(review, strange, monkeypatch):
    for number in range(3):
        strange(number)
    monkeypatch.setattr(unknown, "LOOK_S", 0)
    text = review.client.get("/review/unknown").text
    assert "3 images that nobody" in text
    assert "3 of them were not looked at yet" in text
    assert "Group 1" not in text
    assert "No image of an unknown product waits" not in text
    monkeypatch.undo()
    text = review.client.get("/review/unknown").text
    assert "Group 1: 3" in text
    assert "not looked at yet" not in text


def test_what_was_said_does_not_wait_in_the_queue(review, strange):
    said, other = strange(0), strange(1)
    say(review, "new_product", said)
    text = review.client.get("/review?verdict=none").text
    assert said.id not in text
    assert other.id in text
    assert said.id in review.client.get("/review").text


@pytest.mark.parametrize("kind", ["foreign_object", "discarded"])
def test_what_is_no_product_teaches_nothing(review, strange, lessons, kind):
    assert say(review, kind, strange(0)).status_code == 303
    assert lessons.open("onegauge") == []
    assert "No image of an unknown product waits" in review.client.get("/review/unknown").text


def test_a_form_that_the_page_does_not_have_is_refused(review, strange, lessons):
    one = strange(0)
    assert say(review, "normal", one).status_code == 422
    assert say(review, "new_product", one, by=" ").status_code == 422
    data = {"kind": "new_product", f"take-{one.id}": "on", **ANNA}
    elsewhere = {"Origin": "http://elsewhere"}
    assert review.client.post("/review/unknown", data=data, headers=elsewhere).status_code == 403
    assert lessons.open("onegauge") == []


def test_names_are_shown_as_text(review, strange):
    strange(0, part="<script>alert(1)</script>")
    assert "<script>alert" not in review.client.get("/review/unknown").text
