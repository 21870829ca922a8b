"""The list is complete: whatever the official SDKs can say has its row.

The SDKs' types are walked, so that a new release with a new member fails here and names it.
"""

import inspect
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import pytest
from anthropic import types as ga
from anthropic.types import beta, message_create_params
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.shared import error_type
from openai.types import CompletionUsage, chat
from openai.types.chat import (
    chat_completion,
    chat_completion_chunk,
    chat_completion_message_param,
    completion_create_params,
)
from pydantic import BaseModel
from typing_extensions import get_type_hints

from tollbridge.translate.dispositions import CHAT, MESSAGES, Table
from tollbridge.translate.tables import (
    ERROR_WORDS,
    FINISH_TO_STOP,
    REASONS,
    STOP_TO_FINISH,
    TOOL_CHOICES,
)

DATE = re.compile(r"_\d{8}$")


def members(kind: Any) -> Iterator[Any]:
    """The alternatives of a union, however deep."""
    origin = get_origin(kind)
    if origin in (Annotated, Required, NotRequired):
        yield from members(get_args(kind)[0])
    elif (
        origin in (Union, types.UnionType)
        or (inspect.isclass(origin) and issubclass(origin, Iterator | list))
        or _is_iterable(origin)
    ):
        for inner in get_args(kind):
            yield from members(inner)
    else:
        yield kind


