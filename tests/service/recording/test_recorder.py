"""Records of a gateway in this process, whose database goes on, waits or fails as it is told."""

import re
from threading import Event
from time import monotonic

import pytest

from onegauge.records.database import Database
from onegauge.records.errors import RecordsUnavailable
from onegauge.records.history import History
from onegauge.records.search import Filter
from onegauge.service.outbox import queue
from onegauge.service.recording import recorder, records, writer
from onegauge.service.recording.store import Store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/records/records.db"


def kept(url, **which):
    """What a database has, once nobody writes to it any more."""
    database = Database.open(url)
    found = [found.record for found in History(database).every(Filter(**which))]
    database.close()
    return found[::-1]


def send(client, image, **options):
    answer = client.post("/inspect", files={"image": image}, params=options)
    return answer.json()["results"][0]["inspection"]


def lost(client):
    told = client.get("/metrics").text
    found = re.findall(r'^onegauge_records_lost_total{reason="(.+)"} (.+)$', told, re.MULTILINE)
    return {reason: int(float(number)) for reason, number in found if float(number)}


def test_what_was_answered_is_written_before_the_end(gateway, url, normal, defective):
    client = gateway(records=url, keep="anomalous")
    ids = [send(client, image, part="4711") for image in (normal, defective)]
    client.__exit__()
    normal_one, bad_one = kept(url, part="4711")
    assert [normal_one.id, bad_one.id] == ids
    assert (normal_one.decision, normal_one.picture) == ("normal", None)
    assert bad_one.picture
    assert bad_one.preview
    assert bad_one.timing_ms["infer"] > 0


def test_what_comes_within_a_moment_is_written_at_once(gateway, url, normal, monkeypatch):
    written = []
    add = History.add
    monkeypatch.setattr(
        History,
        "add",
        lambda self, rows, *files: (written.append(len(rows)), add(self, rows, *files)),
    )
    client = gateway(records=url, max_images=40)
    client.post("/inspect", files=[("image", normal)] * 40)
    client.__exit__()
    assert [count for count in written if count] == [40]


@pytest.fixture
def held(monkeypatch):
    """A database that takes nothing until it is let go on."""
    go_on, add = Event(), History.add

    def wait(self, *written):
        go_on.wait(600)
        add(self, *written)

    monkeypatch.setattr(History, "add", wait)
    yield go_on
    go_on.set()


def test_no_answer_waits_for_the_database(gateway, url, defective, held, monkeypatch):
    monkeypatch.setattr(recorder, "FLUSH_S", 0.2)
    client = gateway(records=url)
    start = monotonic()
    ids = [send(client, defective) for _ in range(20)]
    assert monotonic() - start < 300
    assert "onegauge_records_waiting" in client.get("/metrics").text
    assert client.get("/v1/inspections").json()["inspections"] == []  # and readers not for long
    held.set()
    client.__exit__()
    assert [record.id for record in kept(url, kept=True)] == ids


def test_what_a_frozen_database_does_not_take_waits_on_disk(
    gateway, url, normal, held, monkeypatch
):
    monkeypatch.setattr(writer, "DATABASE_S", 0.1)
    monkeypatch.setattr(recorder, "FLUSH_S", 0.2)
    client = gateway(records=url)
    ids = [send(client, normal) for _ in range(3)]
    while "onegauge_records_spool_bytes 0.0" in client.get("/metrics").text:
        pass
    assert "onegauge_records_unreachable 1.0" in client.get("/metrics").text
    held.set()
    while "onegauge_records_unreachable 1.0" in client.get("/metrics").text:
        pass
    ids.append(send(client, normal))
    client.__exit__()
    later = gateway(records=url)
    while "onegauge_records_spool_bytes 0.0" not in later.get("/metrics").text:
        pass
    later.__exit__()
    assert [record.id for record in kept(url)] == ids


def test_what_is_too_much_for_memory_is_counted(gateway, url, normal, defective, held, monkeypatch):
    monkeypatch.setattr(queue.Queue.__init__, "__defaults__", (5, len(defective) + 500))
    client = gateway(records=url, keep="anomalous")
    send(client, normal)
    client.portal.call(client.app.state.gateway.records._recorder._queue.flush)
    for image in (defective, defective, normal, normal, normal, normal, normal):
        send(client, image)
    told = lost(client)
    held.set()
    client.__exit__()
    records = kept(url)
    assert told == {"picture": 1, "queue-full": 8 - len(records)}
    assert 5 <= len(records) <= 6
    assert len([record for record in records if record.picture]) == 1


def test_a_frozen_database_holds_up_no_reader_for_long(gateway, url, monkeypatch):
    monkeypatch.setattr(records, "ASK_S", 0.1)
    go_on = Event()
    monkeypatch.setattr(History, "find", lambda *_, **__: go_on.wait(10))
    answer = gateway(records=url).get("/v1/inspections")
    go_on.set()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/records-unavailable")


def test_a_database_that_cannot_be_opened_is_no_reason_not_to_decide(
    gateway, url, normal, monkeypatch
):
    def closed(_):
        raise RecordsUnavailable("it is closed")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "open", closed)
        client = gateway(records=url)
        made = send(client, normal)
        answer = client.get(f"/v1/inspections/{made}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/records-unavailable")
        assert "onegauge_records_unreachable 1.0" in client.get("/metrics").text
        client.__exit__()
    later = gateway(records=url)
    while later.get(f"/v1/inspections/{made}").status_code != 200:
        pass
    assert lost(later) == {}


def test_an_error_that_nobody_foresaw_does_not_end_the_writing(gateway, url, normal, monkeypatch):
    monkeypatch.setattr(recorder, "FAULT_PAUSE_S", 0.0)

    def fault(*_):
        raise ZeroDivisionError

    client = gateway(records=url)
    client.get("/v1/inspections")
    with monkeypatch.context() as patch:
        patch.setattr(History, "add", fault)
        send(client, normal)
        client.get("/v1/inspections")
    made = send(client, normal)
    assert [row["id"] for row in client.get("/v1/inspections").json()["inspections"]] == [made]
    assert lost(client) == {"error": 1}
    assert 'onegauge_background_failures_total{task="records"} 1.0' in client.get("/metrics").text
