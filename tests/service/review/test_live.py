import re
import signal
import threading

import httpx
import pytest

from onegauge.service.review import live
from rig.gateway_process import gateway_process


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A stream that ends after its first look."""
    monkeypatch.setattr(live, "LONGEST_S", 0.1)


def told(text: str) -> list[str]:
    return re.findall(r"^id: (\w+)$", text, re.MULTILINE)


def test_what_is_newer_than_the_last_is_told_the_oldest_first(review):
    first, second, third = (review.add(number) for number in range(3))
    answer = review.client.get(f"/review/lines/events?last={first.id}")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert told(answer.text) == [second.id, third.id]
    again = {"Last-Event-ID": second.id}  # what a browser sends when it asks anew
    path = f"/review/lines/events?last={first.id}"
    assert told(review.client.get(path, headers=again).text) == [third.id]


def test_an_event_is_one_piece_of_the_page(review):
    made = review.add(part="<b>4711", line="\nid: 0")
    text = review.client.get("/review/lines/events?last=").text
    (event,) = (part for part in text.split("\n\n") if part.startswith("event:"))
    assert told(event) == [made.id]
    assert "&lt;b&gt;4711" in event
    assert all(line.startswith(("event: ", "id: ", "data: ")) for line in event.splitlines())


@pytest.mark.parametrize("last", ["x", "0" * 33, "'; drop table inspections"])
def test_what_is_no_id_is_none(review, last):
    made = review.add()
    answer = review.client.get("/review/lines/events", params={"last": last})
    assert told(answer.text) == [made.id]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_ends_waits_for_no_stream(gauge_repository, tmp_path, sign):
    records = f"sqlite:///{tmp_path}/records.db"
    with gateway_process(gauge_repository, ONEGAUGE_RECORDS=records) as gateway:
        stream = httpx.stream("GET", f"{gateway.url}/review/lines/events", timeout=60)
        with stream as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 2000"
            threading.Thread(target=lambda: list(lines)).start()
            gateway.popen.send_signal(sign)
            gateway.popen.wait(timeout=20)  # after 25 the stream would have ended by itself
