import asyncio
import json
from base64 import b64decode
from email import message_from_bytes
from email.policy import HTTP
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.schemas import Answer, MapAnswer, ModelVersion, RegionAnswer
from onegauge.service.errors import NotAcceptable
from onegauge.service.http.answers import FEW_REGIONS, PIECE, Pieces, is_heavy, present, wanted_form
from tests.service.decisions import decision

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/*", "image/png"),
        ("image/jpeg;q=0.9, image/png;q=0.5", "image/jpeg"),
        ("image/webp, image/png", "image/png"),
        ("application/x-npy", "application/x-npy"),
        ("multipart/form-data", "multipart/form-data"),
        ("image/png;q=0, application/json;q=0.1", "application/json"),
        ("image/png;q=high, */*;q=0.1", "application/json"),
        # Java's HttpURLConnection, then browsers: a page, a picture, an old one
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/json"),
        ("text/html,application/xml;q=0.9,image/avif,image/png,*/*;q=0.8", "application/json"),
        ("image/avif,image/webp,image/png,image/*;q=0.8,*/*;q=0.5", "application/json"),
        ("image/gif, image/jpeg, image/pjpeg, application/x-ms-xbap, */*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/json, image/png", "application/json"),
        ("image/*, */*;q=0.5", "application/json"),
        ("application/problem+json", "application/json"),
        ("application/*;q=0.5, image/*", "application/json"),
        ("image/png, */*;q=0.5", "image/png"),
        ("image/jpeg; q = 0.9, */*; q = 0.95", "application/json"),
        ("text/html, image/jpeg", "image/jpeg"),
        ("*/*;q=0.5, multipart/form-data", "multipart/form-data"),
        # not well formed
        (",;, ;q=1,", "application/json"),
        ("json", "application/json"),
        ("image/png;q=nan, image/jpeg;q=inf, */*;q=0.001", "application/json"),
        ("image/png;q=1_0, image/jpeg;q=0.5", "image/jpeg"),
        ("image/png;q, image/jpeg;=;q=1.000", "image/jpeg"),
    ],
)
def test_form_is_the_best_that_the_client_takes(accept, form):
    assert wanted_form(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/webp, text/csv"])
def test_forms_that_there_are_not_are_refused(accept):
    with pytest.raises(NotAcceptable, match="none of application/json, image/png"):
        wanted_form(accept)


def post(client, *images: bytes, accept: str, **options: object):
    files = [("image", image) for image in images]
    return client.post("/v1/inspect", files=files, params=options, headers={"Accept": accept})


def test_several_accept_headers_are_one(client, normal):
    headers = [("Accept", "text/html"), ("Accept", "*/*"), ("Content-Type", "image/png")]
    response = client.post("/v1/inspect", content=normal, headers=headers)
    assert response.json()["results"][0]["decision"] == "normal"


@pytest.mark.parametrize(
    ("accept", "kind"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/*", "PNG")]
)
def test_picture_of_a_single_image_is_its_overlay_with_the_decision_in_headers(
    client, defective, accept, kind
):
    response = post(client, defective, accept=accept)
    assert response.status_code == 200
    overlay = Image.open(BytesIO(response.content))
    assert (overlay.format, overlay.size) == (kind, (96, 64))
    assert response.headers["Content-Type"] == f"image/{kind.lower()}"
    told = {k[11:]: v for k, v in response.headers.items() if k.startswith("x-onegauge-")}
    assert told == {
        "model": "onegauge",
        "version": "1",
        "decision": "anomalous",
        "score": "1.8378906",
        "threshold": "1.0",
        "p-value": "0.01",
        "novelty": "0.0",
    }


def test_headers_of_a_picture_tell_the_decision_of_its_part(client, normal, defective):
    first, second = (
        post(client, image, accept="image/png", part="4711", views=2)
        for image in (defective, normal)
    )
    assert "X-Onegauge-Part-Decision" not in first.headers
    assert second.headers["X-Onegauge-Part-Decision"] == "anomalous"


def test_picture_may_be_the_map_itself(client, defective):
    picture = Image.open(BytesIO(post(client, defective, accept="image/png", map="png16").content))
    assert picture.mode.startswith("I;16")
    refused = post(client, defective, accept="image/jpeg", map="png")
    assert refused.status_code == 422
    assert "ask for overlay" in refused.json()["detail"]


def test_array_has_the_values_of_the_map(client, defective):
    response = post(client, defective, accept="application/x-npy")
    assert response.headers["Content-Type"] == "application/x-npy"
    values = np.load(BytesIO(response.content))
    assert (values.dtype, values.shape) == (np.float32, (64, 96))
    assert values.max() > 1.5


def test_parts_carry_the_maps_as_they_are(client, normal, defective):
    accept = "multipart/form-data"
    response = post(client, normal, b"no image", defective, accept=accept, map="png")
    header = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    form = message_from_bytes(header + response.content, policy=HTTP)
    parts = {p.get_param("name", header="Content-Disposition"): p for p in form.iter_parts()}
    assert list(parts) == ["answer", "map-0", "map-2"]
    results = json.loads(parts["answer"].get_content())["results"]
    assert results[0]["anomaly_map"]["data"] is None
    assert results[0]["anomaly_map"]["part"] == "map-0"
    assert results[1]["problem"]["status"] == 415
    assert results[2]["anomaly_map"]["part"] == "map-2"
    picture = Image.open(BytesIO(parts["map-2"].get_content()))
    assert (picture.format, picture.size) == ("PNG", (96, 64))


def test_parts_without_maps_are_the_answer_alone(client, normal):
    response = post(client, normal, accept="multipart/form-data")
    assert response.content.count(b"Content-Disposition") == 1


@pytest.mark.parametrize("accept", ["image/png", "application/x-npy"])
def test_form_of_one_map_is_for_one_image(client, normal, accept):
    response = post(client, normal, normal, accept=accept)
    assert response.status_code == 406
    assert response.json()["type"] == "/problems/not-acceptable"


def test_problem_of_the_image_is_told_whatever_the_form(client):
    response = post(client, b"no image", accept="image/png")
    assert response.status_code == 415
    assert response.headers["Content-Type"] == PROBLEM


def test_form_that_there_is_not_is_refused_before_the_body_is_read(client):
    def body():
        raise AssertionError("the body was asked for")
        yield b""

    response = client.post("/v1/inspect", content=body(), headers={"Accept": "text/html"})
    assert response.status_code == 406


def answer(*maps: bytes | None, regions: int = 0, contours: bool = False) -> Answer:
    """An answer for an image for each map."""
    outlines = [[(0.0, 0.0), (1.0, 1.0)]] if contours else []
    region = RegionAnswer(box=(0, 0, 1, 1), area=1, peak=1, mean=1, contours=outlines)
    results = [
        decision().model_copy(
            update={
                "index": index,
                "regions": [region] * regions,
                "anomaly_map": content
                and MapAnswer(encoding="npy", width=1, height=1, scale=None, content=content),
            }
        )
        for index, content in enumerate(maps)
    ]
    return Answer(model=ModelVersion(name="gauge", version="1"), results=results)


def sent(response: Pieces) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Headers and pieces of a response."""
    messages: list[dict] = []

    async def send(message: dict) -> None:
        messages.append(message)

    asyncio.run(response({"type": "http"}, None, send))
    start, *pieces = messages
    assert [p.get("more_body", False) for p in pieces] == [True] * (len(pieces) - 1) + [False]
    return dict(start["headers"]), [piece["body"] for piece in pieces]


@pytest.mark.parametrize("form", ["application/json", "application/x-npy", "multipart/form-data"])
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_large_answers_go_in_small_pieces(form, extra):
    content = np.random.default_rng(0).bytes(3 * PIECE + extra)
    headers, pieces = sent(present(form, answer(content)))
    body = b"".join(pieces)
    assert int(headers[b"content-length"]) == len(body)
    assert max(map(len, pieces)) <= PIECE
    if form == "application/json":
        (result,) = Answer.model_validate_json(body).results
        assert b64decode(result.anomaly_map.data) == content
    else:
        assert content in body


def test_maps_are_in_their_places_and_others_may_have_none():
    _, pieces = sent(present("application/json", answer(b"one", None, b"three")))
    read = Answer.model_validate_json(b"".join(pieces))
    assert [r.anomaly_map and b64decode(r.anomaly_map.data) for r in read.results] == [
        b"one",
        None,
        b"three",
    ]


def test_answers_of_many_regions_or_with_outlines_are_heavy():
    assert not is_heavy(answer(None, regions=FEW_REGIONS))
    assert is_heavy(answer(None, None, regions=FEW_REGIONS))
    assert is_heavy(answer(None, regions=1, contours=True))
    assert not is_heavy(answer(*[None] * 64))
