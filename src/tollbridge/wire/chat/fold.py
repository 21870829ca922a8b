"""The one-shot completion that a stream of chunks adds up to (protocol notes B.5)."""

from collections.abc import Iterable
from copy import copy

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import TOOL_CALLS_MAX
from tollbridge.wire.chat.chunks import Chunk, ChunkChoice, ChunkDelta
from tollbridge.wire.chat.requests import (
    CustomCall,
    FunctionCall,
    ReasoningDetail,
    ToolCall,
)
from tollbridge.wire.chat.responses import Choice, Completion, Reply

CHOICES_MAX = 128
"""OpenAI's own limit of `n`."""


def fold(chunks: Iterable[Chunk]) -> Completion:
    """Add up the chunks of one stream. The chunks are not changed.

    Raises:
        GatewayError: UPSTREAM_FAILED for an `error` chunk and for more choices or tool calls than
            the limits, UPSTREAM_TRUNCATED if a choice, or everything, has no finish reason.
    """
    completion = Completion(object="chat.completion")
    choices: dict[int, _OpenChoice] = {}
    for chunk in chunks:
        if chunk.error is not None:
            text = chunk.error if isinstance(chunk.error, str) else chunk.error.message
            raise GatewayError(ErrorCode.UPSTREAM_FAILED, text or "The upstream reported an error.")
        completion.id = completion.id or chunk.id
        completion.created = completion.created or chunk.created
        completion.model = completion.model or chunk.model
        completion.usage = chunk.usage or completion.usage
        for choice in chunk.choices or ():
            if choice.index not in choices:
                _check_limit(len(choices), CHOICES_MAX, "choices")
                choices[choice.index] = _OpenChoice()
            choices[choice.index].add(choice)
            completion.usage = choice.usage or completion.usage
    if not choices or any(choice.finish_reason is None for choice in choices.values()):
        raise GatewayError(ErrorCode.UPSTREAM_TRUNCATED, "The upstream's answer was cut short.")
    completion.choices = [choices[index].closed(index) for index in sorted(choices)]
    return completion


class _OpenCall:
    """A tool call whose arguments are still coming."""

    __slots__ = ("arguments", "custom", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.custom = False
        self.arguments: list[str] = []

    def add(self, call: ToolCall) -> None:
        self.id = self.id or call.id or ""
        if call.custom:
            self.custom = True
            self.name = self.name or call.custom.name or ""
            self.arguments.append(call.custom.input or "")
        if call.function:
            self.name = self.name or call.function.name or ""
            self.arguments.append(call.function.arguments or "")

    def closed(self) -> ToolCall:
        text = "".join(self.arguments)
        if self.custom:
            return ToolCall(
                id=self.id, type="custom", custom=CustomCall(name=self.name, input=text)
            )
        return ToolCall(
            id=self.id, type="function", function=FunctionCall(name=self.name, arguments=text)
        )


class _OpenChoice:
    """A choice whose deltas are still coming."""

    __slots__ = ("calls", "details", "finish_reason", "function", "last_call", "texts")

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.texts: dict[str, list[str]] = {}
        self.calls: dict[int, _OpenCall] = {}
        self.last_call = -1
        self.function: _OpenCall | None = None
        self.details: list[ReasoningDetail] = []

    def add(self, choice: ChunkChoice) -> None:
        self.finish_reason = choice.finish_reason or self.finish_reason
        delta = choice.delta
        if delta is None:
            return
        for name in ("content", "refusal", "reasoning_content", "reasoning"):
            text: str | None = getattr(delta, name)
            if text is not None:
                self.texts.setdefault(name, []).append(text)
        for call in delta.tool_calls or ():
            # Servers that leave out the index mean the call that is under way, or a new one by
            # sending a new id.
            index = call.index
            if index is None:
                index = self.last_call + 1 if call.id or not self.calls else self.last_call
            if index not in self.calls:
                _check_limit(len(self.calls), TOOL_CALLS_MAX, "tool calls")
                self.calls[index] = _OpenCall()
            self.calls[index].add(call)
            self.last_call = index
        if delta.function_call:
            self.function = self.function or _OpenCall()
            self.function.add(ToolCall(function=delta.function_call))
        self._add_details(delta)

    def _add_details(self, delta: ChunkDelta) -> None:
        for detail in delta.reasoning_details or ():
            for known in reversed(self.details):
                if (known.index, known.type) == (detail.index, detail.type):
                    known.text = _joined(known.text, detail.text)
                    known.summary = _joined(known.summary, detail.summary)
                    known.data = _joined(known.data, detail.data)
                    known.signature = detail.signature or known.signature
                    break
            else:
                _check_limit(len(self.details), TOOL_CALLS_MAX, "pieces of reasoning")
                self.details.append(copy(detail))

    def closed(self, index: int) -> Choice:
        texts = {name: "".join(pieces) for name, pieces in self.texts.items()}
        reply = Reply(
            content=texts.get("content"),
            refusal=texts.get("refusal"),
            reasoning_content=texts.get("reasoning_content"),
            reasoning=texts.get("reasoning"),
            reasoning_details=self.details or None,
            tool_calls=[self.calls[n].closed() for n in sorted(self.calls)] or None,
            function_call=self.function.closed().function if self.function else None,
        )
        return Choice(index=index, message=reply, finish_reason=self.finish_reason)


def _joined(before: str | None, after: str | None) -> str | None:
    return after if before is None else before + (after or "")


def _check_limit(count: int, limit: int, what: str) -> None:
    if count >= limit:
        raise GatewayError(
            ErrorCode.UPSTREAM_FAILED, f"The upstream sent more than {limit} {what}."
        )
