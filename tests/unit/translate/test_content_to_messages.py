"""A Chat conversation as Messages turns."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.claude import abilities
from tollbridge.translate.content_to_messages import Conversation, legal_id
from tollbridge.translate.dialects import SystemPlace
from tollbridge.translate.tools_to_messages import ToolPlan
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.requests import ChatMessage

OLD = abilities("claude-sonnet-4-5", "anthropic")
NEW = abilities("claude-opus-4-8", "anthropic")
DEEPSEEK = abilities("deepseek-chat", "deepseek")
Turns = list[tuple[str, Any]]


def conversation(messages: list[dict[str, Any]], able: Any = OLD) -> Conversation:
    decoded = msgspec.json.decode(json.dumps(messages), type=list[ChatMessage])
    before = msgspec.json.encode(decoded)
    result = Conversation(able, ToolPlan(), UnknownNames())
    result.add_all(decoded)
    assert msgspec.json.encode(decoded) == before, "the request is not changed"
    return result


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def turns(messages: list[dict[str, Any]], able: Any = OLD) -> Turns:
    result = conversation(messages, able)
    return [(turn["role"], turn["content"]) for turn in plain(result.turns)]


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def call(call_id: str | None, arguments: Any = "{}", name: str = "f") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def calls(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(entries), **members}


def result(call_id: str, content: Any = "r") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def use(call_id: str, value: Any = None, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": value or {}}


def answered(call_id: str, value: str = "r") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": [text(value)]}


def test_leading_system_messages_are_blocks_of_their_own() -> None:
    got = conversation(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [text("b"), text("c")]},
            user("x"),
        ]
    )
    assert plain(got.system) == [text("a"), text("b"), text("c")]
    assert plain(got.turns) == [{"role": "user", "content": [text("x")]}]


LATE = [
    {"role": "system", "content": "s"},
    user("x"),
    {"role": "system", "content": "late"},
    {"role": "assistant", "content": "y"},
    {"role": "system", "content": "later"},
    user("z"),
]


def test_litellm_36559_later_system_messages_are_not_hoisted() -> None:
    got = conversation(LATE)
    assert plain(got.system) == [text("s")]
    assert turns(LATE) == [
        ("user", [text("x"), text("<system>\nlate\n</system>")]),
        ("assistant", [text("y")]),
        ("user", [text("<system>\nlater\n</system>"), text("z")]),
    ]


def test_a_model_that_accepts_them_gets_them_in_place_after_a_user_turn() -> None:
    assert turns(LATE, NEW) == [
        ("user", [text("x")]),
        ("system", [text("late")]),
        ("assistant", [text("y")]),
        ("user", [text("<system>\nlater\n</system>"), text("z")]),
    ]


def test_portkey_980_results_of_parallel_calls_are_one_user_turn_before_its_text() -> None:
    got = turns([user("x"), calls(call("a"), call("b")), result("b"), result("a"), user("go on")])
    assert got[1:] == [
        ("assistant", [use("a"), use("b")]),
        ("user", [answered("b"), answered("a"), text("go on")]),
    ]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    missing = {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": "No result was recorded for this call.",
        "is_error": True,
    }
    assert turns([user("x"), calls(call("a"), call("b")), result("b")])[-1] == (
        "user",
        [answered("b"), missing],
    )
    assert turns([user("x"), calls(call("a")), {"role": "assistant", "content": "y"}])[2] == (
        "user",
        [missing],
    )


def test_a_result_without_a_call_is_text() -> None:
    got = turns([user("x"), calls(call("a")), result("a"), result("a", "again"), result("q")])
    assert got[-1][1] == [
        answered("a"),
        text("[result of tool call a]"),
        text("again"),
        text("[result of tool call q]"),
        text("r"),
    ]


@pytest.mark.parametrize("content", [None, "", "  \n", [], [text("")]])
def test_vercel_ai_5576_empty_text_beside_calls_is_left_out(content: Any) -> None:
    got = turns([user("x"), calls(call("a"), content=content), result("a", "")])
    assert got[1] == ("assistant", [use("a")])
    assert got[2] == ("user", [{"type": "tool_result", "tool_use_id": "a"}])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", b"{}"),
        (" ", b"{}"),
        (None, b"{}"),
        ('{"z": 1, "a": [1.50]}', b'{"z": 1, "a": [1.50]}'),
        ("[1]", b'{"_raw":"[1]"}'),
        ("{oops", b'{"_raw":"{oops"}'),
        ('"x"', b'{"_raw":"\\"x\\""}'),
    ],
)
def test_arguments_keep_their_bytes_or_become_an_object(arguments: Any, expected: bytes) -> None:
    got = conversation([user("x"), calls(call("a", arguments)), result("a")])
    assert bytes(got.turns[1].content[0].input) == expected


def test_nanobot_4356_foreign_ids_are_rewritten_the_same_way_in_call_and_result() -> None:
    foreign = "functions.Bash:0|x"
    got = turns([user("x"), calls(call(foreign)), result(foreign)])
    new = got[1][1][0]["id"]
    assert new == legal_id(foreign)
    assert got[2][1][0]["tool_use_id"] == new
    assert legal_id("functions.Bash:1|x") != new


@given(st.text(max_size=200))
def test_ids_are_always_legal_and_stay_legal(value: str) -> None:
    new = legal_id(value)
    assert 0 < len(new) <= 64
    assert new.isascii()
    assert new.replace("_", "").replace("-", "").isalnum() or set(new) <= {"_", "-"}
    assert legal_id(new) == new


def test_ids_that_come_twice_are_told_apart() -> None:
    one = [calls(call("a"), call("a")), result("a", "1"), result("a", "2")]
    got = turns([user("x"), *one, calls(call("a")), result("a", "3")])
    ids = [block["id"] for _, blocks in got for block in blocks if block["type"] == "tool_use"]
    results = [
        (block["tool_use_id"], block["content"][0]["text"])
        for _, blocks in got
        for block in blocks
        if block["type"] == "tool_result"
    ]
    assert len(set(ids)) == 3
    assert results == [(ids[0], "1"), (ids[1], "2"), (ids[2], "3")]


def test_legacy_function_calls() -> None:
    got = turns(
        [
            user("x"),
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": '{"a":1}'},
            },
            {"role": "function", "name": "f", "content": "r"},
        ]
    )
    assert got[1:] == [
        ("assistant", [use("call_f", {"a": 1})]),
        ("user", [answered("call_f")]),
    ]


def test_custom_calls() -> None:
    entry = {"id": "a", "type": "custom", "custom": {"name": "p", "input": "free\ntext"}}
    got = turns([user("x"), calls(entry), result("a")])
    assert got[1] == ("assistant", [use("a", {"input": "free\ntext"}, "p")])


def test_the_operator_decides_where_later_system_messages_go() -> None:
    said = [user("x"), {"role": "system", "content": "late"}]
    kept = conversation(said, OLD._replace(system=SystemPlace.IN_PLACE))
    assert plain(kept.turns)[-1] == {"role": "system", "content": [text("late")]}
    merged = conversation(said, NEW._replace(system=SystemPlace.LEADING))
    assert plain(merged.system) == [text("late")]
    assert len(merged.turns) == 1
    marked = conversation(said, NEW._replace(system=SystemPlace.USER_TEXT))
    assert plain(marked.turns)[-1]["content"][-1] == text("<system>\nlate\n</system>")


def test_system_messages_one_after_another_are_one_turn() -> None:
    system = [{"role": "system", "content": said} for said in ("a", "", "b")]
    assert turns([user("x"), *system], NEW)[1:] == [("system", [text("a"), text("b")])]
    assert turns([user("x"), *system])[0] == (
        "user",
        [text("x"), text("<system>\na\n</system>"), text("<system>\nb\n</system>")],
    )


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ({"role": "robot", "content": "x"}, ErrorCode.FIELD_INVALID, "messages[1].role"),
        ({"role": "tool", "content": "x"}, ErrorCode.FIELD_INVALID, "messages[1].tool_call_id"),
        (
            calls({"id": "a", "type": "function"}),
            ErrorCode.FIELD_INVALID,
            "messages[1].tool_calls[0].function",
        ),
        (
            {
                "role": "system",
                "content": [{"type": "image_url", "image_url": {"url": "http://x"}}],
            },
            ErrorCode.FIELD_INVALID,
            "messages[1].content",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(message: Any, code: ErrorCode, field: str) -> None:
    with pytest.raises(GatewayError) as caught:
        conversation([user("x"), message])
    assert (caught.value.code, caught.value.field) == (code, field)


def test_parts_of_unknown_kinds_are_named() -> None:
    got = conversation([user([text("x"), {"type": "video_url"}])])
    assert got.dropped == ["messages[0].content[1]"]
    assert plain(got.turns[0].content) == [text("x")]


@pytest.mark.parametrize("content", ["", None, []])
def test_an_empty_user_message_says_so(content: Any) -> None:
    assert turns([user(content)]) == [("user", [text("(empty)")])]


def test_the_first_turn_is_the_users() -> None:
    assert turns([{"role": "assistant", "content": "x"}, user("y")])[0] == (
        "user",
        [text("(continue)")],
    )
    assert turns([{"role": "system", "content": "x"}]) == [("user", [text("(continue)")])]


def test_a_trailing_answer_is_continued_where_the_model_can() -> None:
    tail = [user("x"), {"role": "assistant", "content": "The answer is \n"}]
    assert turns(tail)[-1] == ("assistant", [text("The answer is")])
    got = conversation(tail, NEW)
    assert got.turns[-1].role == "user"
    assert got.dropped == ["messages[1]"]


def test_consecutive_answers_are_one_turn() -> None:
    got = turns([user("x"), {"role": "assistant", "content": "a"}, calls(call("c")), result("c")])
    assert [role for role, _ in got] == ["user", "assistant", "user"]


def detail(**members: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": "hm", **members}


def thinking(able: Any = OLD, **members: Any) -> list[Any]:
    message = {"role": "assistant", "content": "y", **members}
    return turns([user("x"), message, user("z")], able)[1][1]


def test_signed_thinking_comes_back_first_and_byte_for_byte() -> None:
    got = thinking(
        reasoning_content="ignored",
        reasoning_details=[
            detail(text="", signature="EqQB+/=", format="anthropic-claude-v1"),
            {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"},
            detail(signature="Ab"),
        ],
    )
    assert got == [
        {"type": "thinking", "thinking": "", "signature": "EqQB+/="},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "hm", "signature": "Ab"},
        text("y"),
    ]


@pytest.mark.parametrize(
    "members",
    [
        {"reasoning_content": "hm"},
        {"reasoning_details": [detail()]},
        {"reasoning_details": [detail(signature="")]},
        {"reasoning_details": [detail(signature="tb1.AAAA")]},
        {"reasoning_details": [detail(signature="AAAA", format="openai-responses-v1")]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]},
    ],
)
def test_cliproxyapi_1584_foreign_signatures_are_never_replayed(members: dict[str, Any]) -> None:
    assert thinking(**members) == [text("y")]


def test_servers_without_signatures_get_their_reasoning_back() -> None:
    assert thinking(DEEPSEEK, reasoning_content="hm") == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        text("y"),
    ]


SIGNED = {"reasoning_details": [detail(signature="AAAA")]}


@pytest.mark.parametrize(
    ("messages", "lacks"),
    [
        ([user("x")], False),
        ([user("x"), calls(call("a")), result("a")], True),
        ([user("x"), calls(call("a"), **SIGNED), result("a")], False),
        ([user("x"), calls(call("a"), **SIGNED), result("a"), calls(call("b")), result("b")], True),
        ([user("x"), calls(call("a")), result("a"), user("next")], False),
    ],
)
def test_litellm_18926_a_tool_loop_without_its_thinking_is_seen(
    messages: list[dict[str, Any]], lacks: bool
) -> None:
    assert conversation(messages).tool_loop_lacks_thinking() is lacks


def test_thinking_can_be_left_out_whole() -> None:
    got = conversation([user("x"), calls(call("a"), **SIGNED), result("a")])
    got.drop_thinking()
    assert plain(got.turns[1].content) == [use("a")]


def test_cache_breakpoints() -> None:
    parts = [
        {**text("a"), "prompt_cache_breakpoint": {"mode": "explicit"}},
        {**text("b"), "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
    ]
    assert turns([user(parts)])[0][1] == [
        {**text("a"), "cache_control": {"type": "ephemeral"}},
        {**text("b"), "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert turns([user(parts)], DEEPSEEK)[0][1] == [text("a"), text("b")]
