"""System messages between the turns of a Messages request that stays one.

Servers other than Anthropic's have endpoints for Messages whose chat templates refuse them. Where
the operator says so for a model, they are merged into `system` or become marked text of the turn
before (protocol notes C.9.1); all other bytes stay.
"""

import msgspec
from msgspec import Raw

from tollbridge.dialect_config import SystemMessages
from tollbridge.translate.content_to_chat import system_text
from tollbridge.translate.members import has_member, read_members, write_member
from tollbridge.translate.messages_views import RoleTurn
from tollbridge.wire.codec import decode, encode
from tollbridge.wire.messages.requests import Block
from tollbridge.wire.scan import contains

_raws = msgspec.json.Decoder(list[Raw])
_turns = msgspec.json.Decoder(RoleTurn)
_texts = msgspec.json.Decoder(str | list[Block])
_content = msgspec.json.Decoder(str | list[Raw])


def has_system_turns(body: bytes) -> bool:
    """Whether a body may hold such turns; a scan that costs next to nothing."""
    return contains(body, b'"system"')


def move_system_turns(members: dict[str, Raw], place: SystemMessages) -> None:
    """Take the system turns out of `messages`, unless they are to be kept.

    Raises:
        GatewayError: BODY_INVALID or FIELD_INVALID for turns that are no turns.
    """
    if place == "keep":
        return
    turns: list[Raw] = []
    leading: list[str] = []
    last_role = ""
    for raw in decode(bytes(members["messages"]), _raws):
        turn = decode(bytes(raw), _turns)
        if turn.role != "system":
            turns.append(raw)
            last_role = turn.role
            continue
        text = system_text(decode(bytes(turn.content), _texts))
        if place == "merge":
            leading.append(text)
            continue
        marked = f"<system-reminder>\n{text}\n</system-reminder>"
        before = read_members(turns.pop()) if last_role == "user" else {"role": Raw(b'"user"')}
        write_member(before, "content", [*_blocks(before, "content"), _block(marked)])
        turns.append(Raw(encode(before)))
        last_role = "user"
    if leading:
        write_member(members, "system", [*_blocks(members, "system"), *map(_block, leading)])
    write_member(members, "messages", turns)


def _blocks(members: dict[str, Raw], name: str) -> list[Raw]:
    """Content as blocks, whichever of its two forms it has."""
    content = decode(bytes(members[name]), _content) if has_member(members, name) else []
    return [_block(content)] if isinstance(content, str) else content


def _block(text: str) -> Raw:
    return Raw(encode({"type": "text", "text": text}))
