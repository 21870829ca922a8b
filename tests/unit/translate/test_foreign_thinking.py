"""Thinking that Anthropic has not signed."""

import json
from typing import Any

import pytest

from tollbridge.translate.foreign_thinking import drop_foreign_thinking, has_foreign_thinking
from tollbridge.translate.members import read_members
from tollbridge.wire.codec import encode

OWN = {"type": "thinking", "thinking": "x", "signature": "tb1.AAAA"}
UNSIGNED = {"type": "thinking", "thinking": "x", "signature": ""}
GENUINE = {"type": "thinking", "thinking": "x", "signature": "EqQB"}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t"}


def cleaned(*turns: tuple[str, Any], **members: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in turns]
    body = read_members(json.dumps({"messages": messages, **members}).encode())
    drop_foreign_thinking(body)
    return json.loads(encode(body))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"signature":"tb1.x"}', True),
        ('{"signature" : ""}', True),
        ('{"signature":"EqQB"}', False),
        ('{"text":"\\"signature\\":\\"\\""}', False),
    ],
)
def test_the_scan(text: str, found: bool) -> None:
    assert has_foreign_thinking(text.encode()) is found


def test_an_assistant_turn_of_nothing_else_vanishes() -> None:
    body = cleaned(("user", "a"), ("assistant", [OWN, UNSIGNED]), ("user", "b"))
    assert [turn["content"] for turn in body["messages"]] == ["a", "b"]


def test_litellm_18926_a_tool_loop_that_lost_its_thinking_goes_on_without() -> None:
    thinking = {"type": "adaptive"}
    body = cleaned(
        ("user", "a"),
        ("assistant", [OWN, CALL]),
        ("user", [RESULT]),
        thinking=thinking,
        context_management={"edits": []},
    )
    assert body["messages"][1]["content"] == [CALL]
    assert body["thinking"] == {"type": "disabled"}
    assert "context_management" not in body


@pytest.mark.parametrize(
    "last", [[RESULT, {"type": "text", "text": "next"}], "next"], ids=["blocks", "text"]
)
def test_thinking_stays_on_when_the_tool_loop_is_over(last: Any) -> None:
    body = cleaned(
        ("user", "a"), ("assistant", [OWN, CALL]), ("user", last), thinking={"type": "adaptive"}
    )
    assert body["thinking"] == {"type": "adaptive"}


def test_genuine_thinking_stays() -> None:
    turns = [("user", "a"), ("assistant", [GENUINE, CALL]), ("user", [RESULT])]
    body = cleaned(*turns, thinking={"type": "adaptive"})
    assert body["messages"][1]["content"] == [GENUINE, CALL]
    assert body["thinking"] == {"type": "adaptive"}
