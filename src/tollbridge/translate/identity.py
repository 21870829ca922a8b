"""Client and upstream speak the same protocol: bytes pass, the bridge only looks.

What it must change it changes member by member: the model's name, a limit above what is paid for,
and on Messages thinking that the client did not ask for.
"""

import msgspec
from msgspec import Raw

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import (
    SAMPLING_VERSION,
    Ask,
    Bridge,
    Identity,
    Kept,
    Reply,
    UpstreamTerms,
)
from tollbridge.translate.counting import count_text, usage_from_messages
from tollbridge.translate.dispositions import MESSAGES
from tollbridge.translate.failures import failure_from_event, scrub
from tollbridge.translate.foreign_thinking import (
    drop_foreign_thinking,
    has_foreign_thinking,
    turn_thinking_off,
)
from tollbridge.translate.kept_thinking import KeptThinking
from tollbridge.translate.members import (
    ModelMember,
    read_answer_members,
    read_members,
    write_member,
)
from tollbridge.translate.messages_views import (
    PassingAnswer,
    PassingDelta,
    PassingEvent,
    ThinkingBudget,
    ThoughtBlock,
)
from tollbridge.translate.relay import Relay
from tollbridge.translate.system_turns import has_system_turns, move_system_turns
from tollbridge.translate.unknown_members import (
    EVENTS_MAX,
    is_sampled,
    note_inside,
    note_messages_answer,
    note_messages_event,
    note_names,
    note_top,
)
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.codec import decode, decode_answer, encode
from tollbridge.wire.messages.responses import ErrorDetail
from tollbridge.wire.sse import BOUNDARY, encode_event, parse_block

HIDDEN = frozenset({"thinking", "redacted_thinking"})
"""Blocks that a client which did not ask for thinking does not get."""

THINKING_BUDGET_MIN = 1024
"""Below this Messages refuses a thinking budget (protocol notes A.3)."""


_thinking_decoder = msgspec.json.Decoder(ThinkingBudget | None)
_answer_decoder = msgspec.json.Decoder(PassingAnswer)
_raws_decoder = msgspec.json.Decoder(list[Raw])


class MessagesIdentity(Bridge):
    """Messages to Messages."""

    def __init__(self, ask: Ask, body: bytes, identity: Identity) -> None:
        self.unknown = UnknownNames()
        self.pin_version = SAMPLING_VERSION if ask.sampling else None
        self._ask = ask
        self._body = body
        self._identity = identity

    def request(self, terms: UpstreamTerms) -> bytes:
        """The client's body; `model`, `max_tokens` and what is told of thinking may change."""
        asked = self._ask.max_tokens
        capped = asked is not None and asked > terms.max_tokens
        foreign = terms.dialect == "anthropic" and has_foreign_thinking(self._body)
        lost = terms.avoid is ErrorCode.THINKING_LOST
        place = terms.system_messages
        moved = place is not None and place != "keep" and has_system_turns(self._body)
        note_inside("messages", self._body, self._identity, self.unknown)
        if terms.model == self._ask.model and not (capped or foreign or lost or moved):
            if is_sampled(self._identity):
                note_top("messages", self._body, self._identity, self.unknown)
            return self._body
        members = read_members(self._body)
        note_names("messages request field", MESSAGES["request field"], members, self.unknown)
        if foreign:
            drop_foreign_thinking(members)
        write_member(members, "model", terms.model)
        if capped:
            write_member(members, "max_tokens", terms.max_tokens)
            _cap_thinking(members, terms.max_tokens)
        if lost:
            turn_thinking_off(members)
        if moved and place is not None:
            move_system_turns(members, place)
        return encode(members)

    def reply(self, body: bytes) -> Reply:
        """The upstream's body with the client's model name, without thinking nobody asked for."""
        answer = decode_answer(body, _answer_decoder)
        if answer.error is not None:
            raise failure_from_event(answer.error.type, answer.error.message)
        if is_sampled(self._identity):
            note_messages_answer(body, self.unknown)
        if answer.content is None:
            raise GatewayError(ErrorCode.UPSTREAM_FAILED, "The upstream's answer has no content.")
        output = "".join(
            piece.text or piece.thinking or str(piece.input, "utf-8", "replace")
            for piece in answer.content
        )
        hidden = not self._ask.thinking and any(piece.type in HIDDEN for piece in answer.content)
        kept: Kept | None = None
        if hidden or answer.model != self._ask.model:
            members = read_answer_members(body)
            write_member(members, "model", self._ask.model)
            if hidden:
                blocks = _raws_decoder.decode(members["content"])
                pairs = list(zip(blocks, answer.content, strict=True))
                shown = [block for block, piece in pairs if piece.type not in HIDDEN]
                write_member(members, "content", shown)
                called = next(
                    (piece.id for piece in answer.content if piece.type == "tool_use"), None
                )
                if called:
                    thoughts = [block for block, piece in pairs if piece.type in HIDDEN]
                    kept = Kept(called, encode(thoughts))
            body = encode(members)
        usage = usage_from_messages(answer.usage) if answer.usage else None
        return Reply(body, usage, count_text(len(output), len(output.encode())), kept)

    def stream(self) -> "MessagesRelay":
        """The state of a stream that begins now."""
        return MessagesRelay(self._ask, self._identity, self.unknown)


