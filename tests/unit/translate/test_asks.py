"""What is read of a request before a target is chosen."""

import json
from typing import Any

import pytest

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask

USER = [{"role": "user", "content": "hi"}]


def messages(**members: Any) -> Ask:
    body = {"model": "m", "max_tokens": 5, "messages": USER, **members}
    return read_ask("messages", json.dumps(body).encode())


def chat(**members: Any) -> Ask:
    return read_ask("chat", json.dumps({"model": "m", "messages": USER, **members}).encode())


def test_a_messages_ask() -> None:
    ask = messages(stream=True, unknown={"x": 1})
    assert (ask.model, ask.stream, ask.max_tokens, ask.thinking) == ("m", True, 5, False)
    assert 0 < ask.input_estimate < ask.input_bound


@pytest.mark.parametrize("kind", ["enabled", "adaptive", "between_tools"])
def test_thinking_is_shown_to_those_who_asked(kind: str) -> None:
    assert messages(thinking={"type": kind, "budget_tokens": 1024}).thinking


@pytest.mark.parametrize("thinking", [None, {"type": "disabled"}])
def test_thinking_is_not_shown_to_others(thinking: dict[str, Any] | None) -> None:
    assert not messages(thinking=thinking).thinking


def test_zero_max_tokens_warms_a_cache() -> None:
    assert messages(max_tokens=0).max_tokens == 0


def test_a_chat_ask() -> None:
    ask = chat()
    assert (ask.stream, ask.max_tokens, ask.thinking, ask.include_usage) == (
        False,
        None,
        True,
        False,
    )
    assert chat(stream=True, stream_options={"include_usage": True}).include_usage


def test_the_limit_covers_both_names_and_all_choices() -> None:
    assert chat(max_tokens=7).max_tokens == 7
    assert chat(max_completion_tokens=5, max_tokens=7).max_tokens == 7
    several = chat(max_tokens=7, n=3)
    assert (several.max_tokens, several.choices) == (21, 3)


@pytest.mark.parametrize(
    ("protocol", "change", "code", "field"),
    [
        ("messages", {"model": None}, ErrorCode.FIELD_INVALID, "model"),
        ("messages", {"model": ""}, ErrorCode.FIELD_INVALID, "model"),
        ("messages", {"messages": []}, ErrorCode.FIELD_INVALID, "messages"),
        ("messages", {"messages": "hi"}, ErrorCode.FIELD_INVALID, "messages"),
        ("messages", {"max_tokens": -1}, ErrorCode.FIELD_INVALID, "max_tokens"),
        ("messages", {"max_tokens": "5"}, ErrorCode.FIELD_INVALID, "max_tokens"),
        ("messages", {"temperature": 1.1}, ErrorCode.FIELD_INVALID, "temperature"),
        ("messages", {"top_p": -0.1}, ErrorCode.FIELD_INVALID, "top_p"),
        ("messages", {"stop_sequences": "x"}, ErrorCode.FIELD_INVALID, "stop_sequences"),
        ("messages", {"stop_sequences": [1]}, ErrorCode.FIELD_INVALID, "stop_sequences[0]"),
        ("messages", {"stream": "yes"}, ErrorCode.FIELD_INVALID, "stream"),
        ("messages", {"thinking": {}}, ErrorCode.FIELD_MISSING, "thinking.type"),
        ("chat", {"temperature": 2.1}, ErrorCode.FIELD_INVALID, "temperature"),
        ("chat", {"top_p": 1.1}, ErrorCode.FIELD_INVALID, "top_p"),
        ("chat", {"max_tokens": 0}, ErrorCode.FIELD_INVALID, "max_tokens"),
        ("chat", {"n": 0}, ErrorCode.FIELD_INVALID, "n"),
        ("chat", {"stop": 5}, ErrorCode.FIELD_INVALID, "stop"),
        ("chat", {"messages": []}, ErrorCode.FIELD_INVALID, "messages"),
    ],
)
def test_a_wrong_member_is_named(
    protocol: Protocol, change: dict[str, Any], code: ErrorCode, field: str
) -> None:
    with pytest.raises(GatewayError) as caught:
        messages(**change) if protocol == "messages" else chat(**change)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert caught.value.message.startswith(field)


@pytest.mark.parametrize(
    ("protocol", "missing"),
    [
        ("messages", "model"),
        ("messages", "max_tokens"),
        ("messages", "messages"),
        ("chat", "model"),
    ],
)
def test_a_missing_member_is_named(protocol: Protocol, missing: str) -> None:
    body = {"model": "m", "max_tokens": 5, "messages": USER}
    del body[missing]
    with pytest.raises(GatewayError) as caught:
        read_ask(protocol, json.dumps(body).encode())
    assert (caught.value.code, caught.value.field) == (ErrorCode.FIELD_MISSING, missing)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"', b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        read_ask("chat", body)
    assert caught.value.code is ErrorCode.BODY_INVALID
