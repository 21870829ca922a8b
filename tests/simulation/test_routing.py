"""Fallback by class of failure, through the whole exchange: who is asked, what is told and paid."""

import asyncio

import pytest
from tests.fakes.bodies import BAD_REQUEST, OVERLOADED, message, message_start, messages_body
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import ENV, answer, charged, in_world, refusal, settle_down

from tollbridge.app.ports import UpstreamBusyError, UpstreamError, UpstreamTimeoutError
from tollbridge.errors import ErrorCode
from tollbridge.routing.health import EJECTION_MS, STREAK_MAX
from tollbridge.translate.failures import error_status
from tollbridge.units import MICRO, Millis

QUOTA = b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}'
MISSING = b'{"type":"error","error":{"type":"not_found_error","message":"model: m"}}'
SCHEMA = b'{"type":"error","error":{"type":"invalid_request_error","message":"invalid schema"}}'

# What the first upstream says each time; whom it makes us ask, in order; what the client is told
# if the second upstream says the same.
TABLE = {
    "unreachable": (lambda: UpstreamError("refused", sent=False), "1212", "UPSTREAM_UNREACHABLE"),
    "reset": (lambda: UpstreamError("reset", sent=True), "1212", "UPSTREAM_FAILED"),
    "silent": (lambda: UpstreamTimeoutError("silent", sent=True), "12", "UPSTREAM_TIMEOUT"),
    "no connection free": (lambda: UpstreamBusyError("all in use"), "12", "UPSTREAM_BUSY"),
    "500": (lambda: refusal(500, b"oops"), "1212", "UPSTREAM_FAILED"),
    "503": (lambda: refusal(503, b"busy"), "1212", "UPSTREAM_OVERLOADED"),
    "529": (lambda: refusal(529, OVERLOADED), "1212", "UPSTREAM_OVERLOADED"),
    "529 in a stream": (
        lambda: ScriptedReply([b"event: error\ndata: " + OVERLOADED + b"\n\n"]),
        "1212",
        "UPSTREAM_OVERLOADED",
    ),
    "504": (lambda: refusal(504, b"gateway"), "12", "UPSTREAM_TIMEOUT"),
    "429": (lambda: refusal(429, b"slow"), "1212", "UPSTREAM_RATE_LIMITED"),
    "429 for long": (
        lambda: refusal(429, b"slow", **{"retry-after": "30"}),
        "12",
        "UPSTREAM_RATE_LIMITED",
    ),
    "quota": (lambda: refusal(429, QUOTA), "12", "UPSTREAM_QUOTA"),
    "credential": (lambda: refusal(401, b"{}"), "12", "UPSTREAM_CREDENTIAL"),
    "model": (lambda: refusal(404, MISSING), "12", "UPSTREAM_MODEL_MISSING"),
    "cut": (lambda: ScriptedReply([]), "12", "UPSTREAM_TRUNCATED"),
    "reset in the answer": (
        lambda: ScriptedReply([UpstreamError("reset", sent=True)]),
        "12",
        "UPSTREAM_FAILED",
    ),
    "bad request": (lambda: refusal(400, BAD_REQUEST), "1", "UPSTREAM_REFUSED"),
    "schema": (lambda: refusal(400, SCHEMA), "12", "SCHEMA_REFUSED"),
}


async def asked_in_order(world, body, protocol="messages", **changes):
    """The numbers of the upstreams that one request reached, its client and its error."""
    order = []
    for number, name in ((1, "one"), (2, "two")):
        server = world.servers[name]
        send = type(server).send

        async def noting(call, server=server, send=send, number=number):
            order.append(str(number))
            return await send(server, call)

        server.send = noting
    client, error = await world.ask(body, protocol, **changes)
    for name in ("one", "two"):
        del world.servers[name].send
    return "".join(order), client, error


@pytest.mark.parametrize("name", TABLE)
def test_both_targets_fail_alike(tmp_path, name):
    failing, expected, code = TABLE[name]

    @in_world()
    async def scenario(world):
        for server in ("one", "two"):
            world.servers[server].answers = [failing() for _ in range(3)]
        order, client, error = await asked_in_order(world, messages_body())
        assert (order, error.code.name) == (expected, code)
        assert client.status is None
        assert world.observer.attempts == [len(expected)]
        assert "".join("12"[name == "two"] for _, name, _ in world.observer.failed) == expected
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[1] != "1"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_second_target_answers(tmp_path, name, stream):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [TABLE[name][0]()]
        whole = answer("Hello") if stream else ScriptedReply([message()], 200, JSON_HEAD)
        world.servers["two"].answers = [whole]
        order, client, error = await asked_in_order(world, messages_body(stream=stream))
        assert (order, error) == ("12", None)
        assert client.headers["x-tollbridge-upstream"] == "two"
        assert client.headers["x-tollbridge-attempts"] == "2"
        ((request_id, upstream, _),) = world.observer.failed
        assert (request_id, upstream) == ("req_1", "one")
        assert world.observer.attempts == [2]
        assert await charged(world) == ("finished", "reported", 32)

    scenario(tmp_path)


