"""Contexts; handshakes and sessions are in the contract suite."""

import ssl
from pathlib import Path

import pytest

from tollbridge.units import TLS_NAMES_MAX
from tollbridge.upstream.http_client import HttpUpstream
from tollbridge.upstream.tls import client_context, default_context


def test_the_default_context_verifies_and_is_made_once_and_late() -> None:
    default_context.cache_clear()
    HttpUpstream("https://models.example")
    assert default_context.cache_info().currsize == 0
    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs() or ssl.get_default_verify_paths().capath
    assert default_context() is context


def test_a_file_of_authorities_replaces_the_system_s(tmp_path: Path) -> None:
    known = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not known:
        pytest.skip("this system has no file of authorities to take one from")
    path = tmp_path / "ca.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(known[0]))
    context = client_context(str(path))
    assert context.get_ca_certs(binary_form=True) == known[:1]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), ("not PEM", "holds no PEM certificates")],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        client_context(str(path))
    assert str(caught.value).startswith("tls_ca: ")


def test_only_who_asks_for_it_is_not_protected() -> None:
    context = client_context(verify=False)
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_only_so_many_servers_are_remembered() -> None:
    """Those that were used last: a tenant's names push out other names of the tenant's."""
    context = client_context()
    for number in range(3 * TLS_NAMES_MAX):
        for name in ("used.example", f"{number}.example"):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    remembered = list(context._last)
    assert len(remembered) == TLS_NAMES_MAX
    assert remembered[-2:] == ["used.example", f"{number}.example"]
