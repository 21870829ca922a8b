"""The demo model's service as a function from fields to an answer, and the grammar of its streams."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tollbridge.upstream.demo.script import Script
from tollbridge.upstream.demo.service import respond

WEATHER = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
ADD = {
    "name": "add",
    "input_schema": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
}
NAMELESS = {"type": "mcp_toolset", "mcp_server_name": "x"}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
TOOLS = [NAMELESS, WEATHER, ADD, SEARCH]


class Answer(NamedTuple):
    script: Script
    raw: bytes

    @property
    def status(self) -> int:
        return self.script.status

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        return "".join(block.get("text", "") for block in self.json["content"])

    @property
    def events(self) -> list[dict[str, Any]]:
        return parse(self.raw)


def parse(raw: bytes) -> list[dict[str, Any]]:
    """The events of a stream, whose framing is checked on the way."""
    events = []
    assert raw.endswith(b"\n\n")
    for record in raw[:-2].split(b"\n\n"):
        name, data = record.split(b"\n")
        event = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        events.append(event)
    return events


def fold(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream amounts to; the grammar of the events is checked on the way."""
    message: dict[str, Any] = events[0]["message"]
    assert events[0]["type"] == "message_start"
    assert (message["content"], message["stop_reason"]) == ([], None)
    assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"]
    assert message["usage"]["output_tokens"] <= events[-2]["usage"]["output_tokens"]
    open_block: dict[str, Any] | None = None
    fragments = ""
    for event in events[1:-2]:
        if event["type"] == "ping":
            continue
        index = event["index"]
        if event["type"] == "content_block_start":
            assert open_block is None
            assert index == len(message["content"])
            open_block, fragments = event["content_block"], ""
            message["content"].append(open_block)
            continue
        assert open_block is not None
        assert index == len(message["content"]) - 1
        if event["type"] == "content_block_stop":
            if open_block["type"] == "tool_use":
                open_block["input"] = json.loads(fragments)
            open_block = None
            continue
        delta = event["delta"]
        match delta["type"]:
            case "text_delta":
                assert delta["text"]
                open_block["text"] += delta["text"]
            case "thinking_delta":
                open_block["thinking"] += delta["thinking"]
            case "signature_delta":
                assert not open_block["signature"]
                open_block["signature"] = delta["signature"]
            case "input_json_delta":
                fragments += delta["partial_json"]
    assert open_block is None
    message |= events[-2]["delta"]
    message["usage"] |= events[-2]["usage"]
    return message


Ask = Callable[..., Answer]


@pytest.fixture
def ask() -> Ask:
    """Send text, or whole messages, with other fields of the request."""

    def send(said: str | list[dict[str, Any]], pace_ms: float = 0, **fields: Any) -> Answer:
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        body = {"model": "demo", "max_tokens": 4096, "messages": messages, **fields}
        script = respond("POST", "/v1/messages", json.dumps(body).encode(), pace_ms)
        return Answer(script, b"".join(step.data for step in script.steps))

    return send
