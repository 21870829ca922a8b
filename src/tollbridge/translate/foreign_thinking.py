"""Thinking in a client's history that Anthropic has not signed, taken out before it is sent there.

A client that moves from another upstream to Claude in the middle of a conversation brings thinking
blocks with the gateway's signature or with none; Anthropic answers those with 400 (protocol notes
C.9.8). All other bytes stay.
"""

import re

import msgspec
from msgspec import Raw

from tollbridge.translate.members import write_member
from tollbridge.translate.messages_views import SignedBlock
from tollbridge.translate.signatures import SIGNATURE_PREFIX, is_own_signature
from tollbridge.wire.codec import decode, encode
from tollbridge.wire.scan import contains

_WORD = b'"signature"'
_SUSPECT = re.compile(rb'"signature"\s*:\s*"(?:"|%b)' % re.escape(SIGNATURE_PREFIX.encode()))


_raws_decoder = msgspec.json.Decoder(list[Raw])
_turn_decoder = msgspec.json.Decoder(dict[str, Raw])
_block_decoder = msgspec.json.Decoder(SignedBlock)


def has_foreign_thinking(body: bytes) -> bool:
    """Whether a body may hold such blocks; a scan that costs next to nothing."""
    return contains(body, _WORD) and _SUSPECT.search(body) is not None


def drop_foreign_thinking(members: dict[str, Raw]) -> None:
    """Take the blocks out of `messages`.

    If a turn that is still in its tool loop has lost its thinking, thinking is turned off for this
    one request: Anthropic wants such a turn to begin with it.

    Raises:
        GatewayError: BODY_INVALID or FIELD_INVALID for turns and blocks that are no objects.
    """
    turns = []
    in_loop = True
    lost_in_loop = False
    messages = decode(bytes(members["messages"]), _raws_decoder)
    for raw in reversed(messages):
        turn = decode(bytes(raw), _turn_decoder)
        content = bytes(turn.get("content", Raw(b"")))
        if not content.startswith(b"["):
            in_loop = in_loop and turn.get("role") == Raw(b'"assistant"')
            turns.append(raw)
            continue
        blocks = decode(content, _raws_decoder)
        looks = [decode(bytes(block), _block_decoder) for block in blocks]
        pairs = zip(blocks, looks, strict=True)
        kept = [block for block, look in pairs if not _is_foreign(look)]
        if turn.get("role") == Raw(b'"user"'):
            in_loop = in_loop and all(look.type == "tool_result" for look in looks)
        if len(kept) == len(blocks):
            turns.append(raw)
            continue
        lost_in_loop = lost_in_loop or in_loop
        if kept:
            write_member(turn, "content", kept)
            turns.append(Raw(encode(turn)))
    write_member(members, "messages", turns[::-1])
    if lost_in_loop and "thinking" in members:
        turn_thinking_off(members)


def turn_thinking_off(members: dict[str, Raw]) -> None:
    """Have the upstream answer this one request without thinking."""
    write_member(members, "thinking", {"type": "disabled"})
    # Edits of thinking are refused where thinking is off.
    members.pop("context_management", None)


def _is_foreign(block: SignedBlock) -> bool:
    if block.type != "thinking":
        return False
    return not block.signature or is_own_signature(block.signature)
