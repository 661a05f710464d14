"""A saved criterion goes to all gateways of a database, and outlives restarts and failures."""

import json
import logging
from contextlib import contextmanager
from threading import Event
from time import monotonic, sleep

import pytest

from onegauge.records.criteria import save_criterion
from onegauge.records.database import Database
from onegauge.service.recording import criteria

PATH = "/v1/criterion"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(criteria, "FOLLOW_S", 0.05)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/records/records.db"


@contextmanager
def opened(url):
    database = Database.open(url)
    yield database
    database.close()


def threshold(client):
    return client.get("/v1/model").json()["threshold"]


def becomes(client, wanted):
    end = monotonic() + 60
    while (now := threshold(client)) != wanted:
        assert monotonic() < end, now
        sleep(0.02)


def test_gateways_of_a_database_follow_each_other(gateway, postgresql, tmp_path):
    records = {"records": postgresql.new_database(), "keep": "none"}
    first, second = (
        gateway(**records, records_spool=tmp_path / name) for name in ("first", "second")
    )
    first.put(PATH, json={"threshold": 1.3, "by": "ann"})
    becomes(second, 1.3)
    second.put(PATH, json={"threshold": None})
    becomes(first, 1.0)


def test_criteria_of_other_models_are_no_business(gateway, url):
    client = gateway(records=url)
    with opened(url) as database:
        save_criterion(database, "another", threshold=9.0, by=None)
        save_criterion(database, "onegauge", threshold=1.5, by=None)
        save_criterion(database, "another", threshold=8.0, by=None)
    becomes(client, 1.5)


def test_who_saved_what_is_in_the_log(gateway, url, caplog):
    caplog.set_level(logging.INFO)
    client = gateway(records=url)
    client.put(PATH, json={"threshold": 1.5, "by": "ann", "note": "dust"})
    (told,) = [record.fields for record in caplog.records if record.name == "onegauge.criterion"]
    assert {key: told[key] for key in ("threshold", "by", "note", "model")} == {
        **{"threshold": 1.5, "by": "ann", "note": "dust", "model": "onegauge"}
    }


def test_it_holds_after_a_restart_before_anything_is_answered(gateway, url, monkeypatch, normal):
    client = gateway(records=url)
    client.put(PATH, json={"threshold": 0.3})
    client.__exit__()
    monkeypatch.setattr(criteria, "FOLLOW_S", 60)
    again = gateway(records=url)
    answer = again.post("/inspect", files={"image": normal}).json()
    assert answer["results"][0]["threshold"] == 0.3


def test_it_holds_while_the_database_is_away_and_over_a_restart(gateway, postgresql, tmp_path):
    spool = tmp_path / "spool"
    records = {"records": postgresql.new_database(), "keep": "none", "records_spool": spool}
    client = gateway(**records)
    client.put(PATH, json={"threshold": 1.3})
    postgresql.stop()
    try:
        sleep(0.3)
        assert threshold(client) == 1.3
        refused = client.put(PATH, json={"threshold": 1.4})
        assert (refused.status_code, refused.json()["type"]) == (
            503,
            "/problems/records-unavailable",
        )
        client.__exit__()
        again = gateway(**records)
        assert threshold(again) == 1.3
        other_model = json.loads((spool / "criterion.json").read_text()) | {"model": "another"}
        (spool / "criterion.json").write_text(json.dumps(other_model))
        assert threshold(gateway(**records)) == 1.0
        (spool / "criterion.json").write_text("{")
        third = gateway(**records)
        assert threshold(third) == 1.0
    finally:
        postgresql.start()
    becomes(third, 1.3)


def test_a_start_waits_for_a_slow_database_but_not_for_long(gateway, url, monkeypatch):
    monkeypatch.setattr(criteria, "START_S", 0.2)
    open_database, go_on, opened = Database.open, Event(), Event()

    def slow(address):
        go_on.wait(600)
        opened.set()
        return open_database(address)

    monkeypatch.setattr(Database, "open", slow)
    client = gateway(records=url)
    assert not opened.is_set()
    assert threshold(client) == 1.0
    go_on.set()


def test_a_criterion_that_cannot_be_remembered_holds_nevertheless(gateway, url, tmp_path):
    (tmp_path / "file").touch()
    client = gateway(records=url, records_spool=tmp_path / "file")
    assert client.put(PATH, json={"threshold": 1.3}).json()["threshold"] == 1.3
