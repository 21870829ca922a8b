"""A Chat client on a Messages upstream."""

from tollbridge.translate.bridge import (
    SAMPLING_VERSION,
    Ask,
    Bridge,
    Identity,
    Reply,
    UpstreamTerms,
)
from tollbridge.translate.counting import count_text, usage_from_messages
from tollbridge.translate.kept_thinking import kept_of_blocks
from tollbridge.translate.paused_turns import PausedTurn, content_of
from tollbridge.translate.request_to_messages import request_to_messages
from tollbridge.translate.response_to_chat import completion, output_text, read_answer
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.unknown_members import note_inside
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.usage import TokenUsage
from tollbridge.wire.codec import encode, reading_raw_members
from tollbridge.wire.messages.requests import Block


class ChatOnMessages(Bridge):
    """Chat to Messages and back."""

    pin_version: str | None = SAMPLING_VERSION

    def __init__(self, ask: Ask, body: bytes, identity: Identity) -> None:
        self._ask = ask
        self._body = body
        self._identity = identity
        self._plan = ToolPlan()
        self._turn: PausedTurn | None = None
        self._said: list[Block] = []
        """What was said of a turn before its last pause."""
        self._stream: ChatStream | None = None
        self._resumed = False
        self.unknown = UnknownNames()
        note_inside("chat", body, identity, self.unknown)

    def request(self, terms: UpstreamTerms) -> bytes:
        """The client's request in Messages' words.

        Raises:
            GatewayError: a field that is malformed, or whose being ignored would be a lie.
        """
        with reading_raw_members():
            translated = request_to_messages(self._body, self._ask, terms, self.unknown)
        self._plan, self.dropped = translated.plan, translated.dropped
        self._turn = PausedTurn(translated.body) if translated.may_pause else None
        return translated.body

    def reply(self, body: bytes) -> Reply:
        """The upstream's answer as a completion.

        Raises:
            GatewayError: the upstream's own error, or UPSTREAM_FAILED if the body is no answer.
        """
        answer = read_answer(body)
        answer.content = [*self._said, *(answer.content or ())]
        output = output_text(answer.content)
        counted = count_text(len(output), len(output.encode()))
        usage = usage_from_messages(answer.usage) if answer.usage else None
        if self._turn is not None:
            usage = self._turn.total(usage)
            if self._turn.stops(answer.stop_reason, content_of(body)):
                self._said = answer.content
        told = usage or TokenUsage(input=self._ask.input_estimate, output=counted)
        said = completion(answer, told, self._ask, self._identity, self._plan)
        return Reply(encode(said), usage, counted, kept_of_blocks(answer.content))

    def resume(self) -> bytes | None:
        """What makes the upstream go on, if it paused while it used a tool of its own."""
        body = self._turn.resume() if self._turn is not None else None
        if body is not None and self._stream is not None:
            self._stream.resume()
            self._resumed = True
        return body

    def stream(self) -> ChatStream:
        """The state of a stream that begins now, or goes on."""
        if self._stream is None or not self._resumed:
            self._stream = ChatStream(
                self._ask, self._identity, self._plan, self.unknown, self._turn
            )
        self._resumed = False
        return self._stream
