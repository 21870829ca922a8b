"""Events of a Messages stream (protocol notes A.7).

One wide struct decodes every event; which members it has follows from `type`. An event type, block
type or delta type that is not known here decodes all the same and is left to the reader.
"""

from msgspec import UNSET, Raw, Struct, UnsetType

from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import ErrorDetail, StopDetails, Usage


class EventMessage(Struct, kw_only=True):
    """The message in `message_start`."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None


class Delta(Struct, omit_defaults=True, kw_only=True):
    """The delta of a content block or, in `message_delta`, of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Raw | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class Event(Struct, omit_defaults=True, kw_only=True):
    """One event."""

    type: str
    index: int = 0
    message: EventMessage | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: ErrorDetail | None = None
