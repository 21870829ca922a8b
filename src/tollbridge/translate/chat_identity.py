"""Chat client, Chat upstream: bytes pass, the bridge only looks.

It changes the model's name, a limit above what is paid for, and makes the upstream report usage.
From a server that goes on when nobody waits it asks for a stream, and gathers the answer.
"""

import msgspec
from msgspec import Raw

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Bridge, Identity, Reply, UpstreamTerms
from tollbridge.translate.chat_views import PassingChoice, PassingCompletion, PassingText
from tollbridge.translate.counting import chat_usage, count_text, usage_from_chat
from tollbridge.translate.dialects import Dialect, dialect_of
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.failures import failure_from_event
from tollbridge.translate.gathered_completion import GatheredCompletion
from tollbridge.translate.members import (
    ModelMember,
    has_member,
    read_answer_members,
    read_members,
    write_member,
)
from tollbridge.translate.relay import Relay
from tollbridge.translate.unknown_members import (
    EVENTS_MAX,
    is_sampled,
    note_chat_answer,
    note_inside,
    note_names,
    note_top,
)
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.chunks import Chunk
from tollbridge.wire.chat.responses import ChatError
from tollbridge.wire.codec import decode_answer, encode
from tollbridge.wire.sse import BOUNDARY, DONE, encode_data, parse_block

LIMITS = ("max_completion_tokens", "max_tokens")
"""The two names of the output limit; whichever the client used is kept."""


_answer_decoder = msgspec.json.Decoder(PassingCompletion)


