"""The life of a request, from every end that it can have."""

import asyncio

import pytest
from tests.fakes.bodies import (
    chat_body,
    chunk,
    message,
    message_end,
    message_start,
    messages_body,
    text_delta,
)
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import ENV, KEY, answer, charged, in_world, settle_down

from tollbridge.errors import ErrorCode
from tollbridge.units import MICRO, KeyId, Millis

# The tariff, one test per row.


@in_world()
async def test_finished_stream_with_reported_usage(world):
    world.servers["one"].answers = [answer("Hello", " there")]
    client, error = await world.ask(messages_body())
    assert error is None
    assert client.status == 200
    assert client.finished
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["x-tollbridge-upstream"] == "one"
    assert client.body.endswith(b'data: {"type": "message_stop"}\n\n')
    assert await charged(world) == ("finished", "reported", 25 + 7)


@in_world()
async def test_finished_answer_with_reported_usage(world):
    world.servers["one"].answers = [ScriptedReply([message()[:10], message()[10:]], 200, JSON_HEAD)]
    client, _ = await world.ask(messages_body(stream=False))
    assert client.body == message()
    assert client.headers["x-tollbridge-charge"] == str(32 * MICRO)
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_finished_without_usage_is_counted(world):
    server = world.servers["talk"]
    server.answers = [
        ScriptedReply([chunk("four words of text"), chunk(finish="stop"), b"data: [DONE]\n\n"])
    ]
    await world.ask(chat_body(), "chat")
    outcome, provenance, charge = await charged(world)
    assert (outcome, provenance) == ("finished", "counted")
    assert charge == world.exchanges[0]._ask.input_estimate + 5


@in_world()
async def test_usage_of_zeros_is_no_usage(world):
    zeros = {"input_tokens": 0, "output_tokens": 0}
    world.servers["one"].answers = [answer("Hello there", output=0, usage=zeros)]
    await world.ask(messages_body())
    outcome, provenance, charge = await charged(world)
    assert (outcome, provenance) == ("finished", "counted")
    assert charge == world.exchanges[0]._ask.input_estimate + 3


@in_world()
async def test_absurd_usage_is_no_usage(world):
    world.servers["one"].answers = [answer("Hello there", output=10**18)]
    await world.ask(messages_body())
    assert (await charged(world))[:2] == ("finished", "counted")


@in_world()
async def test_client_left_mid_stream(world):
    reply = ScriptedReply([message_start(), text_delta("x" * 40), HANG])
    world.servers["one"].answers = [reply]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    assert client.body.count(b"content_block_delta") == 2
    client.leave()
    await run
    assert reply.aborted
    assert not client.finished
    assert await charged(world) == ("client_gone", "counted", 25 + 10)
    assert world.observer.ended[0][1:] == (499, None)


