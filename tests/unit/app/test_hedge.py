"""A second target while the first is silent, where the operator wants it."""

import asyncio

import pytest
from tests.fakes.bodies import BAD_REQUEST, message_start, messages_body
from tests.fakes.exchange_parts import (
    HANG,
    JSON_HEAD,
    RecordingClient,
    ScriptedReply,
    ScriptedServer,
)
from tests.fakes.world import ENV, answer, charged, in_world, settle_down

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.health import EJECTION_MS, STREAK_MAX
from tollbridge.units import Millis

OVERLOADED = 529
CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":25,"completion_tokens":7}}\n\n',
    b"data: [DONE]\n\n",
]
"""An answer of 25 tokens to 7 in Chat's words."""


class Gated(ScriptedServer):
    """Answers when it is let. `cancelled`: nobody waits for it any more."""

    def __init__(self, *answers) -> None:
        super().__init__()
        self.answers = list(answers)
        self.gate = asyncio.Event()
        self.cancelled = False

    async def send(self, call):
        if not self.connecting:
            call.on_sent()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().send(call)


def refused() -> ScriptedReply:
    return ScriptedReply([b"{}"], OVERLOADED, JSON_HEAD)


def timed_out() -> ScriptedReply:
    return ScriptedReply([b"{}"], 504, JSON_HEAD)


async def hedged(world, *, one=(), narrow=()):
    """Two servers that answer when they are let."""
    await world.store.switch(ENV, ["hedged"], on=True)
    first, second = Gated(*one), Gated(*narrow)
    world.servers.update(one=first, narrow=second)
    return first, second


async def asked(world, **changes):
    """An exchange that has had time for a hedge."""
    client = RecordingClient()
    run = asyncio.ensure_future(world.ask_with(client, messages_body("hedged"), **changes))
    # Polled: the second is asked after a real millisecond.
    while world.exchanges == [] or world.exchanges[0].attempts.made < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return client, run


@in_world()
async def test_the_second_serves_while_the_first_is_silent(world):
    first, second = await hedged(world, narrow=[answer("Hello")])
    client, run = await asked(world)
    second.gate.set()
    assert await run is None
    assert b"Hello" in client.body
    assert client.headers["x-tollbridge-upstream"] == "narrow"
    assert client.headers["x-tollbridge-attempts"] == "2"
    assert await charged(world) == ("finished", "reported", 25 + 7)
    assert world.usage()[0]["upstream"] == "narrow"
    await settle_down()
    assert first.cancelled
    assert world.observer.tried == [("narrow", None)], "who came too late is not judged"
    assert world.gateway.routing.snapshot(world.now)[0] == []
    assert world.gateway.routing.turnstiles["narrow"].inside == 0


@in_world()
async def test_the_first_serves_if_it_is_first_after_all(world):
    first, second = await hedged(world, one=[answer("Hello")])
    client, run = await asked(world)
    assert world.gateway.routing.turnstiles["narrow"].inside == 1
    first.gate.set()
    assert await run is None
    assert client.headers["x-tollbridge-upstream"] == "one"
    await settle_down()
    assert second.cancelled
    assert world.observer.tried == [("one", None)]
    assert world.gateway.routing.turnstiles["narrow"].inside == 0


@in_world()
async def test_one_that_fails_leaves_the_other(world):
    first, second = await hedged(world, one=[answer("Hello")], narrow=[refused()])
    client, run = await asked(world)
    second.gate.set()
    await settle_down()
    assert not run.done()
    assert world.gateway.routing.turnstiles["narrow"].inside == 0, "its place is free at once"
    first.gate.set()
    assert await run is None
    assert client.headers["x-tollbridge-upstream"] == "one"
    assert world.observer.tried == [("narrow", "UPSTREAM_OVERLOADED"), ("one", None)]


