"""The nodes of a line, as OPC UA has them."""

from datetime import UTC

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server

from onegauge.schemas.words import PART_MAX_LENGTH
from onegauge.service.sinks.station import Station, Value

_RESULT = {
    "Decision": ua.VariantType.UInt16,
    "DecisionText": ua.VariantType.String,
    "Score": ua.VariantType.Double,
    "PValue": ua.VariantType.Double,
    "Part": ua.VariantType.String,
    "Inspection": ua.VariantType.String,
    "Time": ua.VariantType.DateTime,
}
_COUNTS = ("Total", "Normal", "Anomalous", "Unknown", "Incomplete")
WRITABLE = {"Trigger": ua.VariantType.UInt16, "TriggerPart": ua.VariantType.String}
NODES = {
    **_RESULT,
    **{f"Last{name}": kind for name, kind in _RESULT.items()},
    **dict.fromkeys(_COUNTS, ua.VariantType.UInt32),
    **dict.fromkeys(("Heartbeat", "ResultTrigger", "State"), ua.VariantType.UInt16),
    "StateText": ua.VariantType.String,
    **WRITABLE,
}


class Nodes:
    """Those of one line: what its station shows, and what a controller has written."""

    def __init__(self, server: Server, folder: Node, line: str, station: Station) -> None:
        self._server, self._folder, self._station = server, folder, station
        self._line, self._namespace = line, folder.nodeid.NamespaceIndex
        self._ids = {name: self._id(name) for name in NODES}
        self._told: dict[str, Value] = {}

    async def add(self) -> None:
        """Have them in the folder."""
        line = await self._folder.add_object(self._id("Line"), self._name(self._line))
        values = {**self._values(), "Trigger": 0, "TriggerPart": ""}
        for name, kind in NODES.items():
            node = await line.add_variable(self._ids[name], self._name(name), values[name], kind)
            if name in WRITABLE:
                await node.set_writable()

    @property
    def writable(self) -> list[ua.NodeId]:
        """Those that a controller may write."""
        return [self._ids[name] for name in WRITABLE]

    async def publish(self) -> None:
        """Bring up to date what has changed."""
        now = ua.DateTime.now(UTC)
        for name, value in self._values().items():
            told = self._told.get(name)
            if told is value or told == value:  # NaN is itself, and equal to nothing
                continue
            self._told[name] = value
            variant = ua.Variant(value, NODES[name])
            data = ua.DataValue(variant, SourceTimestamp=now, ServerTimestamp=now)
            await self._server.write_attribute_value(self._ids[name], data)

    async def written(self) -> None:
        """A controller has written: tell the station, and show what it makes of it."""
        values = (self._server.read_attribute_value(id).Value for id in self.writable)
        trigger, part = (value.Value for value in values if value)
        self._station.ask(trigger, (part or "").strip())
        await self.publish()

    def _values(self) -> dict[str, Value]:
        """By name; the state comes last, so that all is there when it changes."""
        shown = self._station.shown()
        return {
            "DecisionText": shown.result.code.name.lower(),
            "LastDecisionText": shown.last.code.name.lower(),
            **shown.values(),
            "StateText": shown.state.name.lower(),
        }

    def _id(self, name: str) -> ua.NodeId:
        """No line can be named so that its nodes are another's: no name here has a dot."""
        return ua.NodeId(ua.String(f"{self._line}.{name}"), self._namespace)

    def _name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._namespace)


def refuse(value: ua.DataValue) -> None:
    """Raise an error of OPC UA for what the server itself would take: no value, or a long one."""
    good = value.StatusCode is None or value.StatusCode.is_good()
    if not good or value.Value is None or value.Value.is_array:
        raise ua.uaerrors.BadTypeMismatch
    text = value.Value.Value  # None of a text is an empty one
    if isinstance(text, str) and len(text) > PART_MAX_LENGTH:
        raise ua.uaerrors.BadOutOfRange
