import json
from typing import Any

import pytest

from tollbridge.upstream.demo.request import InvalidRequestError, read
from tollbridge.upstream.demo.rules import check

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "done"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def checked(**fields: Any) -> None:
    base = {"model": "m", "max_tokens": 9, "messages": [USER]}
    check(read(json.dumps({**base, **fields}).encode()))


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [USER, {"role": "system", "content": "reminder"}],
        [USER, USER],
        [USER, {"role": "assistant", "content": "The answer is ("}],
        [USER, assistant()],
        [USER, assistant(CALL), user(RESULT)],
        [USER, assistant(CALL), {"role": "system", "content": "x"}, user(RESULT)],
        [USER, assistant(CALL), user(RESULT), assistant(CALL), user(RESULT, USER | {"type": "x"})],
        [
            USER,
            assistant({"type": "text", "text": "a"}, CALL),
            assistant(CALL | {"id": "call_2"}),
            user(RESULT | {"tool_use_id": "call_2"}),
            user(RESULT),
        ],
        [USER, assistant({"type": "server_tool_use", "id": "s", "name": "web_search"}), USER],
    ],
)
def test_conversations_that_are_allowed(messages: list[Any]) -> None:
    checked(messages=messages)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "messages: at least one"),
        ([{"role": "system", "content": "x"}], "messages: at least one"),
        ([assistant()], "messages: first message must use"),
        ([{"role": "user", "content": ""}], "messages.0.content: all messages"),
        ([USER, assistant(), USER], "messages.1.content: all messages"),
        ([user({"type": "text", "text": ""})], "messages.0.content.0.text: text blocks"),
        ([USER, {"role": "assistant", "content": "so "}], "messages: final assistant"),
        ([USER, assistant(CALL), USER], "messages.1: `tool_use` ids were found without"),
        ([USER, assistant(CALL)], "messages.1: `tool_use` ids were found without"),
        (
            [USER, assistant(CALL), USER, assistant(), user(RESULT)],
            "messages.3.content: all messages",
        ),
        (
            [USER, assistant(CALL), USER, assistant({"type": "text", "text": "a"}), user(RESULT)],
            "messages.1: `tool_use` ids",
        ),
        ([user(RESULT)], "messages.0.content.0: unexpected `tool_use_id`"),
        ([user(CALL)], "messages.0.content.0: tool_use is for assistant"),
    ],
)
def test_conversations_that_are_refused(messages: list[Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        checked(messages=messages)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.input_schema.type: "),
        ({"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name: Field required"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.any: may only"),
        (
            {"tool_choice": {"type": "tool", "name": "g"}, "tools": [TOOL]},
            "tool_choice.name: Tool 'g' not found",
        ),
        ({"stop_sequences": ["a", " "]}, "stop_sequences.1: "),
        ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking.enabled.budget_tokens: "),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "max_tokens: must be greater"),
        ({"max_tokens": 0, "stream": True}, "max_tokens: 0 cannot be combined with stream"),
        (
            {
                "max_tokens": 2000,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "tool_choice": {"type": "any"},
                "tools": [TOOL],
            },
            "thinking: Thinking may not be enabled",
        ),
    ],
)
def test_fields_that_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        checked(**fields)
    assert str(caught.value).startswith(complaint)


def test_entries_without_a_name_or_a_schema_of_ours_are_allowed() -> None:
    checked(
        tools=[
            {"type": "mcp_toolset", "mcp_server_name": "x"},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "custom", "name": "f", "input_schema": {"type": "object"}},
        ],
        max_tokens=0,
    )
