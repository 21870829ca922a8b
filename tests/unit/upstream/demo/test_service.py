import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.upstream.demo.conftest import fold, parse

from tollbridge.upstream.demo import directives
from tollbridge.upstream.demo.service import respond

HELLO = {"model": "demo", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    script = respond(method, path, b"" if body is None else json.dumps(body).encode(), 0)
    return script.status, json.loads(b"".join(step.data for step in script.steps))


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/x/v1/messages"])
def test_messages(path: str) -> None:
    status, message = call("POST", path, {**HELLO, "model": "any-name"})
    assert (status, message["model"]) == (200, "any-name")


def test_count_tokens_counts_what_messages_would_report() -> None:
    fields = {"model": "demo", "messages": HELLO["messages"], "system": "Be brief."}
    status, answer = call("POST", "/v1/messages/count_tokens", fields)
    _, message = call("POST", "/v1/messages", {**HELLO, **fields})
    assert status == 200
    assert answer == {"input_tokens": message["usage"]["input_tokens"]}


def test_models() -> None:
    status, page = call("GET", "/v1/models?limit=5")
    assert status == 200
    assert [model["id"] for model in page["data"]] == ["demo"]
    assert call("GET", "/v1/models/demo") == (200, page["data"][0])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/complete", 404),
        ("GET", "/v1/models/gpt", 404),
    ],
)
def test_other_routes(method: str, path: str, status: int) -> None:
    answered, body = call(method, path)
    assert answered == status
    assert body["type"] == "error"


@pytest.mark.parametrize("depth", [50, 500, 5_000, 100_000])
def test_deep_nesting_is_answered(depth: int) -> None:
    deep = b'{"x":' * depth + b"1" + b"}" * depth
    tool = b'{"name":"f","input_schema":{"type":"object","const":' + deep + b"}}"
    body = json.dumps({**HELLO, "tool_choice": {"type": "any"}}).encode()[:-1]
    script = respond("POST", "/v1/messages", body + b',"tools":[' + tool + b"]}", 0)
    assert script.status in {200, 400}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
SAID = st.lists(
    st.sampled_from(
        [f"[demo: {name}]" for name, _ in directives.HELP]
        + ["[demo: words 9]", "[demo: fail 500]", "use a tool", "both tools", "weather in Rome"]
        + ["Hello", "count to 3", "that", "1+1", "what did I say"]
    )
    | st.text(max_size=10),
    max_size=4,
).map(" ".join)
IDS = st.sampled_from(["a", "b", "c d"])
BLOCK = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": SAID | JSON}),
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": IDS, "name": st.just("f"), "input": JSON | st.just({})}
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": IDS},
        optional={"content": SAID | JSON | st.just([{"type": "image"}]), "is_error": JSON},
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["image", "thinking", "new", "document"])}),
    JSON,
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "user", "assistant", "system", "tool"]),
        "content": SAID | st.lists(BLOCK, max_size=3),
    }
)
TOOL = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["f", "get_weather", ""]),
        "type": st.sampled_from([None, "custom", "web_search_20250305"]),
        "input_schema": JSON | st.just({"type": "object", "required": ["a"]}),
    },
)
BODY = st.fixed_dictionaries(
    {
        "model": st.just("demo"),
        "messages": st.lists(MESSAGE, min_size=1, max_size=4),
        "max_tokens": st.sampled_from([0, 1, 5, 50, 5000]),
    },
    optional={
        "stream": st.booleans() | JSON,
        "system": SAID | JSON,
        "tools": st.lists(TOOL, max_size=3),
        "tool_choice": st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any", "tool", "none"])},
            optional={"name": st.just("f"), "disable_parallel_tool_use": st.booleans()},
        ),
        "thinking": st.fixed_dictionaries(
            {"type": st.sampled_from(["enabled", "adaptive", "disabled", "between_tools"])},
            optional={"display": st.just("omitted"), "budget_tokens": st.just(1024)},
        ),
        "stop_sequences": st.lists(st.sampled_from(["l", "I am", " "]), max_size=2),
        "temperature": st.floats(-1, 2) | JSON,
        "output_config": JSON,
    },
)


RESULT = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_use_id": st.just("a")},
    optional={"content": SAID, "is_error": st.booleans()},
)
CALLED = RESULT.map(
    lambda result: [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}],
        },
        {"role": "user", "content": [result]},
    ]
)
TURNS = st.builds(
    lambda first, between, last: [
        {"role": "user", "content": f"{first}!"},
        *between,
        {"role": "user", "content": f"{last}."},
    ],
    SAID,
    CALLED | st.just([]) | st.just([{"role": "assistant", "content": "Yes"}]),
    SAID,
)
SOUND = st.fixed_dictionaries(
    {
        "model": st.text(),
        "messages": TURNS,
        "max_tokens": st.sampled_from([1, 5, 50, 5000]),
        "stream": st.booleans(),
        "tools": st.lists(
            st.builds(
                lambda name, schema: {"name": name, "input_schema": {**schema, "type": "object"}},
                st.sampled_from(["f", "g", "get_weather"]),
                st.dictionaries(st.sampled_from(["required", "properties", "anyOf"]), JSON),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda tool: str(tool["name"]),
        ),
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}]),
        "thinking": st.sampled_from([{"type": "adaptive"}, {"type": "disabled"}]),
        "stop_sequences": st.lists(st.sampled_from(["l", "I am", "1"]), max_size=2),
        "extra": JSON,
    }
)


def valid(body: Any, path: str) -> int:
    """The status of the answer, which is checked to be what the protocol allows."""
    script = respond("POST", path, json.dumps(body).encode(), 0)
    raw = b"".join(step.data for step in script.steps)
    if script.cut:
        assert script.status == 200
    elif script.headers["content-type"].startswith("text/event-stream"):
        events = parse(raw)
        assert events[0]["type"] == "message_start"
        # A call that max_tokens cut short is not JSON, and after an error nothing follows.
        if events[-1]["type"] != "error" and events[-2]["delta"]["stop_reason"] != "max_tokens":
            fold(events)
    else:
        answer = json.loads(raw)
        if script.status >= 400:
            assert (answer["type"], bool(answer["error"]["message"])) == ("error", True)
        else:
            assert answer.get("type") == "message" or answer["input_tokens"] > 0
    return script.status


@settings(max_examples=100, deadline=None)
@given(BODY | st.dictionaries(st.sampled_from(list(HELLO)), JSON) | JSON)
def test_any_body_has_a_valid_answer(body: Any) -> None:
    assert valid(body, "/v1/messages") in {200, 400, 500, 529}
    assert valid(body, "/v1/messages/count_tokens") in {200, 400}


@settings(max_examples=100, deadline=None)
@given(SOUND)
def test_a_sound_body_is_answered(body: Any) -> None:
    asked = str(body["messages"])
    ordered = {500: "fail 500", 529: "fail midstream"}
    allowed = {status for status, order in ordered.items() if order in asked}
    assert valid(body, "/v1/messages") in {200, *allowed}


@given(st.binary())
def test_any_bytes_have_a_valid_answer(body: bytes) -> None:
    assert respond("POST", "/v1/messages", body, 0).status == 400
