"""A Messages request (protocol notes A.3 to A.5).

The structs are wide and tolerant: unknown members are ignored, unknown block types decode like any
other. Members whose bytes matter (`input`, schemas, `cache_control`) stay raw, so that key order
and spelling survive.
"""

from msgspec import UNSET, Raw, Struct, UnsetType


class Source(Struct, omit_defaults=True, kw_only=True):
    """Where the bytes of an image or document are."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[Block] | None" = None


class Block(Struct, omit_defaults=True, kw_only=True):
    """A content block of any type; which members it has follows from `type`."""

    type: str
    text: str | None = None
    citations: Raw | UnsetType = UNSET
    cache_control: Raw | UnsetType = UNSET
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw | UnsetType = UNSET
    tool_use_id: str | None = None
    content: "str | list[Block] | Block | None" = None
    is_error: bool | None = None
    tool_name: str | None = None
    url: str | None = None


class Turn(Struct, omit_defaults=True, kw_only=True):
    """One entry of `messages`. Roles: user, assistant, system."""

    role: str
    content: str | list[Block]


class Tool(Struct, omit_defaults=True, kw_only=True):
    """One entry of `tools`. Toolsets and server tools have no `input_schema`, some no `name`."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw | UnsetType = UNSET
    strict: bool | None = None
    cache_control: Raw | UnsetType = UNSET


class ToolChoice(Struct, omit_defaults=True, kw_only=True):
    """`auto`, `any`, `tool` (with `name`) or `none`."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct, omit_defaults=True, kw_only=True):
    """`enabled`, `adaptive`, `between_tools` or `disabled`."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(Struct, omit_defaults=True, kw_only=True):
    """A JSON schema that the answer must satisfy."""

    type: str
    schema: Raw | UnsetType = UNSET


class OutputConfig(Struct, omit_defaults=True, kw_only=True):
    """How much to think, and the form of the answer."""

    effort: str | None = None
    format: OutputFormat | None = None


class Metadata(Struct, omit_defaults=True, kw_only=True):
    """Whom the request is for."""

    user_id: str | None = None


class MessagesRequest(Struct, omit_defaults=True, kw_only=True):
    """The body of `POST /v1/messages`."""

    model: str
    max_tokens: int
    messages: list[Turn]
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    service_tier: str | None = None
    compaction: Raw | UnsetType = UNSET
    thread: Raw | UnsetType = UNSET
    container: Raw | UnsetType = UNSET
    mcp_servers: Raw | UnsetType = UNSET
    fallbacks: Raw | UnsetType = UNSET
    billing_policy: Raw | UnsetType = UNSET
    diagnostics: Raw | UnsetType = UNSET
