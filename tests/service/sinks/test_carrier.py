from threading import current_thread

import pytest

from onegauge.service.sinks.carrier import Carrier, Load
from onegauge.service.sinks.errors import SinkUnavailable
from tests.service.sinks.made import FakeWire, events


def carried(carrier: Carrier, *numbers: int) -> Load:
    load = Load(events(*numbers))
    carrier.carry(load).result(10)
    return load


def test_a_wire_is_opened_once_and_gets_no_more_at_once_than_it_takes():
    wire = FakeWire(at_once=2)
    carrier = Carrier("mes", wire)
    load = carried(carrier, 1, 2, 3)
    carried(carrier, 4)
    assert wire.log == ["open", "send [1, 2]", "send [3]", "send [4]"]
    assert (load.done, load.refused) == (3, 0)
    carrier.close().result(10)
    assert wire.log[-1] == "close"
    assert not carrier.open


def test_a_look_sends_nothing():
    wire = FakeWire()
    carried(Carrier("mes", wire))
    assert wire.log == ["open", "send []"]


def test_a_wire_that_fails_is_closed_and_opened_again():
    wire = FakeWire(at_once=1)
    carrier, load = Carrier("mes", wire), Load(events(1, 2, 3))
    wire.lose()
    wire.fails_at = 2
    with pytest.raises(SinkUnavailable):
        carrier.carry(load).result(10)
    assert load.done == 1
    wire.find()
    carried(carrier, 2, 3)
    assert wire.carried == [1, 2, 3]
    assert wire.log == ["open", "send [1]", "send [2]", "close", "open", "send [2]", "send [3]"]


def test_a_wire_that_does_not_open_is_closed():
    wire = FakeWire()
    wire.lose()
    with pytest.raises(SinkUnavailable):
        carried(Carrier("mes", wire), 1)
    assert wire.log == ["open", "close"]


def test_what_is_refused_among_others_comes_alone():
    wire = FakeWire()
    wire.refuses = {2}
    load = carried(Carrier("mes", wire), 1, 2, 3)
    assert (load.done, load.refused) == (3, 1)
    assert load.refusal.endswith("2: no {2}")
    assert wire.carried == [1, 3]


def test_a_wire_has_one_thread():
    names = set()

    class Telling(FakeWire):
        def open(self) -> None:
            names.add(current_thread().name)

        def send(self, _events: object) -> None:
            names.add(current_thread().name)

        def close(self) -> None:
            names.add(current_thread().name)

    carrier = Carrier("mes", Telling())
    carried(carrier, 1)
    carrier.close().result(10)
    assert names == {"wire mes"}
