import pytest

from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.service.recording import retention
from tests.line import wait_until
from tests.records.made import record


@pytest.fixture
def url(tmp_path, monkeypatch):
    """Of a database with records of long ago, the second of which has a verdict."""
    monkeypatch.setattr(retention, "EVERY_S", 0.05)
    made = f"sqlite:///{tmp_path}/records.db"
    database = Database.open(made)
    history = History(database)
    history.add([record(n, id=f"{n:032x}") for n in (1, 2, 3)])
    history.judge(f"{2:032x}", "missed", by="ann")
    database.close()
    return made


def ids(client):
    return [row["id"] for row in client.get("/v1/inspections").json()["inspections"]]


def test_what_is_old_goes_while_a_gateway_runs_but_for_what_was_judged(gateway, url, normal):
    client = gateway(records=url)
    wait_until(lambda: ids(client) == [f"{2:032x}"])
    client.post("/inspect", files={"image": normal})
    assert len(ids(client)) == 2


def test_a_failure_is_counted_and_tried_again(gateway, url, monkeypatch):
    def fault(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(retention, "prune", fault)
        client = gateway(records=url)
        failed = 'onegauge_background_failures_total{task="retention"}'
        wait_until(lambda: failed in client.get("/metrics").text)
    wait_until(lambda: ids(client) == [f"{2:032x}"])