def _is_iterable(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "Iterable"


def literals(kind: Any) -> Iterator[str]:
    for member in members(kind):
        if get_origin(member) is Literal:
            yield from get_args(member)


def hints_of(kind: Any) -> dict[str, Any]:
    """The members of a pydantic model or of a typed dictionary, with their types."""
    if not inspect.isclass(kind) or get_origin(kind) is not None:
        return {}
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return get_type_hints(kind)


def words(kind: Any, member: str = "type") -> set[str]:
    """What discriminates the alternatives: plain words, and the literals of their `type`."""
    found = set(literals(kind))
    for alternative in members(kind):
        found |= set(literals(hints_of(alternative).get(member)))
    return found


def fields(*kinds: Any) -> set[str]:
    alternatives = [alternative for kind in kinds for alternative in members(kind)]
    return {name for alternative in alternatives for name in hints_of(alternative)}


def block_members(kind: Any) -> set[str]:
    """The members of the blocks that are translated block by block, and not as one text."""
    inner = {name for name in TRANSLATED_BLOCKS if name in words(kind)}
    return {
        name
        for block in members(kind)
        if inner & set(literals(hints_of(block).get("type")))
        for name in hints_of(block)
    }


TRANSLATED_BLOCKS = {
    "text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use",
    "tool_result", "tool_reference", "compaction", "server_tool_use", "mcp_tool_use",
}  # fmt: skip


def undated(names: set[str]) -> set[str]:
    return {DATE.sub("", name) for name in names}


def hint(kind: Any, member: str) -> Any:
    return hints_of(kind)[member]


def usage_fields() -> set[str]:
    found = set()
    for name, nested in hints_of(CompletionUsage).items():
        inner = fields(nested)
        found |= {f"{name}.{member}" for member in inner} or {name}
    return found


MESSAGES_SAID = {
    "request field": fields(
        message_create_params.MessageCreateParamsBase,
        message_create_params.MessageCreateParamsStreaming,
        beta_params.MessageCreateParamsBase,
    ),
    "role": words(ga.MessageParam, "role") | words(beta.BetaMessageParam, "role"),
    "content block": words(ga.ContentBlockParam)
    | words(beta.BetaContentBlockParam)
    | words(hint(ga.ToolResultBlockParam, "content"))
    | words(hint(beta.BetaToolResultBlockParam, "content")),
    "block member": block_members(ga.ContentBlockParam) | block_members(beta.BetaContentBlockParam),
    "tool kind": undated(words(ga.ToolUnionParam) | words(beta.BetaToolUnionParam)),
    "tool choice": words(ga.ToolChoiceParam) | words(beta.BetaToolChoiceParam),
    "thinking type": words(ga.ThinkingConfigParam) | words(beta.BetaThinkingConfigParam),
    "answer field": fields(ga.Message, beta.BetaMessage),
    "answer block": words(ga.ContentBlock) | words(beta.BetaContentBlock),
    "event": words(ga.RawMessageStreamEvent) | words(beta.BetaRawMessageStreamEvent),
    "delta": words(ga.RawContentBlockDelta) | words(beta.BetaRawContentBlockDelta),
    "stop reason": set(literals(ga.StopReason)) | set(literals(beta.BetaStopReason)),
    "usage field": fields(
        ga.Usage, beta.BetaUsage, ga.MessageDeltaUsage, beta.BetaMessageDeltaUsage
    ),
    "error type": set(literals(error_type.ErrorType)),
}
CHAT_SAID = {
    "request field": fields(
        completion_create_params.CompletionCreateParamsBase,
        completion_create_params.CompletionCreateParamsStreaming,
    ),
    "role": words(chat_completion_message_param.ChatCompletionMessageParam, "role"),
    "message field": fields(chat_completion_message_param.ChatCompletionMessageParam),
    "content part": words(chat.ChatCompletionContentPartParam)
    | words(hint(chat.ChatCompletionAssistantMessageParam, "content")),
    "part member": fields(
        chat.ChatCompletionContentPartParam,
        *members(hint(chat.ChatCompletionAssistantMessageParam, "content")),
    ),
    "tool kind": words(chat.ChatCompletionToolUnionParam),
    "tool choice": words(chat.ChatCompletionToolChoiceOptionParam),
    "answer field": fields(chat.ChatCompletion, chat.ChatCompletionChunk),
    "choice field": fields(chat_completion.Choice, chat_completion_chunk.Choice),
    "delta": fields(chat.ChatCompletionMessage, chat_completion_chunk.ChoiceDelta),
    "finish reason": set(literals(hint(chat_completion.Choice, "finish_reason"))),
    "usage field": usage_fields(),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_all_that_anthropics_sdk_can_say_has_its_row(kind: str):
    assert MESSAGES_SAID[kind], "the walk has lost its way"
    assert MESSAGES_SAID[kind] - set(MESSAGES[kind]) == set()


@pytest.mark.parametrize("kind", sorted(set(CHAT) - {"error type"}))
def test_all_that_openais_sdk_can_say_has_its_row(kind: str):
    assert CHAT_SAID[kind], "the walk has lost its way"
    assert CHAT_SAID[kind] - set(CHAT[kind]) == set()


def test_a_member_that_is_new_is_found():
    """The walk sees what stands in unions, literals and typed dictionaries."""
    assert {"text", "tool_use", "tool_result"} <= MESSAGES_SAID["content block"]
    assert {"tool_reference", "browser_state"} <= MESSAGES_SAID["content block"]
    assert {"role", "content", "tool_call_id"} <= CHAT_SAID["message field"]
    assert {"citations", "cache_control", "is_error"} <= MESSAGES_SAID["block member"]
    assert {"image_url", "prompt_cache_breakpoint"} <= CHAT_SAID["part member"]
    assert "prompt_tokens_details.cached_tokens" in CHAT_SAID["usage field"]
    assert {"auto", "none", "required", "function"} <= CHAT_SAID["tool choice"]


def test_words_of_errors_stand_in_one_of_the_lists():
    assert set(ERROR_WORDS) <= set(MESSAGES["error type"]) | set(CHAT["error type"])


def test_rows_that_are_exact_lose_nothing():
    ways = {row.stop: row.way for row in REASONS if row.way != ">"}
    for stop, finish in STOP_TO_FINISH.items():
        row = MESSAGES["stop reason"][stop]
        assert row.becomes.startswith(finish)
        assert (row.disposition == "exact") == (ways[stop] == "=")
    for finish in FINISH_TO_STOP:
        assert finish in CHAT["finish reason"]
    for choice in TOOL_CHOICES:
        assert MESSAGES["tool choice"][choice.messages].disposition == "exact"
        assert CHAT["tool choice"][choice.chat].disposition == "exact"


@pytest.mark.parametrize("table", [*MESSAGES.values(), *CHAT.values()])
def test_rows_say_what_becomes_of_what_is_not_lost(table: Table):
    for name, row in table.items():
        if row.disposition in ("exact", "approximated", "refused"):
            assert row.becomes not in ("", "-"), name
