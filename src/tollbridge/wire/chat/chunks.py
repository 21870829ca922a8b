"""Chunks of a Chat stream (protocol notes B.5)."""

from msgspec import UNSET, Struct, UnsetType

from tollbridge.wire.chat.requests import FunctionCall, ReasoningDetail, ToolCall
from tollbridge.wire.chat.responses import ChatError, ChatUsage


class ChunkDelta(Struct, omit_defaults=True, kw_only=True):
    """What a chunk adds to the message of its choice."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class ChunkChoice(Struct, kw_only=True):
    """One choice's delta. `usage` here is Kimi's habit (protocol notes B.7)."""

    index: int = 0
    delta: ChunkDelta | None = None
    finish_reason: str | None = None
    stop_reason: str | int | UnsetType | None = UNSET
    matched_stop: str | int | UnsetType | None = UNSET
    usage: ChatUsage | UnsetType | None = UNSET


class Chunk(Struct, omit_defaults=True, kw_only=True):
    """One `data:` of a stream."""

    id: str = ""
    object: str = ""
    created: int = 0
    model: str = ""
    choices: list[ChunkChoice] | None = None
    usage: ChatUsage | None = None
    error: ChatError | str | None = None
