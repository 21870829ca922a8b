import pytest
from tests.unit.translate.chat_streams import (
    Json,
    assistant,
    bridged,
    chat_request,
    tool_result,
    tool_use,
    user,
)

from tollbridge.errors import ErrorCode, GatewayError

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"name": "t", "description": "d", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20260101", "name": "web_search"}


def test_litellm_30557_a_tool_is_its_name_description_and_schema():
    extras = {"type": "custom", "cache_control": {}, "defer_loading": True, "input_examples": [{}]}
    assert chat_request({"tools": [{**TOOL, **extras}]})["tools"] == [
        {"type": "function", "function": {"name": "t", "description": "d", "parameters": SCHEMA}}
    ]


def test_strict():
    sent = chat_request({"tools": [{**TOOL, "strict": True}]})
    assert sent["tools"][0]["function"]["strict"] is True


@pytest.mark.parametrize("bare", [{"name": "bare"}, {"name": "bare", "type": "custom"}])
def test_a_custom_tool_says_what_it_takes(bare: Json):
    with pytest.raises(GatewayError) as caught:
        chat_request({"tools": [TOOL, bare]})
    assert caught.value.code is ErrorCode.FIELD_MISSING
    assert caught.value.field == "tools[1].input_schema"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "t"}, {"type": "function", "function": {"name": "t"}}),
    ],
)
def test_choices(choice: Json, expected: object):
    assert chat_request({"tools": [TOOL], "tool_choice": choice})["tool_choice"] == expected


def test_no_choice_leaves_tools_out_unless_the_history_needs_them():
    body = {"tools": [TOOL], "tool_choice": {"type": "none"}}
    assert "tools" not in chat_request(body)
    turns = [user("a"), assistant(tool_use("c", "t")), user([tool_result("c")])]
    sent = chat_request({**body, "messages": turns})
    assert sent["tool_choice"] == "none"
    assert sent["tools"]


def test_one_call_at_a_time():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    sent, bridge = bridged({"tools": [TOOL], "tool_choice": choice}, "openai")
    assert sent["parallel_tool_calls"] is False
    assert bridge.dropped == ()
    sent, bridge = bridged({"tools": [TOOL], "tool_choice": choice}, "deepseek")
    assert "parallel_tool_calls" not in sent
    assert bridge.dropped == ("tool_choice.disable_parallel_tool_use",)


def test_tools_that_the_client_runs_come_with_their_schema():
    sent = chat_request({"tools": [{"type": "bash_20250124", "name": "bash"}]})
    assert "command" in sent["tools"][0]["function"]["parameters"]["properties"]


def test_tools_that_servers_run_are_dropped_and_named():
    toolset = {"type": "computer_toolset_20260801"}
    sent, bridge = bridged({"tools": [SEARCH, TOOL, toolset]})
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["t"]
    assert bridge.dropped == ("tools.web_search_20260101", "tools.computer_toolset_20260801")


@pytest.mark.parametrize(
    ("tools", "choice", "code"),
    [
        ([SEARCH, TOOL], {"type": "tool", "name": "web_search"}, ErrorCode.FIELD_UNSUPPORTED),
        ([SEARCH], {"type": "any"}, ErrorCode.FIELD_UNSUPPORTED),
        ([TOOL], {"type": "tool", "name": "other"}, ErrorCode.FIELD_INVALID),
        ([TOOL], {"type": "tool"}, ErrorCode.FIELD_INVALID),
        ([TOOL], {"type": "some"}, ErrorCode.FIELD_INVALID),
    ],
)
def test_choices_that_cannot_be_kept_are_refused(tools: list[Json], choice: Json, code: ErrorCode):
    with pytest.raises(GatewayError) as caught:
        chat_request({"tools": tools, "tool_choice": choice})
    assert caught.value.code is code


def test_a_tool_of_the_client_needs_a_name():
    with pytest.raises(GatewayError) as caught:
        chat_request({"tools": [TOOL, {"input_schema": SCHEMA}]})
    assert caught.value.field == "tools[1].name"


def test_free_claude_code_1307_long_names_are_shortened_everywhere_alike():
    name = "mcp__server__" + "x" * 100
    sent = chat_request({
        "tools": [{**TOOL, "name": name}],
        "tool_choice": {"type": "tool", "name": name},
        "messages": [user("a"), assistant(tool_use("c", name)), user([tool_result("c")])],
    })  # fmt: skip
    short = sent["tools"][0]["function"]["name"]
    assert len(short) == 64
    assert short == sent["tool_choice"]["function"]["name"]
    assert short == sent["messages"][1]["tool_calls"][0]["function"]["name"]


def test_where_a_choice_is_a_word_the_named_tool_is_the_only_one():
    body = {"tools": [TOOL, {**TOOL, "name": "u"}], "tool_choice": {"type": "tool", "name": "u"}}
    sent, _ = bridged(body, "llama.cpp")
    assert sent["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["u"]


@pytest.mark.parametrize("schema", ["none", [], 1, None])
def test_a_schema_is_an_object(schema: object):
    with pytest.raises(GatewayError) as caught:
        chat_request({"tools": [{**TOOL, "input_schema": schema}]})
    assert caught.value.field == "tools[0].input_schema"
