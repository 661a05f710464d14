"""A folder that is watched, in a thread of this process, and what comes of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import httpx
import pytest

from onegauge.client import Client
from onegauge.client.watch.arrivals import Pace
from onegauge.client.watch.watch import Station, Watch
from onegauge.pauses import Pauses
from tests.client.fake_gateway import FakeGateway

SHORT = Pauses(0.01, 0.1)
QUICK = Pace(look_s=0.01, settled_s=0.03, cut_off_s=0.06, away=SHORT, again=SHORT)


def lines(station: Station) -> list[dict[str, object]]:
    """What the journal says."""
    text = station.jsonl.read_text() if station.jsonl.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def decisions(station: Station) -> dict[str, str]:
    """The decision of each path; fails where one has two lines."""
    found = lines(station)
    assert len({line["path"] for line in found}) == len(found)
    return {line["path"]: line.get("decision", "problem") for line in found}


@contextmanager
def until_stopped(run: Callable[[Event], None]) -> Iterator[Thread]:
    """Has something run in a thread while the block lasts."""
    stop = Event()
    thread = Thread(target=run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


@contextmanager
def watching(station: Station, client: Client, pace: Pace = QUICK) -> Iterator[Thread]:
    """Watches without patience while the block lasts."""
    with client, until_stopped(Watch(station, client, pace).run) as thread:
        yield thread


def client_of(gateway: FakeGateway) -> Client:
    """A client that asks a gateway which is one function."""
    return Client("http://gateway", retries=0, transport=httpx.MockTransport(gateway))


class Said:
    """All that was said on standard error."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd, self._text = capfd, ""

    def __call__(self) -> str:
        self._text += self._capfd.readouterr().err
        return self._text


def put(station: Station, *names: str, data: bytes = b"picture") -> None:
    """Write files into the folder."""
    for name in names:
        (station.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (station.folder / name).write_bytes(data)
