import pytest

from onegauge.records.errors import RecordsUnavailable
from onegauge.service.recording.records import Records


def test_without_records_the_page_says_what_to_set(client):
    answer = client.get("/review")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/records-off"
    assert "ONEGAUGE_RECORDS" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/review", "/review/lines", f"/review/{'0' * 32}"])
def test_a_database_that_is_away_is_a_page_too(review, monkeypatch, path):
    def away(_: Records) -> None:
        raise RecordsUnavailable("the database of records: refused by 10.0.0.7")

    monkeypatch.setattr(Records, "history", property(away))
    answer = review.client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "cannot be reached now" in answer.text
    assert "10.0.0.7" not in answer.text
