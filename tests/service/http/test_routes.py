import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rig.pictures import animation, encode, oriented, picture, png_header

API = Path(__file__).parents[3] / "docs" / "api.md"
PROBLEM = "application/problem+json"


def part(data: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """A form with one image, whatever its name says."""
    return [("image", ("a.png", data))]


def test_every_route_is_documented(client):
    documented = set(
        re.findall(r"^\| `(?:GET|POST|PUT) (/[\w/{}-]+)`", API.read_text(), re.MULTILINE)
    )
    assert set(client.get("/openapi.json").json()["paths"]) == documented


def test_every_metric_is_documented(client):
    families = re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, re.MULTILINE)
    for name in (name for name in families if not name.endswith("_created")):
        assert f"`{name}`" in API.read_text()


def test_model_tells_what_is_served(client):
    model = client.get("/model").json()
    assert (model["name"], model["version"]) == ("onegauge", "1")
    assert (model["height"], model["width"]) == (32, 48)
    assert (model["threshold"], model["max_false_alarm_rate"]) == (1.0, None)
    assert model["parameters"]["detector"] == "brightness"


def test_model_tells_the_criterion_of_the_deployment(gateway):
    model = gateway(max_false_alarm_rate=0.05).get("/model").json()
    assert (model["threshold"], model["max_false_alarm_rate"]) == (None, 0.05)


def test_healthz_and_readyz(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    model = {"name": "onegauge", "version": "1"}
    assert client.get("/readyz").json() == {"status": "ready", "model": model, "refused": None}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_ask_by_head(client, path):
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert set(client.get("/openapi.json").json()["paths"][path]) == {"get"}


def test_docs_need_no_internet(client):
    page = client.get("/docs").text
    assert "://" not in page
    assets = re.findall(r'(?:src|href)="(\S+)"', page)
    assert any(asset.endswith("swagger-ui-bundle.js") for asset in assets)
    assert {client.get(asset).status_code for asset in assets} == {200}


def test_inspect_answers_for_a_form(client, normal, defective):
    files = [("image", ("a.png", normal)), ("image", ("b.png", defective))]
    response = client.post("/inspect", files=files)
    assert response.status_code == 200
    answer = response.json()
    assert answer["model"] == {"name": "onegauge", "version": "1"}
    results = answer["results"]
    assert [result["index"] for result in results] == [0, 1]
    assert [result["filename"] for result in results] == ["a.png", "b.png"]
    assert [result["decision"] for result in results] == ["normal", "anomalous"]
    assert [result["score"] for result in results] == [0.3125, 1.8378906]
    assert results[0]["regions"] == []
    assert results[1]["regions"] == [
        {
            "box": [64, 16, 16, 8],
            "area": 128,
            "peak": 1.8378906,
            "mean": 1.8378906,
            "contours": [],
            "normal": None,
        }
    ]
    assert set(results[0]["timing_ms"]) == {"read", "decode", "infer", "postprocess"}


def test_inspect_answers_for_a_raw_image(client, defective):
    response = client.post("/inspect", content=defective, headers={"Content-Type": "image/png"})
    (result,) = response.json()["results"]
    assert (result["decision"], result["filename"]) == ("anomalous", None)


def test_an_unreadable_image_gets_its_problem_in_its_place(client, normal):
    files = [("image", ("note.png", b"a text")), ("image", ("a.png", normal))]
    response = client.post("/inspect", files=files)
    assert response.status_code == 200
    rejected, decided = response.json()["results"]
    assert (rejected["index"], rejected["filename"]) == (0, "note.png")
    assert rejected["problem"]["type"] == "/problems/unsupported-image"
    assert decided["decision"] == "normal"


@pytest.mark.parametrize(
    ("parts", "status", "reason"),
    [
        (part(b""), 422, "unreadable-image"),
        (part(b"a text"), 415, "unsupported-image"),
        (part(encode(picture(), "JPEG")[:-200]), 422, "unreadable-image"),
        (part(png_header(30_000, 30_000)), 413, "too-many-pixels"),
        (part(animation("GIF")), 415, "unsupported-image"),
        (part(encode(picture(), "GIF")), 415, "unsupported-image"),
        (part(animation("WEBP")), 422, "multi-frame-image"),
        ([("file", encode(picture()))], 422, "invalid-option"),
        ([("line", (None, "press-3"))], 422, "missing-image"),
        (part(encode(picture())) * 100, 413, "too-many-images"),
    ],
    ids=[
        "empty",
        "text",
        "truncated JPEG",
        "30000 x 30000",
        "animated GIF",
        "still GIF",
        "animated WebP",
        "wrong field name",
        "no image",
        "100 images",
    ],
)
def test_what_cannot_be_inspected_is_refused_with_its_problem(client, parts, status, reason):
    response = client.post("/inspect", files=parts)
    assert response.status_code == status
    assert response.headers["Content-Type"] == PROBLEM
    assert response.json()["type"] == f"/problems/{reason}"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (encode(Image.new("L", (1, 1), 255)), (1, 1)),
        (encode(Image.fromarray(np.full((40, 60), 2**16 - 1, np.uint16))), (60, 40)),
        (encode(Image.new("CMYK", (60, 40), (0, 0, 0, 0)), "JPEG"), (60, 40)),
        (encode(Image.new("L", (60, 40), 255), "JPEG", exif=oriented(6)), (40, 60)),
    ],
    ids=["1 x 1", "16-bit PNG", "CMYK JPEG", "turned JPEG"],
)
def test_unusual_images_are_inspected(client, data, size):
    response = client.post("/inspect", files=part(data), params={"map": "png"})
    (result,) = response.json()["results"]
    assert result["decision"] == "anomalous", "all of them are white"
    anomaly_map = result["anomaly_map"]
    assert (anomaly_map["width"], anomaly_map["height"]) == size
    assert Image.open(BytesIO(b64decode(anomaly_map["data"]))).size == size


def test_when_no_image_can_be_inspected_the_first_problem_is_the_answer(client, normal):
    files = [("image", ("cut.png", normal[:60])), ("image", ("note.png", b"a text"))]
    response = client.post("/inspect", files=files)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == PROBLEM
    problem = response.json()
    assert problem["type"] == "/problems/unreadable-image"
    assert [r["problem"]["status"] for r in problem["results"]] == [422, 415]
    assert problem["request_id"] == response.headers["X-Request-Id"]


def test_openapi_names_the_problems(client):
    responses = client.get("/openapi.json").json()["paths"]["/v1/inspect"]["post"]["responses"]
    assert set(responses["413"]["content"]) == {PROBLEM}
    assert set(responses["422"]["content"]) == {PROBLEM}
