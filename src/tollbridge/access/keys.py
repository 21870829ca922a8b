"""Keys and identifiers: minted from entropy that is passed in, never drawn here.

A key is 256 random bits, so its plain SHA-256 is all that needs storing: there is nothing to guess
that a slow hash would protect, and the lookup by hash needs no constant-time comparison.
"""

import base64
import hashlib
import re

from tollbridge.units import EnvId, KeyId, Millis, RequestId

KEY_PREFIX = "tb_"
"""Lets a secret scanner recognise a key that was committed by mistake."""

KEY_ENTROPY_BYTES = 32
KEY_ID_ENTROPY_BYTES = 12
REQUEST_ID_ENTROPY_BYTES = 6
ENV_ID_ENTROPY_BYTES = 5

RESERVED_ENV_IDS = frozenset({"admin", "api", "cloudbase", "console", "localhost", "www"})
"""Labels that mean something else in a host name or a path."""

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class EnvIdError(ValueError):
    """The text cannot name an environment; the message says why."""


def mint_key(entropy: bytes) -> str:
    """A new key: `tb_` and 43 characters that are safe in a URL and a header."""
    assert len(entropy) == KEY_ENTROPY_BYTES
    return KEY_PREFIX + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def hash_key(key: str) -> bytes:
    """The SHA-256 under which a key is stored and found. Takes whatever a client presents."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def key_hint(key: str) -> str:
    """The last four characters, by which people tell their keys apart."""
    return key[-4:]


def mint_key_id(entropy: bytes) -> KeyId:
    """`key_` and 24 hexadecimal digits. It names a key and does not open anything."""
    assert len(entropy) == KEY_ID_ENTROPY_BYTES
    return KeyId("key_" + entropy.hex())


def mint_request_id(now: Millis, entropy: bytes) -> RequestId:
    """`req_` and 24 hexadecimal digits: the moment, then 48 random bits.

    Ids in the order of time make a database's indexes grow at one end, where random ones would
    write to a different page with every request.
    """
    assert len(entropy) == REQUEST_ID_ENTROPY_BYTES
    return RequestId("req_" + now.to_bytes(6, "big").hex() + entropy.hex())


def mint_env_id(entropy: bytes) -> EnvId:
    """`env-` and eight letters or digits: a DNS label that is easy to read aloud."""
    assert len(entropy) == ENV_ID_ENTROPY_BYTES
    return EnvId("env-" + base64.b32encode(entropy).decode().lower())


def parse_env_id(text: str) -> EnvId:
    """Accept a lower-case DNS label, since environments are addressed by host name.

    Raises:
        EnvIdError: it is not one (RFC 1035 section 2.3.1, digits first allowed by RFC 1123), or
            it is reserved.
    """
    if not _DNS_LABEL.fullmatch(text):
        raise EnvIdError(
            f"{text!r} cannot name an environment: use 1 to 63 lower-case letters, digits and"
            " inner hyphens"
        )
    if text in RESERVED_ENV_IDS:
        raise EnvIdError(f"{text!r} is reserved; choose another name")
    return EnvId(text)