@in_world()
async def test_one_attempt_is_not_worth_a_header(world):
    world.servers["one"].answers = [answer("Hello")]
    client, _ = await world.ask(messages_body())
    assert "x-tollbridge-attempts" not in client.headers
    assert world.observer.attempts == [1]


@in_world()
async def test_a_retry_at_the_same_target_heals(world):
    world.servers["one"].answers = [refusal(529, OVERLOADED), answer("Hello")]
    client, error = await world.ask(messages_body("single"))
    assert error is None
    assert client.headers["x-tollbridge-attempts"] == "2"
    assert await charged(world) == ("finished", "reported", 32)
    assert world.gateway.routing.health.snapshot(world.now)[0].streak == 0


@in_world()
async def test_a_client_that_repeats_by_itself_is_not_multiplied(world):
    world.servers["one"].answers = [refusal(529, OVERLOADED)]
    headers = {"x-stainless-retry-count": "1"}
    _, error = await world.ask(messages_body("single"), headers=headers)
    assert error.code is ErrorCode.UPSTREAM_OVERLOADED
    assert len(world.servers["one"].calls) == 1


async def eject_one(world):
    for _ in range(STREAK_MAX):
        world.servers["one"].answers = [refusal(401, b"{}")]
        world.servers["two"].answers = [answer("Hello")]
        await world.ask(messages_body())


@in_world()
async def test_a_target_that_is_out_is_passed_by_probed_and_taken_back(world):
    await eject_one(world)
    world.servers["two"].answers = [answer("Hello"), answer("Hello")]
    order, client, _ = await asked_in_order(world, messages_body())
    assert order == "2"
    assert "x-tollbridge-attempts" not in client.headers
    world.now = Millis(world.now + EJECTION_MS)
    # The probe is under way; nobody else is sent there until it has a head.
    probe = ScriptedReply([message_start(), HANG])
    world.servers["one"].answers = [HANG]
    probing = RecordingClient()
    task = asyncio.create_task(world.open(probing, messages_body()))
    await settle_down()
    assert [row.state for row in world.gateway.routing.health.snapshot(world.now)] == ["probing"]
    assert (await asked_in_order(world, messages_body()))[0] == "2"
    probing.leave()
    await task
    # Its client has left, which says nothing: the next request is the probe.
    world.servers["one"].answers = [probe, answer("Hello")]
    probing = RecordingClient()
    task = asyncio.create_task(world.open(probing, messages_body()))
    await settle_down()
    assert (await asked_in_order(world, messages_body()))[0] == "1", "a head is enough"
    probing.leave()
    await task
    assert world.gateway.routing.health.outliers == {}


@in_world()
async def test_a_target_that_is_out_is_better_than_none(world):
    world.servers["one"].answers = [refusal(401, b"{}") for _ in range(STREAK_MAX)]
    for _ in range(STREAK_MAX):
        await world.ask(messages_body("single"))
    world.servers["one"].answers = [answer("Hello")]
    client, error = await world.ask(messages_body("single"))
    assert (client.status, error) == (200, None)


@in_world()
async def test_a_failure_in_the_middle_counts_too(world):
    for _ in range(STREAK_MAX):
        steps = [message_start(), UpstreamError("reset", sent=True)]
        world.servers["one"].answers = [ScriptedReply(steps)]
        client, _ = await world.ask(messages_body())
        assert client.body.count(b"event: error") == 1
    assert world.servers["two"].calls == [], "never after the first byte"
    world.servers["two"].answers = [answer("Hello")]
    assert (await asked_in_order(world, messages_body()))[0] == "2"


@in_world()
async def test_a_full_upstream_lets_one_wait_and_sends_the_next_elsewhere(world):
    await world.store.switch(ENV, ["spare", "narrow"], on=True)
    world.servers["narrow"].answers = [ScriptedReply([message_start(), HANG]), answer("Hello")]
    world.servers["two"].answers = [answer("Hello")]
    first, second = RecordingClient(), RecordingClient()
    inside = asyncio.create_task(world.open(first, messages_body("narrow")))
    await settle_down()
    waiting = asyncio.create_task(world.open(second, messages_body("narrow")))
    await settle_down()
    assert world.gateway.routing.snapshot(world.now)[1] == [("narrow", 1, 1)]
    client, error = await world.ask(messages_body("spare"))
    assert (client.headers["x-tollbridge-upstream"], error) == ("two", None)
    assert "x-tollbridge-attempts" not in client.headers, "nothing was sent to the full one"
    _, error = await world.ask(messages_body("narrow"))
    assert (error.code, error.retry_after_s) == (ErrorCode.UPSTREAM_BUSY, 1)
    assert error_status("messages", error) == 529
    assert error_status("chat", error) == 503
    first.leave()
    await inside
    await waiting
    assert second.headers["x-tollbridge-upstream"] == "narrow"
    assert world.gateway.routing.snapshot(world.now) == ([], [("narrow", 0, 0)])
    assert (await world.pack()).held == 0
    busy = [row for row in world.usage() if row["outcome"] == "failed_early"]
    assert [row["amount"] for row in busy] == [0]


