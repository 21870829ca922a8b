"""What is decoded of a request's body before a target is chosen, with the ranges it is held to."""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from tollbridge.wire.chat.fold import CHOICES_MAX

_Name = Annotated[str, Meta(min_length=1)]
_Some = Annotated[list[Raw], Meta(min_length=1)]
_UpToOne = Annotated[float, Meta(ge=0, le=1)]
_UpToTwo = Annotated[float, Meta(ge=0, le=2)]


class AskedThinking(Struct):
    """What a Messages client says of thinking."""

    type: str


class MessagesAskBody(Struct, kw_only=True):
    """A Messages request. The ranges are those of protocol notes A.3."""

    model: _Name
    max_tokens: Annotated[int, Meta(ge=0)]
    messages: _Some
    stream: bool | None = None
    temperature: _UpToOne | None = None
    top_p: _UpToOne | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    thinking: AskedThinking | None = None


class AskedStreamOptions(Struct):
    """What a Chat client says of its stream."""

    include_usage: bool | None = None


class ChatAskBody(Struct, kw_only=True):
    """A Chat request. The ranges are those of protocol notes B.2."""

    model: _Name
    messages: _Some
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    stream: bool | None = None
    stream_options: AskedStreamOptions | None = None
    temperature: _UpToTwo | None = None
    top_p: _UpToOne | None = None
    stop: str | list[str] | None = None


class CountAskBody(Struct, kw_only=True):
    """A `count_tokens` request."""

    model: _Name
    messages: _Some
