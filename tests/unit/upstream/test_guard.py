import asyncio
import socket

import pytest

from tollbridge.app.ports import UpstreamError
from tollbridge.config import GroupsConfig
from tollbridge.upstream.guard import check_base_url, is_public, public_lookup
from tollbridge.upstream.resolve import Address

STRICT = GroupsConfig()
PRIVATE = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a00:1::", "::127.0.0.1", "64:ff9b:1::1",
    "::ffff:0:127.0.0.1", "fec0::1", "100::1", "5f00::1", "3fff::1", "4000::1", "fe00::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_what_is_near_is_not_public(host: str):
    assert not is_public(host)
    bracketed = f"[{host}]" if ":" in host else host
    if "%" not in host:
        with pytest.raises(ValueError, match="no public address"):
            check_base_url(f"https://{bracketed}/v1", STRICT)
    check_base_url("https://127.0.0.1/v1", GroupsConfig(allow_private=True))


@pytest.mark.parametrize("host", PUBLIC)
def test_what_is_far_is_public(host: str):
    assert is_public(host)
    check_base_url(f"https://[{host}]/v1" if ":" in host else f"https://{host}/v1", STRICT)


def test_names_are_judged_when_they_are_looked_up():
    check_base_url("https://localhost/v1", STRICT)
    check_base_url("https://models.example.com", STRICT)


def test_unencrypted_only_if_the_operator_says_so():
    with pytest.raises(ValueError, match="allow_http"):
        check_base_url("http://models.example.com", STRICT)
    check_base_url("http://models.example.com", GroupsConfig(allow_http=True))


@pytest.mark.parametrize(
    "base_url", ["models.example.com", "ftp://a.test", "https://", "https://u:secret@a.test", ""]
)
def test_what_is_no_address_is_told_without_repeating_it(base_url: str):
    with pytest.raises(ValueError, match=r"(?i)base.url") as raised:
        check_base_url(base_url, STRICT)
    assert "secret" not in str(raised.value)


def looked_up(*hosts: str) -> list[str]:
    async def lookup(name: str) -> list[Address]:
        assert name == "models.example.com"
        return [Address(socket.AF_INET, host) for host in hosts]

    found = asyncio.run(public_lookup(lookup)("models.example.com"))
    return [address.host for address in found]


def test_only_public_addresses_are_found():
    assert looked_up("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111") == [
        "8.8.8.8",
        "2606:4700::1111",
    ]
    assert looked_up() == []
    with pytest.raises(UpstreamError, match="no public address") as raised:
        looked_up("127.0.0.1", "::1")
    assert not raised.value.sent


@pytest.mark.parametrize("name", ["localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1"])
def test_this_machine_by_any_other_name(name: str):
    with pytest.raises((UpstreamError, OSError)):
        asyncio.run(public_lookup()(name))
