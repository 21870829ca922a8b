"""A Chat completion as a Messages answer: the stream's translation, run on one large chunk.

So that an answer is the same streamed and unstreamed, it is not written twice.
"""

from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.bridge import Reply
from tollbridge.translate.chat_answers import read_completion
from tollbridge.translate.chat_views import ChunkBody, CompletionBody
from tollbridge.translate.message_collector import MessageCollector
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.wire.chat.chunks import ChunkChoice, ChunkDelta
from tollbridge.wire.chat.responses import Choice
from tollbridge.wire.codec import encode


class GatheredMessage(StreamToMessages):
    """A stream that becomes one message (implements `bridge.GatheredAnswer`)."""

    def __init__(self, answer: AnswerTerms) -> None:
        self._collector = MessageCollector()
        super().__init__(answer, self._collector)

    def reply(self) -> Reply:
        """The message, once the stream has finished."""
        message = encode(self._collector.message)
        return Reply(message, self.usage, self.counted_output, self.kept)


def completion_to_message(body: bytes, answer: AnswerTerms, echoed: str = "") -> Reply:
    """Translate a one-shot answer.

    `echoed` is a text of the client's that the server may repeat before what is new.

    Raises:
        GatewayError: the body is no answer, an error in disguise, or says that the upstream gave
            up.
    """
    stream = GatheredMessage(answer)
    stream.take_chunk(_as_chunk(read_completion(body), echoed))
    stream.close()
    if stream.failure is not None:
        raise stream.failure
    return stream.reply()


def _as_chunk(completion: CompletionBody, echoed: str) -> ChunkBody:
    choices = [_as_chunk_choice(choice, echoed) for choice in completion.choices or ()]
    return ChunkBody(choices=choices, usage=completion.usage)


def _as_chunk_choice(choice: Choice, echoed: str) -> ChunkChoice:
    message = choice.message
    for index, call in enumerate(message.tool_calls or ()):
        call.index = index
    delta = ChunkDelta(
        content=message.content.removeprefix(echoed) if message.content else None,
        refusal=message.refusal,
        tool_calls=message.tool_calls,
        function_call=message.function_call,
        reasoning_content=message.reasoning_content,
        reasoning=message.reasoning,
        reasoning_details=message.reasoning_details,
    )
    # A one-shot answer that came whole has ended, whether or not the server says why.
    return ChunkChoice(
        index=choice.index,
        delta=delta,
        finish_reason=choice.finish_reason or "stop",
        stop_reason=choice.stop_reason,
        matched_stop=choice.matched_stop,
    )
