"""The demo model's service as a function from fields to an answer."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tollbridge.upstream.demo.script import Script
from tollbridge.upstream.demo.service import respond


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
