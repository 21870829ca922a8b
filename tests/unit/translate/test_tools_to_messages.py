"""Chat's tools and their choice, as Messages has them."""

import json
from typing import Any

import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.tools_to_messages import ToolPlan, plan_tools
from tollbridge.wire.chat.requests import ChatRequest


def plan(**members: Any) -> ToolPlan:
    body = {"model": "m", "messages": [], **members}
    return plan_tools(msgspec.json.decode(json.dumps(body), type=ChatRequest))


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def function(name: str = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


EMPTY = {"type": "object", "properties": {}}


def test_functions() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    got = plan(tools=[function(description="d", parameters=schema, strict=True), function("g")])
    assert plain(got.tools) == [
        {"name": "f", "description": "d", "input_schema": schema, "strict": True},
        {"name": "g", "input_schema": EMPTY},
    ]
    assert got.choice is None


def test_custom_tools_take_one_text() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    got = plan(
        tools=[{"type": "custom", "custom": {"name": "p", "description": "d", "format": grammar}}]
    )
    tool = plain(got.tools)[0]
    assert tool["input_schema"]["required"] == ["input"]
    assert tool["description"].startswith("d\n")
    assert '"a+"' in tool["description"]
    assert got.custom == {"p"}


def test_legacy_functions_call_one_at_a_time() -> None:
    got = plan(functions=[{"name": "f"}], function_call={"name": "f"})
    assert got.legacy
    assert plain(got.tools) == [{"name": "f", "input_schema": EMPTY}]
    assert plain(got.choice) == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "g"}}, {"type": "tool", "name": "g"}),
    ],
)
def test_choices(choice: Any, expected: dict[str, Any]) -> None:
    tools = [function(), function("g")]
    assert plain(plan(tools=tools, tool_choice=choice).choice) == expected
    single = plain(plan(tools=tools, tool_choice=choice, parallel_tool_calls=False).choice)
    if expected["type"] == "none":
        assert single == expected
    else:
        assert single == {**expected, "disable_parallel_tool_use": True}


def test_one_call_at_a_time_needs_a_choice_to_say_it_in() -> None:
    assert plain(plan(tools=[function()], parallel_tool_calls=False).choice) == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }


def test_allowed_tools_are_the_only_ones() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    got = plan(
        tools=[function(), function("g")],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    )
    assert [tool.name for tool in got.tools] == ["g"]
    assert plain(got.choice) == {"type": "any"}


def test_a_choice_without_tools_is_nothing() -> None:
    assert plan(tool_choice="auto", parallel_tool_calls=False).choice is None


def test_names_that_messages_refuses_are_rewritten_and_restored() -> None:
    long = "mcp." + "x" * 200
    got = plan(tools=[function(long)], tool_choice={"type": "function", "function": {"name": long}})
    name = got.tools[0].name
    assert name is not None
    assert len(name) <= 128
    assert "." not in name
    assert got.choice is not None
    assert got.choice.name == name
    assert got.client_name(name) == long
    assert got.client_name("other") == "other"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [function()], "tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
        ),
        ({"functions": [{"name": "f"}], "function_call": {"name": "x"}}, "function_call"),
    ],
)
def test_what_makes_no_sense_is_refused(members: dict[str, Any], field: str) -> None:
    with pytest.raises(GatewayError) as caught:
        plan(**members)
    assert (caught.value.code, caught.value.field) == (ErrorCode.FIELD_INVALID, field)


def test_tools_of_unknown_kinds_are_named() -> None:
    got = plan(tools=[{"type": "web_search"}, function()])
    assert got.dropped == ["tools[0]"]
    assert [tool.name for tool in got.tools] == ["f"]
