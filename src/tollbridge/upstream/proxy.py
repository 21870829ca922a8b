"""Which proxy, if any, stands before an upstream. Pure: the environment is passed in."""

import base64
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote

from tollbridge.upstream.origin import Origin, parse_origin

NONE = "none"
"""The setting that goes past every proxy."""


class Proxy(NamedTuple):
    """Where it listens, and what it is shown."""

    origin: Origin
    authorization: str
    """The value of `proxy-authorization`; empty: it wants none."""

    def refusal(self, status: int) -> str:
        """What it means that it has answered 401 or 407: what was asked of whom."""
        what = (
            "refuses the user and password that the gateway has for it"
            if self.authorization
            else "wants a user and a password, and the gateway has none for it"
        )
        return f"the proxy {what} (status {status})"

    def __repr__(self) -> str:
        return f"Proxy(origin={self.origin!r}, ...)"


def choose_proxy(setting: str, origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """The upstream's own setting, else what the environment says as most programs read it:
    `https_proxy` or `http_proxy`, then `all_proxy`, each also in capitals, less `no_proxy`.
    The environment never sends this machine's own addresses through a proxy.

    Raises:
        ValueError: beginning with `proxy`, naming the variable if it is one. Its value is not
            repeated.
    """
    if setting == NONE:
        return None
    if setting:
        return parse_proxy(setting, "proxy")
    for name in ("https_proxy" if origin.tls else "http_proxy", "all_proxy"):
        for spelling in (name, name.upper()):
            if url := environ.get(spelling, "").strip():
                exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
                if is_loopback(origin.host) or is_exempt(exempt, origin.host, origin.port):
                    return None
                return parse_proxy(url, f"proxy: the variable {spelling}")
    return None


def parse_proxy(url: str, where: str) -> Proxy:
    """Take `http://user:password@host:port` apart; scheme, user and port may be left out.

    Raises:
        ValueError: beginning with `where`, saying what is wrong without repeating the URL.
    """
    scheme, _, rest = url.rpartition("://")
    if scheme.lower() not in ("", "http", "https"):
        raise ValueError(
            f"{where}: must begin with http:// or https://; no other kind of proxy is spoken to"
            f" (an upstream with proxy = {NONE!r} needs none)"
        )
    user, _, place = rest.rpartition("@")
    origin = parse_origin(f"{scheme or 'http'}://{place}", where)
    if origin.prefix:
        raise ValueError(f"{where}: must end after the port")
    authorization = ""
    if user:
        name, _, password = user.partition(":")
        pair = f"{unquote(name)}:{unquote(password)}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(origin, authorization)


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself."""
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_exempt(no_proxy: str, host: str, port: int) -> bool:
    """Whether `NO_PROXY` lists this server.

    Entries are separated by commas or spaces: `*`; a domain, which stands for itself and all below
    it, with or without a dot or `*.` before it; an address; a network such as `10.0.0.0/8`. A port
    may follow. Names are not looked up, so that a network exempts addresses only. What cannot be
    read exempts nothing.
    """
    address = _address(host)
    for entry in no_proxy.replace(",", " ").split():
        if entry == "*":
            return True
        name, entry_port = _split_port(entry)
        if entry_port not in ("", str(port)):
            continue
        if address is None:
            domain = name.lower().removeprefix("*").strip(".")
            if domain and f".{host}".endswith(f".{domain}"):
                return True
        elif _contains(name, address):
            return True
    return False


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, port.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _contains(network: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
