import json

from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, Kept, UpstreamTerms
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.identity import MessagesIdentity
from tollbridge.translate.kept_thinking import KeptThinking, lacking_thinking, with_thinking
from tollbridge.translate.messages_on_chat import MessagesOnChat

IDENTITY = Identity("req_1", "abc", 1_700_000_000, b"key")
CLAUDE = UpstreamTerms("claude-opus-4-8", "anthropic", 5_000)
THOUGHT = {"type": "thinking", "thinking": "Hm \u2028 «ü»", "signature": "EqoB+/="}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
TEXT = {"type": "text", "text": "I look."}
USAGE = {"input_tokens": 3, "output_tokens": 4}


def messages_body(*turns, **members) -> bytes:
    asked = [{"role": "user", "content": "Go"}, *turns]
    return json.dumps({"model": "m", "max_tokens": 900, "messages": asked, **members}).encode()


def chat_body(*turns, **members) -> bytes:
    asked = [{"role": "user", "content": "Go"}, *turns]
    return json.dumps({"model": "m", "messages": asked, **members}).encode()


def result(name: str = "tool_use_id", call: str = "toolu_1") -> dict:
    return {"role": "user", "content": [{"type": "tool_result", name: call, "content": "ok"}]}


def claude_answer(*blocks) -> bytes:
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    end = {"stop_reason": "tool_use", "stop_sequence": None, "usage": USAGE}
    return json.dumps({**answer, "content": blocks, **end}).encode()


def claude_stream(*blocks) -> bytes:
    def event(kind: str, **members) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()

    message = {"id": "msg_1", "model": "m", "content": [], "usage": USAGE}
    sent = event("message_start", message=message)
    for index, block in enumerate(blocks):
        empty = {"thinking": "", "signature": ""} if block["type"] == "thinking" else {}
        sent += event("content_block_start", index=index, content_block={**block, **empty})
        if block["type"] == "thinking":
            for part in (block["thinking"][:2], block["thinking"][2:]):
                delta = {"type": "thinking_delta", "thinking": part}
                sent += event("content_block_delta", index=index, delta=delta)
            delta = {"type": "signature_delta", "signature": block["signature"]}
            sent += event("content_block_delta", index=index, delta=delta)
        sent += event("content_block_stop", index=index)
    sent += event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 4})
    return sent + event("message_stop")


def kept_by(bridge, answer: bytes, *, stream: bool) -> Kept | None:
    if not stream:
        return bridge.reply(answer).kept
    state = bridge.stream()
    for start in range(0, len(answer), 7):
        state.feed(answer[start : start + 7])
    state.close()
    assert state.failure is None
    return state.kept


def test_a_builder_keeps_thoughts_apart_and_in_order():
    thinking = KeptThinking()
    thinking.think("a")
    thinking.think("b")
    thinking.seal("sig")
    thinking.redact("opaque")
    thinking.call("one")
    thinking.call("two")
    kept = thinking.kept()
    assert kept is not None
    assert kept.call_id == "one"
    assert [block["type"] for block in json.loads(kept.blocks)] == ["thinking", "redacted_thinking"]
    assert KeptThinking().kept() is None


def test_thinking_hidden_from_a_messages_client_comes_back_as_it_was():
    body = messages_body()
    bridge = MessagesIdentity(read_ask("messages", body), body, IDENTITY)
    for stream in (False, True):
        whole = claude_stream if stream else claude_answer
        kept = kept_by(bridge, whole(THOUGHT, REDACTED, TEXT, CALL), stream=stream)
        assert kept is not None
        follow = messages_body({"role": "assistant", "content": [TEXT, CALL]}, result())
        assert lacking_thinking("messages", follow) == ("toolu_1",)
        restored = json.loads(with_thinking("messages", follow, {"toolu_1": kept.blocks}))
        assert restored["messages"][1]["content"] == [THOUGHT, REDACTED, TEXT, CALL]
        assert restored["messages"][2] == result()
    assert kept_by(bridge, claude_answer(THOUGHT, TEXT), stream=False) is None
    assert kept_by(bridge, claude_answer(TEXT, CALL), stream=False) is None


def test_a_client_that_asked_for_thinking_keeps_it_itself():
    body = messages_body(thinking={"type": "adaptive"})
    bridge = MessagesIdentity(read_ask("messages", body), body, IDENTITY)
    assert kept_by(bridge, claude_answer(THOUGHT, CALL), stream=False) is None
    assert kept_by(bridge, claude_stream(THOUGHT, CALL), stream=True) is None
    follow = messages_body({"role": "assistant", "content": [THOUGHT, CALL]}, result())
    assert lacking_thinking("messages", follow) == ()


def test_a_chat_client_that_returns_calls_only_still_sends_genuine_thinking():
    body = chat_body(reasoning_effort="high")
    for stream in (False, True):
        bridge = ChatOnMessages(read_ask("chat", body), body, IDENTITY)
        bridge.request(CLAUDE)
        whole = claude_stream if stream else claude_answer
        kept = kept_by(bridge, whole(THOUGHT, REDACTED, CALL), stream=stream)
        assert kept is not None
        call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        follow = chat_body(
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"},
            reasoning_effort="high",
        )
        assert lacking_thinking("chat", follow) == ("toolu_1",)
        restored = with_thinking("chat", follow, {kept.call_id: kept.blocks})
        assert lacking_thinking("chat", restored) == ()
        again = ChatOnMessages(read_ask("chat", restored), restored, IDENTITY)
        sent = json.loads(again.request(CLAUDE))
        assert sent["messages"][1]["content"] == [THOUGHT, REDACTED, CALL]
        assert sent["thinking"]["type"] == "adaptive"


def test_reasoning_that_a_messages_client_did_not_see_goes_back_to_a_chat_upstream():
    body = messages_body()
    terms = UpstreamTerms("deepseek-chat", "deepseek", 900)
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "reasoning_content": "Hm.", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    bridge = MessagesOnChat(read_ask("messages", body), body, IDENTITY)
    bridge.request(terms)
    reply = bridge.reply(json.dumps({"id": "x", "choices": [choice]}).encode())
    assert reply.kept is not None
    shown = json.loads(reply.body)["content"]
    assert [block["type"] for block in shown] == ["tool_use"]
    follow = messages_body({"role": "assistant", "content": shown}, result(call="call_1"))
    restored = with_thinking("messages", follow, {reply.kept.call_id: reply.kept.blocks})
    again = MessagesOnChat(read_ask("messages", restored), restored, IDENTITY)
    assert json.loads(again.request(terms))["messages"][1]["reasoning_content"] == "Hm."


def test_bodies_that_are_odd_are_left_to_the_translation():
    for odd in (
        b'{"messages":"\\"tool_use\\" "}',
        b'{"messages":[1,{"role":"assistant","content":"\\"tool_use\\""}]}',
        b'{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":5}]}]}',
        b'{"messages":null,"x":"tool_use"}',
    ):
        assert lacking_thinking("messages", odd) == ()
    assert lacking_thinking("chat", b'{"messages":[{"role":"assistant","tool_calls":7}]}') == ()
    assert lacking_thinking("chat", b'{"messages":[{"role":"assistant","tool_calls":[]}]}') == ()
