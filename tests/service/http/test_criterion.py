"""The routes of the criterion, on a gateway with records in a SQLite file."""

from datetime import UTC, datetime, timedelta

import pytest

from onegauge.service.http.keys import add_key

PATH = "/v1/criterion"


@pytest.fixture
def client(recording):
    return recording()


def decided(client, image, **options):
    (result,) = client.post("/inspect", files={"image": image}, params=options).json()["results"]
    return result["decision"], result["threshold"], result["max_false_alarm_rate"]


def in_metrics(client):
    lines = client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("onegauge_criterion{")]


def test_a_saved_criterion_decides_at_once_and_is_told_everywhere(client, normal):
    assert decided(client, normal) == ("normal", 1.0, None)
    assert in_metrics(client) == ['onegauge_criterion{kind="threshold"} 1.0']
    said = client.put(PATH, json={"threshold": 0.3, "by": "ann", "note": "more dust"}).json()
    assert decided(client, normal) == ("anomalous", 0.3, None)
    assert decided(client, normal, threshold=0.5) == ("normal", 0.5, None)
    assert client.get("/v1/model").json()["threshold"] == 0.3
    assert in_metrics(client) == ['onegauge_criterion{kind="threshold"} 0.3']
    assert said == client.get(PATH).json()
    assert (said["threshold"], said["max_false_alarm_rate"], said["saved"]) == (0.3, None, True)
    (entry,) = said["history"]
    told = datetime.now(UTC) - datetime.fromisoformat(entry.pop("time"))
    assert timedelta(0) <= told < timedelta(minutes=1)
    assert entry == {
        **{"threshold": 0.3, "max_false_alarm_rate": None},
        **{"by": "ann", "note": "more dust"},
    }


def test_a_rate_is_saved_and_the_settings_hold_again(recording, normal):
    client = recording(threshold=1.2)
    client.put(PATH, json={"max_false_alarm_rate": 0.7})
    assert decided(client, normal) == ("anomalous", None, 0.7)
    assert in_metrics(client) == ['onegauge_criterion{kind="max_false_alarm_rate"} 0.7']
    told = client.put(PATH, json={"threshold": None, "by": "bob"}).json()
    assert (told["threshold"], told["saved"]) == (1.2, False)
    assert decided(client, normal) == ("normal", 1.2, None)
    assert [entry["max_false_alarm_rate"] for entry in told["history"]] == [None, 0.7]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (b"", "JSON"),
        (b"\xff\xfe{", "JSON"),
        (b"{}", "threshold or max_false_alarm_rate"),
        (b'{"by": "ann"}', "threshold or max_false_alarm_rate"),
        (b'{"threshold": 1, "max_false_alarm_rate": 0.1}', "not both"),
        (b'{"threshold": NaN}', "threshold"),
        (b'{"threshold": 1e999}', "threshold"),
        (b'{"threshold": "high"}', "threshold"),
        (b'{"threshold": "1"}', "threshold"),
        (b'{"threshold": true}', "threshold"),
        (b'{"max_false_alarm_rate": true}', "max_false_alarm_rate"),
        (b'{"max_false_alarm_rate": 0}', "max_false_alarm_rate"),
        (b'{"max_false_alarm_rate": 0.001}', "below 1/100"),
        (b'{"threshold": 1, "by": "a\\u0000"}', "by"),
        (b'{"threshold": 1, "who": "ann"}', "who"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_saved(client, given, named):
    answer = client.put(PATH, content=given, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-option")
    assert named in answer.json()["detail"]
    assert client.get(PATH).json()["history"] == []


def test_a_criterion_takes_no_memory_to_speak_of(client):
    answer = client.put(PATH, content=b" " * 20_000)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


def test_only_keys_that_teach_or_administer_may_save(recording, tmp_path):
    scopes = ("inspect", "read", "review", "teach", "admin")
    keys = {
        scope: {"Authorization": f"Bearer {add_key(tmp_path / 'keys', f'k-{scope}', [scope])}"}
        for scope in scopes
    }
    client = recording(api_keys=tmp_path / "keys")
    codes = [
        [
            client.put(PATH, json={"threshold": 1.1}, headers=keys[scope]).status_code,
            client.get(PATH, headers=keys[scope]).status_code,
        ]
        for scope in scopes
    ]
    assert codes == [[403, 403], [403, 403], [403, 200], [200, 200], [200, 200]]
    assert client.put(PATH, json={"threshold": 1.2}).status_code == 401
    named = {"threshold": 1.2, "by": "ann"}
    history = client.put(PATH, json=named, headers=keys["admin"]).json()["history"]
    assert [entry["by"] for entry in history] == ["ann", "k-admin", "k-teach"]


@pytest.mark.parametrize("way", ["GET", "PUT"])
def test_without_records_there_is_none_to_save(gateway, way):
    answer = gateway().request(way, PATH, json={"threshold": 1.1})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/records-off")
