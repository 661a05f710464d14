import asyncio
import os

import httpx
import pytest

from onegauge.client import AsyncClient, Client, ClientError
from onegauge.client.proxy import proxy_for
from onegauge.training.errors import DataError
from onegauge.training.evaluation.over_http import evaluate_gateway
from onegauge.training.progress import Progress

GATEWAY = "http://gateway:8000"


@pytest.fixture
def environment(monkeypatch):
    """Sets variables of proxies, and no others."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def set_to(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_to


@pytest.mark.usefixtures("environment")
def test_without_variables_a_gateway_is_asked_directly():
    assert proxy_for(GATEWAY) is None


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("HTTP_PROXY", GATEWAY),
        ("http_proxy", GATEWAY),
        ("HTTPS_PROXY", "https://gateway"),
        ("ALL_PROXY", "http://10.0.0.7:8000"),
    ],
)
def test_proxy_of_the_environment_is_named_by_its_variable(environment, variable, url):
    environment(**{variable: "proxy:3128"})
    proxy = proxy_for(url)
    assert proxy.address == "http://proxy:3128"
    assert f"by the proxy of {variable} (NO_PROXY={httpx.URL(url).host} " in proxy.told


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://LOCALHOST",
        "http://press.localhost",
        "http://127.0.0.1:8000",
        "http://127.1.2.3",
        "http://[::1]:8000",
        "http://0.0.0.0:8000",
    ],
)
def test_this_machine_is_asked_directly(environment, url):
    environment(HTTP_PROXY="proxy:3128", ALL_PROXY="socks5://proxy:1080")
    assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("gateway", GATEWAY),
        ("a, .plant ,b", "http://gateway.plant"),
        ("gateway:8000", GATEWAY),
        ("a, *.Plant", "http://gateway.plant"),
        ("10.0.*", "http://10.0.0.7:8000"),
        ("*", GATEWAY),
        ("10.0.0.0/8", "http://10.0.0.7:8000"),
        ("10.0.0.7", "http://10.0.0.7:8000"),
        ("fd00::/8", "http://[fd00::7]:8000"),
    ],
)
def test_no_proxy_is_kept_to(environment, exempt, url):
    environment(HTTP_PROXY="proxy:3128", NO_PROXY=exempt)
    assert proxy_for(url) is None
    environment(NO_PROXY="other,192.168.0.0/16")
    assert proxy_for(url)


def ask(how: str, url: str) -> None:
    if how == "evaluate":
        evaluate_gateway(url, [], Progress())
    elif how == "sync":
        with Client(url, retries=0) as client:
            client.ready()
    else:

        async def session() -> None:
            async with AsyncClient(url, retries=0) as client:
                await client.ready()

        asyncio.run(session())


@pytest.mark.parametrize("how", ["sync", "async", "evaluate"])
@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("socks5://proxy:1080", "httpx.socks"),
        ("socks4://proxy:1080", "scheme"),
        ("http://:x", "Invalid port"),
        ("http://127.0.0.1:1", "refused|failed"),
    ],
)
def test_proxy_that_fails_is_a_sentence_with_the_way_past_it(environment, how, proxy, told):
    environment(ALL_PROXY=proxy)
    with pytest.raises((ClientError, DataError), match=f"(?s)ALL_PROXY .NO_PROXY=gateway .*{told}"):
        ask(how, GATEWAY)


@pytest.mark.parametrize("how", ["sync", "async", "evaluate"])
def test_gateway_of_this_machine_needs_no_proxy(environment, how):
    environment(ALL_PROXY="socks5://proxy:1080")
    with pytest.raises((ClientError, DataError), match="127.0.0.1:1/?: "):
        ask(how, "http://127.0.0.1:1")
