import pytest

PNG = {"Content-Type": "image/png"}
INVALID = (422, "/problems/invalid-option")


def test_options_may_be_form_fields(client, normal):
    fields = {"threshold": "0.2", "map": "png", "line": "press-3"}
    response = client.post("/inspect", files=[("image", normal)], data=fields)
    (result,) = response.json()["results"]
    assert (result["threshold"], result["anomaly_map"]["encoding"]) == (0.2, "png")
    assert 'line="press-3"' in client.get("/metrics").text


def test_options_may_follow_the_images(client, normal):
    parts = [("image", ("a.png", normal)), ("threshold", (None, "0.2"))]
    assert client.post("/inspect", files=parts).json()["results"][0]["threshold"] == 0.2


LATIN = "Prüfplatz".encode("latin-1")


@pytest.mark.parametrize(
    ("query", "fields", "line"),
    [
        ("line=Pr%C3%BCfplatz", {}, "Prüfplatz"),
        ("line=Pr%FCfplatz", {}, "Prüfplatz"),
        ("line=Pru%CC%88fplatz", {}, "Prüfplatz"),
        ("line=%E5%B7%A5%E4%BD%8D+3", {}, "工位 3"),
        ("", {"line": "工位3"}, "工位3"),
        ("", {"line": LATIN}, "Prüfplatz"),
        ("", {"line": "u\u0308" * 64}, "ü" * 64),
    ],
)
def test_line_may_be_written_in_any_script(client, normal, query, fields, line):
    parts = [("image", normal), *((name, (None, value)) for name, value in fields.items())]
    assert client.post(f"/inspect?{query}", files=parts).status_code == 200
    assert f'decision="normal",line="{line}"' in client.get("/metrics").text


@pytest.mark.parametrize("line", ["", "-"])
def test_a_line_without_a_name_is_none(client, normal, line):
    answer = client.post("/inspect", params={"line": line}, files={"image": normal})
    assert answer.status_code == 200
    assert 'decision="normal",line="none"' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("given", "part"),
    [("4711", "4711"), (" 47 11\r\n", "47 11"), ("u\u0308", "ü"), ("", None), ("\r", None)],
)
def test_part_is_taken_as_a_scanner_sends_it(client, normal, caplog, given, part):
    caplog.set_level("INFO", "onegauge.access")
    sent = [{"params": {"part": given}}, {"data": {"part": given}}]
    assert all(client.post("/inspect", files={"image": normal}, **way).is_success for way in sent)
    assert [r.fields["part"] for r in caplog.records if r.name == "onegauge.access"] == [part] * 2


@pytest.mark.parametrize(
    ("query", "fields", "named"),
    [
        ("?threshold=1&max_false_alarm_rate=0.1", {}, "not both"),
        ("?threshold=1", {"max_false_alarm_rate": "0.1"}, "not both"),
        ("?threshold=1", {"threshold": "2"}, "threshold"),
        ("?threshold=1&threshold=2", {}, "threshold"),
        ("?threshold=nan", {}, "threshold"),
        ("?threshold=high", {}, "threshold"),
        ("?treshold=2", {}, "treshold"),
        ("", {"treshold": "2"}, "treshold"),
        ("?max_false_alarm_rate=0", {}, "max_false_alarm_rate"),
        ("?max_false_alarm_rate=1", {}, "max_false_alarm_rate"),
        ("?map=gif", {}, "map"),
        ("", {"map": ""}, "map"),
        ("", {"line": "x" * 65}, "line"),
        ("", {"line": "x" * 2000}, "1024 bytes"),
        ("?part=47%0011", {}, "part"),
        ("", {"part": "x" * 129}, "part"),
        ("?views=2", {}, "views needs part"),
        ("?views=2&part=+", {}, "views needs part"),
        ("?part=4711&view=left", {}, "view needs views"),
        ("?part=4711&views=0", {}, "views"),
        ("?part=4711&views=65", {}, "views"),
        ("?part=4711&views=2", {"view": "x" * 65}, "view"),
    ],
)
def test_options_that_cannot_be_honoured_are_named(client, normal, query, fields, named):
    response = client.post(f"/inspect{query}", files=[("image", normal)], data=fields)
    assert (response.status_code, response.json()["type"]) == INVALID
    assert named in response.json()["detail"]


@pytest.mark.parametrize(
    ("options", "images", "named"),
    [
        ({"views": 2}, 3, "views=2 is fewer than the 3 images"),
        ({"views": 2, "view": "left"}, 2, "view=left names one image, and 2 were sent"),
    ],
)
def test_more_images_than_views_are_refused(client, normal, options, images, named):
    files = [("image", normal)] * images
    response = client.post("/inspect", files=files, data={"part": "4711", **options})
    assert (response.status_code, response.json()["type"]) == INVALID
    assert named in response.json()["detail"]


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "inf", ""])
def test_timeout_that_makes_no_sense_is_named(client, normal, given):
    response = client.post("/inspect", content=normal, headers=PNG | {"Request-Timeout": given})
    assert (response.status_code, response.json()["type"]) == INVALID
    assert response.json()["detail"].startswith("Request-Timeout: Input should be")


@pytest.mark.parametrize(
    ("query", "headers"), [("?map=gif", {}), ("", {"Request-Timeout": "never"})]
)
def test_options_are_checked_before_the_body_is_read(client, query, headers):
    read = []

    def body():
        read.append(True)
        yield b"an image"

    response = client.post(f"/inspect{query}", content=body(), headers=PNG | headers)
    assert (response.status_code, response.json()["type"]) == INVALID
    assert not read


def test_openapi_offers_every_option_once(client):
    operation = client.get("/openapi.json").json()["paths"]["/v1/inspect"]["post"]
    offered = [(p["in"], p["name"]) for p in operation["parameters"]]
    query = (
        "line",
        "part",
        "views",
        "view",
        "map",
        "contours",
        "explain",
        "threshold",
        "max_false_alarm_rate",
    )
    assert offered == [*(("query", name) for name in query), ("header", "Request-Timeout")]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(form) == {"image", "mask"}
    assert "form fields" in operation["requestBody"]["description"]


def test_openapi_tells_what_an_option_may_be(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/inspect"]["post"]
    schemas = {p["name"]: p["schema"] for p in operation["parameters"]}
    assert schemas["map"]["enum"] == ["none", "png", "png16", "npy", "mask", "overlay"]
    assert schemas["Request-Timeout"]["minimum"] == 0.001
    assert all(p["description"] for p in operation["parameters"])
    (scheme,) = (name for needed in operation["security"] for name in needed)
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
