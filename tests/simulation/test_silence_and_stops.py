"""Heartbeats, a ledger that is away, a gateway that stops or has a bug."""

import asyncio

import pytest
from tests.fakes.bodies import (
    OVERLOADED,
    chat_body,
    message,
    message_end,
    message_start,
    messages_body,
    text_delta,
)
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import answer, charged, in_world, settle_down

from tollbridge.app.ports import UpstreamError
from tollbridge.errors import ErrorCode

# Heartbeats.


@pytest.mark.parametrize(("protocol", "mark"), [("messages", b"event: ping\n"), ("chat", b":")])
def test_heartbeats_before_the_first_byte(tmp_path, protocol, mark):
    @in_world()
    async def scenario(world):
        name, body = ("one", messages_body()) if protocol == "messages" else ("talk", chat_body())
        world.servers[name].answers = [HANG]
        client = RecordingClient()
        run = asyncio.ensure_future(world.open(client, body, protocol))
        await settle_down()
        await world.beat(9)
        assert client.status is None
        await world.beat(1)
        assert client.status == 200
        assert client.body.startswith(mark)
        await world.beat(10)
        assert len(client.parts) == 2
        client.leave()
        await run

    scenario(tmp_path)


@in_world()
async def test_a_heartbeat_does_not_forbid_another_upstream(world):
    gate = asyncio.Event()
    first = ScriptedReply([OVERLOADED], 529, JSON_HEAD)

    async def send_late(call):
        await gate.wait()
        return first

    world.servers["one"].send = send_late
    world.servers["two"].answers = [answer("Hello")]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await world.beat(10)
    gate.set()
    await run
    assert client.body.startswith(b"event: ping")
    assert client.body.endswith(b'data: {"type": "message_stop"}\n\n')
    assert b"event: error" not in client.body
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_after_a_heartbeat_errors_travel_in_the_stream(world):
    gate = asyncio.Event()

    async def send_late(call):
        await gate.wait()
        raise UpstreamError("refused", sent=False)

    world.servers["one"].send = send_late
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body("single")))
    await world.beat(10)
    gate.set()
    await run
    assert client.body.count(b"event: error") == 1
    assert client.finished
    assert await charged(world) == ("failed_early", "void", 0)


@in_world()
async def test_heartbeats_stand_between_events(world):
    half = len(text_delta("a")) // 2
    reply = ScriptedReply([message_start(), text_delta("a")[:half], HANG])
    world.servers["one"].answers = [reply]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    await world.beat(10)
    assert client.body.endswith(b'event: ping\ndata: {"type": "ping"}\n\n')
    assert b"\n\nevent: ping" in client.body
    client.leave()
    await run


@in_world()
async def test_one_shot_answers_have_no_heartbeat(world):
    world.servers["one"].answers = [ScriptedReply([HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body(stream=False)))
    await world.beat(20)
    assert client.status is None
    client.leave()
    await run


# The ledger is away, the gateway stops, the gateway has a bug.


@in_world()
async def test_nothing_is_served_while_the_ledger_is_away(world):
    world.store.away = True
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.LEDGER_UNAVAILABLE
    assert error.retry_after_s > 0
    assert world.observer.refused == [error]
    world.store.away = False
    assert world.usage() == []


@in_world()
async def test_streams_outlive_the_ledger(world):
    def go_away():
        world.store.away = True

    world.servers["one"].answers = [
        ScriptedReply([message_start(), go_away, text_delta("Hello"), message_end()])
    ]
    client, error = await world.ask(messages_body())
    assert error is None
    assert b"message_stop" in client.body
    assert len(world.settler.waiting) == 1
    await world.beat(3)
    assert world.holds()
    world.store.away = False
    await world.beat(1)
    assert not world.settler.waiting
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_a_one_shot_answer_outlives_the_ledger(world):
    def go_away():
        world.store.away = True

    world.servers["one"].answers = [ScriptedReply([go_away, message()], 200, JSON_HEAD)]
    client, _ = await world.ask(messages_body(stream=False))
    assert client.body == message()
    assert "x-tollbridge-charge" not in client.headers
    world.store.away = False
    await world.beat(1)
    assert await charged(world) == ("finished", "reported", 32)


@pytest.mark.parametrize("steps", [[HANG], [message_start(), text_delta("x" * 40), HANG]])
def test_interrupted_by_a_stop(tmp_path, steps):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [ScriptedReply(steps)]
        client = RecordingClient()
        run = asyncio.ensure_future(world.ask_with(client, messages_body("single")))
        await settle_down()
        world.exchanges[0].interrupt()
        error = await run
        if len(steps) == 1:
            assert error.code is ErrorCode.GATEWAY_STOPPING
            assert await charged(world) == ("failed_early", "void", 0)
        else:
            assert client.body.count(b"GATEWAY_STOPPING") == 1
            assert client.finished
            assert await charged(world) == ("failed_midway", "counted", 35)

    scenario(tmp_path)


@in_world()
async def test_a_stop_after_the_last_event_is_a_good_end(world):
    world.servers["one"].answers = [
        ScriptedReply([message_start(), text_delta("a"), message_end(), HANG])
    ]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    world.exchanges[0].interrupt()
    await run
    assert client.finished
    assert b"event: error" not in client.body
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_a_bug_in_the_middle_of_a_stream_is_told_and_settled(
    world,
):
    world.servers["one"].answers = [
        ScriptedReply([message_start(), text_delta("x" * 40), ZeroDivisionError("bug"), HANG])
    ]
    client, error = await world.ask(messages_body())
    assert error is None
    assert client.body.count(b"event: error") == 1
    assert client.finished
    assert isinstance(world.observer.troubles[0][1], ZeroDivisionError)
    assert await charged(world) == ("failed_midway", "counted", 35)


@in_world()
async def test_a_bug_before_the_first_byte_is_the_edge_s_to_tell(world):
    world.servers["one"].answers = [ZeroDivisionError("bug")]
    with pytest.raises(ZeroDivisionError):
        await world.ask(messages_body("single"))
    assert await charged(world) == ("failed_early", "void", 0)
    assert world.observer.ended[0][1:] == (500, "INTERNAL")


@pytest.mark.parametrize("turns", range(1, 16))
def test_cancelled_from_outside_at_any_moment(tmp_path, turns):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [ScriptedReply([message()], 200, JSON_HEAD)]
        run = asyncio.ensure_future(world.ask(messages_body(stream=False)))
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await world.beat(1)
        told = [(503, error.code.name) for error in world.observer.refused]
        told += [row[1:] for row in world.observer.ended]
        assert told in ([(503, "GATEWAY_STOPPING")], [(200, None)])
        assert (told[0][0] == 200) == any(row["amount"] for row in world.usage())
        assert world.observer.troubles == []

    scenario(tmp_path)
