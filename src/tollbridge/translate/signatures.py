"""Marks of our own on what an upstream without signatures and with loose ids has produced.

A thinking block of a Chat upstream bears a signature that begins with `tb1.`, so that nobody takes
it for Anthropic's: a bridge to a Messages upstream strips such blocks, a bridge to a Chat upstream
reads them back. It holds an authentication tag and, where the client asked not to be shown the
thinking, the thinking itself, deflated (protocol notes C.9.8).

A tool call id that Messages does not allow is wrapped reversibly, so that the upstream gets its
own id back with the result and nothing has to be remembered (protocol notes C.8).
"""

import binascii
import hmac
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from tollbridge.units import HIDDEN_THINKING_BYTES_MAX

SIGNATURE_PREFIX = "tb1."
TOOL_ID_PREFIX = "tb1_"

_TAG_BYTES = 12
_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")


def sign_thinking(key: bytes, hidden: str = "") -> str:
    """The signature of a thinking block; `hidden` is the thinking that the block does not show."""
    packed = zlib.compress(hidden.encode(), 6) if hidden else b""
    return SIGNATURE_PREFIX + urlsafe_b64encode(_tag(key, packed) + packed).decode()


def is_own_signature(signature: str) -> bool:
    """Whether a thinking block was signed here, and so must not reach a Messages upstream."""
    return signature.startswith(SIGNATURE_PREFIX)


def hidden_thinking(key: bytes, signature: str) -> str:
    """The thinking that a signature of our own carries; empty for any other signature.

    A signature that was changed, was made with another key or unpacks to too much carries nothing.
    """
    if not is_own_signature(signature):
        return ""
    try:
        sealed = urlsafe_b64decode(signature[len(SIGNATURE_PREFIX) :])
        tag, packed = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if not packed or not hmac.compare_digest(tag, _tag(key, packed)):
            return ""
        unpacked = zlib.decompressobj().decompress(packed, HIDDEN_THINKING_BYTES_MAX)
        return unpacked.decode("utf-8", "ignore")
    except (binascii.Error, ValueError, zlib.error):
        return ""


def client_tool_id(upstream_id: str) -> str:
    """An upstream's tool call id in the characters that Messages allows."""
    if _LEGAL_ID.match(upstream_id) and not upstream_id.startswith(TOOL_ID_PREFIX):
        return upstream_id
    return TOOL_ID_PREFIX + urlsafe_b64encode(upstream_id.encode()).decode().rstrip("=")


def upstream_tool_id(client_id: str) -> str:
    """The upstream's own id again, from one that `client_tool_id` gave; any other id as it is."""
    if not client_id.startswith(TOOL_ID_PREFIX):
        return client_id
    text = client_id[len(TOOL_ID_PREFIX) :]
    try:
        original = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return client_id
    # Whatever merely looks like ours stays as it is, call and result alike.
    return original if original and client_tool_id(original) == client_id else client_id


def _tag(key: bytes, packed: bytes) -> bytes:
    return hmac.digest(key, packed, "sha256")[:_TAG_BYTES]
