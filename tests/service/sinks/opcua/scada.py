"""A client of OPC UA, as SCADA or a controller has one."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic
from typing import Any

from asyncua import ua
from asyncua.sync import Client, SyncNode

WITHIN_S = 300.0  # also beside other work
TYPES = {"Trigger": ua.VariantType.UInt16, "TriggerPart": ua.VariantType.String}


class Scada:
    """Reads, writes and watches the nodes of one line."""

    def __init__(self, client: Client, line: str) -> None:
        self._client, self._line = client, line
        self._namespace = client.get_namespace_index("urn:onegauge")

    def node(self, name: str) -> SyncNode:
        return self._client.get_node(f"ns={self._namespace};s={self._line}.{name}")

    def read(self, *names: str) -> list[Any]:
        return self._client.read_values([self.node(name) for name in names])

    def write(self, **values: int | str) -> None:
        """All in one request, in the order given."""
        variants = [ua.Variant(value, TYPES[name]) for name, value in values.items()]
        self._client.write_values([self.node(name) for name in values], variants)

    def until(self, name: str, value: object) -> None:
        """Poll as a controller does."""
        deadline = monotonic() + WITHIN_S
        while (found := self.read(name)) != [value]:
            assert monotonic() < deadline, f"{name} is {found[0]!r}, not {value!r}"

    @contextmanager
    def watched(self, name: str) -> Iterator["SimpleQueue[Any]"]:
        """The values of a node as a subscription brings them."""
        told: SimpleQueue[Any] = SimpleQueue()

        class Handler:
            def datachange_notification(self, _node: object, value: Any, _data: object) -> None:
                told.put(value)

        subscription = self._client.create_subscription(20, Handler())
        subscription.subscribe_data_change(self.node(name))
        yield told
        subscription.delete()


def patient(endpoint: str) -> Client:
    """A client that does not take a busy server for one that is gone."""
    return Client(endpoint, WITHIN_S, sync_wrapper_timeout=WITHIN_S, watchdog_intervall=WITHIN_S)


@contextmanager
def scada(endpoint: str, line: str) -> Iterator[Scada]:
    with patient(endpoint) as client:
        yield Scada(client, line)
