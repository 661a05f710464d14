"""The routes of records on a gateway that has them in a SQLite file."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from PIL import Image

from onegauge.service.http.keys import add_key
from onegauge.service.recording import evidence
from rig.pictures import encode, oriented
from tests.conftest import CELL, HEIGHT, WIDTH
from tests.service.inspection.masked import post, white

LIST = "/v1/inspections"


@pytest.fixture
def client(recording):
    return recording()


def inspect(client, image, **options):
    """The id of the record of an image."""
    (result,) = client.post("/inspect", files={"image": image}, params=options).json()["results"]
    return result["inspection"]


def found(client, **search):
    return client.get(LIST, params=search).json()["inspections"]


def test_an_inspection_is_found_by_its_part_at_once(client, defective):
    before = datetime.now(UTC)
    made = inspect(client, defective, line="press", part="4711")
    inspect(client, defective, line="press", part="4712")
    (row,) = found(client, part=" 4711\r\n")
    assert row["id"] == made
    assert (row["line"], row["part"], row["filename"]) == ("press", "4711", "upload")
    assert (row["decision"], row["score"], row["threshold"]) == ("anomalous", 1.8378906, 1.0)
    assert row["model"] == {"name": "onegauge", "version": "1"}
    assert row["verdict"] is None
    assert before - timedelta(seconds=1) < datetime.fromisoformat(row["time"]) < datetime.now(UTC)


def test_an_inspection_tells_what_was_decided_on_its_part_with_its_other_views(
    client, normal, defective
):
    asked = {"line": "press", "part": "4711", "views": 2}
    first = inspect(client, defective, **asked)
    assert client.get(f"{LIST}/{first}").json()["part_decision"] is None
    files = {"image": normal}
    answer = client.post("/inspect", files=files, params=asked).json()
    second = answer["results"][0]["inspection"]
    assert found(client, part="4711")  # once all is written
    for one in (first, second):
        assert client.get(f"{LIST}/{one}").json()["part_decision"] == answer["part"]
    assert {one["id"] for one in found(client, part_decision="anomalous")} == {first, second}
    assert found(client, part_decision="incomplete") == []
    said = {"verdict": "false_alarm", "whole_part": True}
    client.put(f"{LIST}/{first}/verdict", json=said)
    assert client.get(f"{LIST}/{second}").json()["verdict"] == "confirmed"


def test_a_mask_is_kept_with_the_picture_that_it_was_for(recording, normal):
    client = recording(keep="all")
    whole = inspect(client, normal)
    (result,) = post(client, normal, white(0, 0, 48, 64)).json()["results"]
    assert found(client)  # once all is written
    history = client.app.state.gateway.records.history
    assert history.mask(whole) is None
    kept = Image.open(BytesIO(history.mask(result["inspection"])))
    assert (kept.mode, kept.size) == ("1", (WIDTH // CELL, HEIGHT // CELL))
    assert kept.getbbox() == (0, 0, WIDTH // CELL // 2, HEIGHT // CELL)


def test_each_image_of_a_request_has_a_record_but_for_those_without_a_decision(client, normal):
    files = [("image", ("a.png", normal)), ("image", ("note", b"text")), ("image", ("b", normal))]
    answer = client.post("/inspect", files=files, params={"part": "7"}).json()
    ids = {result.get("inspection") for result in answer["results"]} - {None}
    assert {(row["id"], row["filename"]) for row in found(client)} == {
        (answer["results"][0]["inspection"], "a.png"),
        (answer["results"][2]["inspection"], "b"),
    }
    assert len(ids) == 2


def test_lists_are_filtered_ordered_and_paged(client, normal, defective):
    ids = [inspect(client, image, line="press") for image in (normal, defective) * 3]
    assert [row["id"] for row in found(client)] == ids[::-1]
    assert [row["id"] for row in found(client, decision="anomalous")] == ids[::-2]
    assert found(client, line="oven") == found(client, version="2") == []
    assert len(found(client, min_score=1, kept=True, verdict="none")) == 3
    assert found(client, since=datetime.now(UTC).isoformat()) == []
    nearest = found(client, order="nearest")  # 0.3125 is nearer to 1 than 1.84
    assert [row["decision"] for row in nearest] == ["normal"] * 3 + ["anomalous"] * 3
    pages, after = [], {}
    while True:
        page = client.get(LIST, params={"limit": 4, **after}).json()
        pages.append([row["id"] for row in page["inspections"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert pages == [ids[:1:-1], ids[1::-1]]


def test_all_that_is_known_of_an_inspection_is_told(client, defective):
    made = inspect(client, defective)
    told = client.get(f"{LIST}/{made}").json()
    assert told["picture"] == sha256(defective).hexdigest()
    assert (told["width"], told["height"], told["media_type"]) == (96, 64, "image/png")
    assert told["regions"][0]["box"] == [64, 16, 16, 8]
    assert told["normal"] == {"location": 0.0, "scale": 2.0}
    assert set(told["timing_ms"]) == {"read", "decode", "infer", "postprocess"}
    assert (told["judgements"], told["key"]) == ([], None)


def test_a_verdict_is_given_changed_and_taken_back_and_all_of_it_is_kept(client, defective):
    made = inspect(client, defective)
    said = [
        {"verdict": "confirmed", "by": "ann", "note": "a scratch\nat the edge"},
        {"verdict": "false_alarm", "by": "bob"},
        {"verdict": None, "by": "ann"},
    ]
    for judgement in said:
        told = client.put(f"{LIST}/{made}/verdict", json=judgement).json()
        assert told["verdict"] == judgement["verdict"]
        assert client.get(f"{LIST}/{made}").json() == told
        assert found(client)[0]["verdict"] == judgement["verdict"]
    kept = [{key: of[key] for key in ("verdict", "by", "note")} for of in told["judgements"]]
    assert kept == [{"note": None, **judgement} for judgement in said]


def test_a_verdict_is_of_the_whole_part_where_it_says_so(client, defective):
    first = inspect(client, defective, part="4711")
    assert found(client, part="4711")  # once it is written, unlike the other view
    inspect(client, defective, part="4711")
    said = {"verdict": "false_alarm", "by": "ann", "whole_part": True}
    client.put(f"{LIST}/{first}/verdict", json=said)
    assert [row["verdict"] for row in found(client, part="4711")] == ["false_alarm"] * 2


def test_a_verdict_is_of_the_key_where_it_does_not_say_of_whom(recording, defective, tmp_path):
    keys = {
        name: {"Authorization": f"Bearer {add_key(tmp_path / 'keys', name, scopes)}"}
        for name, scopes in {"press": ["inspect", "read", "admin"], "qa": ["review"]}.items()
    }
    client = recording(api_keys=tmp_path / "keys")
    answer = client.post("/inspect", files={"image": defective}, headers=keys["press"]).json()
    path = f"{LIST}/{answer['results'][0]['inspection']}"
    told = client.put(f"{path}/verdict", json={"verdict": "unclear"}, headers=keys["qa"]).json()
    assert (told["key"], told["judgements"][0]["by"]) == ("press", "qa")
    for way in ("", "/picture", "/map", "/overlay", "/thumbnail"):
        assert client.get(path + way, headers=keys["press"]).status_code == 403
        assert client.get(path + way).status_code == 401
    assert client.get(LIST, headers=keys["press"]).status_code == 403
    refused = client.put(f"{path}/verdict", json={"verdict": "unclear"}, headers=keys["press"])
    assert refused.status_code == 403


def test_pictures_are_encoded_anew_and_the_original_is_a_file_to_save(client):
    upload = encode(Image.new("RGB", (60, 40), (200, 0, 0)), "JPEG", exif=oriented(6))
    path = f"{LIST}/{inspect(client, upload)}"
    original = client.get(f"{path}/picture", params={"original": True})
    assert original.content == upload
    assert original.headers["Content-Disposition"].startswith("attachment")
    assert original.headers["Content-Type"] == "application/octet-stream"
    for way, kind, size in (
        ("picture", "JPEG", (40, 60)),
        ("overlay", "JPEG", (40, 60)),
        ("thumbnail", "JPEG", None),
        ("map", "PNG", (12, 8)),
    ):
        answer = client.get(f"{path}/{way}")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == f"image/{kind.lower()}"
        image = Image.open(BytesIO(answer.content), formats=[kind])
        assert size in (None, image.size)
        assert image.width / image.height == pytest.approx(1.5 if way == "map" else 2 / 3, abs=0.02)
    assert answer.content != upload


def test_a_thumbnail_is_made_once(client, defective, monkeypatch):
    path = f"{LIST}/{inspect(client, defective)}/thumbnail"
    made = client.get(path).content
    monkeypatch.setattr(evidence, "thumbnail", None)
    assert client.get(path).content == made


def test_an_overlay_is_coloured_where_the_defect_is(client, defective):
    path = f"{LIST}/{inspect(client, defective)}"
    plain, coloured = (
        Image.open(BytesIO(client.get(f"{path}/{way}").content)) for way in ("picture", "overlay")
    )
    assert plain.getpixel((72, 20))[2] > 230
    assert coloured.getpixel((72, 20))[2] < 150  # towards yellow
    assert max(coloured.getpixel((10, 50))) < 60


@pytest.mark.parametrize("way", ["picture", "map", "overlay", "thumbnail", "picture?original=1"])
def test_what_was_not_kept_is_not_there(recording, normal, way):
    client = recording(keep="anomalous")
    answer = client.get(f"{LIST}/{inspect(client, normal)}/{way}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-inspection")


@pytest.mark.parametrize("given", ["1", "0" * 32, "..%2F..%2Fetc", "%00", "ü"])
def test_inspections_that_do_not_exist_are_unknown(client, given):
    for path in (f"{LIST}/{given}", f"{LIST}/{given}/picture"):
        answer = client.get(path)
        assert answer.status_code == 404
    said = client.put(f"{LIST}/{given}/verdict", json={"verdict": "missed"})
    assert said.status_code == 404


@pytest.mark.parametrize(
    ("search", "named"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-30T00:00:00"}, "since"),
        ({"until": "0.5"}, "until"),
        ({"limit": 0}, "limit"),
        ({"verdict": "good"}, "verdict"),
        ({"after": "nonsense"}, "after"),
        ({"min_score": "nan"}, "min_score"),
        ({"serial": "4711"}, "serial"),
    ],
)
def test_searches_that_make_no_sense_are_named(client, search, named):
    answer = client.get(LIST, params=search)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-option")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b'{"verdict": "good"}',
        b'{"verdict": "missed", "who": "ann"}',
        b'{"verdict": "missed", "note": "a\\u0000b"}',
        b'{"verdict": "missed", "by": "\\ud800"}',
        b"\xff\xfe",
        b'{"verdict": "missed", "note": "' + b"x" * 1001 + b'"}',
    ],
)
def test_verdicts_that_make_no_sense_are_refused(client, defective, said):
    path = f"{LIST}/{inspect(client, defective)}"
    json = {"Content-Type": "application/json"}
    answer = client.put(f"{path}/verdict", content=said, headers=json)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-option")
    assert client.get(path).json()["judgements"] == []


def test_a_verdict_takes_no_memory_to_speak_of(client, defective):
    path = f"{LIST}/{inspect(client, defective)}/verdict"
    answer = client.put(path, content=b" " * 20_000)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


def test_line_and_names_may_be_anything(client, normal):
    line = 'a\0b<script>"'
    files = {"image": ('<img src=x onerror="alert(1)">\0.png', normal)}
    client.post("/inspect", files=files, params={"line": line, "part": "<b>&"})
    (row,) = found(client, line=line, part="<b>&")
    assert row["filename"].startswith("<img")


@pytest.mark.parametrize("way", ["", "/1", "/1/picture", "/1/map", "/1/overlay", "/1/thumbnail"])
def test_without_records_there_is_nothing_to_find(gateway, normal, way):
    client = gateway()
    assert inspect(client, normal) is None
    answer = client.get(LIST + way)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/records-off")


def test_what_amazons_clients_send_has_records(client, normal):
    path = "/2020-11-20/projects/press/models/1/detect"
    client.post(path, content=normal, headers={"Content-Type": "image/png"})
    assert [row["line"] for row in found(client)] == ["press"]