@in_world()
async def test_the_first_fails_while_the_second_is_asked(world):
    first, second = await hedged(world, one=[refused()], narrow=[answer("Hello")])
    client, run = await asked(world)
    first.gate.set()
    await settle_down()
    second.gate.set()
    assert await run is None
    assert client.headers["x-tollbridge-upstream"] == "narrow"
    assert world.observer.tried == [("one", "UPSTREAM_OVERLOADED"), ("narrow", None)]
    (row,) = world.gateway.routing.snapshot(world.now)[0]
    assert (row.upstream, row.streak) == ("one", 1)


@in_world()
async def test_a_probe_that_is_silent_leaves_its_place_when_the_second_answers(world):
    health = world.gateway.routing.health
    (model,) = (model for model in world.gateway.catalog if model.name == "hedged")
    dead = GatewayError(ErrorCode.UPSTREAM_UNREACHABLE, "dead")
    for _ in range(STREAK_MAX):
        health.failed(health.begin(model.targets[0], world.now), dead, world.now)
    world.now = Millis(world.now + EJECTION_MS)
    _, second = await hedged(world, narrow=[ScriptedReply([message_start(), HANG])])
    client, run = await asked(world)
    assert [row.state for row in health.snapshot(world.now)] == ["probing"]
    second.gate.set()
    await settle_down()
    assert not run.done()
    assert health.begin(model.targets[0], world.now).probe, "not only after the second's end"
    client.leave()
    await run


@in_world()
async def test_when_both_fail_the_third_is_next(world):
    first, second = await hedged(world, one=[refused()], narrow=[refused()])
    world.servers["talk"].answers = [ScriptedReply(CHUNKS)]
    client, run = await asked(world)
    first.gate.set()
    second.gate.set()
    assert await run is None
    assert client.headers["x-tollbridge-upstream"] == "talk"
    assert client.headers["x-tollbridge-attempts"] == "3"
    failed = ("UPSTREAM_OVERLOADED",) * 2
    assert [error for _, error in world.observer.tried] == [*failed, None]
    assert await charged(world) == ("finished", "reported", 25 + 7)


@pytest.mark.parametrize("failing", ["one", "narrow"])
def test_who_leaves_while_one_has_failed_and_the_other_is_not_reached_pays_nothing(
    tmp_path, failing
):
    @in_world()
    async def scenario(world):
        await hedged(world, one=[refused()], narrow=[refused()])
        for name in ("one", "narrow"):
            world.servers[name].connecting = name != failing
        client, run = await asked(world)
        attempts = world.exchanges[0].attempts
        await settle_down()
        assert attempts.at_work
        world.servers[failing].gate.set()
        await settle_down()
        assert not run.done()
        client.leave()
        await run
        assert await charged(world) == ("failed_early", "void", 0)

    scenario(tmp_path)


@pytest.mark.parametrize("reached", ["one", "narrow"])
def test_who_leaves_while_either_is_at_work_pays(tmp_path, reached):
    @in_world()
    async def scenario(world):
        await hedged(world)
        for name in ("one", "narrow"):
            world.servers[name].connecting = name != reached
        client, run = await asked(world)
        await settle_down()
        client.leave()
        await run
        outcome, provenance, amount = await charged(world)
        assert (outcome, provenance) == ("client_gone", "counted")
        assert amount > 0

    scenario(tmp_path)


@in_world()
async def test_a_final_refusal_by_one_of_two_is_told_when_the_other_fails(world):
    refusal = ScriptedReply([BAD_REQUEST], 400, JSON_HEAD)
    first, second = await hedged(world, one=[refused()], narrow=[refusal])
    _, run = await asked(world)
    second.gate.set()
    await settle_down()
    assert not run.done(), "the other may know better"
    first.gate.set()
    assert (await run).code is ErrorCode.UPSTREAM_REFUSED
    assert world.servers["talk"].calls == []
    assert await charged(world) == ("failed_early", "void", 0)


