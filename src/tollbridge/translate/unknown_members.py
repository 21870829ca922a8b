"""What of requests and answers is not known: noted, not refused (protocol notes C.9.21).

Looking costs another pass over a body. So what is decoded anyway is always looked at, and members
at the top of short requests; the rest, which is what stands inside of known blocks, long bodies
and bytes that pass untouched, in one exchange of `SAMPLE`.
"""

import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw

from tollbridge.config import Protocol
from tollbridge.translate.bridge import Identity
from tollbridge.translate.chat_views import NamedChoices
from tollbridge.translate.dispositions import CHAT, MESSAGES, Table
from tollbridge.translate.messages_views import NamedEvent
from tollbridge.translate.turn_views import Spoken, Turns
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.units import KIB
from tollbridge.wire.codec import decode
from tollbridge.wire.messages.requests import MessagesRequest

LOOK_BYTES_MAX = 64 * KIB
"""A longer body is not read a second time, unless its exchange is in the sample."""

SAMPLE = 64
_SAMPLED = ("00", "40", "80", "c0")
"""Ends of the random hexadecimal ids of one message in `SAMPLE`."""

EVENTS_MAX = 32
"""Events of one answer that are looked at."""

Members = dict[str, Raw]

_BLOCK = "messages.content."
_DATE = re.compile(r"_\d{8}$")
_NAMES = {"messages": MESSAGES, "chat": CHAT}


_members = msgspec.json.Decoder(Members)
_blocks = msgspec.json.Decoder(list[Members])
_spoken = msgspec.json.Decoder(Spoken)
_texts = msgspec.json.Decoder(str)
_turns = msgspec.json.Decoder(Turns)
_chat_answers = msgspec.json.Decoder(NamedChoices)
_events = msgspec.json.Decoder(NamedEvent)
_odd = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def is_sampled(identity: Identity) -> bool:
    """Whether this exchange is one of those that are looked at closely."""
    return identity.message_id.endswith(_SAMPLED)


def note_names(kind: str, table: Table, names: Iterable[str], unknown: UnknownNames) -> None:
    """Note the names that are not in the table; `kind` is what they are names of."""
    for name in names:
        if name and name not in table:
            unknown.note(kind, name)


def note_top(protocol: Protocol, body: bytes, identity: Identity, unknown: UnknownNames) -> None:
    """Note fields of a request whose members are not read anyway. It has been decoded before."""
    if len(body) <= LOOK_BYTES_MAX or is_sampled(identity):
        names = decode(body, _members)
        note_names(f"{protocol} request field", _NAMES[protocol]["request field"], names, unknown)


def note_inside(protocol: Protocol, body: bytes, identity: Identity, unknown: UnknownNames) -> None:
    """Note members of known blocks in a sampled request."""
    if not is_sampled(identity):
        return
    kind = "block member" if protocol == "messages" else "part member"
    types = MESSAGES["content block"] if protocol == "messages" else CHAT["content part"]
    try:
        for turn in _turns.decode(body).messages:
            for block in _blocks_of(turn):
                if _text(block.get("type")) in types:
                    note_names(f"{protocol} {kind}", _NAMES[protocol][kind], block, unknown)
    except _odd:
        return  # of another shape: the translation says so, if it minds


def note_request(
    body: bytes, request: MessagesRequest, identity: Identity, unknown: UnknownNames
) -> None:
    """Note what a Messages request has that is to be translated. `body` has been decoded before."""
    note_top("messages", body, identity, unknown)
    note_inside("messages", body, identity, unknown)
    for tool in request.tools or ():
        kind = _DATE.sub("", tool.type or "custom")
        if kind not in MESSAGES["tool kind"]:
            unknown.note("messages tool kind", kind)


def note_dropped(dropped: Iterable[str], unknown: UnknownNames) -> None:
    """Note those of the dropped blocks that nobody knows; the translation has met them all."""
    for name in dropped:
        kind = name.removeprefix(_BLOCK)
        if kind != name and kind not in MESSAGES["content block"]:
            unknown.note("messages content block", kind)


def note_chat_answer(data: bytes, unknown: UnknownNames) -> None:
    """Note the members of a completion or a chunk, of its choices and of what they say."""
    try:
        names, choices = _members.decode(data), _chat_answers.decode(data).choices
        note_names("chat answer field", CHAT["answer field"], names, unknown)
        for choice in choices or ():
            note_names("chat choice field", CHAT["choice field"], choice, unknown)
            for member in ("delta", "message"):
                said = _members.decode(choice[member]) if member in choice else ()
                note_names("chat delta", CHAT["delta"], said, unknown)
    except _odd:
        return  # not of the usual shape; what passes is not our business


def note_messages_answer(body: bytes, unknown: UnknownNames) -> None:
    """Note the members of a message and the types of its blocks."""
    try:
        names = _members.decode(body)
        note_names("messages answer field", MESSAGES["answer field"], names, unknown)
        for block in _blocks_of(_spoken.decode(body)):
            _note_type("answer block", block, unknown)
    except _odd:
        return


def note_messages_event(data: bytes, unknown: UnknownNames) -> None:
    """Note the type of an event, of its block or delta, and the members of its usage."""
    try:
        event = _events.decode(data)
    except _odd:
        return
    note_names("messages event", MESSAGES["event"], [event.type], unknown)
    if event.content_block is not None:
        _note_type("answer block", event.content_block, unknown)
    if event.delta is not None and event.type == "content_block_delta":
        _note_type("delta", event.delta, unknown)
    note_names("messages usage field", MESSAGES["usage field"], event.usage or (), unknown)


def _blocks_of(said: Spoken) -> list[Members]:
    """The content, where it is a list and not a text."""
    return _blocks.decode(said.content) if bytes(said.content).startswith(b"[") else []


def _note_type(kind: str, value: Members, unknown: UnknownNames) -> None:
    note_names(f"messages {kind}", MESSAGES[kind], [_text(value.get("type"))], unknown)


def _text(raw: Raw | None) -> str:
    try:
        return "" if raw is None else _texts.decode(raw)
    except _odd:
        return ""
