"""What crosses an exchange whole, or is told: losses, stops, thinking, refusals that can be mended."""

import json

from tests.fakes.bodies import chat_body, chunk, event, messages_body
from tests.fakes.exchange_parts import HANG, JSON_HEAD, STREAM_HEAD, ScriptedReply
from tests.fakes.world import ENV, answer, charged, in_world, refusal

from tollbridge.errors import ErrorCode
from tollbridge.routing.plan import ATTEMPTS_MAX

STRICT = {"x-tollbridge-strict": "1"}
USER = {"role": "user", "content": "Hi"}
PATTERN = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^\\d+$"}}}
TOOL = {"name": "f", "input_schema": PATTERN}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": PATTERN}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "EqoB"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}


def completion(text: str = "Hello") -> ScriptedReply:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 25, "completion_tokens": 7}
    return ScriptedReply(
        [json.dumps({"choices": [choice], "usage": usage}).encode()], 200, JSON_HEAD
    )


def message(*content: object) -> ScriptedReply:
    usage = {"input_tokens": 25, "output_tokens": 7}
    members = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    end = {"stop_reason": "tool_use", "usage": usage}
    whole = json.dumps({**members, "content": content, **end}).encode()
    return ScriptedReply([whole], 200, JSON_HEAD)


def sent(world, server: str, index: int = -1) -> dict:
    return json.loads(world.servers[server].calls[index].body)


@in_world()
async def test_losses_are_told_and_refused_to_strict_clients(world):
    world.servers["talk"].answers = [completion()]
    asked = messages_body("c", stream=False, top_k=5, container="x", speed="fast")
    client, _ = await world.ask(asked)
    assert client.headers["x-tollbridge-dropped"] == "top_k, container"
    client, error = await world.ask(asked, headers=STRICT)
    assert error.code is ErrorCode.FIELD_UNSUPPORTED
    assert error.field == "top_k"
    assert "top_k, container:" in error.message
    assert len(world.servers["talk"].calls) == 1
    assert world.usage()[-1]["amount"] == 0
    world.servers["talk"].answers = [completion()]
    _, error = await world.ask(messages_body("c", stream=False, speed="fast"), headers=STRICT)
    assert error is None


@in_world()
async def test_a_strict_chat_client(world):
    _, error = await world.ask(chat_body("single", seed=3), "chat", headers=STRICT)
    assert (error.code, error.field) == (ErrorCode.FIELD_UNSUPPORTED, "seed")


@in_world()
async def test_names_that_nobody_knows_are_observed(world):
    world.servers["talk"].answers = [completion()]
    await world.ask(messages_body("c", stream=False, mood="gay"))
    assert world.observer.unknowns == [("messages request field", "mood")]


@in_world()
async def test_a_stop_sequence_ends_a_stream_and_cancels_the_upstream(world):
    reply = ScriptedReply([chunk("one STO"), chunk("P two"), HANG])
    world.servers["talk"].answers = [reply]
    client, _ = await world.ask(messages_body("c", stop_sequences=["STOP"]))
    assert reply.aborted
    assert b'"stop_sequence":"STOP"' in client.body
    assert b"two" not in client.body
    assert client.body.endswith(b'data: {"type":"message_stop"}\n\n')
    assert "stop" not in sent(world, "talk")
    assert (await charged(world))[:2] == ("finished", "counted")


@in_world()
async def test_a_stop_sequence_ends_a_whole_answer_and_cancels_the_upstream(world):
    reply = ScriptedReply([chunk("one STO"), chunk("P two"), HANG])
    world.servers["talk"].answers = [reply]
    client, _ = await world.ask(messages_body("c", stream=False, stop_sequences=["STOP"]))
    told = json.loads(client.body)
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "STOP")
    assert [block["text"] for block in told["content"]] == ["one "]
    assert client.headers["content-type"] == "application/json"
    assert sent(world, "talk")["stream"] is True
    assert world.servers["talk"].calls[0].stream
    assert reply.aborted
    assert (await charged(world))[:2] == ("finished", "counted")


@in_world()
async def test_a_gathered_answer_without_a_match_is_charged_as_reported(world):
    usage = {"prompt_tokens": 25, "completion_tokens": 7}
    pieces = [chunk("one S"), chunk(finish="stop"), chunk(usage=usage), b"data: [DONE]\n\n"]
    world.servers["talk"].answers = [ScriptedReply(pieces)]
    client, _ = await world.ask(messages_body("c", stream=False, stop_sequences=["STOP"]))
    told = json.loads(client.body)
    assert told["content"] == [{"type": "text", "text": "one S"}]
    assert told["stop_reason"] == "end_turn"
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_a_gathered_answer_that_breaks_off_is_an_error(world):
    for steps, code in (
        ([chunk("one")], ErrorCode.UPSTREAM_TRUNCATED),
        ([b'data: {"error":{"message":"busy","code":503}}\n\n'], ErrorCode.UPSTREAM_OVERLOADED),
    ):
        world.servers["talk"].answers = [ScriptedReply(steps) for _ in range(ATTEMPTS_MAX)]
        asked = messages_body("c", stream=False, stop_sequences=["STOP"])
        client, error = await world.ask(asked)
        assert client.status is None
        assert error.code is code
        assert world.usage()[-1]["amount"] == 0


@in_world()
async def test_no_tokens_at_all_are_answered_here_and_cost_nothing(world):
    client, _ = await world.ask(messages_body("c", stream=False, max_tokens=0))
    told = json.loads(client.body)
    assert (told["content"], told["stop_reason"]) == ([], "max_tokens")
    assert told["usage"]["output_tokens"] == 0
    assert world.servers["talk"].calls == []
    assert (await charged(world))[2] == 0
    _, error = await world.ask(messages_body("c", max_tokens=0))
    assert (error.code, error.field) == (ErrorCode.FIELD_INVALID, "max_tokens")


