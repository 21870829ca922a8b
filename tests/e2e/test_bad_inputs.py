"""Whatever is sent, the answer is a refusal in the client's dialect that names the field."""

import json
import re

import pytest
from tests.e2e.conftest import SWITCHED_OFF, Bridge
from tests.e2e.http_calls import Answer, call, prompt

MESSAGES, CHAT = "/v1/messages", "/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


def body_of(**more: object) -> dict[str, object]:
    """A good body with members replaced; None removes one."""
    whole = {**prompt("Hello", "chat"), **more}
    return {name: value for name, value in whole.items() if value is not None}


NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "half": b'{"model": "chat", "messages": [',
    "array": b"[]",
    "null": b"null",
    "number": b"7",
    "bad-utf8": b'{"model": "\xff\xfe"}',
    "nested": b"[" * 100_000,
    "nul": b"\x00" * 64,
    "form": b"model=chat&max_tokens=5",
}

BOTH = {
    "no-model": (body_of(model=None), "model"),
    "model-number": (body_of(model=5), "model"),
    "model-object": (body_of(model={}), "model"),
    "no-messages": (body_of(messages=None), "messages"),
    "messages-empty": (body_of(messages=[]), "messages"),
    "messages-text": (body_of(messages="Hello"), "messages"),
    "message-text": (body_of(messages=["Hello"]), "messages[0]"),
    "role-missing": (body_of(messages=[{"content": "Hello"}]), "messages[0]"),
    "role-unknown": (body_of(messages=[{"role": "wizard", "content": "Hi"}]), "messages[0].role"),
    "content-number": (body_of(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
    "block-text": (body_of(messages=[{"role": "user", "content": ["Hi"]}]), "messages[0].content"),
    "stream-text": (body_of(stream="yes"), "stream"),
    "max-tokens-text": (body_of(max_tokens="many"), "max_tokens"),
    "max-tokens-negative": (body_of(max_tokens=-1), "max_tokens"),
    "max-tokens-fraction": (body_of(max_tokens=1.5), "max_tokens"),
    "tools-text": (body_of(tools="hammer"), "tools"),
}
ONLY = {
    MESSAGES: {
        "no-max-tokens": (body_of(max_tokens=None), "max_tokens"),
        "system-number": (body_of(system=5), "system"),
        "orphan-result": (
            body_of(
                messages=[
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": 5, "content": "x"}],
                    }
                ]
            ),
            "messages[0].content[0].tool_use_id",
        ),
        "tool-without-schema": (
            body_of(tools=[{"name": "x", "input_schema": "none"}]),
            "tools[0].input_schema",
        ),
    },
    CHAT: {
        "tool-without-function": (body_of(tools=[{"type": "function"}]), "tools[0]"),
        "tool-message-without-id": (
            body_of(messages=[*HELLO, {"role": "tool", "content": "x"}]),
            "messages[1].tool_call_id",
        ),
        "stop-number": (body_of(stop=5), "stop"),
    },
}


def send(bridge: Bridge, path: str, body: object = None, **options) -> Answer:
    options.setdefault("key", bridge.gateway.key)
    return call(bridge.gateway.base_url + path, body, **options)


def check_dialect(path: str, answer: Answer) -> str:
    """The body is an error as this client's SDK expects it; returns its message."""
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-request-id"]
    told = answer.json()
    assert told["code"]
    assert told["requestId"] == answer.headers["x-request-id"]
    if path.startswith(MESSAGES):
        assert told["type"] == "error"
        assert told["request_id"] == answer.headers["request-id"]
    else:
        assert {"message", "type", "param", "code"} <= told["error"].keys()
    message = told["error"]["message"]
    assert not re.search(r"Traceback|msgspec|\.py\b", message)
    return str(message)


@pytest.mark.parametrize("name", NOT_JSON)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_what_is_no_object_is_refused(bridge: Bridge, path: str, name: str):
    answer = send(bridge, path, raw=NOT_JSON[name])
    assert answer.status == 400, answer.body
    check_dialect(path, answer)


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in (MESSAGES, CHAT) for name in {**BOTH, **ONLY[path]}],
)
@pytest.mark.parametrize("model", ["messages", "chat"])
def test_wrong_member_is_named(bridge: Bridge, path: str, name: str, model: str):
    body, field = {**BOTH, **ONLY[path]}[name]
    if body.get("model") == "chat":
        body = {**body, "model": model}
    answer = send(bridge, path, body)
    assert answer.status == 400, answer.body
    message = check_dialect(path, answer)
    # Upstreams and gateways write paths as `messages[0].role` or `messages.0.role`.
    plain = re.sub(r"[\[\].]+", ".", message)
    assert re.sub(r"[\[\].]+", ".", field) in plain, message


def test_unknown_route_and_method(bridge: Bridge):
    assert send(bridge, "/v1/nothing", {}).status == 404
    assert send(bridge, MESSAGES, method="GET").status in (404, 405)
    root = bridge.gateway.root_url
    foreign = call(f"{root}/v1/ai/no-such-group/v1/messages", body_of(), key=bridge.gateway.key)
    assert foreign.status == 404
    assert "no-such-group" in foreign.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \x80\xff"},
        {"authorization": "Basic dTpw"},
        {"x_api_key": ""},
        {"x_api_key": "x" * 5000},
    ],
    ids=["none", "empty", "bytes", "basic", "empty-key", "long-key"],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_no_good_key_is_401(bridge: Bridge, path: str, headers: dict[str, str]):
    answer = send(bridge, path, body_of(), key="", **headers)
    assert answer.status == 401, answer.body
    check_dialect(path, answer)


def test_key_is_taken_from_either_header(bridge: Bridge):
    for path in (MESSAGES, CHAT):
        assert send(bridge, path, body_of(), key="", x_api_key=bridge.gateway.key).status == 200


def test_body_beyond_the_limit_is_413(bridge: Bridge):
    padding = "x" * (33 * 1024 * 1024)
    answer = send(bridge, MESSAGES, raw=json.dumps(body_of(system=padding)).encode())
    assert answer.status == 413
    assert answer.json()["error"]["type"] == "request_too_large"


@pytest.mark.parametrize("model", ["messages", "chat"])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize(("status", "expected"), [(400, 400), (429, 429), (401, 502), (500, 502)])
def test_upstream_errors_arrive_in_the_clients_dialect(
    bridge: Bridge, path: str, model: str, status: int, expected: int
):
    answer = send(bridge, path, prompt(f"@error={status} Hello", model))
    assert answer.status == expected, answer.body
    message = check_dialect(path, answer)
    assert bridge.upstreams[model].root_url.removeprefix("http://") not in message


def test_probes_need_no_key(bridge: Bridge):
    root = bridge.gateway.root_url
    assert call(f"{root}/api/hello", method="HEAD").status == 200
    assert call(f"{root}/healthz", method="GET").status == 200
    assert call(f"{root}/readyz", method="GET").status == 200


def test_models_are_those_switched_on(bridge: Bridge):
    for path in ("/models", "/v1/models"):
        listed = send(bridge, path, method="GET")
        assert listed.status == 200
        assert {"messages", "chat"} <= {model["id"] for model in listed.json()["data"]}
        assert SWITCHED_OFF not in {model["id"] for model in listed.json()["data"]}


def test_count_tokens_costs_nothing_and_is_positive(bridge: Bridge):
    for model in ("messages", "chat"):
        answer = send(bridge, "/v1/messages/count_tokens", {"model": model, "messages": HELLO})
        assert answer.status == 200
        assert answer.json()["input_tokens"] > 0
