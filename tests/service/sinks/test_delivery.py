"""What becomes of events while what they go to fails, hangs and comes back, or the disk is full."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest

from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.spool import Spool
from onegauge.service.sinks import delivery
from onegauge.service.sinks.carrier import Carrier
from onegauge.service.sinks.delivery import Delivery
from onegauge.service.sinks.errors import SinkUnavailable
from tests.service.sinks.made import FakeWire, event, events


class Rig:
    """A delivery by a wire that a test has in hand; time passes when it is told to."""

    def __init__(self, folder: Path, spool_bytes: int = 10**6, *, keeps: bool = True) -> None:
        self.now = 0.0
        self.wire = FakeWire()
        self.spool = Spool(folder, spool_bytes) if keeps else None
        self.tally = Metrics().sinks.tally("mes")
        self.delivery = Delivery(
            "mes", Carrier("mes", self.wire), self.spool, self.tally, clock=lambda: self.now
        )
        self.delivery.begin()

    def bring(self, *numbers: int) -> None:
        self.delivery.bring(events(*numbers))

    def later(self) -> None:
        """Let so much time pass that what failed is tried again, until nothing is left to do."""
        self.now += 600
        while self.delivery.has_more and self.delivery.free:
            self.delivery.bring(())

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.tally.counts)

    @property
    def on_disk(self) -> list[int]:
        """Numbers of events, as another process would find them."""
        assert self.spool
        files = sorted(self.spool._folder.glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text().splitlines()]
        return [int(json.loads(line[9:])["id"], 16) for line in lines]

    @contextmanager
    def hanging(self):
        """In the block the wire keeps what it gets; after it, it goes on."""
        self.wire.goes_on.clear()
        yield
        self.wire.goes_on.set()
        way = self.delivery._under_way
        if way:
            way.ends.exception(10)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.05)
    return Rig(tmp_path)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """For tests in which nothing hangs: a busy machine must not seem to."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 30)
    monkeypatch.setattr(delivery, "CATCH_UP_S", 30)
    return Rig(tmp_path)


def test_what_is_taken_is_not_on_disk(patient):
    patient.bring(1, 2)
    patient.bring(3)
    assert patient.wire.carried == [1, 2, 3]
    assert patient.counts == {"delivered": 3}
    assert patient.on_disk == []
    assert patient.delivery.since is None


def test_what_is_not_taken_waits_on_disk_and_comes_before_what_is_new(patient):
    patient.wire.lose()
    for number in (1, 2, 3):
        patient.bring(number)
    assert patient.on_disk == [1, 2, 3]
    assert patient.delivery.unreachable
    assert patient.delivery.last_error == "it is gone"
    assert patient.wire.log.count("open") == 1  # it is left alone for a while
    patient.wire.find()
    patient.now += 600
    patient.bring(4)
    assert patient.wire.carried == [1, 2, 3, 4]
    assert not patient.delivery.unreachable
    assert patient.counts == {"delivered": 4}
    assert (patient.on_disk, patient.delivery.spooled) == ([], 0)


def test_a_later_process_delivers_what_an_earlier_one_put_by(patient, tmp_path):
    patient.wire.lose()
    patient.bring(1, 2)
    later = Rig(tmp_path)
    later.bring(3)
    assert later.wire.carried == [1, 2, 3]


def test_of_what_arrived_before_a_failure_nothing_is_put_by(patient):
    patient.wire.at_once = 1
    patient.wire.lose()
    patient.wire.fails_at = 3
    patient.bring(1, 2, 3, 4)
    assert patient.wire.carried == [1, 2]
    assert patient.on_disk == [3, 4]
    patient.wire.fails_at = 4
    patient.later()
    assert patient.on_disk == [4]
    patient.wire.find()
    patient.later()
    assert patient.wire.carried == [1, 2, 3, 4]
    assert patient.counts == {"delivered": 4}


def test_who_asks_for_a_rest_gets_it(patient):
    patient.wire.fails = SinkUnavailable("busy", rest_s=100)
    patient.bring(1)
    patient.wire.find()
    patient.now = 99
    patient.bring()
    assert patient.wire.carried == []
    patient.now = 100
    patient.bring()
    assert patient.wire.carried == [1]


def test_what_hangs_is_on_disk_before_what_is_new_and_is_taken_from_there_when_it_arrives(rig):
    with rig.hanging():
        rig.bring(1, 2)
        assert rig.on_disk == [1, 2]
        rig.bring(3)
        rig.bring(4)
        assert rig.on_disk == [1, 2, 3, 4]
        assert rig.delivery.unreachable
        assert rig.delivery.since == event(1).time.timestamp()
    rig.bring()
    assert rig.wire.carried[:2] == [1, 2]
    while rig.on_disk:
        rig.bring()
    assert rig.wire.carried == [1, 2, 3, 4]
    assert rig.counts == {"delivered": 4}
    assert not rig.delivery.unreachable


def test_what_hung_and_then_failed_comes_again_first(rig):
    with rig.hanging():
        rig.bring(1, 2)
        rig.bring(3)
        rig.wire.lose()
    rig.bring(4)
    assert rig.on_disk == [1, 2, 3, 4]
    rig.wire.find()
    rig.now = 600
    while rig.on_disk:
        rig.bring()
    assert rig.wire.carried == [1, 2, 3, 4]


def test_what_hung_halfway_does_not_come_again_as_a_whole(rig):
    rig.wire.at_once = 1
    rig.wire.lose()
    rig.wire.fails_at = 3
    with rig.hanging():
        rig.bring(1, 2, 3)
        assert rig.on_disk == [1, 2, 3]
    rig.bring()
    assert rig.on_disk == [3]
    assert rig.counts == {"delivered": 2}


