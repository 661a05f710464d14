"""The lines in the address space of a server of OPC UA."""

import asyncio
from contextlib import suppress

from asyncua import ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.common.node import Node
from asyncua.server.server import Server

from onegauge.service.sinks.opcua.nodes import Nodes, refuse
from onegauge.service.sinks.stations import Stations

NAMESPACE, FOLDER = "urn:onegauge", "onegauge"
PAUSE_S = 0.05  # at least, between two times that what was decided is shown
IDLE_S = 0.5  # at most: the heartbeat goes on


class Space:
    """Keeps the nodes of all lines up to date; for the event loop of the server."""

    def __init__(self, server: Server, stations: Stations, folder: Node) -> None:
        self._server, self._stations, self._folder = server, stations, folder
        self._lines: dict[str, Nodes] = {}
        self._writable: dict[ua.NodeId, Nodes] = {}
        server.subscribe_server_callback(CallbackType.PreWrite, self._before_write)
        server.subscribe_server_callback(CallbackType.PostWrite, self._after_write)

    @classmethod
    async def of(cls, server: Server, stations: Stations) -> "Space":
        """With the lines that are there already."""
        index = ua.Int16(await server.register_namespace(NAMESPACE))
        folder = await server.nodes.objects.add_folder(
            ua.NodeId(ua.String(FOLDER), index), ua.QualifiedName(FOLDER, index)
        )
        space = cls(server, stations, folder)
        await space.show()
        return space

    async def keep_up(self, changed: asyncio.Event) -> None:
        """Show what changes, with pauses in which several changes become one."""
        while True:
            await self.show()
            await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), IDLE_S)
            changed.clear()

    async def show(self) -> None:
        """Bring all nodes up to date, and have those of lines that are new."""
        for line in self._stations.lines():
            if line not in self._lines:
                nodes = Nodes(self._server, self._folder, line, self._stations[line])
                await nodes.add()
                self._lines[line] = nodes
                self._writable |= dict.fromkeys(nodes.writable, nodes)
            await self._lines[line].publish()

    async def _before_write(self, event: ServerItemCallback, _service: object) -> None:
        for write in event.request_params.NodesToWrite:
            if write.NodeId in self._writable:
                refuse(write.Value)

    async def _after_write(self, event: ServerItemCallback, _service: object) -> None:
        """Before the client is told that it has written: so it then sees what came of it."""
        written = (self._writable.get(write.NodeId) for write in event.request_params.NodesToWrite)
        for nodes in filter(None, dict.fromkeys(written)):
            await nodes.written()
