"""Every enumeration the two vocabularies share, both directions side by side.

Each table is one block of rows: the Chat word, the Messages word, and the way in which the row may
be read. `=` reads both ways; `>` reads only from Chat to Messages and `<` only back, which marks
the row as lossy. Nothing has a default: a word that is not in a table is named as unknown by the
code that meets it.
"""

from typing import Literal, NamedTuple

from tollbridge.errors import ErrorCode
from tollbridge.wire.chat.responses import FinishReason
from tollbridge.wire.messages.responses import StopReason

Way = Literal["=", ">", "<"]


class ReasonRow(NamedTuple):
    """Chat's `finish_reason` next to Messages' `stop_reason` (protocol notes C.5)."""

    finish: FinishReason
    stop: StopReason
    way: Way


REASONS = (
    ReasonRow("stop", "end_turn", "="),
    ReasonRow("stop", "stop_sequence", "<"),  # Chat does not say which string matched
    ReasonRow("stop", "compaction", "<"),
    ReasonRow("length", "max_tokens", "="),
    ReasonRow("length", "model_context_window_exceeded", "<"),
    ReasonRow("length", "pause_turn", "<"),  # not whole; see `paused_turns`
    ReasonRow("tool_calls", "tool_use", "="),
    ReasonRow("function_call", "tool_use", ">"),  # the deprecated spelling of tool_calls
    ReasonRow("content_filter", "refusal", "="),
)

FINISH_TO_STOP: dict[FinishReason, StopReason] = {
    row.finish: row.stop for row in REASONS if row.way != "<"
}
STOP_TO_FINISH: dict[StopReason, FinishReason] = {
    row.stop: row.finish for row in REASONS if row.way != ">"
}

ODD_FINISHES: dict[str, FinishReason | ErrorCode] = {
    # Words of OpenAI-compatible servers (protocol notes B.7). A word that says that the server
    # gave up is a failure: told as a clean stop it would look like a whole answer.
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "repetition": "stop",  # vLLM: the output repeats itself and was ended
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "sensitive": "content_filter",  # GLM
    "safety": "content_filter",
    "refusal": "content_filter",
    "abort": ErrorCode.UPSTREAM_TRUNCATED,  # vLLM, SGLang: the request was aborted
    "insufficient_system_resource": ErrorCode.UPSTREAM_OVERLOADED,  # DeepSeek
    "network_error": ErrorCode.UPSTREAM_FAILED,  # GLM: the inference failed
    "error": ErrorCode.UPSTREAM_FAILED,  # OpenRouter, vLLM
}

UNKNOWN_FINISH: FinishReason = "stop"
"""A word in neither table: the server said that it finished, and not why."""


class ChoiceRow(NamedTuple):
    """Chat's `tool_choice` word next to Messages' `tool_choice.type`.

    A named tool has a shape of its own on both sides and is written out where it is translated.
    """

    chat: Literal["auto", "required", "none"]
    messages: Literal["auto", "any", "none"]


TOOL_CHOICES = (
    ChoiceRow("auto", "auto"),
    ChoiceRow("required", "any"),
    ChoiceRow("none", "none"),
)
CHOICE_TO_MESSAGES: dict[str, str] = {row.chat: row.messages for row in TOOL_CHOICES}
CHOICE_TO_CHAT: dict[str, str] = {row.messages: row.chat for row in TOOL_CHOICES}

Effort = Literal["low", "medium", "high", "xhigh", "max"]
"""Messages' `output_config.effort`."""


class EffortRow(NamedTuple):
    """Chat's `reasoning_effort`, Messages' effort (None: thinking is off), a thinking budget."""

    chat: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    messages: Effort | None
    budget: int
    """Tokens, for models that take `thinking.budget_tokens` only."""
    way: Way


EFFORTS = (
    EffortRow("none", None, 0, "="),
    EffortRow("minimal", "low", 1_024, ">"),
    EffortRow("low", "low", 1_024, "="),
    EffortRow("medium", "medium", 4_096, "="),
    EffortRow("high", "high", 16_384, "="),
    EffortRow("xhigh", "xhigh", 32_768, "="),
    EffortRow("max", "max", 65_536, "="),
)
EFFORT_TO_MESSAGES: dict[str, Effort | None] = {row.chat: row.messages for row in EFFORTS}
EFFORT_TO_CHAT: dict[str, str] = {
    row.messages: row.chat for row in EFFORTS if row.messages is not None and row.way == "="
}
EFFORT_TO_BUDGET: dict[str, int] = {row.chat: row.budget for row in EFFORTS}


