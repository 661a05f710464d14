"""Records of real gateways whose database or disk fails: decisions go on, nothing is doubled."""

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rig.gateway_process import Process, gateway_process
from rig.postgresql import Postgresql
from rig.postgresql import postgresql as running
from rig.small_disk import fill
from tests.line import Line, wait_until


def figure(url: str, name: str) -> float:
    """Of a metric of records; of several by reason their sum."""
    told = httpx.get(f"{url}/metrics").text
    found = re.findall(rf"^onegauge_records_{name}(?:{{.+}})? (.+)$", told, re.MULTILINE)
    return sum(map(float, found))


def found(url: str) -> list[str]:
    """Ids of all inspections, the newest first."""
    ids, after = [], {}
    while True:
        page = httpx.get(f"{url}/v1/inspections", params={"limit": 500, **after}).json()
        ids += [row["id"] for row in page["inspections"]]
        if page["next"] is None:
            return ids
        after = {"after": page["next"]}


def has_all(url: str, *lines: Line) -> bool:
    """Whether there is a record of each answer, and no other."""
    answered = [inspection for line in lines for inspection in line.answered]
    return sorted(found(url)) == sorted(answered)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A PostgreSQL that a test may stop, and starts again."""
    with running("fsync=off") as server:
        yield server


@contextmanager
def recording(repository: Path, url: str, folder: Path, **settings: str) -> Iterator[Process]:
    places = {
        "ONEGAUGE_RECORDS_SPOOL": f"{folder}/spool",
        "ONEGAUGE_PICTURES": f"{folder}/pictures",
    }
    with gateway_process(
        repository, ONEGAUGE_RECORDS=url, ONEGAUGE_KEEP="all", **places, **settings
    ) as gateway:
        yield gateway


def test_database_that_goes_and_comes_back_under_load_has_every_record_once(
    gauge_repository, server, tmp_path, defective
):
    url = server.new_database()
    with recording(gauge_repository, url, tmp_path) as gateway:
        with Line(gateway.url, defective) as line:
            line.goes_on()
            for _ in range(2):
                server.stop()
                wait_until(lambda: figure(gateway.url, "spool_bytes"))
                assert httpx.get(f"{gateway.url}/v1/inspections").status_code == 503
                line.goes_on()
                server.start()
                wait_until(lambda: not figure(gateway.url, "spool_bytes"))
                line.goes_on()
        assert line.failed == []
        assert has_all(gateway.url, line)
        assert figure(gateway.url, "lost_total") == 0
        last = found(gateway.url)[0]
        assert httpx.get(f"{gateway.url}/v1/inspections/{last}/overlay").is_success


def test_database_that_is_not_there_at_the_start_gets_every_record_later(
    gauge_repository, server, tmp_path, defective
):
    url = server.new_database()
    server.stop()
    with (
        recording(gauge_repository, url, tmp_path) as gateway,
        Line(gateway.url, defective) as line,
    ):
        line.goes_on()
        gateway.popen.send_signal(signal.SIGTERM)
        gateway.end()
    answered = line.answered
    with recording(gauge_repository, url, tmp_path) as gateway:
        with Line(gateway.url, defective) as line:
            line.goes_on()
            server.start()
            wait_until(lambda: figure(gateway.url, "written_total"))
        line.answered |= answered
        wait_until(lambda: has_all(gateway.url, line))


def test_two_gateways_begin_at_once_on_an_empty_database_and_share_it(
    gauge_repository, server, tmp_path, defective
):
    url = server.new_database()
    with (
        recording(gauge_repository, url, tmp_path / "a") as first,
        recording(gauge_repository, url, tmp_path / "b") as second,
    ):
        with Line(first.url, defective) as one, Line(second.url, defective) as two:
            one.goes_on()
            two.goes_on()
        found(second.url)
        assert has_all(first.url, one, two)
        made = next(iter(one.answered))
        said = {"verdict": "missed", "by": "ann"}
        assert httpx.put(f"{second.url}/v1/inspections/{made}/verdict", json=said).is_success
        assert httpx.get(f"{first.url}/v1/inspections/{made}").json()["verdict"] == "missed"


def test_gateway_that_is_killed_loses_no_more_than_the_last_second(
    gauge_repository, tmp_path, defective
):
    url = f"sqlite:///{tmp_path}/records.db"
    with (
        recording(gauge_repository, url, tmp_path) as gateway,
        Line(gateway.url, defective) as line,
    ):
        safe = line.killed(gateway)
    database = sqlite3.connect(tmp_path / "records.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    with recording(gauge_repository, url, tmp_path) as gateway:
        there = found(gateway.url)
        assert len(there) == len(set(there))
        assert safe <= set(there)
        with Line(gateway.url, defective) as again:
            again.goes_on()
        assert set(again.answered) <= set(found(gateway.url))


def test_full_disk_costs_records_and_no_decision(gauge_repository, small_disk, defective):
    url = f"sqlite:///{small_disk}/records.db"
    with recording(gauge_repository, url, small_disk) as gateway:
        with Line(gateway.url, defective) as line:
            line.goes_on()
            ballast = small_disk / "ballast"
            fill(ballast)
            wait_until(lambda: figure(gateway.url, "lost_total"))
            assert figure(gateway.url, "unreachable") == 1
            line.goes_on()
            ballast.unlink()
            wait_until(lambda: not figure(gateway.url, "unreachable"))
            line.goes_on()
        assert line.failed == []
        there = found(gateway.url)
        assert len(there) == len(set(there)) < len(line.answered)
        assert set(there) <= set(line.answered)
        assert len(there) + figure(gateway.url, "lost_total") >= len(line.answered)
