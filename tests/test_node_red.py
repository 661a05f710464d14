"""The flow for Node-RED, in a real one between a real broker and a controller that it writes to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onegauge.service.inspection.taken import Taken
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.mqtt.wire import Mqtt
from rig.mosquitto import PASSWORD, USER, Mosquitto
from rig.node_red import flow_of, node_red
from rig.plc import Plc, plc
from tests.records.made import record
from tests.service.sinks.mqtt.published import opened

FLOW = Path(__file__).parents[1] / "docs" / "examples" / "node-red.json"
COIL, REGISTER = 7, 20
FRESH_S = 30
PASSES, REJECTED = False, True
NONE, NORMAL, ANOMALOUS, UNKNOWN, INCOMPLETE = range(5)


class Gate:
    """Where parts are rejected, as decisions that are published have it."""

    def __init__(self, wire: Mqtt, controller: Plc) -> None:
        self._wire, self._controller = wire, controller
        self._number = 0

    def after(self, decision: str, *, unknown: bool = False, ago_s: float = 0) -> tuple[bool, int]:
        """Whether it rejects after a decision, and what that was, as the controller reads it.

        It is published until Node-RED has it written: it forgets what it cannot write yet.
        """
        self._number += 1
        decided = record(
            self._number,
            time=datetime.now(UTC) - timedelta(seconds=ago_s),
            decision=decision,
            unknown_product=unknown,
            score=self._number / 1000,
        )
        told = Event.of(Taken(decided, [], []), "/onegauge/hall-1")
        for _ in range(60):
            self._wire.send([told])
            if self._controller.wait_for(lambda: self._written[2] == self._number, within_s=1):
                return self._state
        raise AssertionError("Node-RED has written nothing")

    def closed(self) -> tuple[bool, int]:
        """Its state once the gateway is gone."""
        assert self._controller.wait_for(lambda: self._written[1] == NONE, within_s=60)
        return self._state

    @property
    def _written(self) -> list[int]:
        for address, values in self._controller.registers[-1:]:
            assert address == REGISTER
            return values
        return [0, -1, 0]

    @property
    def _state(self) -> tuple[bool, int]:
        address, [rejects] = self._controller.coils[-1]
        assert address == COIL
        return rejects, self._written[1]


@pytest.fixture
def controller(broker: Mosquitto, tmp_path: Path) -> Iterator[Plc]:
    """One that Node-RED writes to, with the flow as it is but for addresses."""
    with plc() as controller:
        host, _, port = controller.address.partition(":")
        variables = {"MQTT_HOST": host, "MQTT_PORT": broker.port, "FRESH_S": FRESH_S}
        variables |= {"PLC_HOST": host, "PLC_PORT": port}
        variables |= {"GATE_COIL": COIL, "RESULT_REGISTER": REGISTER}
        (tmp_path / "node-red").mkdir()
        user = {"onegauge-broker": {"user": USER, "password": PASSWORD}}
        with node_red(tmp_path / "node-red", flow_of(FLOW, variables), user):
            yield controller


def test_the_gate_is_open_for_good_parts_alone(broker, controller):
    with opened(broker) as wire:
        gate = Gate(wire, controller)
        assert gate.after("anomalous") == (REJECTED, ANOMALOUS)
        assert gate.after("normal") == (PASSES, NORMAL)
        assert gate.after("normal", unknown=True) == (REJECTED, UNKNOWN)
        assert gate.after("normal") == (PASSES, NORMAL)
        assert gate.after("incomplete") == (REJECTED, INCOMPLETE)
        assert gate.after("normal", ago_s=FRESH_S + 1) == (REJECTED, NORMAL)
        assert gate.after("normal") == (PASSES, NORMAL)
    assert gate.closed() == (REJECTED, NONE)
    counts = [values[0] for _, values in controller.registers]
    assert counts == list(range(1, len(counts) + 1))
