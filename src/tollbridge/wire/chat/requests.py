"""A Chat Completions request (protocol notes B.2 and B.3).

Wide and tolerant like the Messages vocabulary: unknown members are ignored, schemas stay raw.
"""

from msgspec import UNSET, Raw, Struct, UnsetType


class ImageUrl(Struct, omit_defaults=True, kw_only=True):
    """An image by address or data URI."""

    url: str
    detail: str | None = None


class File(Struct, omit_defaults=True, kw_only=True):
    """A file by content or id."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(Struct, omit_defaults=True, kw_only=True):
    """A content part of any type; which members it has follows from `type`."""

    type: str
    text: str | None = None
    image_url: ImageUrl | None = None
    file: File | None = None
    refusal: str | None = None
    prompt_cache_breakpoint: Raw | UnsetType = UNSET


class FunctionCall(Struct, omit_defaults=True, kw_only=True):
    """A call's name and its arguments as JSON text."""

    name: str | None = None
    arguments: str | None = None


class CustomCall(Struct, omit_defaults=True, kw_only=True):
    """A call of a custom tool, whose input is free text."""

    name: str | None = None
    input: str | None = None


class ToolCall(Struct, omit_defaults=True, kw_only=True):
    """A call of the assistant. Upstreams leave out members; see protocol notes B.7."""

    id: str | None = None
    type: str | None = None
    index: int | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class ReasoningDetail(Struct, omit_defaults=True, kw_only=True):
    """Reasoning with what is needed to send it back (protocol notes B.7)."""

    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    summary: str | None = None
    id: str | None = None
    index: int | None = None
    format: str | None = None
    """Whose signature or data it is; OpenRouter's word for Claude's is `anthropic-claude-v1`."""


class ChatMessage(Struct, omit_defaults=True, kw_only=True):
    """One entry of `messages`. Roles: system, developer, user, assistant, tool, function."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    audio: Raw | UnsetType = UNSET
    prefix: bool | None = None
    partial: bool | None = None


class Function(Struct, omit_defaults=True, kw_only=True):
    """A function that the client offers."""

    name: str
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    strict: bool | None = None


class CustomTool(Struct, omit_defaults=True, kw_only=True):
    """A tool with free-text input."""

    name: str
    description: str | None = None
    format: Raw | UnsetType = UNSET


class ChatTool(Struct, omit_defaults=True, kw_only=True):
    """One entry of `tools`: a function or a custom tool."""

    type: str
    function: Function | None = None
    custom: CustomTool | None = None


class NamedTool(Struct, omit_defaults=True, kw_only=True):
    """A tool by name."""

    name: str


class AllowedTools(Struct, omit_defaults=True, kw_only=True):
    """The tools of which the model may choose."""

    mode: str
    tools: list["ToolChoiceObject"] = []


class ToolChoiceObject(Struct, omit_defaults=True, kw_only=True):
    """`tool_choice` when it is not a plain word."""

    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct, omit_defaults=True, kw_only=True):
    """A named schema that the answer must satisfy."""

    name: str
    description: str | None = None
    schema: Raw | UnsetType = UNSET
    strict: bool | None = None


class ResponseFormat(Struct, omit_defaults=True, kw_only=True):
    """`text`, `json_object` or `json_schema`."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, omit_defaults=True, kw_only=True):
    """What a stream brings besides the answer."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class ChatRequest(Struct, omit_defaults=True, kw_only=True):
    """The body of `POST /v1/chat/completions`.

    The members after `store` are other servers' switches (protocol notes B.7).
    """

    model: str
    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logit_bias: Raw | UnsetType = UNSET
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[ChatTool] | None = None
    tool_choice: str | ToolChoiceObject | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] | None = None
    function_call: str | NamedTool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    metadata: Raw | UnsetType = UNSET
    store: bool | None = None
    thinking: Raw | UnsetType = UNSET
    enable_thinking: bool | None = None
    thinking_budget: int | None = None
    chat_template_kwargs: Raw | UnsetType = UNSET
    reasoning: Raw | UnsetType = UNSET
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None
