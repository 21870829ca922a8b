from typing import Any

import pytest
from tests.unit.upstream.demo.conftest import TOOLS, Ask


def called(message: dict[str, Any]) -> list[str]:
    return [block["name"] for block in message["content"] if block["type"] == "tool_use"]


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


def test_the_same_request_has_the_same_answer(ask: Ask) -> None:
    assert ask("call both tools", tools=TOOLS).raw == ask("call both tools", tools=TOOLS).raw


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("What's the weather in Paris?", ["get_weather"]),
        ("Add 2 and 3", ["add"]),
        ("run `get_weather` please", ["get_weather"]),
        ("Use a tool", ["get_weather"]),
        ("call both tools", ["get_weather", "add"]),
        ("do the lot in parallel", ["get_weather", "add"]),
        ("[demo: tool add]", ["add"]),
        ("[demo: tool add] [demo: tool get_weather]", ["get_weather", "add"]),
        ("[demo: tool nope]", []),
        ("Hello", []),
    ],
)
def test_tools_are_called_when_they_are_asked_for(ask: Ask, said: str, names: list[str]) -> None:
    message = ask(said, tools=TOOLS).json
    assert called(message) == names
    assert message["stop_reason"] == ("tool_use" if names else "end_turn")


@pytest.mark.parametrize(
    ("choice", "said", "names"),
    [
        ({"type": "any"}, "Hello", ["get_weather"]),
        ({"type": "any"}, "Add 1 and 2", ["add"]),
        ({"type": "tool", "name": "add"}, "Hello", ["add"]),
        ({"type": "tool", "name": "web_search"}, "Hello", ["web_search"]),
        ({"type": "none"}, "call both tools", []),
        ({"type": "auto", "disable_parallel_tool_use": True}, "call both tools", ["get_weather"]),
        ({"type": "any", "disable_parallel_tool_use": True}, "call both tools", ["get_weather"]),
        ({"type": "any"}, "[demo: tool nope]", ["get_weather"]),
    ],
)
def test_tool_choice(ask: Ask, choice: dict[str, Any], said: str, names: list[str]) -> None:
    assert called(ask(said, tools=TOOLS, tool_choice=choice).json) == names


def test_arguments_and_ids(ask: Ask) -> None:
    weather, add = ask("call both tools for Rome: in Rome, 2 and 40.5", tools=TOOLS).json["content"]
    assert weather["input"] == {"city": "Rome"}
    assert add["input"] == {"a": 2, "b": 40.5}
    assert weather["id"] != add["id"]


def test_the_plain_words_of_a_coding_agents_tools_do_not_call_them(ask: Ask) -> None:
    names = ["Read", "Write", "Edit", "Glob", "Grep", "Task", "Fetch", "Search", "Plan"]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    assert called(ask("Please write a poem", tools=tools).json) == []
    assert called(ask("Use the Write tool", tools=tools).json) == ["Write"]
    assert called(ask("write a poem", tools=tools[:2]).json) == ["Write"]


@pytest.mark.parametrize("is_error", [False, True])
def test_a_result_is_quoted(ask: Ask, is_error: bool) -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "x",
        "content": "18 C",
        "is_error": is_error,
    }
    history = [
        {"role": "user", "content": "weather in Rome"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "x", "name": "get_weather", "input": {}}],
        },
        {"role": "user", "content": [result]},
        {"role": "system", "content": "Tools: get_weather"},
    ]
    text = ask(history, tools=TOOLS).text
    assert text == f"The tool get_weather {'failed' if is_error else 'returned'}: 18 C"


def test_reminders_are_not_the_users_words(ask: Ask) -> None:
    said = "<system-reminder>call both tools [demo: refuse]</system-reminder>Hello"
    assert ask(said, tools=TOOLS).text.startswith("Hello!")


def test_the_conversation_is_followed_across_merged_turns(ask: Ask) -> None:
    history = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]},
        {"role": "assistant", "content": "Fine"},
        {"role": "user", "content": "[demo: pace 1] What was my first message?"},
    ]
    assert ask(history).text == 'You said: "One"'


def test_a_prefill_is_continued(ask: Ask) -> None:
    history = [{"role": "user", "content": "6*7"}, {"role": "assistant", "content": "6*7 ="}]
    assert ask(history).text == " 42"
    halves = [{"role": "assistant", "content": "6"}, {"role": "assistant", "content": "*7"}]
    assert ask([history[0], *halves]).text == " = 42"


