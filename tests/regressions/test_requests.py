"""Requests and round trips: reports of protocol notes F that several servers share.

One test per cause, by the names of all the reports that have it, for every dialect they may meet.
"""

import json
from typing import Any

import pytest
from tests.playbook import play
from tests.stage import IDENTITY

from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask, read_count
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.calibration import UNTAUGHT
from tollbridge.translate.dialects import DIALECT_ROWS
from tollbridge.translate.pairs import open_bridge

Json = dict[str, Any]


def sent(
    request: Json,
    dialect: str,
    client: Protocol = "messages",
    upstream: Protocol = "chat",
    model: str = "up",
) -> Json:
    body = json.dumps({"model": "m", "max_tokens": 64, **request}).encode()
    bridge = open_bridge(client, upstream, read_ask(client, body), body, IDENTITY)
    translated: Json = json.loads(bridge.request(UpstreamTerms(model, dialect, 64)))
    return translated


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(content: Any) -> Json:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize("dialect", DIALECT_ROWS)
def test_sglang_28792_qwen_2244_grok2api_595_and_claude_code_63469_system_turns(dialect: str):
    turns = [user("a"), {"role": "system", "content": "be brief"}, assistant("b"), user("c")]
    messages = sent({"messages": turns}, dialect)["messages"]
    assert "be brief" in json.dumps(messages)
    assert messages[-1] == user("c")
    assert [one["role"] for one in messages if one["role"] != "system"] == [
        "user", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECT_ROWS)
def test_sglang_21064_ollama_14918_vllm_mlx_277_and_claude_code_68900_one_prefix(dialect: str):
    def request(digest: str, *more: Json) -> list[Json]:
        header = f"x-anthropic-billing-header: cc_version=2.1.154; cch={digest};"
        system = [{"type": "text", "text": header}, {"type": "text", "text": "You are brief."}]
        turns = [user("a"), {"role": "system", "content": "Reminder."}, *more]
        messages: list[Json] = sent({"system": system, "messages": turns}, dialect)["messages"]
        return messages

    first = request("11111")
    second = request("22222", assistant("b"), user("c"))
    assert second[: len(first)] == first
    assert "billing" not in json.dumps(second)


def test_openclaw_73417_turns_without_calls_bring_their_reasoning_back_too():
    thought = {"type": "thinking", "thinking": "why", "signature": ""}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "r"}
    done = {"type": "text", "text": "done"}
    turns = [user("x"), assistant([thought, call]), user([result]), assistant([thought, done])]
    turns += [user("y"), assistant([done]), user("z")]
    messages = sent({"messages": turns}, "deepseek")["messages"]
    told = [one["reasoning_content"] for one in messages if one["role"] == "assistant"]
    assert told == ["why", "why", ""]


def test_9router_355_reasoning_that_was_not_shown_comes_back_to_the_upstream():
    play("""
    == messages on chat (deepseek)
    >> client request
    {"model": "m", "max_tokens": 64, "thinking": {"type": "adaptive", "display": "omitted"},
     "messages": [{"role": "user", "content": "a"}]}
    << upstream request
    {"model": "up", "messages": [{"role": "user", "content": "a"}], "max_tokens": 64,
     "stream": false}
    >> upstream answer
    {"choices": [{"message": {"reasoning_content": "why \\u00e9", "content": "b"},
      "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    << client answer
    {"id": "msg_m1", "type": "message", "role": "assistant", "model": "m",
     "content": [{"type": "thinking", "thinking": "", "signature": "$signature"},
      {"type": "text", "text": "b"}],
     "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null,
     "usage": {"input_tokens": 3, "cache_creation_input_tokens": 0,
      "cache_read_input_tokens": 0, "output_tokens": 4}}
    << charge
    reported: input 3, output 4
    >> client request
    {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "a"},
     {"role": "assistant", "content": [{"type": "thinking", "thinking": "",
      "signature": "$signature"}, {"type": "text", "text": "b"}]},
     {"role": "user", "content": "c"}]}
    << upstream request
    {"model": "up", "messages": [{"role": "user", "content": "a"},
     {"role": "assistant", "content": "b", "reasoning_content": "why \\u00e9"},
     {"role": "user", "content": "c"}], "max_tokens": 64, "stream": false}
    """)


def test_litellm_37102_tools_and_system_text_of_any_script_are_counted():
    plain: Json = {"model": "m", "messages": [user("foo")]}
    tool = {"name": "f", "description": "说明" * 500, "input_schema": {"type": "object"}}
    asks = [
        read_count(json.dumps(body, ensure_ascii=False).encode())
        for body in (plain, {**plain, "tools": [tool]}, {**plain, "system": "word " * 500})
    ]
    counts = [UNTAUGHT.estimate(ask.model, ask.prompt) for ask in asks]
    assert counts[1] > counts[0] + 700
    assert counts[2] > counts[0] + 500


def test_command_code_323_ids_with_pipes_are_rewritten_alike_in_call_and_result():
    call = {"id": "call_a|fc_b", "function": {"name": "f", "arguments": "{}"}, "type": "function"}
    turns = [user("a"), {"role": "assistant", "content": None, "tool_calls": [call]}]
    turns += [{"role": "tool", "tool_call_id": "call_a|fc_b", "content": "r"}]
    messages = sent({"messages": turns}, "anthropic", "chat", "messages")["messages"]
    used = messages[1]["content"][0]["id"]
    assert used.replace("_", "").replace("-", "").isalnum()
    assert messages[2]["content"][0]["tool_use_id"] == used


def test_krouter_11_genuine_signatures_go_on_byte_for_byte():
    thought = {"type": "thinking", "thinking": "", "signature": "Z2VudWluZS8rPQ=="}
    turns = [user("a"), assistant([thought, {"type": "text", "text": "b"}]), user("c")]
    request = {"messages": turns, "thinking": {"type": "adaptive"}}
    assert sent(request, "anthropic", "messages", "messages")["messages"] == turns
    detail = {"type": "reasoning.text", "text": "", "signature": "Z2VudWluZS8rPQ=="}
    chat = [user("a"), {**assistant("b"), "reasoning_details": [detail]}, user("c")]
    messages = sent({"messages": chat}, "anthropic", "chat", "messages")["messages"]
    assert messages[1]["content"][0] == thought


@pytest.mark.parametrize("signature", ["", "tb1.AAAA", "made up", None])
def test_omniroute_12105_no_signature_is_made_up_and_none_of_others_replayed(signature):
    detail = {"type": "reasoning.text", "text": "x", "signature": signature}
    chat = [user("a"), {**assistant("b"), "reasoning_details": [detail]}, user("c")]
    chat[1]["reasoning_content"] = "x"
    messages = sent({"messages": chat}, "anthropic", "chat", "messages")["messages"]
    assert [block["type"] for block in messages[1]["content"]] == ["text"]


def test_litellm_18137_web_fetch_results_of_earlier_turns_are_kept():
    page = {"type": "web_fetch_result", "url": "https://example.com", "content": {
        "type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "D."}}}  # fmt: skip
    use = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_fetch",
        "input": {"url": "u"},
    }
    result = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": page}
    turns = [user("a"), assistant([use, result, {"type": "text", "text": "b"}]), user("c")]
    assert sent({"messages": turns}, "anthropic", "messages", "messages")["messages"] == turns
    messages = sent({"messages": turns}, "generic")["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    assert "https://example.com" in messages[1]["content"]
