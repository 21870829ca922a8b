"""A Messages stream as a Chat stream (protocol notes A.7, B.5, C.9).

The table `STEPS` says which event may come in which phase; one that is absent is a
broken protocol. Events and deltas of kinds that are not known are passed over.
"""

# ruff: noqa: SLF001  # the table of the steps stands behind the class whose they are

import enum
from collections.abc import Callable

import msgspec

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.counting import chat_usage, usage_from_messages
from tollbridge.translate.dispositions import MESSAGES
from tollbridge.translate.failures import failure_from_event
from tollbridge.translate.held import Held
from tollbridge.translate.kept_thinking import KeptThinking
from tollbridge.translate.messages_views import GrowthEvent
from tollbridge.translate.paused_turns import PausedTurn
from tollbridge.translate.relay import Relay
from tollbridge.translate.response_to_chat import (
    explanation,
    finish_reason,
    input_text,
    redacted_detail,
    signed_detail,
    tool_call,
)
from tollbridge.translate.text_frames import Taken
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.unknown_blocks import reduce_unknown_event
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.units import BLOCKS_MAX
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.requests import ReasoningDetail
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.events import Delta, Event
from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import ErrorDetail, Usage
from tollbridge.wire.sse import DONE, SSEDecoder, encode_data, parse_block


class Phase(enum.Enum):
    """How far the stream is."""

    __hash__ = object.__hash__  # that of `Enum` is written in Python, and a key is looked up often

    BEFORE = enum.auto()
    BODY = enum.auto()
    ENDING = enum.auto()
    """The stop reason has been told; only `message_stop` is still to come."""


MEMBERS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
"""The member of a delta that each kind of block grows by."""


class _OpenBlock:
    """A block that has been started."""

    __slots__ = ("block", "call", "kept", "member", "prefix", "signature", "silent", "suffix")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.member = MEMBERS.get(block.type, "")
        """The member of its deltas that is read; none in blocks that are no answer to the client,
        such as calls of tools that the upstream runs itself."""
        self.call = 0
        """Which of the client's calls this is, counted from 0."""
        self.prefix = b""
        """The bytes of a chunk before a fragment of this block; empty: they are not sent."""
        self.suffix = b""
        self.kept: list[str] | None = None
        """The fragments, where the whole is needed at the end."""
        self.silent = True
        """Whether no fragment has come."""
        self.signature = block.signature or ""


_event_decoder = msgspec.json.Decoder(Event)
_delta_decoder = msgspec.json.Decoder(GrowthEvent)
_TAIL = b'},"finish_reason":null}]}\n\n'


