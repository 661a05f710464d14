import re
from pathlib import Path

API = Path(__file__).parents[2] / "docs" / "api.md"
PROBLEM = "application/problem+json"


def test_every_route_is_documented(client):
    documented = set(re.findall(r"^\| `(?:GET|POST) (/\w+)`", API.read_text(), re.MULTILINE))
    assert set(client.get("/openapi.json").json()["paths"]) == documented


def test_every_metric_is_documented(client):
    families = re.findall(
        r"^# TYPE (\w+) (?!.*_created)", client.get("/metrics").text, re.MULTILINE
    )
    for name in families:
        assert f"`{name}`" in API.read_text()


def test_every_option_is_documented_in_the_form_too(client):
    operation = client.get("/openapi.json").json()["paths"]["/inspect"]["post"]
    query = {parameter["name"] for parameter in operation["parameters"]}
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert query == {"line", "map", "threshold", "max_false_alarm_rate"}
    assert set(form) == query | {"image"}


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
    assert client.get("/readyz").json() == {"status": "ready"}


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
    assert results[1]["regions"] == [{"box": [64, 16, 16, 8], "area": 128, "peak": 1.8378906}]
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
    responses = client.get("/openapi.json").json()["paths"]["/inspect"]["post"]["responses"]
    assert set(responses["413"]["content"]) == {PROBLEM}
    assert set(responses["422"]["content"]) == {PROBLEM}
