"""Views of Chat bodies: what is read of them where they are not translated as a whole.

A decoder passes over what a view does not name, so each holds no more than its reader needs. The
whole of them is in `wire.chat`.
"""

from msgspec import Raw, Struct

from tollbridge.wire.chat.chunks import ChunkChoice
from tollbridge.wire.chat.responses import ChatError, ChatUsage, Choice


class PassingFunction(Struct, gc=False):
    """A function that is called in an answer that passes."""

    name: str | None = None
    arguments: str | None = None


class PassingCall(Struct, gc=False):
    """A call in an answer that passes."""

    function: PassingFunction | None = None


class PassingText(Struct, gc=False):
    """A message or a delta: what of it is output."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[PassingCall] | None = None


class PassingChoice(Struct, gc=False):
    """A choice of an answer that passes."""

    message: PassingText | None = None
    delta: PassingText | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None


class PassingCompletion(Struct, gc=False):
    """A completion or a chunk that passes."""

    model: str | None = None
    choices: list[PassingChoice] | None = None
    usage: ChatUsage | None = None
    error: ChatError | str | None = None


class ChunkBody(Struct):
    """A chunk without its envelope, which is the same in every chunk and means nothing here."""

    choices: list[ChunkChoice] | None = None
    usage: ChatUsage | None = None
    error: ChatError | str | None = None


class CompletionBody(Struct):
    """A completion without its envelope."""

    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    error: ChatError | str | None = None


class NamedDelta(Struct):
    """A choice of a chunk, as far as the names in its delta matter."""

    delta: dict[str, Raw] = {}


class NamedChunk(Struct):
    """A chunk, as far as the names in its deltas matter."""

    choices: list[NamedDelta] = []


class NamedChoices(Struct):
    """A completion or a chunk, as far as the names in its choices matter."""

    choices: list[dict[str, Raw]] | None = None