class ChatIdentity(Bridge):
    """Chat to Chat."""

    def __init__(self, ask: Ask, body: bytes, identity: Identity) -> None:
        self.unknown = UnknownNames()
        self._ask = ask
        self._body = body
        self._identity = identity

    def request(self, terms: UpstreamTerms) -> bytes:
        """The client's body; only `model`, the output limit and `stream_options` may change."""
        ask = self._ask
        capped = ask.max_tokens is None or ask.max_tokens > terms.max_tokens
        dialect = dialect_of(terms.dialect, terms.overrides)
        self.gathers = not (ask.stream or dialect.cancels_answers)
        streams = ask.stream or self.gathers
        silent = streams and not ask.include_usage and dialect.stream_options
        note_inside("chat", self._body, self._identity, self.unknown)
        if terms.model == ask.model and not capped and not silent and not self.gathers:
            if is_sampled(self._identity):
                note_top("chat", self._body, self._identity, self.unknown)
            return self._body
        members = read_members(self._body)
        note_names("chat request field", CHAT["request field"], members, self.unknown)
        write_member(members, "model", terms.model)
        if capped:
            _cap(members, max(terms.max_tokens // ask.choices, 1), dialect)
        if self.gathers:
            write_member(members, "stream", value=True)
        if silent:
            there = has_member(members, "stream_options")
            changed = read_members(members["stream_options"]) if there else {}
            write_member(changed, "include_usage", value=True)
            write_member(members, "stream_options", changed)
        return encode(members)

    def reply(self, body: bytes) -> Reply:
        """The upstream's body with the client's model name."""
        answer = decode_answer(body, _answer_decoder)
        if answer.error is not None:
            raise _failure(answer.error)
        if is_sampled(self._identity):
            note_chat_answer(body, self.unknown)
        if answer.choices is None:
            raise GatewayError(ErrorCode.UPSTREAM_FAILED, "The upstream's answer has no choices.")
        output = "".join(_output(choice.message) for choice in answer.choices if choice.message)
        if answer.model != self._ask.model:
            members = read_answer_members(body)
            write_member(members, "model", self._ask.model)
            body = encode(members)
        usage = usage_from_chat(answer.usage) if answer.usage else None
        return Reply(body, usage, count_text(len(output), len(output.encode())))

    def gather(self) -> GatheredCompletion:
        """The state of a stream that becomes one completion."""
        return GatheredCompletion(self._ask, self._identity)

    def stream(self) -> "ChatRelay":
        """The state of a stream that begins now."""
        return ChatRelay(self._ask, self._identity, self.unknown)


def _cap(members: dict[str, Raw], limit: int, dialect: Dialect) -> None:
    """Lower the limits that are there; give one to a request that has none."""
    there = [name for name in LIMITS if has_member(members, name)]
    for name in there:
        if msgspec.json.decode(members[name], type=int) > limit:
            write_member(members, name, limit)
    if not there:
        write_member(members, dialect.limit_field, limit)


def _failure(error: ChatError | str) -> GatewayError:
    if isinstance(error, str):
        return failure_from_event(None, error)
    return failure_from_event(error.type, error.message, error.code)


def _output(text: PassingText) -> str:
    """Everything of a message or a delta that was generated; mirrored reasoning only once."""
    said = text.content or ""
    reasoning = text.reasoning_content or text.reasoning
    if reasoning:
        said += reasoning
    if text.refusal:
        said += text.refusal
    for call in text.tool_calls or ():
        if call.function is not None:
            said += (call.function.name or "") + (call.function.arguments or "")
    return said


class ChatRelay(Relay):
    """A Chat stream on its way to a Chat client.

    A client that did not ask for usage gets it in the last chunk with choices, where a parser that
    trips over a chunk without choices finds it too: the chunk with the finish reason is held until
    the end.
    """

    client: Protocol = "chat"
    __slots__ = ("_finish_seen", "_held", "_looks", "_name", "_unknown")

    def __init__(self, ask: Ask, identity: Identity, unknown: UnknownNames | None = None) -> None:
        super().__init__(ask, identity)
        self._unknown = unknown or UnknownNames()
        self._looks = EVENTS_MAX if is_sampled(identity) else 0
        """Chunks that are still to be looked at closely."""
        self._name = ModelMember(ask.model)
        self._held = b""
        self._finish_seen = False

    def _block(self, block: bytes) -> bytes:
        _, data = parse_block(block)
        if not data:
            # A comment keeps the connection alive; an event without data breaks decoders.
            return block + BOUNDARY if block.startswith(b":") else b""
        if data.strip() == DONE:
            return self._finale()
        if self._looks:
            self._looks -= 1
            note_chat_answer(data, self._unknown)
        try:
            chunk = _answer_decoder.decode(data)
        except msgspec.ValidationError:
            return block + BOUNDARY  # a chunk of a shape that is not known yet
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return b""  # not JSON: a comment that some proxy made into data
        if chunk.error is not None:
            error = self.fail(_failure(chunk.error))
            return self._release() + error
        if chunk.choices is None:
            # Parsers of chunks do not survive `choices: null`, and some not its absence.
            chunk.choices = []
            members = read_answer_members(data)
            write_member(members, "choices", [])
            data = encode(members)
            block = b"data: " + data
        finish = self._look(chunk, chunk.choices)
        if chunk.model != self._ask.model and chunk.model is not None:
            data = self._name.put(data)
            block = b"data: " + data
        if self._ask.include_usage:
            return block + BOUNDARY
        if finish:
            sent = self._release()
            self._held = data
            return sent
        if not chunk.choices and chunk.usage is not None:
            return b""
        return self._release() + block + BOUNDARY if self._held else block + BOUNDARY

    def _look(self, chunk: PassingCompletion, choices: list[PassingChoice]) -> bool:
        """Note what the chunk tells; whether it ends a choice."""
        finish = False
        usage = chunk.usage
        for choice in choices:
            if choice.delta is not None:
                text = _output(choice.delta)
                if text:
                    self._count(text)
            if choice.finish_reason:
                finish = self._finish_seen = True
                self._said = ""  # it may be held, and what is told is another one
            if choice.usage is not None:
                usage = choice.usage
        if usage is not None:
            self.usage = usage_from_chat(usage)
        return finish

    def _release(self) -> bytes:
        held, self._held = self._held, b""
        return encode_data(held) if held else b""

    def _finale(self) -> bytes:
        """The end, with usage: reported, or else counted, so that there always is one."""
        self.finished = True
        usage = chat_usage(
            self.usage or TokenUsage(input=self._ask.input_estimate, output=self.counted_output)
        )
        if self._held:
            members = read_answer_members(self._held)
            if not has_member(members, "usage"):
                write_member(members, "usage", usage)
            return encode_data(encode(members)) + encode_data(DONE)
        if self.usage is not None and self._ask.include_usage:
            return encode_data(DONE)
        last = Chunk(
            id=f"chatcmpl-{self._identity.message_id}",
            object="chat.completion.chunk",
            created=self._identity.created_s,
            model=self._ask.model,
            choices=[],
            usage=usage,
        )
        return encode_data(encode(last)) + encode_data(DONE)

    def _end(self) -> bytes | None:
        return self._finale() if self._finish_seen else None
