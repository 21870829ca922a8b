"""Thinking that a client was not shown, kept for the turn in which the upstream needs it back.

A turn that called tools must come back with its thinking in front (protocol notes A.4, C.9.9 b). A
Messages client that did not ask for thinking never had it, and many Chat clients do not send
`reasoning_details` back. So it is kept by the id of the turn's first tool call, and put into the
next request as if the client had sent it. Nothing else in this package knows the difference.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Raw

from tollbridge.config import Protocol
from tollbridge.translate.bridge import Kept
from tollbridge.translate.content_to_messages import CLAUDE_FORMAT
from tollbridge.translate.members import has_member, read_members, write_member
from tollbridge.translate.messages_views import ThoughtBlock
from tollbridge.translate.turn_views import Turn
from tollbridge.wire.chat.requests import ReasoningDetail
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.requests import Block

TURNS_MAX = 256
"""Turns without their thinking that are looked for in one request; the latest matter most."""


class KeptThinking:
    """Collects the thinking and the tool calls of one answer, however they arrive."""

    __slots__ = ("_blocks", "_call_id", "_open")

    def __init__(self) -> None:
        self._blocks: list[dict[str, str]] = []
        self._open: list[str] = []
        self._call_id = ""

    def think(self, text: str) -> None:
        """More of a thought."""
        self._open.append(text)

    def seal(self, signature: str = "") -> None:
        """The thought is whole."""
        text = "".join(self._open)
        self._open.clear()
        if text or signature:
            block = {"type": "thinking", "thinking": text, "signature": signature}
            self._blocks.append(block)

    def redact(self, data: str) -> None:
        """A thought that only its maker can read."""
        self.seal()
        self._blocks.append({"type": "redacted_thinking", "data": data})

    def call(self, call_id: str) -> None:
        """A tool was called."""
        self._call_id = self._call_id or call_id

    def kept(self) -> Kept | None:
        """What the next request needs; None if there was no thinking, or no call."""
        self.seal()
        return Kept(self._call_id, encode(self._blocks)) if self._blocks and self._call_id else None


def kept_of_blocks(content: Iterable[Block]) -> Kept | None:
    """The same of an answer that came whole."""
    thinking = KeptThinking()
    for block in content:
        if block.type == "thinking":
            thinking.think(block.thinking or "")
            thinking.seal(block.signature or "")
        elif block.type == "redacted_thinking":
            thinking.redact(block.data or "")
        elif block.type == "tool_use":
            thinking.call(block.id or "")
    return thinking.kept()


_raws = msgspec.json.Decoder(list[Raw])
_turns = msgspec.json.Decoder(Turn)
_blocks = msgspec.json.Decoder(list[ThoughtBlock])
_MARKS: dict[Protocol, bytes] = {"messages": b'"tool_use"', "chat": b'"tool_calls"'}


def lacking_thinking(protocol: Protocol, body: bytes) -> tuple[str, ...]:
    """The ids of calls whose turns came back without thinking: the first call of each turn."""
    if _MARKS[protocol] not in body:
        return ()
    return tuple(call_id for _, _, call_id in _lacking(protocol, _messages(body)))[-TURNS_MAX:]


def with_thinking(protocol: Protocol, body: bytes, kept: Mapping[str, bytes]) -> bytes:
    """The body as a client would have sent it that keeps the thinking of its turns.

    `kept` has the blocks of `Kept` by call id; turns that are not in it stay as they are.
    """
    members = read_members(body)
    messages = _messages(body)
    for index, turn, call_id in list(_lacking(protocol, messages)):
        blocks = kept.get(call_id)
        if blocks is None:
            continue
        changed = read_members(messages[index])
        if protocol == "messages":
            write_member(changed, "content", [*_raws.decode(blocks), *_raws.decode(turn.content)])
        else:
            write_member(changed, "reasoning_details", _details(blocks))
        messages[index] = Raw(encode(changed))
    write_member(members, "messages", messages)
    return encode(members)


def _messages(body: bytes) -> list[Raw]:
    """The turns; none in a body that the translation will refuse anyway."""
    try:
        members = read_members(body)
        return _raws.decode(members["messages"]) if has_member(members, "messages") else []
    except msgspec.DecodeError:
        return []


def _lacking(protocol: Protocol, messages: list[Raw]) -> Iterator[tuple[int, Turn, str]]:
    """Place, turn and first call of each assistant turn that has calls and no thinking."""
    for index, raw in enumerate(messages):
        if _MARKS[protocol] not in bytes(raw):
            continue
        try:
            turn = _turns.decode(raw)
            call_id = _call_of(protocol, turn) if turn.role == "assistant" else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if call_id:
            yield index, turn, call_id


def _call_of(protocol: Protocol, turn: Turn) -> str | None:
    if protocol == "chat":
        there = turn.reasoning_details not in (Raw(b"null"), Raw(b"[]"))
        return None if there or not turn.tool_calls else turn.tool_calls[0].id
    blocks = _blocks.decode(turn.content)
    if any(block.type in ("thinking", "redacted_thinking") for block in blocks):
        return None
    return next((block.id for block in blocks if block.type == "tool_use"), None)


def _details(blocks: bytes) -> list[ReasoningDetail]:
    details = []
    for index, block in enumerate(_blocks.decode(blocks)):
        detail = ReasoningDetail(type="reasoning.text", index=index, format=CLAUDE_FORMAT)
        if block.type == "redacted_thinking":
            detail.type, detail.data = "reasoning.encrypted", block.data
        else:
            detail.text, detail.signature = block.thinking, block.signature
        details.append(detail)
    return details