def effort_of_budget(budget_tokens: int) -> Effort:
    """The effort that a thinking budget amounts to (protocol notes C.1)."""
    if budget_tokens < 4_096:
        return "low"
    return "medium" if budget_tokens < 16_384 else "high"


class ImageRow(NamedTuple):
    """An image format both sides take, and how its base64 begins."""

    media_type: str
    base64_magic: str


IMAGES = (
    ImageRow("image/jpeg", "/9j/"),
    ImageRow("image/png", "iVBORw0KGg"),
    ImageRow("image/gif", "R0lGOD"),
    ImageRow("image/webp", "UklGR"),
)
IMAGE_MEDIA_TYPES = frozenset(row.media_type for row in IMAGES)
PDF_BASE64_MAGIC = "JVBERi0"


def image_media_type(data: str, declared: str) -> str:
    """What base64 data is by its first bytes; the declared type is often wrong."""
    for row in IMAGES:
        if data.startswith(row.base64_magic):
            return row.media_type
    return declared


ERROR_WORDS: dict[str, ErrorCode] = {
    # `error.type` or `error.code` of either vocabulary, as an upstream says it (protocol notes A.8,
    # B.6), towards what the gateway's client is told (C.7). The key that an upstream refuses is the
    # operator's, so it is never the client's 401.
    "invalid_request_error": ErrorCode.UPSTREAM_REFUSED,
    "BadRequestError": ErrorCode.UPSTREAM_REFUSED,
    "request_too_large": ErrorCode.BODY_TOO_LARGE,
    "authentication_error": ErrorCode.UPSTREAM_CREDENTIAL,
    "invalid_api_key": ErrorCode.UPSTREAM_CREDENTIAL,
    "permission_error": ErrorCode.UPSTREAM_CREDENTIAL,
    "billing_error": ErrorCode.UPSTREAM_QUOTA,
    "insufficient_quota": ErrorCode.UPSTREAM_QUOTA,
    "exceeded_current_quota_error": ErrorCode.UPSTREAM_QUOTA,  # Kimi
    "not_found_error": ErrorCode.UPSTREAM_MODEL_MISSING,
    "model_not_found": ErrorCode.UPSTREAM_MODEL_MISSING,
    "invalid_function_parameters": ErrorCode.SCHEMA_REFUSED,
    "context_length_exceeded": ErrorCode.CONTEXT_OVERFLOW,
    "exceed_context_size_error": ErrorCode.CONTEXT_OVERFLOW,  # llama.cpp
    "rate_limit_error": ErrorCode.UPSTREAM_RATE_LIMITED,
    "rate_limit_exceeded": ErrorCode.UPSTREAM_RATE_LIMITED,
    "overloaded_error": ErrorCode.UPSTREAM_OVERLOADED,
    "engine_overloaded_error": ErrorCode.UPSTREAM_OVERLOADED,  # Kimi
    "timeout_error": ErrorCode.UPSTREAM_TIMEOUT,
    "api_error": ErrorCode.UPSTREAM_FAILED,
    "server_error": ErrorCode.UPSTREAM_FAILED,
}

ERROR_STATUSES: dict[int, ErrorCode] = {
    401: ErrorCode.UPSTREAM_CREDENTIAL,
    402: ErrorCode.UPSTREAM_QUOTA,
    403: ErrorCode.UPSTREAM_CREDENTIAL,
    404: ErrorCode.UPSTREAM_MODEL_MISSING,
    408: ErrorCode.UPSTREAM_TIMEOUT,
    413: ErrorCode.BODY_TOO_LARGE,
    429: ErrorCode.UPSTREAM_RATE_LIMITED,
    503: ErrorCode.UPSTREAM_OVERLOADED,
    504: ErrorCode.UPSTREAM_TIMEOUT,
    529: ErrorCode.UPSTREAM_OVERLOADED,
}
"""Statuses with a meaning of their own; the rest are UPSTREAM_REFUSED (4xx) or UPSTREAM_FAILED."""
