"""A Messages client on a Chat upstream."""

import msgspec

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity, Reply, StreamBridge, UpstreamTerms
from tollbridge.translate.dialects import DIALECT_ROWS, dialect_of
from tollbridge.translate.request_to_chat import request_to_chat
from tollbridge.translate.response_to_messages import completion_to_message
from tollbridge.translate.stream_to_messages import Answer, StreamToMessages
from tollbridge.translate.tool_names import ToolNames
from tollbridge.translate.unknown_blocks import reduce_unknown_blocks
from tollbridge.wire.codec import decode, encode
from tollbridge.wire.messages.requests import MessagesRequest

_requests = msgspec.json.Decoder(MessagesRequest)
_GENERIC = DIALECT_ROWS["generic"]


class MessagesOnChat:
    """One exchange of this pair; a `bridge.Bridge`."""

    def __init__(self, ask: Ask, body: bytes, identity: Identity) -> None:
        """Decode the client's request.

        Raises:
            GatewayError: FIELD_MISSING, FIELD_INVALID or BODY_INVALID, naming the member.
        """
        self.dropped: tuple[str, ...] = ()
        self.pin_version: str | None = None
        self._ask = ask
        self._identity = identity
        self._request = _read(body)
        self._names = ToolNames(_GENERIC.tool_name_max)
        self._dialect = _GENERIC
        self._prefill = ""

    def request(self, terms: UpstreamTerms) -> bytes:
        """The Chat request for one target; the answer is read in that target's dialect.

        Raises:
            GatewayError: the request cannot be said to this upstream; the field is named.
        """
        try:
            translated = request_to_chat(self._request, terms, self._identity.seal_key)
        except RecursionError:
            raise _too_deep() from None
        self.dropped = translated.dropped
        self._names = translated.names
        self._prefill = translated.prefill
        self._dialect = dialect_of(terms.dialect)
        return encode(translated.request)

    def reply(self, body: bytes) -> Reply:
        """The completion as a message."""
        echoed = self._prefill if self._dialect.echoes_prefill else ""
        return completion_to_message(body, self._answer(), echoed)

    def stream(self) -> StreamBridge:
        """The state of a stream of chunks."""
        return StreamToMessages(self._answer())

    def _answer(self) -> Answer:
        thinking = self._request.thinking
        return Answer(
            model=self._ask.model,
            request_id=self._identity.request_id,
            message_id=self._identity.message_id,
            input_estimate=self._ask.input_estimate,
            names=self._names,
            thinking=self._ask.thinking,
            hidden=thinking is not None and thinking.display == "omitted",
            seal_key=self._identity.seal_key,
            stop_sequences=tuple(self._request.stop_sequences or ()),
            think_tags=self._dialect.think_tags,
        )


def _read(body: bytes) -> MessagesRequest:
    try:
        return decode(body, _requests)
    except GatewayError as error:
        in_messages = (error.field or "").startswith("messages[")
        try:
            reduced = reduce_unknown_blocks(body) if in_messages else None
        except RecursionError:
            raise _too_deep() from None
        if reduced is None:
            raise
        return decode(reduced, _requests)


def _too_deep() -> GatewayError:
    return GatewayError(ErrorCode.BODY_INVALID, "The request body is nested too deeply.")
