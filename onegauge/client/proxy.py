"""The way to a gateway: directly, or by a proxy that the environment names.

Proxies are for what is outside of a plant, so a loopback address is never asked by one; for others
the variables hold that other programs keep to, and what fails by a proxy says so.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

T = TypeVar("T")


class Proxy(NamedTuple):
    """A proxy's address, and in words what goes by it, and how not to."""

    address: str
    told: str


def proxy_for(url: str) -> Proxy | None:
    """The proxy that a gateway is asked by, None for one that is asked directly."""
    try:
        asked = httpx.URL(url)
    except httpx.InvalidURL:  # which asking it will say
        return None
    proxies = getproxies()  # on Windows and macOS of the system's settings, too
    scheme = asked.scheme if proxies.get(asked.scheme) else "all"
    address = proxies.get(scheme)
    if not address or _is_direct(asked, proxies.get("no", "")):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    variable = next(filter(os.environ.get, names), "the system's settings")
    told = f"by the proxy of {variable} (NO_PROXY={asked.host} asks it directly)"
    return Proxy(address if "://" in address else f"http://{address}", told)


def with_proxy(url: str) -> str:
    """An address for messages, with the proxy that it is asked by."""
    return f"{url} {proxy.told}" if (proxy := proxy_for(url)) else url


def transport_to(url: str, kind: Callable[..., T], error: type[Exception]) -> T:
    """A transport of httpx, of one of its kinds; raises `error` for a proxy that cannot be used."""
    proxy = proxy_for(url)
    if proxy is None:
        return kind()
    try:
        return kind(proxy=proxy.address)
    except (ImportError, ValueError, httpx.InvalidURL) as exc:  # SOCKS without its library, perhaps
        raise error(f"{url} cannot be asked {proxy.told}: {exc}") from exc


def _is_direct(asked: httpx.URL, exempt: str) -> bool:
    """Whether an address is of this machine, or exempt by its name or its network."""
    host = asked.host
    if host == "localhost" or host.endswith(".localhost") or proxy_bypass(asked.netloc.decode()):
        return True
    if any(fnmatchcase(host, entry.strip().lower()) for entry in exempt.split(",")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    here = address.is_loopback or address.is_unspecified
    return here or any(address in network for network in _networks(exempt))


def _networks(exempt: str) -> Iterator[IPv4Network | IPv6Network]:
    for entry in exempt.split(","):
        with suppress(ValueError):  # a name
            yield ip_network(entry.strip(), strict=False)