class ChatStream(Relay):
    """The state of one stream (implements `bridge.StreamBridge`)."""

    client: Protocol = "chat"
    __slots__ = (
        "_blocks", "_calls", "_details", "_growing", "_head", "_held", "_phase", "_plan",
        "_reported", "_role", "_stop_delta", "_thinking", "_turn", "_unknown",
    )  # fmt: skip

    def __init__(
        self,
        ask: Ask,
        identity: Identity,
        plan: ToolPlan,
        unknown: UnknownNames | None = None,
        turn: PausedTurn | None = None,
    ) -> None:
        super().__init__(ask, identity)
        self._plan = plan
        self._unknown = unknown or UnknownNames()
        self._held = Held()
        self._thinking = KeptThinking()
        """For clients that do not send `reasoning_details` back."""
        self._turn = turn
        """None: the upstream has nothing to pause for."""
        self._reported: TokenUsage | None = None
        """The usage of the answer under way; `usage` is that of the whole turn."""
        self._phase = Phase.BEFORE
        self._blocks: dict[int, _OpenBlock] = {}
        self._calls = 0
        self._details = 0
        self._growing: _OpenBlock | None = None
        """The block that the last fragment belongs to."""
        self._stop_delta = Delta()
        self._role = b'"role":"assistant",'
        """Goes into the first delta, whatever it is, and is empty from then on."""
        self._head = (
            b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,"model":%b,'
            b'"choices":[{"index":0,"delta":{'
            % (identity.message_id.encode(), identity.created_s, encode(ask.model))
        )

    def resume(self) -> None:
        """The upstream goes on with what it paused, in a stream of its own."""
        self._decoder = SSEDecoder()
        self._phase = Phase.BEFORE
        self._stop_delta = Delta()
        self._reported = None
        self.finished = False

    def _block(self, block: bytes) -> bytes:
        name, data = parse_block(block)
        if not data or data == DONE:
            return b""
        if self._turn is not None:
            self._turn.event(data)
            self._said = ""  # each has to be seen
        return self._take(name, data)

    def _take(self, name: str | None, data: bytes) -> bytes:
        """An event by its name, if it came with one, and its data."""
        try:
            if name == "content_block_delta" and self._phase is Phase.BODY:
                return self._delta(_delta_decoder.decode(data))
            event = _event_decoder.decode(data)
            if event.type == "content_block_delta" and self._phase is Phase.BODY:
                return self._delta(_delta_decoder.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            reduced = reduce_unknown_event(data)
            if reduced is None:
                return self._broken("an event that cannot be read")
            return self._take(None, reduced)
        if event.type == "content_block_start":
            self._held.count(len(data))
        step = STEPS.get((self._phase, event.type))
        if step is not None:
            return step(self, event)
        if event.type == "error":
            detail = event.error or ErrorDetail()
            return self.fail(failure_from_event(detail.type, detail.message))
        if event.type in ORDERED:
            return self._broken(f"a {event.type} event out of order")
        self._note("event", event.type)
        return b""

    def _note(self, kind: str, name: str) -> None:
        if name not in MESSAGES[kind]:
            self._unknown.note(f"messages {kind}", name)

    def _delta(self, event: GrowthEvent) -> bytes:
        delta = event.delta
        block = self._blocks.get(event.index)
        if block is None:
            return self._broken("a delta of a block that has not been started")
        text: str | None = getattr(delta, block.member) if block.member else None
        if text:
            return self._fragment(block, text)
        if delta.signature is not None:
            block.signature = self._held.add(delta.signature)
        elif text is None and block.member:
            self._note("delta", delta.type)
        return b""

    def _fragment(self, block: _OpenBlock, text: str) -> bytes:
        self._count(text)
        self._growing = block
        block.silent = False
        if block.kept is not None:
            block.kept.append(self._held.add(text))
        if not block.prefix:
            return b""
        if self._role:
            return self._chunk(block.prefix[len(self._head) :] + encode(text) + block.suffix)
        return block.prefix + encode(text) + block.suffix

    def _take_texts(self, data: bytes, at: int) -> Taken | None:
        taken = super()._take_texts(data, at)
        if taken is not None and self._growing is not None and self._growing.kept is not None:
            self._growing.kept.append(self._held.add(taken.text))
        return taken

    def _chunk(self, members: bytes) -> bytes:
        """A chunk with these members of the delta; the rest of the chunk may follow them."""
        role, self._role = self._role, b""
        return self._head + role + members

    def _begin(self, event: Event) -> bytes:
        self._phase = Phase.BODY
        if event.message is not None and event.message.usage is not None:
            self._note_usage(event.message.usage)
        return b""

    def _note_usage(self, usage: Usage) -> None:
        self._reported = usage_from_messages(usage, self._reported)
        self.usage = self._reported if self._turn is None else self._turn.total(self._reported)

    def _open(self, event: Event) -> bytes:
        started = event.content_block
        if started is None or len(self._blocks) == BLOCKS_MAX:
            return self._broken("a block that cannot be read")
        block = self._blocks[event.index] = _OpenBlock(started)
        if started.type == "text":
            self._set_frame(block, b'"content":', b"")
            return self._fragment(block, started.text) if started.text else b""
        if started.type == "thinking":
            block.kept = []
            self._set_frame(block, b'"reasoning_content":', b"")
            return self._fragment(block, started.thinking) if started.thinking else b""
        if started.type == "redacted_thinking":
            self._thinking.redact(self._held.add(started.data or ""))
            return self._detail(redacted_detail(started.data or "", self._details))
        if started.type == "tool_use":
            self._thinking.call(started.id or "")
            return self._open_call(block)
        self._note("answer block", started.type)
        return b""

    def _open_call(self, block: _OpenBlock) -> bytes:
        index = block.call = self._calls
        self._calls += 1
        started = block.block
        name = self._plan.client_name(started.name or "")
        if name in self._plan.custom:
            block.kept = []  # free text stands inside JSON: it is told when it is whole
            return b""
        null = b'"content":null,' if self._role else b""
        if self._plan.legacy:
            if index:
                return b""  # this client can be told of one call only
            self._set_frame(block, b'"function_call":{"arguments":', b"}")
            call = encode({"name": name, "arguments": ""})
            return self._chunk(b'%b"function_call":%b%b' % (null, call, _TAIL))
        self._set_frame(
            block, b'"tool_calls":[{"index":%d,"function":{"arguments":' % index, b"}}]"
        )
        return self._chunk(
            b'%b"tool_calls":[{"index":%d,"id":%b,"type":"function",'
            b'"function":{"name":%b,"arguments":""}}]%b'
            % (null, index, encode(started.id or ""), encode(name), _TAIL)
        )

    def _set_frame(self, block: _OpenBlock, before: bytes, after: bytes) -> None:
        block.prefix = self._head + before
        block.suffix = after + _TAIL

    def _stop(self, event: Event) -> bytes:
        block = self._blocks.pop(event.index, None)
        return self._close_block(block) if block is not None else b""

    def _close_block(self, block: _OpenBlock) -> bytes:
        text = "".join(block.kept or ())
        if block.block.type == "thinking" and block.signature:
            self._thinking.think(text)
            self._thinking.seal(block.signature)
            return self._detail(signed_detail(text, block.signature, self._details))
        if block.block.type != "tool_use":
            return b""
        if block.kept is not None:
            whole = text or input_text(block.block.input)
            call = tool_call(block.block, whole, self._plan)
            call.index = block.call
            return self._chunk(b'"tool_calls":%b%b' % (encode([call]), _TAIL))
        if block.silent:
            # No fragment came: the input is what the start said, or nothing.
            return self._fragment(block, input_text(block.block.input))
        return b""

    def _detail(self, detail: ReasoningDetail) -> bytes:
        self._details += 1
        return self._chunk(b'"reasoning_details":%b%b' % (encode([detail]), _TAIL))

    def _note_stop(self, event: Event) -> bytes:
        sent = b"".join(map(self._close_block, self._blocks.values()))
        self._blocks.clear()
        self._phase = Phase.ENDING
        if event.delta is not None and event.delta.stop_reason is not None:
            self._stop_delta = event.delta
        if event.usage is not None:
            self._note_usage(event.usage)
        return sent

    def _finish(self, _: Event) -> bytes:
        """The end, with usage: where a client asked for it, or in the last chunk with choices."""
        stop = self._stop_delta
        paused = self._turn is not None and self._turn.stops(stop.stop_reason)
        self.finished = True
        if paused:
            return b""
        self.kept = self._thinking.kept()
        reason = finish_reason(stop.stop_reason, called=self._calls > 0, plan=self._plan)
        refusal = explanation(stop.stop_reason, stop.stop_details)
        members = b""
        if refusal is not None:
            members = b'"refusal":%b' % encode(refusal)
        elif self._role:
            members = b'"content":""'
        usage = encode(
            chat_usage(
                self.usage or TokenUsage(input=self._ask.input_estimate, output=self.counted_output)
            )
        )
        last = self._chunk(b'%b},"finish_reason":"%b"}]' % (members, reason.encode()))
        if self._ask.include_usage:
            empty = self._head[: self._head.index(b'"choices":')]
            last += b'}\n\n%b"choices":[],"usage":%b}\n\n' % (empty, usage)
        else:
            last += b',"usage":%b}\n\n' % usage
        return last + encode_data(DONE)

    def _broken(self, what: str) -> bytes:
        return self.fail(GatewayError(ErrorCode.UPSTREAM_FAILED, f"The upstream sent {what}."))


STEPS: dict[tuple[Phase, str], Callable[[ChatStream, Event], bytes]] = {
    (Phase.BEFORE, "message_start"): ChatStream._begin,
    (Phase.BODY, "content_block_start"): ChatStream._open,
    (Phase.BODY, "content_block_stop"): ChatStream._stop,
    (Phase.BODY, "message_delta"): ChatStream._note_stop,
    (Phase.ENDING, "message_delta"): ChatStream._note_stop,
    (Phase.ENDING, "message_stop"): ChatStream._finish,
}
"""What to do with an event in a phase; a delta in the body goes its own, shorter way."""

ORDERED = frozenset(kind for _, kind in STEPS) | {"content_block_delta"}
"""Events that have a place; all others may come anywhere."""