def _cap_thinking(members: dict[str, Raw], max_tokens: int) -> None:
    """Messages refuses a thinking budget that is not below `max_tokens`."""
    if "thinking" not in members:
        return
    thinking = decode(bytes(members["thinking"]), _thinking_decoder)
    if thinking is None or thinking.type != "enabled" or thinking.budget_tokens < max_tokens:
        return
    if max_tokens > THINKING_BUDGET_MIN:
        changed = read_members(members["thinking"])
        write_member(changed, "budget_tokens", max_tokens - 1)
        write_member(members, "thinking", changed)
    else:
        write_member(members, "thinking", {"type": "disabled"})


_event_decoder = msgspec.json.Decoder(PassingEvent)


class MessagesRelay(Relay):
    """A Messages stream on its way to a Messages client."""

    client: Protocol = "messages"
    __slots__ = ("_hidden", "_hiding", "_looks", "_thinking", "_unknown")

    def __init__(self, ask: Ask, identity: Identity, unknown: UnknownNames | None = None) -> None:
        super().__init__(ask, identity)
        self._unknown = unknown or UnknownNames()
        self._looks = EVENTS_MAX if is_sampled(identity) else 0
        """Events that are still to be looked at closely."""
        self._hidden = 0
        """Blocks left out so far: the indices of those that follow are lower by so many."""
        self._hiding = -1
        """The index of the last block left out."""
        self._thinking = KeptThinking()
        """What was left out, for the next request."""

    def _block(self, block: bytes) -> bytes:
        name, data = parse_block(block)
        if not data:
            # A comment keeps the connection alive; an event without data breaks decoders.
            return block + BOUNDARY if block.startswith(b":") else b""
        if self._looks:
            self._looks -= 1
            note_messages_event(data, self._unknown)
        try:
            event = _event_decoder.decode(data)
        except msgspec.ValidationError:
            # An event of a kind that is not known yet, or `[DONE]` of a server that mixes up the
            # protocols.
            return block + BOUNDARY if data.startswith(b"{") else b""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return b""  # not JSON
        delta = event.delta
        if delta is not None:
            text = delta.text or delta.partial_json or delta.thinking
            if text:
                self._count(text)
        if event.type != "content_block_delta" or self._hidden:
            changed = self._changed(event, data)
            if changed is not None:
                return changed
        if name is None:
            return encode_event(event.type, data)  # SDKs drop events without a name
        return block + BOUNDARY

    def _changed(self, event: PassingEvent, data: bytes) -> bytes | None:
        """What becomes of an event that is more than text; None: it passes as it is."""
        kind = event.type
        if kind.startswith("content_block_"):
            return self._without_hidden(event, data)
        if event.usage is not None:
            self.usage = usage_from_messages(event.usage, self.usage)
        if kind == "message_start" and event.message is not None:
            if event.message.usage is not None:
                self.usage = usage_from_messages(event.message.usage, self.usage)
            if event.message.model != self._ask.model:
                return encode_event(kind, ModelMember(self._ask.model).put(data))
        elif kind == "message_stop":
            self.finished = True
            self.kept = self._thinking.kept()
        elif kind == "error":
            detail = event.error or ErrorDetail()
            failure = failure_from_event(detail.type, detail.message)
            if scrub(detail.message) != detail.message:
                return self.fail(failure)
            self.failure = failure
        return None

    def _without_hidden(self, event: PassingEvent, data: bytes) -> bytes | None:
        block = event.content_block
        if block is not None:
            if block.type in HIDDEN and not self._ask.thinking:
                self._hiding = event.index
                self._hidden += 1
            elif block.type == "tool_use":
                self._thinking.call(block.id or "")
        if not self._hidden:
            return None
        if event.index == self._hiding:
            self._keep(block, event.delta)
            return b""
        members = read_answer_members(data)
        write_member(members, "index", event.index - self._hidden)
        return encode_event(event.type, encode(members))

    def _keep(self, block: ThoughtBlock | None, delta: PassingDelta | None) -> None:
        """Remember what is left out of the stream."""
        if block is not None and block.type == "redacted_thinking":
            self._thinking.redact(block.data)
        elif block is not None:
            self._thinking.think(block.thinking)
            if block.signature:
                self._thinking.seal(block.signature)
        elif delta is not None and delta.thinking:
            self._thinking.think(delta.thinking)
        elif delta is not None and delta.signature:
            self._thinking.seal(delta.signature)
