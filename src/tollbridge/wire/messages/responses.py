"""A Messages answer, its usage and its errors (protocol notes A.6 and A.8)."""

from typing import Literal

from msgspec import Struct

from tollbridge.wire.messages.requests import Block

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
]


class OutputDetails(Struct, omit_defaults=True, kw_only=True):
    """A breakdown of `output_tokens`."""

    thinking_tokens: int | None = None


class Usage(Struct, omit_defaults=True, kw_only=True):
    """Token counts. The three input counts are disjoint; all totals are cumulative.

    Every member may be absent: `message_delta` brings only what changed.
    """

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class StopDetails(Struct, omit_defaults=True, kw_only=True):
    """Why a refusal was one."""

    type: str
    category: str | None = None
    explanation: str | None = None


class Message(Struct, kw_only=True):
    """The one-shot answer. Written with every member, as the API does."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: list[Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage


class ErrorDetail(Struct, kw_only=True):
    """What went wrong."""

    type: str = "api_error"
    message: str = ""


class ErrorBody(Struct, kw_only=True):
    """An error answer, also the data of an `error` event."""

    error: ErrorDetail
    type: str = "error"
    request_id: str | None = None
