"""The life of a request, from every end that it can have."""

import asyncio

import pytest
from tests.fakes.exchange_parts import (
    ENV,
    HANG,
    JSON_HEAD,
    KEY,
    RecordingClient,
    ScriptedReply,
    World,
    chat_body,
    chunk,
    in_world,
    message,
    message_end,
    message_start,
    messages_body,
    settle_down,
    text_delta,
)

from tollbridge.app import exchange as module
from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.errors import ErrorCode
from tollbridge.units import MICRO, KeyId, Millis

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
BAD_REQUEST = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'


def answer(*words: str, output: int | None = 7, **start: object) -> ScriptedReply:
    deltas = [text_delta(word) for word in words]
    return ScriptedReply([message_start(**start), *deltas, message_end(output)])


def refusal(status: int, body: bytes, **headers: str) -> ScriptedReply:
    return ScriptedReply([body], status, {**JSON_HEAD, **headers})


async def charged(world: World) -> tuple[str, str, int]:
    """Outcome, provenance and whole credits of the only exchange; the pack must agree."""
    (row,) = world.usage()
    (ended,) = world.observer.ended
    assert (ended[0].outcome, ended[0].amount) == (row["outcome"], row["amount"])
    assert (await world.pack()).spent == row["amount"]
    return row["outcome"], row["provenance"], row["amount"] // MICRO


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
    server.answers = [ScriptedReply([chunk("four words of text"), chunk(finish="stop"), b"data: [DONE]\n\n"])]
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
    assert client.parts == []
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


FAILURES = [
    UpstreamError("refused", sent=False),
    UpstreamTimeoutError("did not answer", sent=True),
    refusal(529, OVERLOADED),
    refusal(500, b"<html>oops"),
    refusal(429, b"x" * 100_000, **{"retry-after": "7"}),
    ScriptedReply([UpstreamError("reset", sent=True)], 503, JSON_HEAD),
    ScriptedReply([UpstreamError("reset", sent=True)]),
    ScriptedReply([]),
    ScriptedReply([message_start()[:50]]),
    ScriptedReply([b"event: error\ndata: " + OVERLOADED + b"\n\n"]),
    ScriptedReply([OVERLOADED], 200, JSON_HEAD),
]
CODES = [
    ErrorCode.UPSTREAM_FAILED,
    ErrorCode.UPSTREAM_TIMEOUT,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_FAILED,
    ErrorCode.UPSTREAM_RATE_LIMITED,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_FAILED,
    ErrorCode.UPSTREAM_TRUNCATED,
    ErrorCode.UPSTREAM_TRUNCATED,
    ErrorCode.UPSTREAM_OVERLOADED,
    ErrorCode.UPSTREAM_OVERLOADED,
]


def again(failure):
    if isinstance(failure, ScriptedReply):
        return ScriptedReply(failure._steps, failure.status, failure.headers)
    return failure


@pytest.mark.parametrize("index", range(len(FAILURES)))
def test_upstream_failed_before_the_first_byte(tmp_path, index):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [again(FAILURES[index])]
        client, error = await world.ask(messages_body("single"))
        assert client.status is None
        assert error.code is CODES[index]
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize("index", range(len(FAILURES)))
def test_another_upstream_is_tried_before_the_first_byte(tmp_path, index):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [again(FAILURES[index])]
        world.servers["two"].answers = [answer("Hello")]
        client, error = await world.ask(messages_body())
        assert error is None
        assert client.headers["x-tollbridge-upstream"] == "two"
        assert b"error" not in client.body
        assert await charged(world) == ("finished", "reported", 32)
        assert world.usage()[0]["upstream"] == "two"

    scenario(tmp_path)


@in_world()
async def test_a_refusal_of_the_request_itself_is_not_taken_elsewhere(world):
    world.servers["one"].answers = [refusal(400, BAD_REQUEST)]
    _, error = await world.ask(messages_body())
    assert error.code is ErrorCode.UPSTREAM_REFUSED
    assert world.servers["two"].calls == []
    assert await charged(world) == ("failed_early", "void", 0)


@in_world()
async def test_one_shot_answers_fall_back_too(world):
    world.servers["one"].answers = [ScriptedReply([b"not json"], 200, JSON_HEAD)]
    world.servers["two"].answers = [ScriptedReply([message()], 200, JSON_HEAD)]
    client, _ = await world.ask(messages_body(stream=False))
    assert client.body == message()
    assert await charged(world) == ("finished", "reported", 32)


@pytest.mark.parametrize(
    "end",
    [
        [UpstreamError("reset", sent=True)],
        [UpstreamTimeoutError("was silent", sent=True)],
        [],
        [b"event: error\ndata: " + OVERLOADED + b"\n\n"],
        [b"event: content_block_delta\ndata: {"],
    ],
)
def test_upstream_failed_mid_stream(tmp_path, end):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [ScriptedReply([message_start(), text_delta("x" * 40), *end])]
        client, error = await world.ask(messages_body())
        assert error is None, "the head is out, so the error travels in the stream"
        assert client.finished
        assert client.body.count(b"event: error") == 1
        assert b"message_stop" not in client.body
        assert world.servers["two"].calls == []
        assert await charged(world) == ("failed_midway", "counted", 25 + 10)

    scenario(tmp_path)


@in_world()
async def test_a_chat_client_is_told_in_its_own_words(world):
    world.servers["talk"].answers = [ScriptedReply([chunk("Hello"), UpstreamError("reset", sent=True)])]
    client, _ = await world.ask(chat_body(), "chat")
    assert client.body.count(b'"error"') == 1
    assert b"[DONE]" not in client.body
    assert client.finished


@in_world()
async def test_upstream_failed_after_its_start_but_before_any_word(world):
    """Nothing of an answer was delivered, so nothing is charged."""
    world.servers["one"].answers = [ScriptedReply([message_start(), UpstreamError("reset", sent=True)])]
    client, error = await world.ask(messages_body())
    assert error is None
    assert client.body.count(b"event: error") == 1
    assert await charged(world) == ("failed_early", "void", 0)


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


@pytest.mark.parametrize(("body", "changes", "code"), REFUSED)
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
    assert await charged(world) == ("failed_early", "void", 0)


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
            assert error.code is ErrorCode.UPSTREAM_OVERLOADED
            assert await charged(world) == ("failed_early", "void", 0)
        else:
            assert client.body.count(b"overloaded_error") == 1
            assert client.finished
            assert await charged(world) == ("failed_midway", "counted", 35)

    scenario(tmp_path)


@in_world()
async def test_a_stop_after_the_last_event_is_a_good_end(world):
    world.servers["one"].answers = [ScriptedReply([message_start(), text_delta("a"), message_end(), HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    world.exchanges[0].interrupt()
    await run
    assert client.finished
    assert b"event: error" not in client.body
    assert await charged(world) == ("finished", "reported", 32)


@in_world()
async def test_a_bug_in_the_middle_of_a_stream_is_told_and_settled(world, ):
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

    scenario(tmp_path)


def test_paths_are_those_of_the_protocols():
    assert module.PATHS == {"messages": "/v1/messages", "chat": "/chat/completions"}
