"""A Chat completion, its usage and its errors (protocol notes B.4 and B.6)."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field

from tollbridge.wire.chat.requests import FunctionCall, ReasoningDetail, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptDetails(Struct, omit_defaults=True, kw_only=True):
    """A breakdown of `prompt_tokens`."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(Struct, omit_defaults=True, kw_only=True):
    """A breakdown of `completion_tokens`."""

    reasoning_tokens: int | None = None


class ChatUsage(Struct, omit_defaults=True, kw_only=True):
    """Token counts. `prompt_tokens` includes cached and cache-written tokens.

    The members after `total_tokens` are other servers' names for cached tokens (protocol notes
    B.7); they are read, never written.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Reply(Struct, omit_defaults=True, kw_only=True):
    """The assistant's message in a choice. `role` and `content` are always written."""

    role: str = field(default_factory=lambda: "assistant")
    content: str | None = field(default_factory=lambda: None)
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class Choice(Struct, kw_only=True):
    """One of `n` answers. `stop_reason` and `matched_stop` are vLLM's and SGLang's additions."""

    index: int = 0
    message: Reply
    finish_reason: str | None = None
    logprobs: Raw | UnsetType = UNSET
    stop_reason: str | int | UnsetType | None = UNSET
    matched_stop: str | int | UnsetType | None = UNSET


class ChatError(Struct, kw_only=True):
    """The `error` member; servers differ in the type of `code`."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class Completion(Struct, omit_defaults=True, kw_only=True):
    """The one-shot answer. `error` is there when a server answers 200 with an error inside."""

    id: str = ""
    object: str = ""
    created: int = 0
    model: str = ""
    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    error: ChatError | str | None = None
