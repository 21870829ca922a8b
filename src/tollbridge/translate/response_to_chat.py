"""A Messages answer as a Chat completion (protocol notes C.5, C.6, C.9.9)."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, UnsetType

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.content_to_messages import CLAUDE_FORMAT
from tollbridge.translate.counting import chat_usage
from tollbridge.translate.failures import failure_from_event
from tollbridge.translate.messages_views import Answer, FreeText
from tollbridge.translate.tables import STOP_TO_FINISH, UNKNOWN_FINISH
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.unknown_blocks import reduce_unknown_answer
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.requests import CustomCall, FunctionCall, ReasoningDetail, ToolCall
from tollbridge.wire.chat.responses import Choice, Completion, FinishReason, Reply
from tollbridge.wire.codec import decode_answer
from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import StopDetails

_answer_decoder = msgspec.json.Decoder(Answer)
_free_text_decoder = msgspec.json.Decoder(FreeText)


def read_answer(body: bytes) -> Answer:
    """Decode a one-shot answer.

    Raises:
        GatewayError: the upstream's own error, or UPSTREAM_FAILED if the body is no answer.
    """
    try:
        answer = decode_answer(body, _answer_decoder)
    except GatewayError:
        reduced = reduce_unknown_answer(body)
        if reduced is None:
            raise
        answer = decode_answer(reduced, _answer_decoder)
    if answer.error is not None:
        raise failure_from_event(answer.error.type, answer.error.message)
    if answer.content is None:
        raise GatewayError(ErrorCode.UPSTREAM_FAILED, "The upstream's answer has no content.")
    return answer


def completion(
    answer: Answer, usage: TokenUsage, ask: Ask, identity: Identity, plan: ToolPlan
) -> Completion:
    """The completion that says what the answer says.

    Blocks of tools that the upstream runs itself are no calls of the client's: they are left out.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    details: list[ReasoningDetail] = []
    calls: list[ToolCall] = []
    for block in answer.content or ():
        if block.type == "text":
            texts.append(block.text or "")
        elif block.type == "thinking":
            thoughts.append(block.thinking or "")
            if block.signature:
                details.append(signed_detail(block.thinking or "", block.signature, len(details)))
        elif block.type == "redacted_thinking":
            details.append(redacted_detail(block.data or "", len(details)))
        elif block.type == "tool_use":
            calls.append(tool_call(block, input_text(block.input), plan))
    reply = Reply(
        content="".join(texts) or None,
        refusal=explanation(answer.stop_reason, answer.stop_details),
        reasoning_content="".join(thoughts) or None,
        reasoning_details=details or None,
    )
    if calls and plan.legacy:
        reply.function_call = calls[0].function
    elif calls:
        reply.tool_calls = calls
    if reply == Reply():
        reply.content = ""
    choice = Choice(
        message=reply,
        finish_reason=finish_reason(answer.stop_reason, called=bool(calls), plan=plan),
    )
    return Completion(
        id=f"chatcmpl-{identity.message_id}",
        object="chat.completion",
        created=identity.created_s,
        model=ask.model,
        choices=[choice],
        usage=chat_usage(usage),
    )


def finish_reason(stop: str | None, *, called: bool, plan: ToolPlan) -> FinishReason:
    """The finish reason of an answer that is whole.

    Some servers call tools and say `end_turn`: a client that is told `stop` would not run them.
    """
    finish = UNKNOWN_FINISH
    for known, reason in STOP_TO_FINISH.items():
        if known == stop:
            finish = reason
    if called and finish == "stop":
        finish = "tool_calls"
    return "function_call" if finish == "tool_calls" and plan.legacy else finish


def explanation(stop: str | None, details: StopDetails | None) -> str | None:
    """Why the model refused, where it says so."""
    return details.explanation if stop == "refusal" and details is not None else None


def signed_detail(text: str, signature: str, index: int) -> ReasoningDetail:
    """A thinking block as a client has to send it back."""
    return ReasoningDetail(
        type="reasoning.text", text=text, signature=signature, index=index, format=CLAUDE_FORMAT
    )


def redacted_detail(data: str, index: int) -> ReasoningDetail:
    """A redacted thinking block as a client has to send it back."""
    return ReasoningDetail(type="reasoning.encrypted", data=data, index=index, format=CLAUDE_FORMAT)


def tool_call(block: Block, text: str, plan: ToolPlan) -> ToolCall:
    """A call with its whole input, `text` as JSON."""
    name = plan.client_name(block.name or "")
    if name in plan.custom:
        return ToolCall(
            id=block.id, type="custom", custom=CustomCall(name=name, input=_free_text(text))
        )
    return ToolCall(id=block.id, type="function", function=FunctionCall(name=name, arguments=text))


def input_text(raw: Raw | UnsetType) -> str:
    """A tool's input as `arguments`: its own bytes. A string is input that was cut, unquoted."""
    if isinstance(raw, UnsetType):
        return "{}"
    text = str(raw, "utf-8", "replace")
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text


def output_text(blocks: Sequence[Block]) -> str:
    """Everything of an answer that was generated, for counting."""
    return "".join(
        (block.text or block.thinking or "")
        + (input_text(block.input) if block.type == "tool_use" else "")
        for block in blocks
    )


def _free_text(text: str) -> str:
    try:
        return _free_text_decoder.decode(text).input
    except msgspec.DecodeError:
        return text