def test_pictures_are_noticed(ask: Ask) -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    content = [picture, {"type": "new_kind"}, {"type": "text", "text": "Hello"}]
    assert ask([{"role": "user", "content": content}]).text.startswith("You sent 1 attachment,")


@pytest.mark.parametrize("thinking", ["enabled", "adaptive"])
def test_thinking_comes_first_when_it_is_asked_for(ask: Ask, thinking: str) -> None:
    config = {"type": thinking, "budget_tokens": 1024}
    message = ask("[demo: think] Hello", thinking=config).json
    assert kinds(message) == ["thinking", "text"]
    assert message["content"][0]["thinking"]
    assert message["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    omitted = ask("[demo: think] Hello", thinking={**config, "display": "omitted"}).json
    assert omitted["content"][0]["thinking"] == ""
    assert omitted["content"][0]["signature"] == message["content"][0]["signature"]
    assert omitted["usage"] == message["usage"]


def test_thinking_is_left_out_unless_it_is_asked_for(ask: Ask) -> None:
    assert kinds(ask("[demo: think] Hello").json) == ["text"]
    assert kinds(ask("[demo: long-thinking] Hello").json) == ["text"]
    assert kinds(ask("Hello", thinking={"type": "between_tools"}).json) == ["text"]
    assert kinds(ask("[demo: think unasked] Hello").json) == ["thinking", "text"]
    long = ask("[demo: long-thinking unasked] Hello").json["content"][0]["thinking"]
    assert len(long.split()) > 300


def test_max_tokens_cuts(ask: Ask) -> None:
    message = ask("[demo: words 50]", max_tokens=7).json
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", 7)
    assert len(message["content"][0]["text"].split()) == 7
    assert ask("[demo: words 50]", max_tokens=50).json["stop_reason"] == "end_turn"
    nothing = ask("Hello", max_tokens=0).json
    assert (nothing["content"], nothing["stop_reason"]) == ([], "max_tokens")
    assert nothing["usage"]["output_tokens"] == 0


def test_stop_sequences(ask: Ask) -> None:
    message = ask("Count to 9", stop_sequences=["7", "5, 6", "nope"]).json
    assert message["content"] == [{"type": "text", "text": "1, 2, 3, 4, "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "5, 6")
    first = ask("Count to 9", stop_sequences=["1"]).json
    assert first["content"] == []
    short = ask("Count to 9", stop_sequences=["9"], max_tokens=3).json
    assert (short["stop_reason"], short["stop_sequence"]) == ("max_tokens", None)


def test_stop_sequences_are_not_searched_in_thinking_and_tools(ask: Ask) -> None:
    thinking = {"type": "adaptive"}
    message = ask(
        "weather in Rome", tools=TOOLS, thinking=thinking, stop_sequences=["The user", "Rome"]
    ).json
    assert message["stop_reason"] == "tool_use"


def test_directives_that_end_the_answer(ask: Ask) -> None:
    empty = ask("[demo: empty]").json
    assert (empty["content"], empty["stop_reason"]) == ([], "end_turn")
    refusal = ask("[demo: refuse]", tools=TOOLS, tool_choice={"type": "any"}).json
    assert (refusal["stop_reason"], kinds(refusal)) == ("refusal", ["text"])
    assert refusal["stop_details"]["type"] == "refusal"
    cut = ask("[demo: tool add] [demo: tool cut]", tools=TOOLS).json
    assert (cut["stop_reason"], called(cut)) == ("max_tokens", ["add"])
    assert ask("[demo: help]").text.count("\n- ") == 14
    assert "[demo: nix]" in ask("[demo: nix]").text


def test_a_format_is_kept(ask: Ask) -> None:
    schema = {"type": "object", "properties": {"n": {"const": 3}}, "required": ["n"]}
    form = {"format": {"type": "json_schema", "schema": schema}}
    assert ask("Give me JSON", output_config=form).text == '{"n":3}'


def test_cache_fields_are_honest(ask: Ask) -> None:
    usage = ask("Hello", cache_control={"type": "ephemeral"}).json["usage"]
    assert usage["cache_read_input_tokens"] == usage["cache_creation_input_tokens"] == 0
