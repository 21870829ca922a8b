"""A Chat request as a Messages request."""

import json
from typing import Any

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.dispositions import CHAT
from tollbridge.translate.request_to_messages import request_to_messages
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.requests import ChatRequest

OLD = UpstreamTerms("claude-sonnet-4-5", "anthropic", 20_000)
NEW = UpstreamTerms("claude-opus-4-8", "anthropic", 20_000)
OTHER = UpstreamTerms("deepseek-chat", "deepseek", 20_000)
USER = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f"}}


def translate(terms: UpstreamTerms = OLD, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = json.dumps({"model": "m", "messages": USER, **members}).encode()
    got = request_to_messages(body, read_ask("chat", body), terms, UnknownNames())
    return json.loads(got.body), got.dropped


def changed(terms: UpstreamTerms = OLD, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Only what the members add to the smallest request."""
    body, dropped = translate(terms, **members)
    for name in ("model", "messages", "max_tokens"):
        del body[name]
    return body, dropped


def test_every_field_that_is_decoded_has_a_disposition() -> None:
    assert set(ChatRequest.__struct_fields__) <= set(CHAT["request field"])


def test_the_smallest_request() -> None:
    assert translate() == (
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 20_000,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        (),
    )


@pytest.mark.parametrize(
    ("members", "limit"),
    [({"max_tokens": 7}, 7), ({"max_completion_tokens": 9}, 9), ({"max_tokens": 50_000}, 20_000)],
)
def test_the_output_limit(members: dict[str, Any], limit: int) -> None:
    assert translate(**members)[0]["max_tokens"] == limit


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream": False}, {}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", " \n", ""]}, {"stop_sequences": ["x"]}),
        ({"stop": []}, {}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"user": "u", "safety_identifier": "s"}, {"metadata": {"user_id": "s"}}),
        ({"service_tier": "flex"}, {"service_tier": "standard_only"}),
        ({"service_tier": "priority"}, {"service_tier": "auto"}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"prompt_cache_key": "k", "unheard_of": 1}, {}),
        ({"n": 1, "logprobs": False, "modalities": ["text"], "audio": None, "store": False}, {}),
        ({"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"web_search_options": {"search_context_size": "low"}},
            {
                "tools": [
                    {
                        "type": "web_search_20250305",
                        "name": "web_search",
                        "cache_control": {"type": "ephemeral"},
                    }
                ]
            },
        ),
    ],
)
def test_what_is_said(members: dict[str, Any], expected: dict[str, Any]) -> None:
    got, dropped = changed(**members)
    got.pop("tool_choice", None)
    assert (got, dropped) == (expected, ())


@pytest.mark.parametrize(
    "members",
    [
        {"seed": 0},
        {"frequency_penalty": 0.5},
        {"logit_bias": {"5": 1}},
        {"verbosity": "low"},
        {"prediction": {"type": "content"}},
        {"metadata": {"a": "b"}},
        {"store": True},
        {"min_p": 0.1},
    ],
)
def test_what_cannot_be_said_is_named(members: dict[str, Any]) -> None:
    assert changed(**members) == ({}, tuple(members))


@pytest.mark.parametrize(
    "members",
    [
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "v"}},
    ],
)
def test_what_would_be_a_lie_to_ignore_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        translate(**members)
    assert (caught.value.code, caught.value.field) == (
        ErrorCode.FIELD_UNSUPPORTED,
        next(iter(members)),
    )


@pytest.mark.parametrize(
    ("terms", "members", "expected", "dropped"),
    [
        (OLD, {"temperature": 0.3}, {"temperature": 0.3}, ()),
        (OLD, {"temperature": 1.7}, {"temperature": 1.0}, ("temperature",)),
        (OLD, {"temperature": 1, "top_p": 0.5}, {"temperature": 1.0}, ("top_p",)),
        (OLD, {"top_p": 0.5}, {"top_p": 0.5}, ()),
        (NEW, {"temperature": 0.3, "top_k": 5}, {}, ("temperature", "top_k")),
        (OTHER, {"temperature": 1, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}, ()),
    ],
)
def test_sampling(
    terms: UpstreamTerms, members: dict[str, Any], expected: dict[str, Any], dropped: tuple[str]
) -> None:
    assert changed(terms, **members) == (expected, dropped)


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("terms", "effort", "expected"),
    [
        (NEW, "high", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        (NEW, "minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (NEW, "none", {"thinking": {"type": "disabled"}}),
        (
            OLD,
            "medium",
            {
                "thinking": {"type": "enabled", "budget_tokens": 4096},
                "output_config": {"effort": "medium"},
            },
        ),
        (
            OLD,
            "max",
            {
                "thinking": {"type": "enabled", "budget_tokens": 19_999},
                "output_config": {"effort": "max"},
            },
        ),
        (OTHER, "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (OTHER, "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_effort(terms: UpstreamTerms, effort: str, expected: dict[str, Any]) -> None:
    assert changed(terms, reasoning_effort=effort) == (expected, ())


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 20_000}}, "high"),
        ({"thinking": {"type": "enabled"}}, "medium"),
        ({"enable_thinking": True}, "medium"),
        ({"thinking": {"type": "disabled"}}, None),
        ({"enable_thinking": False}, None),
    ],
)
def test_effort_in_the_words_of_other_servers(members: dict[str, Any], word: str | None) -> None:
    got, dropped = changed(NEW, **members)
    assert got.get("output_config") == (word and {"effort": word})
    assert got["thinking"]["type"] == ("adaptive" if word else "disabled")
    assert dropped == ()


def test_models_that_cannot_think_are_not_told_to() -> None:
    old = UpstreamTerms("claude-3-5-haiku", "anthropic", 500)
    assert changed(old, reasoning_effort="high") == ({}, ("reasoning_effort",))
    assert changed(old, reasoning_effort="none") == ({}, ())
    small = UpstreamTerms("claude-3-7-sonnet", "anthropic", 1024)
    assert changed(small, reasoning_effort="high") == ({}, ("reasoning_effort",))


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(GatewayError) as caught:
        translate(reasoning_effort="extreme")
    assert caught.value.field == "reasoning_effort"


def test_sampling_gives_way_to_thinking() -> None:
    got, dropped = changed(OLD, reasoning_effort="low", temperature=0.5)
    assert "temperature" not in got
    assert dropped == ("temperature",)


def test_a_forced_tool_goes_without_thinking() -> None:
    got, dropped = changed(NEW, reasoning_effort="high", tools=[TOOL], tool_choice="required")
    assert got["thinking"] == {"type": "disabled"}
    assert got["tool_choice"] == {"type": "any"}
    assert dropped == ("reasoning_effort",)


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP = [
    *USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "r"},
]


def test_litellm_18926_thinking_is_off_where_the_history_lost_it() -> None:
    got, dropped = translate(NEW, messages=LOOP, tools=[TOOL], reasoning_effort="high")
    assert got["thinking"] == {"type": "disabled"}
    assert dropped == ("reasoning_effort",)


def test_litellm_18926_the_reverse_thinking_that_is_off_leaves_none_in_the_history() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": "AAAA"}
    signed = [LOOP[0], {**LOOP[1], "reasoning_details": [detail]}, LOOP[2]]
    on, _ = translate(NEW, messages=signed, tools=[TOOL], reasoning_effort="high")
    assert on["thinking"] == ADAPTIVE
    assert [block["type"] for block in on["messages"][1]["content"]] == ["thinking", "tool_use"]
    off, _ = translate(NEW, messages=signed, tools=[TOOL], reasoning_effort="none")
    assert [block["type"] for block in off["messages"][1]["content"]] == ["tool_use"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}


def test_a_schema_for_the_answer() -> None:
    got, dropped = changed(NEW, response_format=FORMAT, reasoning_effort="low")
    assert got["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "additionalProperties": False,
            },
        },
    }
    assert dropped == ()


def test_json_without_a_word_for_it_is_asked_for_in_the_system_text() -> None:
    got, dropped = changed(NEW, response_format={"type": "json_object"})
    assert got["system"][-1]["text"].startswith("Answer with one valid JSON object")
    assert dropped == ("response_format",)
    got, dropped = changed(OTHER, response_format=FORMAT)
    assert '"minimum": 1' in got["system"][-1]["text"]
    assert dropped == ("response_format",)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"type": "json_schema"}, "response_format.json_schema.schema"),
        ({"type": "xml"}, "response_format.type"),
    ],
)
def test_a_format_that_makes_no_sense_is_refused(value: dict[str, Any], field: str) -> None:
    with pytest.raises(GatewayError) as caught:
        translate(response_format=value)
    assert caught.value.field == field


def cache_points(body: dict[str, Any]) -> list[str]:
    found = []
    for name in ("tools", "system"):
        found += [
            f"{name}[{i}]" for i, item in enumerate(body.get(name, [])) if "cache_control" in item
        ]
    for i, turn in enumerate(body["messages"]):
        found += [
            f"messages[{i}][{j}]"
            for j, block in enumerate(turn["content"])
            if "cache_control" in block
        ]
    return found


def test_a_conversation_is_cached_where_the_client_says_nothing() -> None:
    messages = [{"role": "system", "content": "s"}, *LOOP, {"role": "user", "content": "next"}]
    got, _ = translate(
        messages=messages, tools=[TOOL, {"type": "function", "function": {"name": "g"}}]
    )
    assert cache_points(got) == ["tools[1]", "system[0]", "messages[0][0]", "messages[2][1]"]


def test_a_single_question_is_not_cached() -> None:
    messages = [{"role": "system", "content": "s"}, *USER]
    assert cache_points(translate(messages=messages)[0]) == []
    assert cache_points(translate(OTHER, messages=LOOP, tools=[TOOL])[0]) == []


def test_litellm_15696_the_clients_cache_points_are_kept_but_never_more_than_four() -> None:
    parts = [
        {"type": "text", "text": str(n), "prompt_cache_breakpoint": {"mode": "explicit"}}
        for n in range(6)
    ]
    got, _ = translate(messages=[{"role": "user", "content": parts}], tools=[TOOL])
    assert cache_points(got) == [f"messages[0][{n}]" for n in range(2, 6)]


def test_web_search_elsewhere_is_named() -> None:
    assert changed(OTHER, web_search_options={"a": 1})[1] == ("web_search_options",)


def test_a_malformed_member_is_named() -> None:
    with pytest.raises(GatewayError) as caught:
        translate(messages=[{"role": "user", "content": 5}])
    assert caught.value.field is not None
    assert caught.value.field.startswith("messages[0]")