@in_world()
async def test_client_left_while_the_upstream_thinks(world):
    world.servers["one"].answers = [ScriptedReply([HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body(stream=False)))
    await settle_down()
    client.leave()
    await run
    estimate = world.exchanges[0]._ask.input_estimate
    assert await charged(world) == ("client_gone", "counted", estimate)


@in_world()
async def test_client_left_before_its_one_answer(world):
    # The upstream streams, since the stop sequence is matched here; the client has had nothing yet.
    reply = ScriptedReply([chunk("many words that nobody has seen"), HANG])
    world.servers["talk"].answers = [reply]
    client = RecordingClient()
    body = messages_body(model="c", stream=False, stop_sequences=["END"])
    run = asyncio.ensure_future(world.open(client, body))
    await settle_down()
    client.leave()
    await run
    assert reply.aborted
    estimate = world.exchanges[0]._ask.input_estimate
    assert await charged(world) == ("client_gone", "counted", estimate)


@in_world()
async def test_client_left_before_the_head(world):
    world.servers["one"].answers = [HANG]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    client.leave()
    await run
    assert client.status is None
    assert (await charged(world))[:2] == ("client_gone", "counted")


@in_world()
async def test_client_that_hangs_up_after_the_last_event_has_finished(world):
    world.servers["one"].answers = [
        ScriptedReply([message_start(), text_delta("x" * 400), message_end(7), HANG])
    ]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    assert b"message_stop" in client.body
    client.leave()
    await run
    assert await charged(world) == ("finished", "reported", 25 + 7)
    assert world.observer.ended[0][1] == 200


@in_world()
async def test_client_that_is_slow_holds_the_upstream_back(world):
    reply = ScriptedReply([message_start(), text_delta("a"), text_delta("b"), message_end()])
    world.servers["one"].answers = [reply]
    client = RecordingClient()
    client.open.clear()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await world.beat(25)
    assert len(reply._steps) == 3, "nothing more is read"
    assert len(client.parts) == 1, "nothing more is written, and no heartbeat"
    client.open.set()
    await run
    assert b"ping" not in client.body
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_slow_client_leaves(world):
    reply = ScriptedReply([message_start(), text_delta("a"), HANG])
    world.servers["one"].answers = [reply]
    client = RecordingClient()
    client.open.clear()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    client.leave()
    await run
    assert reply.aborted
    assert (await charged(world))[0] == "client_gone"


@in_world()
async def test_killed_is_recovered_at_the_last_checkpoint(world):
    world.servers["one"].answers = [ScriptedReply([message_start(), text_delta("x" * 40), HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await world.beat(2)
    world.now = Millis(world.now + 60_000)
    assert await world.store.sweep(world.now) == 1
    (row,) = world.usage()
    assert (row["outcome"], row["provenance"]) == ("killed", "recovered")
    assert row["amount"] == 35 * MICRO
    # A worker that was only believed dead does not charge a second time.
    client.leave()
    await run
    assert (await world.pack()).spent == 35 * MICRO


# Refused by us: no hold, no row, no charge.


REFUSED = [
    (b"", {}, ErrorCode.BODY_INVALID),
    (b"[]", {}, ErrorCode.BODY_INVALID),
    (b'{"model":"m"', {}, ErrorCode.BODY_INVALID),
    (b"[" * 100_000, {}, ErrorCode.BODY_INVALID),
    (b"{}", {}, ErrorCode.FIELD_MISSING),
    (messages_body(max_tokens=-1), {}, ErrorCode.FIELD_INVALID),
    (messages_body(max_tokens=1.5), {}, ErrorCode.FIELD_INVALID),
    (messages_body("nothing"), {}, ErrorCode.MODEL_UNKNOWN),
    (messages_body("m" * 1_000_000), {}, ErrorCode.MODEL_UNKNOWN),
    (messages_body("off"), {}, ErrorCode.MODEL_DISABLED),
    (messages_body(), {"group": "mine"}, ErrorCode.GROUP_UNKNOWN),
    (messages_body(), {"presented_key": lambda: "tb_wrong"}, ErrorCode.KEY_UNKNOWN),
    (messages_body(), {"env_id": "other"}, ErrorCode.KEY_FOREIGN),
]


@pytest.mark.parametrize(("body", "changes", "code"), REFUSED, ids=range(len(REFUSED)))
def test_refused_requests_leave_no_row(tmp_path, body, changes, code):
    @in_world()
    async def scenario(world):
        _, error = await world.ask(body, **changes)
        assert error.code is code
        assert len(error.message) < 1_000
        assert world.usage() == []
        assert world.observer.ended == []
        assert world.observer.refused == [error]
        assert world.audit().transfers == 1, "the grant"

    scenario(tmp_path)


@in_world()
async def test_names_that_are_not_utf8_cost_nothing(world):
    body = messages_body(max_tokens=100_000)[:-1] + b',"\xff":1}'
    _, error = await world.ask(body)
    assert error.code is ErrorCode.BODY_INVALID
    assert world.usage() == []


@in_world(0)
async def test_without_a_pack(world):
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.PACK_EXHAUSTED
    assert error.problem.retryable is False
    assert error.retry_after_s is None
    assert world.usage() == []


@in_world(300)
async def test_credits_that_are_held_come_back(world):
    world.servers["one"].answers = [ScriptedReply([HANG]), answer("Hello")]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body(max_tokens=10_000)))
    await settle_down()
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.CREDITS_HELD
    assert error.problem.retryable is True
    assert error.retry_after_s > 0
    client.leave()
    await run
    assert (await world.ask(messages_body()))[1] is None


@in_world(300)
async def test_large_limits_are_capped_to_what_is_there(world):
    world.servers["one"].answers = [answer("Hello")]
    client, error = await world.ask(messages_body(max_tokens=10_000))
    assert error is None
    told = int(client.headers["x-tollbridge-max-tokens"])
    assert 16 <= told < 300
    assert b'"max_tokens":%d' % told in world.servers["one"].calls[0].body


@in_world(300)
async def test_a_client_without_a_limit_is_told_of_the_cap(world):
    world.servers["talk"].answers = [ScriptedReply([chunk("Hello", "stop"), b"data: [DONE]\n\n"])]
    client, _ = await world.ask(chat_body(), "chat")
    told = int(client.headers["x-tollbridge-max-tokens"])
    assert b'"max_tokens":%d' % told in world.servers["talk"].calls[0].body


@in_world()
async def test_no_cap_no_header(world):
    world.servers["one"].answers = [answer("Hello")]
    world.servers["talk"].answers = [ScriptedReply([chunk("Hello", "stop"), b"data: [DONE]\n\n"])]
    for client, _ in (await world.ask(messages_body()), await world.ask(chat_body(), "chat")):
        assert "x-tollbridge-max-tokens" not in client.headers


# The very next request.


@in_world()
async def test_a_revoked_key_is_refused_on_the_next_request(world):
    world.servers["one"].answers = [answer("Hello"), answer("Hello")]
    assert (await world.ask(messages_body()))[1] is None
    await world.store.revoke_key(KeyId("key_1"), world.now)
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.KEY_REVOKED
    assert len(world.usage()) == 1


@in_world()
async def test_a_switch_acts_on_the_next_request_both_ways(world):
    world.servers["one"].answers = [answer("Hello"), answer("Hello")]
    assert (await world.ask(messages_body()))[1] is None
    await world.store.switch(ENV, ["m"], on=False)
    assert (await world.ask(messages_body()))[1].code is ErrorCode.MODEL_DISABLED
    await world.store.switch(ENV, ["m"], on=True)
    assert (await world.ask(messages_body()))[1] is None


@in_world()
async def test_a_key_revoked_while_the_body_is_read(world):
    async def read():
        await world.store.revoke_key(KeyId("key_1"), world.now)
        return messages_body()

    _, error = await world.ask(b"", body=read)
    assert error.code is ErrorCode.KEY_REVOKED
    assert world.usage() == []


@in_world()
async def test_an_unrelated_change_does_not_disturb(world):
    world.servers["one"].answers = [answer("Hello"), answer("Hello")]
    await world.ask(messages_body())
    await world.add_key("tb_another", "key_2")
    assert (await world.ask(messages_body()))[1] is None


@in_world()
async def test_an_environment_that_never_stands_still(world):
    admit = world.store.admit

    async def admit_late(admission):
        await world.store.switch(ENV, ["off"], on=world.now % 2 == 0)
        return await admit(admission)

    world.store.admit = admit_late
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.LEDGER_UNAVAILABLE
    assert error.retry_after_s == 1
    assert world.usage() == []


@in_world()
async def test_a_key_without_an_environment_in_the_host_and_with_it(world):
    world.servers["one"].answers = [answer("Hello"), answer("Hello")]
    assert (await world.ask(messages_body(), env_id=ENV))[1] is None
    assert (await world.ask(messages_body(), presented_key=lambda: KEY))[1] is None
