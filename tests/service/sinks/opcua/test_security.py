"""Who may use a server that has a certificate and a user; against the client of asyncua."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from onegauge.service.sinks.opcua.settings import OpcUaSettings
from onegauge.service.sinks.wire import Wire
from rig.address import free_address, wait_until_listening
from tests.service.sinks.decided import decided
from tests.service.sinks.opcua.conftest import CLIENT_URI, SERVER_URI, Pair
from tests.service.sinks.opcua.scada import WITHIN_S

SIGN, ENCRYPT = ua.MessageSecurityMode.Sign, ua.MessageSecurityMode.SignAndEncrypt


@pytest.fixture(scope="module")
def endpoint(server_pair, tmp_path_factory) -> Iterator[str]:
    password = tmp_path_factory.mktemp("secret") / "password"
    password.write_text("mixed line\n")
    endpoint = f"opc.tcp://{free_address()}/onegauge"
    wire: Wire = OpcUaSettings(
        kind="opcua",
        endpoint=endpoint,
        user="scada",
        password_file=password,
        certificate=server_pair.certificate,
        private_key=server_pair.key,
    ).wire("scada", "test")
    wire.open()
    wire.send([decided("anomalous", time=datetime.now(UTC))])
    wait_until_listening(urlsplit(endpoint).netloc)
    yield endpoint
    wire.close()


async def last_decision(
    endpoint: str, pair: Pair | None, mode: ua.MessageSecurityMode, user: str, password: str
) -> int:
    client = Client(endpoint, WITHIN_S, watchdog_intervall=WITHIN_S)
    client.application_uri = CLIENT_URI
    client.set_user(user)
    client.set_password(password)
    if pair:
        await client.set_security(
            SecurityPolicyBasic256Sha256, str(pair.certificate), str(pair.key), mode=mode
        )
    async with client:
        index = await client.get_namespace_index("urn:onegauge")
        while True:
            node = client.get_node(f"ns={index};s=line-1.LastDecision")
            if await node.read_value():
                return await node.read_value()


@pytest.mark.parametrize("mode", [SIGN, ENCRYPT])
def test_user_comes_in_by_a_secured_channel(endpoint, client_pair, mode):
    told = last_decision(endpoint, client_pair, mode, "scada", "mixed line")
    assert asyncio.run(told) == 2


@pytest.mark.parametrize(("user", "password"), [("scada", "other"), ("admin", "mixed line")])
def test_others_do_not_come_in(endpoint, client_pair, user, password):
    told = last_decision(endpoint, client_pair, ENCRYPT, user, password)
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        asyncio.run(told)


def test_nobody_comes_in_anonymously(endpoint, client_pair):
    told = last_decision(endpoint, client_pair, ENCRYPT, "", "")
    with pytest.raises(ua.UaError):
        asyncio.run(told)


def test_nobody_comes_in_by_a_channel_without_security(endpoint, monkeypatch):
    # a client that does not mind what the server offers
    monkeypatch.setattr(Client, "find_endpoint", lambda endpoints, *_: endpoints[0])
    told = last_decision(endpoint, None, ENCRYPT, "scada", "mixed line")
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        asyncio.run(told)


def test_server_offers_what_it_takes(endpoint):
    offered = asyncio.run(Client(endpoint, WITHIN_S).connect_and_get_server_endpoints())
    assert {offer.SecurityMode for offer in offered} == {SIGN, ENCRYPT}
    assert {offer.SecurityPolicyUri for offer in offered} == {SecurityPolicyBasic256Sha256.URI}
    tokens = {token.TokenType for offer in offered for token in offer.UserIdentityTokens}
    assert tokens == {ua.UserTokenType.UserName}
    assert {offer.Server.ApplicationUri for offer in offered} == {SERVER_URI}
    assert {offer.EndpointUrl for offer in offered} == {endpoint}
