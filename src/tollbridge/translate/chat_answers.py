"""Reading the answers of Chat upstreams, including the ways in which they bend the vocabulary.

What follows the types is decoded by them at full speed. Only what does not is decoded loosely,
mended by the habits of protocol notes B.7, and converted.
"""

from typing import TypeVar

import msgspec

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.chat_views import ChunkBody, CompletionBody, NamedChunk
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.failures import failure_from_event
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.chunks import ChunkChoice, ChunkDelta
from tollbridge.wire.chat.responses import Reply

T = TypeVar("T")

_chunks = msgspec.json.Decoder(ChunkBody)
_named_chunks = msgspec.json.Decoder(NamedChunk)
_completions = msgspec.json.Decoder(CompletionBody)


def read_chunk(data: bytes, unknown: UnknownNames | None = None) -> ChunkBody:
    """One chunk of a stream. `unknown` learns the deltas' members that are not known.

    Raises:
        GatewayError: the chunk is an error, or cannot be read.
    """
    try:
        chunk = _chunks.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        chunk = _mended(data, "delta", ChunkBody)
    choices = chunk.choices
    if choices is None and chunk.usage is None:
        _raise_error(data, chunk)
    if unknown is not None and choices:
        delta = choices[0].delta
        if delta is not None and not delta.content and _is_silent(choices[0], delta):
            _note_members(data, unknown)
    return chunk


def read_completion(body: bytes) -> CompletionBody:
    """A one-shot answer.

    Raises:
        GatewayError: the answer is an error in spite of its status, or cannot be read.
    """
    try:
        completion = _completions.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        completion = _mended(body, "message", CompletionBody)
    if not completion.choices:
        _raise_error(body, completion)
        raise _unreadable()
    return completion


def _is_silent(choice: ChunkChoice, delta: ChunkDelta) -> bool:
    """Whether a chunk says nothing that is understood: only those are worth a closer look."""
    said = delta.reasoning_content or delta.tool_calls or delta.reasoning or choice.finish_reason
    return not said and delta.role is None


def _note_members(data: bytes, unknown: UnknownNames) -> None:
    try:
        choices = _named_chunks.decode(data).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # typed decoding does not look into members that it does not know
    for choice in choices:
        for name in choice.delta:
            if name not in CHAT["delta"]:
                unknown.note("chat delta", name)


def reasoning_text(delta: ChunkDelta | Reply) -> str:
    """The reasoning in whichever member it is; a mirror of it in another is not read twice."""
    return delta.reasoning_content or delta.reasoning or ""


def _raise_error(data: bytes, answer: ChunkBody | CompletionBody) -> None:
    """Raise the error that the answer is, if it is one."""
    error = answer.error
    if isinstance(error, str):
        raise failure_from_event(None, error)
    if error is not None:
        raise failure_from_event(error.type, error.message, error.code)
    try:
        loose: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # typed decoding does not look into members that it does not know
    if isinstance(loose, dict) and isinstance(loose.get("message"), str):
        code = loose.get("code")
        kind = loose.get("type")
        raise failure_from_event(
            kind if isinstance(kind, str) else None,
            loose["message"],
            code if isinstance(code, str | int) else None,
        )


def _mended(data: bytes, member: str, form: type[T]) -> T:
    """The answer with the members that servers bend put straight.

    Raises:
        GatewayError: it is no JSON object, or bent in a way nobody has seen.
    """
    try:
        answer: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unreadable() from None
    if not isinstance(answer, dict):
        raise _unreadable()
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            message = choice.get(member)
            if isinstance(message, dict):
                _mend_message(message)
    try:
        return msgspec.convert(answer, form, strict=False)
    except msgspec.ValidationError:
        raise _unreadable() from None


def _mend_message(message: dict[str, object]) -> None:
    content = message.get("content")
    if isinstance(content, list):
        # Mistral: parts of text and of thinking.
        message["content"] = "".join(_part_text(part) for part in content)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            if isinstance(call.get("id"), int):
                call["id"] = str(call["id"])
            _mend_function(call.get("function"))
    _mend_function(message.get("function_call"))


def _mend_function(function: object) -> None:
    """Arguments as an object instead of its text."""
    if isinstance(function, dict):
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            function["arguments"] = msgspec.json.encode(arguments).decode()


def _part_text(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _unreadable() -> GatewayError:
    return GatewayError(
        ErrorCode.UPSTREAM_FAILED, "The model's server sent an answer that cannot be read."
    )
