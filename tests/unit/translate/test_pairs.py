"""Every pair of protocols has its bridge."""

import itertools
import json
import random
from typing import Any, get_args

import pytest

from tollbridge.config import Protocol
from tollbridge.errors import GatewayError
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.pairs import BRIDGES, open_bridge

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@pytest.mark.parametrize(("client", "upstream"), list(itertools.product(PROTOCOLS, repeat=2)))
def test_every_pair_is_bridged(client: Protocol, upstream: Protocol) -> None:
    assert (client, upstream) in BRIDGES
    body = b'{"model":"mine","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    bridge = open_bridge(
        client, upstream, read_ask(client, body), body, Identity("req_1", "abc", 7)
    )
    sent = json.loads(bridge.request(UpstreamTerms("up", "generic", 5)))
    assert sent["model"] == "up"
    assert sent["max_tokens"] == 5
    assert bridge.dropped == ()
    assert bridge.stream().usage is None


CHAT: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "stream": True,
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,/9j/"}},
            ],
        },
        {
            "role": "assistant",
            "content": "y",
            "reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": "AA"}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"anyOf": [{}]}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "thinking": {"type": "enabled"},
}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 8000,
    "stream": True,
    "thinking": {"type": "enabled", "budget_tokens": 4000},
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "a", "signature": "tb1.AA"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
        {"role": "system", "content": "late"},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
ODD = [None, True, 0, -1, 1.5, "", "x", [], {}, [1], {"type": "text"}, [None], 10**30, "é\u2028"]


def mutated(value: Any, rng: random.Random) -> Any:
    """The value with here and there a member left out or made into something odd."""
    if rng.random() < 0.03:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(item, rng) for key, item in value.items() if rng.random() > 0.03}
    if isinstance(value, list):
        return [mutated(item, rng) for item in value if rng.random() > 0.03]
    return value


@pytest.mark.parametrize(("client", "whole"), [("chat", CHAT), ("messages", MESSAGES)])
@pytest.mark.parametrize("seed", range(150))
def test_a_broken_body_is_refused_or_translated_and_never_an_accident(
    client: Protocol, whole: dict[str, Any], seed: int
) -> None:
    rng = random.Random(seed)
    body = json.dumps(mutated(whole, rng)).encode()
    for upstream in PROTOCOLS:
        for dialect in ("anthropic", "generic", "deepseek"):
            terms = UpstreamTerms("claude-opus-4-8", dialect, rng.choice([5, 2000, 9000]))
            try:
                ask = read_ask(client, body)
                bridge = open_bridge(client, upstream, ask, body, Identity("req_1", "abc", 7))
                assert isinstance(json.loads(bridge.request(terms)), dict)
            except GatewayError:
                continue
