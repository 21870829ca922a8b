"""The bridge as a whole: a Chat client on a Messages upstream."""

import json
from typing import Any

from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.usage import TokenUsage

TERMS = UpstreamTerms("claude-opus-4-8", "anthropic", 1000)


def bridge(**members: Any) -> ChatOnMessages:
    body = {"model": "mine", "messages": [{"role": "user", "content": "hi"}], **members}
    data = json.dumps(body).encode()
    return ChatOnMessages(read_ask("chat", data), data, Identity("req_1", "abc", 7))


def test_the_version_that_takes_sampling_is_pinned() -> None:
    assert bridge().pin_version == "2023-06-01"


def test_each_target_gets_its_own_request() -> None:
    one = bridge(seed=1, temperature=0.5)
    assert one.dropped == ()
    assert json.loads(one.request(TERMS))["model"] == "claude-opus-4-8"
    assert one.dropped == ("seed", "temperature")
    other = json.loads(one.request(UpstreamTerms("x", "generic", 10)))
    assert (other["model"], other["max_tokens"], other["temperature"]) == ("x", 10, 0.5)
    assert one.dropped == ("seed",)


def test_names_are_restored_in_the_answer() -> None:
    one = bridge(tools=[{"type": "function", "function": {"name": "a.b"}}])
    name = json.loads(one.request(TERMS))["tools"][0]["name"]
    answer = {
        "content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    reply = one.reply(json.dumps(answer).encode())
    message = json.loads(reply.body)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "a.b"
    assert reply.usage == TokenUsage(input=3, output=4)
    assert reply.counted_output == 1


def test_an_answer_without_usage_is_counted() -> None:
    reply = bridge().reply(b'{"content":[{"type":"text","text":"12345678"}]}')
    assert reply.usage is None
    told = json.loads(reply.body)["usage"]
    assert told["completion_tokens"] == reply.counted_output == 2
    assert told["prompt_tokens"] > 0