@in_world()
async def test_of_two_failures_the_more_hopeful_is_told(world):
    refusal = ScriptedReply([b"{}"], 401, JSON_HEAD)
    talk = world.servers["talk"]
    talk.answers = [ScriptedReply([b"{}"], 401, JSON_HEAD)]
    first, second = await hedged(world, one=[timed_out()], narrow=[refusal])
    _, run = await asked(world)
    first.gate.set()
    await settle_down()
    second.gate.set()
    assert (await run).code is ErrorCode.UPSTREAM_TIMEOUT
    assert len(talk.calls) == 1


@in_world()
async def test_what_has_failed_already_is_not_asked_against_a_silence(world):
    await hedged(world)
    world.servers["one"] = ScriptedServer()
    world.servers["one"].answers = [refused()]
    talk = world.servers["talk"]
    talk.answers = [ScriptedReply(CHUNKS)]
    client = RecordingClient()
    assert await world.ask_with(client, messages_body("hedged")) is None
    assert client.headers["x-tollbridge-upstream"] == "talk"
    assert client.headers["x-tollbridge-attempts"] == "3"
    assert len(world.servers["one"].calls) == 1


@in_world()
async def test_a_second_answer_in_another_protocol(world):
    await hedged(world)
    await world.gateway.routing.turnstiles["narrow"].enter()
    world.servers["talk"].answers = [ScriptedReply(CHUNKS)]
    client, run = await asked(world)
    assert await run is None
    assert client.headers["x-tollbridge-upstream"] == "talk"
    assert b"text_delta" in client.body
    assert await charged(world) == ("finished", "reported", 25 + 7)


@in_world()
async def test_nobody_else_is_asked_if_nobody_is_well_and_free(world):
    first, _ = await hedged(world, one=[answer("Hello")])
    routing = world.gateway.routing
    await routing.turnstiles["narrow"].enter()
    (model,) = (model for model in world.gateway.catalog if model.name == "hedged")
    dead = GatewayError(ErrorCode.UPSTREAM_UNREACHABLE, "dead")
    for _ in range(STREAK_MAX):
        routing.health.failed(routing.health.begin(model.targets[2], world.now), dead, world.now)
    client = RecordingClient()
    run = asyncio.ensure_future(world.ask_with(client, messages_body("hedged")))
    await asyncio.sleep(0.05)
    first.gate.set()
    assert await run is None
    assert world.exchanges[-1].attempts.made == 1


@in_world()
async def test_a_client_s_own_retry_is_not_hedged(world):
    first, second = await hedged(world, one=[answer("Hello")])
    client = RecordingClient()
    headers = {"x-stainless-retry-count": "1"}
    body = messages_body("hedged")
    run = asyncio.ensure_future(world.ask_with(client, body, headers=headers))
    await asyncio.sleep(0.05)
    first.gate.set()
    assert await run is None
    assert second.calls == []


@in_world()
async def test_a_client_that_leaves_ends_both(world):
    first, second = await hedged(world)
    client, run = await asked(world)
    client.leave()
    await run
    await settle_down()
    assert first.cancelled
    assert second.cancelled
    assert (await charged(world))[:2] == ("client_gone", "counted")


@in_world()
async def test_an_answer_that_comes_too_late_is_dropped(world):
    """Both heads come in the same moment: the first target's is taken."""
    late = answer("Late")
    first, second = await hedged(world, one=[answer("Hello")], narrow=[late])
    client, run = await asked(world)
    first.gate.set()
    second.gate.set()
    assert await run is None
    await settle_down()
    assert client.headers["x-tollbridge-upstream"] == "one"
    assert late.aborted


@in_world()
async def test_a_silence_in_an_answer_is_no_reason_for_another(world):
    reply = ScriptedReply([HANG])
    first, second = await hedged(world, one=[reply])
    first.gate.set()
    client = RecordingClient()
    run = asyncio.ensure_future(world.ask_with(client, messages_body("hedged")))
    await asyncio.sleep(0.05)
    assert second.calls == []
    client.leave()
    await run
    assert reply.aborted