@in_world()
async def test_a_refused_schema_is_sent_once_more_without_patterns(world):
    await world.store.switch(ENV, ["picky"], on=True)
    refused = refusal(400, b'{"error":{"message":"Invalid schema for function: pattern"}}')
    world.servers["picky"].answers = [refused, completion()]
    client, error = await world.ask(messages_body("picky", stream=False, tools=[TOOL]))
    assert error is None
    assert client.status == 200
    schemas = [sent(world, "picky", n)["tools"][0]["function"]["parameters"] for n in (0, 1)]
    assert schemas[0] == PATTERN
    assert schemas[1]["properties"] == {"a": {"type": "string"}}


@in_world()
async def test_what_was_left_out_stays_out_when_the_server_is_overloaded_then(world):
    await world.store.switch(ENV, ["picky"], on=True)
    refused = refusal(400, b'{"error":{"message":"Invalid schema for function: pattern"}}')
    world.servers["picky"].answers = [refused, refusal(503, b"busy"), completion()]
    client, error = await world.ask(messages_body("picky", stream=False, tools=[TOOL]))
    assert error is None
    assert client.headers["x-tollbridge-attempts"] == "3"
    assert sent(world, "picky", 1) == sent(world, "picky", 2) != sent(world, "picky", 0)


@in_world()
async def test_a_schema_that_is_refused_twice_is_told(world):
    await world.store.switch(ENV, ["picky"], on=True)
    words = b'{"error":{"message":"Invalid schema for function f"}}'
    world.servers["picky"].answers = [refusal(400, words), refusal(400, words)]
    _, error = await world.ask(messages_body("picky", stream=False, tools=[TOOL]))
    assert error.code is ErrorCode.SCHEMA_REFUSED
    assert "Invalid schema for function f" in error.message


@in_world()
async def test_where_nothing_can_be_left_out_nothing_is_sent_again(world):
    words = b'{"error":{"message":"Invalid schema for function f"}}'
    world.servers["talk"].answers = [refusal(400, words)]
    _, error = await world.ask(chat_body("c", stream=False, tools=[FUNCTION]), "chat")
    assert error.code is ErrorCode.SCHEMA_REFUSED
    assert len(world.servers["talk"].calls) == 1


@in_world()
async def test_hidden_thinking_returns_to_its_upstream(world):
    await world.store.switch(ENV, ["kept"], on=True)
    world.servers["claude"].answers = [message(THOUGHT, CALL), message()]
    client, _ = await world.ask(messages_body("kept", stream=False, tools=[TOOL]))
    shown = json.loads(client.body)["content"]
    assert shown == [CALL]
    turns = [USER, {"role": "assistant", "content": shown}, RESULT]
    await world.ask(messages_body("kept", stream=False, tools=[TOOL], messages=turns))
    assert sent(world, "claude")["messages"] == [
        USER,
        {"role": "assistant", "content": [THOUGHT, CALL]},
        RESULT,
    ]


@in_world()
async def test_signed_thinking_returns_although_a_chat_client_does_not_send_it(world):
    await world.store.switch(ENV, ["kept"], on=True)
    pieces = [event("message_start", message={"usage": {"input_tokens": 25}})]
    for index, block in enumerate((THOUGHT, CALL)):
        pieces.append(event("content_block_start", index=index, content_block=block))
        pieces.append(event("content_block_stop", index=index))
    pieces.append(event("message_delta", delta={"stop_reason": "tool_use"}))
    pieces.append(event("message_stop"))
    world.servers["claude"].answers = [ScriptedReply(pieces), message()]
    asked = {"tools": [FUNCTION], "reasoning_effort": "high"}
    await world.ask(chat_body("kept", **asked), "chat")
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"},
    ]
    await world.ask(chat_body("kept", stream=False, messages=turns, **asked), "chat")
    assert sent(world, "claude")["messages"][1]["content"] == [THOUGHT, CALL]


@in_world()
async def test_where_the_thinking_is_lost_the_turn_goes_on_without(world):
    """Another worker has what this one would need, or nobody has."""
    await world.store.switch(ENV, ["kept"], on=True)
    words = (
        b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0.'
        b'type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."}}'
    )
    world.servers["claude"].answers = [refusal(400, words), message()]
    turns = [USER, {"role": "assistant", "content": [CALL]}, RESULT]
    asked = messages_body("kept", stream=False, tools=[TOOL], messages=turns)
    client, error = await world.ask(asked)
    assert error is None
    assert client.status == 200
    assert "thinking" not in sent(world, "claude", 0)
    assert sent(world, "claude", 1)["thinking"] == {"type": "disabled"}


@in_world()
async def test_the_operator_decides_where_system_messages_go(world):
    await world.store.switch(ENV, ["picky"], on=True)
    world.servers["picky"].answers = [completion()]
    turns = [USER, {"role": "system", "content": "Be brief."}]
    await world.ask(messages_body("picky", stream=False, messages=turns, system="Be kind."))
    assert sent(world, "picky")["messages"] == [
        {"role": "system", "content": "Be kind.\n\nBe brief."},
        USER,
    ]


@in_world()
async def test_a_stream_that_needs_nothing_of_this_is_as_ever(world):
    world.servers["one"].answers = [answer("Hello")]
    client, _ = await world.ask(messages_body("single"), headers=STRICT)
    assert "x-tollbridge-dropped" not in client.headers
    assert not world.gateway.vault.may_hold(ENV)
    assert STREAM_HEAD["content-type"] in client.headers["content-type"]
