"""Views of Messages bodies: what is read of them where they are not translated as a whole.

A decoder passes over what a view does not name, so each holds no more than its reader needs. The
whole of them is in `wire.messages`.
"""

from msgspec import Raw, Struct

from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import ErrorDetail, StopDetails, Usage


class PassingPiece(Struct):
    """A block of an answer that passes."""

    type: str = ""
    id: str | None = None
    text: str | None = None
    thinking: str | None = None
    input: Raw = Raw(b"")


class PassingAnswer(Struct):
    """An answer that passes."""

    type: str
    model: str = ""
    content: list[PassingPiece] | None = None
    usage: Usage | None = None
    error: ErrorDetail | None = None


class PassingDelta(Struct, gc=False):
    """A delta of a stream that passes."""

    signature: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class PassingStart(Struct, gc=False):
    """The message that a stream that passes begins with."""

    model: str = ""
    usage: Usage | None = None


class ThoughtBlock(Struct, gc=False):
    """A block, as far as thinking and the call that it belongs to matter."""

    type: str = ""
    id: str | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""


class PassingEvent(Struct, gc=False):
    """An event of a stream that passes."""

    type: str = ""
    index: int = 0
    delta: PassingDelta | None = None
    content_block: ThoughtBlock | None = None
    message: PassingStart | None = None
    usage: Usage | None = None
    error: ErrorDetail | None = None


class Growth(Struct, gc=False):
    """A delta, as far as a block grows by it."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    type: str = ""


class GrowthEvent(Struct, gc=False):
    """The event that comes a thousand times, with nothing but what is read of it."""

    index: int
    delta: Growth


class Answer(Struct, kw_only=True):
    """An answer that is translated; `error` where a server answers 200 with an error."""

    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage | None = None
    error: ErrorDetail | None = None


class FreeText(Struct):
    """The input of a tool that takes text instead of JSON."""

    input: str


class ThinkingBudget(Struct):
    """What a request says of thinking."""

    type: str
    budget_tokens: int = 0


class ThreadKind(Struct):
    """What a request says of its thread."""

    type: str = ""


class SignedBlock(Struct):
    """A block of a request, as far as it matters who signed it."""

    type: str = ""
    signature: str | None = None


class RoleTurn(Struct):
    """A turn of a request, as far as it matters whose it is."""

    role: str = ""
    content: Raw = Raw(b'""')


class NamedEvent(Struct):
    """An event, as far as the names in it matter."""

    type: str = ""
    content_block: dict[str, Raw] | None = None
    delta: dict[str, Raw] | None = None
    usage: dict[str, Raw] | None = None
