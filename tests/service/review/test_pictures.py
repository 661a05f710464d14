import re
from io import BytesIO

import pytest
from PIL import Image

from rig.pictures import encode, oriented


def opened(answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "inline"
    return Image.open(BytesIO(answer.content))


def test_a_picture_is_encoded_anew_and_upright(review):
    upload = encode(Image.new("RGB", (96, 64), (200, 0, 0)), "TIFF") + b"<script>alert(1)</script>"
    made = review.add_seen(picture=upload)
    answer = review.client.get(f"/review/{made.id}/picture")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert b"script" not in answer.content
    shown = opened(answer)
    assert (shown.format, shown.size) == ("JPEG", (96, 64))
    turned = encode(Image.new("RGB", (96, 64)), "JPEG", exif=oriented(6))
    made = review.add_seen(picture=turned)
    assert opened(review.client.get(f"/review/{made.id}/picture")).size == (64, 96)


def test_its_layer_is_clear_where_it_is_normal(review):
    made = review.add_seen()
    layer = opened(review.client.get(f"/review/{made.id}/layer"))
    assert (layer.mode, layer.size) == ("RGBA", (12, 8))
    assert layer.getpixel((0, 0))[3] == 0
    assert layer.getpixel((8, 2))[3] > 150


def test_a_thumbnail_is_small_and_kept_by_its_browser_alone(review):
    made = review.add_seen()
    answer = review.client.get(f"/review/{made.id}/thumbnail")
    assert opened(answer).format == "JPEG"
    assert answer.headers["Cache-Control"] == "private, max-age=3600"


@pytest.mark.parametrize("kind", ["picture", "thumbnail", "layer", "comparison"])
def test_what_was_not_kept_is_told_so(review, kind):
    made = review.add()
    answer = review.client.get(f"/review/{made.id}/{kind}")
    assert answer.status_code == (200 if kind == "comparison" else 404)
    assert re.search("was not kept|was removed", answer.text)


def test_a_damaged_picture_is_a_problem_and_no_failure(review):
    made = review.add_seen(picture=b"\xff\xd8\xff damaged")
    assert review.client.get(f"/review/{made.id}/picture").status_code == 422
    assert "No comparison can be made." in review.client.get(f"/review/{made.id}/comparison").text


def test_style_and_script_are_asked_for_each_time(review):
    first = review.client.get("/review/static/review.css")
    assert first.headers["Cache-Control"] == "no-cache"
    again = {"If-None-Match": first.headers["ETag"]}
    assert review.client.get("/review/static/review.css", headers=again).status_code == 304
    assert review.client.get("/review/static/..%2Froutes.py").status_code == 404