@in_world()
async def test_who_leaves_the_line_pays_nothing_and_holds_no_place(world):
    await world.store.switch(ENV, ["narrow"], on=True)
    world.servers["narrow"].answers = [ScriptedReply([message_start(), HANG])]
    first, second = RecordingClient(), RecordingClient()
    tasks = []
    for client in (first, second):
        tasks.append(asyncio.create_task(world.open(client, messages_body("narrow"))))
        await settle_down()
    second.leave()
    await tasks[1]
    assert world.gateway.routing.snapshot(world.now)[1] == [("narrow", 1, 0)]
    first.leave()
    await tasks[0]
    assert world.gateway.routing.snapshot(world.now)[1] == [("narrow", 0, 0)]
    assert len(world.servers["narrow"].calls) == 1
    assert {row["request_id"]: row["amount"] for row in world.usage()}["req_2"] == 0


@pytest.mark.parametrize("model", ["single", "m"])
def test_who_leaves_between_two_attempts_pays_nothing(tmp_path, model):
    """No upstream is at work for them: the first failed, and the next is still waited for."""

    @in_world()
    async def scenario(world):
        for name in ("one", "two"):
            world.servers[name].answers = [refusal(529, OVERLOADED, **{"retry-after": "3"})]
        client = RecordingClient()
        task = asyncio.create_task(world.open(client, messages_body(model)))
        await settle_down()
        assert len(world.observer.failed) == (1 if model == "single" else 2)
        client.leave()
        await task
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize("failed_before", [False, True])
def test_who_leaves_before_there_is_a_connection_pays_nothing(tmp_path, failed_before):
    @in_world()
    async def scenario(world):
        one, two = world.servers["one"], world.servers["two"]
        one.answers = [refusal(529, OVERLOADED)] if failed_before else [HANG]
        two.answers = [HANG]
        one.connecting, two.connecting = not failed_before, True
        client = RecordingClient()
        task = asyncio.create_task(world.open(client, messages_body()))
        await settle_down()
        assert (len(one.calls), len(two.calls)) == (1, int(failed_before))
        client.leave()
        await task
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@in_world()
async def test_who_leaves_the_line_after_a_failure_elsewhere_pays_nothing(world):
    await world.store.switch(ENV, ["narrow", "last"], on=True)
    world.servers["narrow"].answers = [ScriptedReply([message_start(), HANG])]
    world.servers["one"].answers = [refusal(529, OVERLOADED)]
    inside, waiting = RecordingClient(), RecordingClient()
    first = asyncio.create_task(world.open(inside, messages_body("narrow")))
    await settle_down()
    second = asyncio.create_task(world.open(waiting, messages_body("last")))
    await settle_down()
    assert world.gateway.routing.snapshot(world.now)[1] == [("narrow", 1, 1)]
    waiting.leave()
    await second
    (row,) = world.usage()
    assert (row["outcome"], row["amount"]) == ("failed_early", 0)
    inside.leave()
    await first


@in_world()
async def test_a_conversation_keeps_to_its_upstream(world):
    await world.store.switch(ENV, ["shared"], on=True)
    seen = {}
    for number in range(24):
        said = [{"role": "user", "content": f"Question {number}"}]
        for _ in range(2):
            world.servers["one"].answers = [answer("Hello")]
            world.servers["two"].answers = [answer("Hello")]
            client, _ = await world.ask(messages_body("shared", messages=said))
            seen.setdefault(number, set()).add(client.headers["x-tollbridge-upstream"])
            said = [*said, {"role": "assistant", "content": "Hello"}, said[0]]
    assert all(len(upstreams) == 1 for upstreams in seen.values())
    assert set.union(*seen.values()) == {"one", "two"}, "the last resort is for failures"


@in_world()
async def test_the_lost_attempts_are_not_charged(world):
    world.servers["one"].answers = [ScriptedReply([message_start()[:50]])]
    world.servers["two"].answers = [answer("Hello")]
    await world.ask(messages_body())
    (row,) = world.usage()
    assert (row["upstream"], row["amount"]) == ("two", 32 * MICRO)