def test_what_arrived_before_it_hung_is_not_put_by(rig):
    rig.wire.at_once = 1
    rig.wire.hangs_at = 2
    rig.wire.lose()
    rig.wire.fails_at = 3
    with rig.hanging():
        rig.bring(1, 2, 3)
        while rig.wire.log[-1:] != ["send [1]"]:
            pass
        rig.bring()
        assert rig.on_disk[-2:] == [2, 3]
    rig.bring()
    assert rig.on_disk == [3]


def test_what_hangs_at_the_end_is_on_disk(rig):
    with rig.hanging():
        rig.bring(1)
        rig.delivery.end()
        assert rig.on_disk == [1]
    assert rig.counts == {}


def test_what_hangs_at_the_end_and_is_not_on_disk_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.05)
    rig = Rig(tmp_path, keeps=False)
    with rig.hanging():
        rig.bring(1, 2)
        rig.delivery.end()
    assert rig.counts == {"stopped": 2}


def test_what_is_refused_is_counted_and_told_and_holds_up_nothing(patient, caplog):
    patient.wire.refuses = {2, 5}
    patient.bring(1, 2, 3)
    patient.bring(4, 5)
    assert patient.wire.carried == [1, 3, 4]
    assert patient.counts == {"delivered": 3, "refused": 2}
    assert patient.delivery.last_error.endswith("5: no {5}")
    assert caplog.text.count("events are refused") == 1
    assert not patient.delivery.unreachable


def test_what_does_not_fit_on_disk_is_counted(tmp_path):
    rig = Rig(tmp_path, spool_bytes=1000)
    rig.wire.lose()
    for number in range(10):
        rig.bring(number)
    kept = rig.on_disk
    assert kept == list(range(len(kept)))
    assert rig.counts == {"spool-full": 10 - len(kept)}


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "_put", full)
        yield


def test_what_cannot_be_put_by_is_counted_and_the_rest_goes_on(patient, monkeypatch, caplog):
    patient.wire.lose()
    with full_disk(monkeypatch):
        patient.bring(1, 2)
        patient.bring(3)
    assert patient.counts == {"spool-failed": 3}
    assert caplog.text.count("events cannot be put by") == 1
    patient.wire.find()
    patient.now = 600
    patient.bring(4)
    assert patient.wire.carried == [4]


def test_while_the_disk_cannot_be_read_what_is_new_is_delivered(patient, monkeypatch):
    patient.wire.lose()
    patient.bring(1)
    patient.wire.find()
    patient.now = 600

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "first", broken)
        patient.bring()
        patient.bring(2)
    assert patient.wire.carried == [2]
    patient.later()
    assert patient.wire.carried == [2, 1]


def test_what_hangs_on_a_full_disk_is_delivered_all_the_same(rig, monkeypatch):
    with rig.hanging(), full_disk(monkeypatch):
        rig.bring(1)
        rig.bring()
    rig.bring()
    assert rig.wire.carried == [1]
    assert rig.counts == {"delivered": 1}


def test_what_is_damaged_on_disk_is_counted_and_the_rest_delivered(patient, tmp_path):
    patient.wire.lose()
    patient.bring(1, 2)
    patient.bring(3)
    first, _ = sorted(tmp_path.iterdir())
    first.write_bytes(first.read_bytes().replace(b'"normal"', b'"nermal"', 1))
    patient.spool.add([{"id": "of another version"}])
    patient.wire.find()
    patient.later()
    assert patient.wire.carried == [2, 3]
    assert patient.counts == {"delivered": 2, "damaged": 2}
    assert patient.on_disk == []


def test_where_the_last_state_alone_counts_nothing_is_put_by(tmp_path):
    rig = Rig(tmp_path, keeps=False)
    rig.wire.lose()
    rig.bring(1)
    rig.bring(2)
    assert rig.counts == {"unreachable": 2}
    rig.wire.find()
    rig.now = 600
    rig.bring(3)
    assert rig.wire.carried == [3]
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_nobody_foresaw_costs_its_events_alone(patient, caplog):
    patient.wire.fails = ZeroDivisionError("a bug")
    patient.bring(1)
    patient.wire.find()
    patient.now = 600
    patient.bring(2)
    assert patient.wire.carried == [2]
    assert patient.counts == {"error": 1, "delivered": 1}
    assert patient.delivery.last_error == "ZeroDivisionError('a bug')"
    assert "events are lost" in caplog.text


def test_an_error_that_nobody_foresaw_does_not_come_again_from_disk(patient):
    patient.wire.lose()
    patient.bring(1)
    patient.wire.fails = ZeroDivisionError("a bug")
    patient.later()
    assert patient.on_disk == []
    assert patient.counts == {"error": 1}


def test_a_wire_is_looked_at_and_opened_again_when_nothing_is_to_be_brought(patient):
    patient.delivery.look()
    assert patient.wire.log == ["open", "send []"]
    patient.wire.lose()
    patient.delivery.look()
    assert patient.delivery.unreachable
    patient.wire.find()
    patient.now = 600
    patient.delivery.look()
    assert not patient.delivery.unreachable
    assert patient.wire.log == ["open", "send []", "send []", "close", "open", "send []"]


def test_at_rest_a_wire_is_let_go_and_what_was_taken_before_is_kept(patient):
    patient.bring(1)
    patient.delivery.rest(events(2))
    patient.delivery.rest([])
    assert patient.wire.log == ["open", "send [1]", "close"]
    assert patient.on_disk == [2]
    patient.bring(3)
    assert patient.wire.carried == [1, 2, 3]


def test_at_the_end_a_wire_is_let_go(patient):
    patient.bring(1)
    patient.delivery.end()
    assert patient.wire.log == ["open", "send [1]", "close"]
