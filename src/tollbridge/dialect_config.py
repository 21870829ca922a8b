"""What an operator may say of one server that does something otherwise than its dialect."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

SystemMessages = Literal["keep", "merge", "user"]
"""Where a system message in the middle of a conversation goes: it keeps its place, is merged into
the first one, or becomes marked text of the user turn before it."""

ThinkingForm = Literal[
    "effort", "thinking", "enable_thinking", "chat_template_kwargs", "reasoning", "none"
]
"""The member by which a server is told how much to think (protocol notes B.7)."""


class DialectOverrides(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What one server does otherwise than its dialect's row; what is not set stays as it is.

    The members are those of `translate.dialects.Dialect`, in the words of the configuration.
    """

    limit_field: Literal["max_tokens", "max_completion_tokens"] | UnsetType = UNSET
    thinking: ThinkingForm | UnsetType = UNSET
    reasoning_field: (
        Literal["reasoning_content", "reasoning", "reasoning_details", "none"] | UnsetType
    ) = UNSET
    reasoning_turns: Literal["always", "tool turns", "never"] | UnsetType = UNSET
    system_messages: SystemMessages | UnsetType = UNSET
    prefill: Literal["none", "bare", "continue_final", "partial"] | UnsetType = UNSET
    schema: Literal["plain", "grammar", "bare"] | UnsetType = UNSET
    says_stop: bool | UnsetType = UNSET
    echoes_prefill: bool | UnsetType = UNSET
    tool_name_max: Annotated[int, msgspec.Meta(ge=16)] | UnsetType = UNSET
    stream_options: bool | UnsetType = UNSET
    cancels_answers: bool | UnsetType = UNSET
    continuous_usage: bool | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    named_tool_choice: bool | UnsetType = UNSET
    top_k: bool | UnsetType = UNSET
    json_schema: bool | UnsetType = UNSET
    safety_identifier: bool | UnsetType = UNSET
    prompt_cache_key: bool | UnsetType = UNSET
    think_tags: bool | UnsetType = UNSET
    count_path: str | UnsetType = UNSET
    files: bool | UnsetType = UNSET
