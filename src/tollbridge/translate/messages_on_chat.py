"""A Messages client on a Chat upstream."""

import msgspec

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.bridge import (
    Ask,
    Bridge,
    GatheredAnswer,
    Identity,
    Reply,
    StreamBridge,
    UpstreamTerms,
)
from tollbridge.translate.counting import messages_usage
from tollbridge.translate.dialects import DIALECT_ROWS, dialect_of
from tollbridge.translate.request_to_chat import request_to_chat, stop_sequences
from tollbridge.translate.response_to_messages import GatheredMessage, completion_to_message
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.translate.tool_names import ToolNames
from tollbridge.translate.unknown_blocks import reduce_unknown_blocks
from tollbridge.translate.unknown_members import note_dropped, note_request
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.usage import TokenUsage
from tollbridge.wire.codec import decode, encode, reading_raw_members
from tollbridge.wire.messages.requests import MessagesRequest
from tollbridge.wire.messages.responses import Message

_requests = msgspec.json.Decoder(MessagesRequest)
_GENERIC = DIALECT_ROWS["generic"]


class MessagesOnChat(Bridge):
    """One exchange of this pair."""

    def __init__(self, ask: Ask, body: bytes, identity: Identity) -> None:
        """Decode the client's request.

        Raises:
            GatewayError: FIELD_MISSING, FIELD_INVALID or BODY_INVALID, naming the member.
        """
        self.unknown = UnknownNames()
        self._ask = ask
        self._identity = identity
        self._request = _read(body)
        note_request(body, self._request, identity, self.unknown)
        self._names = ToolNames(_GENERIC.tool_name_max)
        self._dialect = _GENERIC
        self._match_stops = False
        self._prefill = ""

    def local(self) -> Reply | None:
        """The empty answer of a request that only warms a cache, which is Anthropic's to do."""
        if self._ask.max_tokens != 0:
            return None
        if self._ask.stream:
            path = "max_tokens"
            raise GatewayError(
                ErrorCode.FIELD_INVALID, f"{path}: 0 cannot be streamed.", field=path
            )
        message = Message(
            id=f"msg_{self._identity.message_id}",
            model=self._ask.model,
            stop_reason="max_tokens",
            usage=messages_usage(TokenUsage()),
        )
        return Reply(encode(message), None, 0)

    def request(self, terms: UpstreamTerms) -> bytes:
        """The Chat request for one target; the answer is read in that target's dialect.

        Raises:
            GatewayError: the request cannot be said to this upstream; the field is named.
        """
        with reading_raw_members():
            translated = request_to_chat(self._request, terms, self._identity.seal_key)
        self.dropped = translated.dropped
        note_dropped(translated.dropped, self.unknown)
        self._names = translated.names
        self._match_stops = translated.match_stops
        self.gathers = bool(translated.request.stream) and not self._ask.stream
        self._prefill = translated.prefill
        self._dialect = dialect_of(terms.dialect, terms.overrides)
        return encode(translated.request)

    def reply(self, body: bytes) -> Reply:
        """The completion as a message."""
        echoed = self._prefill if self._dialect.echoes_prefill else ""
        return completion_to_message(body, self._answer(), echoed)

    def stream(self) -> StreamBridge:
        """The state of a stream of chunks."""
        return StreamToMessages(self._answer())

    def gather(self) -> GatheredAnswer:
        """The state of a stream that becomes one message."""
        return GatheredMessage(self._answer())

    def _answer(self) -> AnswerTerms:
        thinking = self._request.thinking
        return AnswerTerms(
            model=self._ask.model,
            request_id=self._identity.request_id,
            message_id=self._identity.message_id,
            input_estimate=self._ask.input_estimate,
            names=self._names,
            thinking=self._ask.thinking,
            hidden=thinking is not None and thinking.display == "omitted",
            seal_key=self._identity.seal_key,
            stop_sequences=tuple(stop_sequences(self._request)),
            match_stops=self._match_stops,
            think_tags=self._dialect.think_tags,
            unknown=self.unknown,
        )


def _read(body: bytes) -> MessagesRequest:
    try:
        return decode(body, _requests)
    except GatewayError as error:
        in_messages = (error.field or "").startswith("messages[")
        with reading_raw_members():
            reduced = reduce_unknown_blocks(body) if in_messages else None
        if reduced is None:
            raise
        return decode(reduced, _requests)
