"""Asking an upstream how long a prompt is: exactly the request that it would answer.

The same translation, the same tools, the same chat template (protocol notes C.9.22): whatever the
gateway changes in a request is in the count.
"""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from tollbridge.config import Protocol
from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.dialects import dialect_of
from tollbridge.translate.members import has_member, read_members, write_member
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.wire.codec import encode

MESSAGES_COUNT_PATH = "/v1/messages/count_tokens"


class CountRequest(NamedTuple):
    """Where to ask, below the upstream's base URL, and with what body."""

    path: str
    body: bytes


class _Count(Struct):
    input_tokens: int | None = None
    count: int | None = None
    """vLLM's word."""


_count_decoder = msgspec.json.Decoder(_Count)


def count_request(
    body: bytes, upstream: Protocol, terms: UpstreamTerms, seal_key: bytes
) -> CountRequest | None:
    """A Messages client's `count_tokens` for this upstream; None: it does not count.

    Raises:
        GatewayError: the prompt cannot be said to this upstream.
    """
    if upstream == "messages":
        members = read_members(body)
        write_member(members, "model", terms.model)
        return CountRequest(MESSAGES_COUNT_PATH, encode(members))
    path = dialect_of(terms.dialect, terms.overrides).count_path
    if not path:
        return None
    members = read_members(body)
    if not has_member(members, "max_tokens"):
        write_member(members, "max_tokens", terms.max_tokens)
    ask = Ask(model=terms.model, stream=False, max_tokens=terms.max_tokens, thinking=False)
    bridge = MessagesOnChat(ask, encode(members), Identity("", "", 0, seal_key))
    return CountRequest(path, bridge.request(terms))


def read_count_reply(body: bytes) -> int | None:
    """The tokens that an upstream counted; None: this is no count."""
    try:
        reply = _count_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = reply.count if reply.input_tokens is None else reply.input_tokens
    return found if found is not None and found >= 0 else None
