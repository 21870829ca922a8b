import msgspec
import pytest
from tests.unit.translate.chat_streams import (
    DONE,
    IDENTITY,
    ask,
    assistant,
    bridged,
    call,
    calls,
    chunk,
    events_as_structs,
    events_of,
    text,
    thought,
    tool_result,
    user,
)

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Bridge, UpstreamTerms
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.wire.messages.fold import fold


def test_it_is_a_bridge():
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}]}'
    bridge: Bridge = MessagesOnChat(ask(), body, IDENTITY)
    assert bridge.pin_version is None
    assert bridge.request(UpstreamTerms("up", "generic", 1))


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b'{"model":"m","messages":[]}', ErrorCode.FIELD_MISSING, "max_tokens"),
        (b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":7}]}',
         ErrorCode.FIELD_INVALID, "messages[0].content"),
        (b"{", ErrorCode.BODY_INVALID, None),
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_refused_by_its_path(
    body: bytes, code: ErrorCode, field: str | None
):
    with pytest.raises(GatewayError) as caught:
        MessagesOnChat(ask(), body, IDENTITY)
    assert (caught.value.code, caught.value.field) == (code, field)


@pytest.mark.parametrize(
    "tail",
    [
        b'"messages":[{"role":"user","content":"a"}],"tools":[{"name":"t","input_schema":{"$schema":"x","items":%b}}]',
        b'"messages":[{"role":"user","content":[{"type":"hologram","text":%b}]}]',
        b'"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":%b}]}]',
    ],
)
@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_nesting_is_answered_never_an_accident(tail: bytes, depth: int):
    body = b'{"model":"m","max_tokens":1,%b}' % (
        tail % (b'{"items":' * depth + b"1" + b"}" * depth)
    )
    outcome = None
    try:
        sent = MessagesOnChat(ask(), body, IDENTITY).request(UpstreamTerms("up", "vllm", 1))
        assert msgspec.json.decode(sent)["model"] == "up"
    except GatewayError as error:
        outcome = error.code
    assert outcome is ErrorCode.BODY_INVALID or (outcome is None and depth < 100_000)


def test_hidden_thinking_makes_the_whole_way_round():
    """The client never sees the thought, and the upstream gets it back byte for byte."""
    asked = {"thinking": {"type": "adaptive", "display": "omitted"}, "stream": True}
    _, bridge = bridged(asked, "deepseek")
    stream = bridge.stream()
    plan = 'First 你好,\nthen "that".'
    piece = calls(call(0, "{}", id="functions.f:0", name="f"))
    written = stream.feed(thought(plan) + text("Hm.") + piece + chunk({}, "tool_calls") + DONE)
    message = fold(events_as_structs(events_of(written)))
    assert plan.encode() not in written
    turn = msgspec.json.decode(msgspec.json.encode(message.content))
    result = user([tool_result(turn[2]["id"])])
    sent, _ = bridged({**asked, "messages": [user("a"), assistant(*turn), result]}, "deepseek")
    assert sent["messages"][1]["reasoning_content"] == plan
    assert sent["messages"][1]["tool_calls"][0]["id"] == "functions.f:0"
    assert sent["messages"][2]["tool_call_id"] == "functions.f:0"


def test_a_tool_name_is_restored_in_streams_and_answers():
    name = "mcp__" + "x" * 90
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    sent, bridge = bridged({"tools": tools})
    short = sent["tools"][0]["function"]["name"]
    written = bridge.stream().feed(calls(call(0, "{}", id="a", name=short)))
    assert events_of(written)[1]["content_block"]["name"] == name
    choice = {"message": {"tool_calls": [{"id": "a", "function": {"name": short}}]}}
    told = bridge.reply(msgspec.json.encode({"choices": [choice]}))
    assert msgspec.json.decode(told.body)["content"][0]["name"] == name


def test_tags_are_only_searched_where_templates_leak_them():
    leaked = text("<think>a</think>b")
    for dialect, blocks in (("generic", 2), ("openai", 1)):
        _, bridge = bridged({}, dialect)
        written = bridge.stream().feed(leaked + chunk({}, "stop") + DONE)
        assert len([event for event in events_of(written) if "content_block" in event]) == blocks


def test_a_prefill_that_the_server_repeats_is_taken_off():
    turns = [user("a"), {"role": "assistant", "content": "The river"}]
    answer = {"choices": [{"message": {"content": "The river is wide"}, "finish_reason": "stop"}]}
    for dialect, expected in (("llama.cpp", " is wide"), ("openrouter", "The river is wide")):
        _, bridge = bridged({"messages": turns}, dialect)
        message = msgspec.json.decode(bridge.reply(msgspec.json.encode(answer)).body)
        assert message["content"] == [{"type": "text", "text": expected}]


@pytest.mark.parametrize(
    "tail",
    [
        b'"messages":[{"role":"user","content":"a"}],"tools":[{"name":"t","input_schema":{"$schema":"x","maximum":1e999}}]',
        b'"messages":[{"role":"user","content":"a"}],"output_config":{"format":{"type":"json_schema","schema":{"maximum":1e999}}}',
        b'"messages":[{"role":"user","content":[{"type":"hologram","text":1e999}]}]',
    ],
)
def test_a_number_beyond_all_ranges_is_the_client_s(tail: bytes):
    body = b'{"model":"m","max_tokens":1,%b}' % tail
    with pytest.raises(GatewayError) as caught:
        MessagesOnChat(ask(), body, IDENTITY).request(UpstreamTerms("up", "vllm", 1))
    assert caught.value.code is ErrorCode.BODY_INVALID
