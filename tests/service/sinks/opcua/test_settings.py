import pytest
from pydantic import ValidationError

from onegauge.service.sinks.opcua.settings import OpcUaSettings

ENDPOINT = "opc.tcp://0.0.0.0:4840/onegauge"


def settings(endpoint: str = ENDPOINT, **known: object) -> OpcUaSettings:
    return OpcUaSettings(kind="opcua", endpoint=endpoint, **known)


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        (ENDPOINT, "0.0.0.0", 4840),
        ("opc.tcp://[::]:4841", "::", 4841),
        ("opc.tcp://gateway", "gateway", 4840),
    ],
)
def test_listens_where_the_endpoint_says(endpoint, host, port):
    said = settings(endpoint)
    assert (said.host, said.port) == (host, port)


@pytest.mark.parametrize(
    "endpoint",
    ["0.0.0.0:4840", "http://0.0.0.0:4840", "opc.tcp://:4840", "opc.tcp://a:0", "opc.tcp://a:b"],
)
def test_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(ValidationError, match="it is not like opc.tcp://0.0.0.0:4840"):
        settings(endpoint)


@pytest.mark.parametrize(
    ("one", "other"), [("user", "password_file"), ("certificate", "private_key")]
)
def test_what_goes_together_is_given_together(one, other):
    given = dict.fromkeys((one, other), "name")
    settings(**given)
    for name in given:
        with pytest.raises(ValidationError, match=f"{one} and {other} .* only {name} is given"):
            settings(**{name: given[name]})
