"""A Chat client whose upstream pauses the turn: one answer, paid for in sum."""

import asyncio
import json

from tests.fakes.bodies import (
    chat_body,
    message,
    message_end,
    message_start,
    messages_body,
    text_delta,
)
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import ENV, charged, in_world, settle_down
from tests.unit.translate.test_paused_turns import END, FOUND, SEARCH, body_of, events_of

from tollbridge.errors import ErrorCode
from tollbridge.routing.plan import ATTEMPTS_MAX

PAUSED = (SEARCH, FOUND)


def asked(*, stream: bool, model: str = "kept") -> bytes:
    return chat_body(
        model, stream=stream, web_search_options={"user_location": None}, max_tokens=90
    )


def one_shot(*content, stop):
    return ScriptedReply([body_of(*content, stop=stop)], 200, JSON_HEAD)


async def switched_on(world):
    await world.store.switch(ENV, ["kept"], on=True)
    return world.servers["claude"]


@in_world()
async def test_one_answer(world):
    server = await switched_on(world)
    server.answers = [one_shot(*PAUSED, stop="pause_turn"), one_shot(END, stop="end_turn")]
    client, error = await world.ask(asked(stream=False), "chat")
    assert error is None
    whole = json.loads(client.body)
    assert (whole["choices"][0]["finish_reason"], whole["usage"]["completion_tokens"]) == (
        "stop",
        14,
    )
    first, second = (json.loads(call.body) for call in server.calls)
    assert second["messages"] == [
        *first["messages"],
        {"role": "assistant", "content": list(PAUSED)},
    ]
    assert world.observer.tried == [("claude", None)]
    # Twice 10 of the prompt, twice 2 read from the cache at a tenth, twice 7.
    outcome, provenance, _ = await charged(world)
    assert (outcome, provenance) == ("finished", "reported")
    (row,) = world.usage()
    assert (row["input"], row["cache_read"], row["output"]) == (20, 4, 14)


@in_world()
async def test_one_stream(world):
    server = await switched_on(world)
    server.answers = [
        ScriptedReply([events_of(*PAUSED, stop="pause_turn")]),
        ScriptedReply([events_of(END, stop="end_turn")]),
    ]
    client, error = await world.ask(asked(stream=True), "chat")
    assert error is None
    assert client.finished
    assert client.body.count(b"[DONE]") == client.body.count(b'"finish_reason":"stop"') == 1
    (row,) = world.usage()
    assert (row["outcome"], row["input"], row["output"]) == ("finished", 20, 14)


@in_world()
async def test_a_stream_whose_second_half_fails_ends_in_an_error(world):
    server = await switched_on(world)
    content = ({"type": "text", "text": "Let me look."}, *PAUSED)
    server.answers = [
        ScriptedReply([events_of(*content, stop="pause_turn")]),
        ScriptedReply([b'{"error":{"type":"overloaded_error"}}'], 529, JSON_HEAD),
    ]
    client, error = await world.ask(asked(stream=True), "chat")
    assert error is None, "the head has gone out"
    assert b"[DONE]" not in client.body
    assert b'"code":"overloaded"' in client.body
    (row,) = world.usage()
    assert (row["outcome"], row["input"], row["output"]) == ("failed_midway", 10, 7)


@in_world()
async def test_an_answer_whose_second_half_fails_costs_nothing(world):
    server = await switched_on(world)
    for _ in range(ATTEMPTS_MAX):
        broken = ScriptedReply([b'{"error":{"type":"overloaded_error"}}'], 529, JSON_HEAD)
        server.answers += [one_shot(*PAUSED, stop="pause_turn"), broken]
    _, error = await world.ask(asked(stream=False), "chat")
    assert error.code is ErrorCode.UPSTREAM_OVERLOADED
    assert (await charged(world))[:2] == ("failed_early", "void")


@in_world()
async def test_a_client_that_leaves_between_the_halves_has_not_finished(world):
    server = await switched_on(world)
    content = ({"type": "text", "text": "Let me look."}, *PAUSED)
    hanging = ScriptedReply([HANG])
    server.answers = [ScriptedReply([events_of(*content, stop="pause_turn")]), hanging]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, asked(stream=True), "chat"))
    await settle_down()
    client.leave()
    await run
    assert hanging.aborted
    (row,) = world.usage()
    assert (row["outcome"], row["input"], row["output"]) == ("client_gone", 10, 7)


@in_world()
async def test_a_messages_client_sees_the_pause(world):
    whole = json.loads(message())
    whole["stop_reason"] = "pause_turn"
    streamed = [message_start(), text_delta("x"), message_end().replace(b"end_turn", b"pause_turn")]
    once = ScriptedReply([json.dumps(whole).encode()], 200, JSON_HEAD)
    world.servers["one"].answers = [ScriptedReply(streamed), once]
    for stream in (True, False):
        client, error = await world.ask(messages_body(stream=stream))
        assert error is None
        assert b'"stop_reason": "pause_turn"' in client.body
    assert len(world.servers["one"].calls) == 2, "nobody went on for it"
