"""Where upstreams may be whose addresses tenants choose.

A gateway stands in a network that its tenants do not: what they name must not lead to the machine
itself, to its neighbours or to a cloud's metadata. A name is judged by the addresses that it has
in the moment of connecting, so that nothing is gained by changing them afterwards.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from tollbridge.app.ports import UpstreamError
from tollbridge.config import GroupsConfig
from tollbridge.upstream.origin import parse_origin
from tollbridge.upstream.resolve import Address, Lookup, system_lookup

_NAT64 = IPv6Network("64:ff9b::/96")
"""The last four bytes are an IPv4 address (RFC 6052)."""

_GLOBAL = IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 for the internet: what lies outside wraps IPv4, belongs to a
site, or is nobody's yet."""

_SPECIAL = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"))
)
"""Addresses for protocols and documents; not every version of Python counts all as special."""


def check_base_url(base_url: str, config: GroupsConfig) -> None:
    """Whether a tenant's upstream may have this address, as far as it can be told unasked.

    Raises:
        ValueError: beginning with the setting, saying what is wrong. The URL is not repeated.
    """
    origin = parse_origin(base_url)
    if not (origin.tls or config.allow_http):
        raise ValueError(
            "base_url: must begin with https://; the operator's file may set"
            " allow_http = true under [groups]"
        )
    if not config.allow_private and _is_literal(origin.host) and not is_public(origin.host):
        raise ValueError(
            "base_url: is no public address; the operator's file may set allow_private = true"
            " under [groups]"
        )


def is_public(host: str) -> bool:
    """Whether an address in text is one of the internet's, whatever it is wrapped in."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL:
            return False
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not address.is_multicast and not special


def public_lookup(lookup: Lookup = system_lookup) -> Lookup:
    """A lookup that finds public addresses only, and fails if there are others only."""

    async def look_up(name: str) -> Sequence[Address]:
        found = await lookup(name)
        public = [address for address in found if is_public(address.host)]
        if found and not public:
            raise UpstreamError("its name leads to no public address", sent=False)
        return public

    return look_up


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
