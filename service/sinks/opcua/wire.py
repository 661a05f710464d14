"""OPC UA: the stations of lines as nodes."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from socket import gethostname

from asyncua import ua
from asyncua.server.server import Server

from onegauge.service.sinks.event import Event
from onegauge.service.sinks.opcua.credentials import Identity, Users
from onegauge.service.sinks.opcua.settings import OpcUaSettings
from onegauge.service.sinks.opcua.space import Space
from onegauge.service.sinks.seldom import Seldom
from onegauge.service.sinks.serving import Serving
from onegauge.service.sinks.station import Station
from onegauge.service.sinks.stations import Stations

_SECURED = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
]
_log = logging.getLogger("onegauge.sinks")


class OpcUa:
    """A wire that controllers and SCADA read, and write their triggers to."""

    at_once = 100

    def __init__(self, settings: OpcUaSettings, name: str) -> None:
        """Raises InvalidSinks for a certificate, a key or a password that is none."""
        self._settings = settings
        self._users, self._identity = Users(settings, name), Identity.of(settings, name)
        self._stations = Stations(settings.lines, partial(Station, settings.timeout_s))
        self._serving = Serving("OPC UA", settings.host, settings.port, self._listening)

    def open(self) -> None:
        """Listen; raises SinkUnavailable."""
        Seldom.listen("asyncua")
        self._stations.forget_triggers()
        self._changed = asyncio.Event()
        self._serving.start()

    def send(self, events: Sequence[Event]) -> None:
        """Show what was decided; raises SinkUnavailable where nobody listens any more."""
        self._stations.take(events)
        self._serving.check()
        if events:
            self._serving.soon(self._changed.set)

    def close(self) -> None:
        """Let all clients go."""
        self._serving.stop()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        # a server has 400 000 objects: to look for garbage in them would hold decisions up
        gc.disable()
        try:
            server = await self._server()
        finally:
            gc.enable()
        gc.freeze()
        try:
            space = await Space.of(server, self._stations)
            async with server, asyncio.TaskGroup() as group:
                going = group.create_task(space.keep_up(self._changed))
                yield
                going.cancel()
        finally:
            gc.unfreeze()

    async def _server(self) -> Server:
        """One that does not listen yet."""
        server = Server(user_manager=self._users)
        server.name = server.manufacturer_name = "onegauge"
        server.product_uri = "urn:onegauge"
        server.application_type = ua.ApplicationType.Server
        await server.init()
        server.set_endpoint(self._settings.endpoint)
        one_user = ua.UserNameIdentityToken if self._settings.user else ua.AnonymousIdentityToken
        server.set_identity_tokens([one_user])
        uri = f"urn:{gethostname()}:onegauge"
        if self._identity:
            server.set_security_policy(_SECURED)
            server.iserver.certificate = self._identity.certificate
            server.iserver.private_key = self._identity.key
            uri = self._identity.uri or uri
        else:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
            _log.warning("%s is not encrypted: it has no certificate", self._settings.endpoint)
        await server.set_application_uri(uri)
        return server
