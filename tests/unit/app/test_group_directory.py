"""Environments' own groups: found at once, used by nobody else, paid by no pack."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from tests.contract.samples import group
from tests.fakes.bodies import chat_body, chunk, message, messages_body, text_delta
from tests.fakes.bodies import message_start as start
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import ENV, answer, in_world, refusal, settle_down

from tollbridge.app import group_directory as module
from tollbridge.app.group_directory import Groups
from tollbridge.app.inquiry import Inquiry
from tollbridge.app.ports import StoreUnavailableError, UpstreamError
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.model import Limits
from tollbridge.ledger.pricing import OWN_BOOK
from tollbridge.routing.plan import RETRIES_MAX
from tollbridge.units import LEASE_MS, MICRO, EnvId, KeyId, MicroCredits, Millis

KIMI = group("kimi", protocol="messages", dialect="kimi", models=("k2", "k3"))
MINE = {"group": "kimi"}


async def told(world, error: GatewayError | None) -> ErrorCode:
    assert error is not None
    return error.code


async def added(world, kimi=KIMI):
    await world.store.put_group(kimi, replace=True)
    return world.open_group(kimi)


@in_world()
async def test_an_own_upstream_costs_nothing_and_is_recorded(world):
    server = await added(world)
    server.answers = [answer("Hello", " there")]
    client, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is None
    assert client.headers["x-tollbridge-upstream"] == "own:acme/kimi"
    (row,) = world.usage()
    assert (row["provenance"], row["outcome"], row["amount"]) == ("own", "finished", 0)
    assert (row["input"], row["output"]) == (25, 7)
    assert (row["model"], row["upstream"]) == ("own:kimi/k2", "own:acme/kimi")
    assert (row["upstream_model"], row["price_version"]) == ("k2", OWN_BOOK.version)
    pack = await world.pack()
    assert (pack.available, pack.held, pack.spent) == (1_000_000 * MICRO, 0, 0)
    assert world.admitted() == [], "the journal has nothing of it"


@in_world()
async def test_an_own_upstream_that_fails_early_is_recorded(world):
    server = await added(world)
    server.answers = [refusal(401, b"{}")]
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is not None
    (row,) = world.usage()
    assert (row["provenance"], row["outcome"], row["amount"]) == ("own", "failed_early", 0)
    assert (row["input"], row["output"]) == (0, 0)


@in_world()
async def test_a_redirect_is_a_failure_and_not_followed(world):
    server = await added(world)
    location = "https://127.0.0.1/"
    server.answers = [refusal(307, b"", location=location) for _ in range(1 + RETRIES_MAX)]
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is not None
    assert {call.path for call in server.calls} == {"/v1/messages"}


@in_world()
async def test_own_usage_left_midway_is_what_was_delivered(world):
    server = await added(world)
    server.answers = [ScriptedReply([start(), text_delta("x" * 40), HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body("k2"), group="kimi"))
    await settle_down()
    client.leave()
    await run
    (row,) = world.usage()
    assert (row["provenance"], row["outcome"]) == ("own", "client_gone")
    assert (row["input"], row["output"], row["amount"]) == (25, 10, 0)


@in_world()
async def test_own_usage_of_a_killed_worker_is_recovered_and_free(world):
    server = await added(world)
    server.answers = [ScriptedReply([start(), text_delta("x" * 40), HANG])]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body("k2"), group="kimi"))
    await settle_down()
    await world.beat(2)
    (exchange,) = world.exchanges
    world.pulse.live.pop(exchange)
    world.now = Millis(world.now + LEASE_MS + 1)
    assert await world.store.sweep(world.now) == 1
    client.leave()
    await run
    (row,) = world.usage()
    assert (row["provenance"], row["amount"], row["output"]) == ("recovered", 0, 10)
    assert row["upstream"] == "own:acme/kimi"


@in_world(credits_=0)
async def test_no_pack_is_needed(world):
    server = await added(world)
    server.answers = [ScriptedReply([message()], 200, JSON_HEAD)]
    client, error = await world.ask(messages_body("k2", stream=False), group="kimi")
    assert error is None
    assert client.headers["x-tollbridge-charge"] == "0"
    _, error = await world.ask(messages_body())
    assert await told(world, error) is ErrorCode.PACK_EXHAUSTED


@in_world()
async def test_a_budget_that_is_used_up_does_not_matter(world):
    server = await added(world)
    await world.store.limit_key(KeyId("key_1"), Limits(), MicroCredits(1))
    world.servers["one"].answers = [answer("Hello")]
    _, error = await world.ask(messages_body())
    assert await told(world, error) is ErrorCode.PACK_EXHAUSTED
    server.answers = [answer("Hello")]
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is None


@in_world()
async def test_slots_and_minutes_count(world):
    server = await added(world)
    await world.store.limit_environment(ENV, Limits(concurrency=1, requests_per_minute=2))
    server.answers = [ScriptedReply([start(), HANG]), answer("Hello")]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body("k2"), group="kimi"))
    await settle_down()
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert await told(world, error) is ErrorCode.CONCURRENCY_EXCEEDED
    client.leave()
    await run
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is None
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert await told(world, error) is ErrorCode.RATE_EXCEEDED


@in_world()
async def test_changes_hold_for_the_very_next_request(world):
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert await told(world, error) is ErrorCode.GROUP_UNKNOWN
    server = await added(world)
    server.answers = [answer("Hello"), answer("Hello"), answer("Hello")]
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert error is None
    _, error = await world.ask(messages_body("k9"), group="kimi")
    assert await told(world, error) is ErrorCode.MODEL_UNKNOWN
    await world.store.put_group(replace(KIMI, models=("*",)), replace=True)
    _, error = await world.ask(messages_body("k9"), group="KIMI")
    assert error is None
    await world.store.revoke_key(KeyId("key_1"), world.now)
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert await told(world, error) is ErrorCode.KEY_REVOKED
    await world.add_key("tb_second", "key_2")
    second = {"presented_key": lambda: "tb_second", "group": "kimi"}
    _, error = await world.ask(messages_body("k2"), **second)
    assert error is None
    await world.store.remove_group(ENV, "kimi")
    _, error = await world.ask(messages_body("k2"), **second)
    assert await told(world, error) is ErrorCode.GROUP_UNKNOWN
    assert server.closed
    assert len(server.calls) == 3


@in_world()
async def test_a_group_removed_while_the_body_is_read(world):
    await added(world)

    async def slow() -> bytes:
        await world.store.remove_group(ENV, "kimi")
        return messages_body("k2")

    await world.ask(messages_body("k9"), group="kimi")
    _, error = await world.ask(b"", group="kimi", body=slow)
    assert await told(world, error) is ErrorCode.GROUP_UNKNOWN
    assert world.usage() == []


@in_world()
async def test_a_group_is_one_environments(world):
    await added(world)
    await world.store.create_environment(EnvId("other"), "", world.now)
    await world.add_key("tb_other", "key_9", EnvId("other"))
    _, error = await world.ask(messages_body("k2"), group="kimi", presented_key=lambda: "tb_other")
    assert await told(world, error) is ErrorCode.GROUP_UNKNOWN


@pytest.mark.parametrize("name", ["cloudbase-x", "CloudBase2", "nobody", "x" * 5000, "a'b"])
def test_unknown_groups(tmp_path, name):
    @in_world()
    async def scenario(world):
        _, error = await world.ask(messages_body("k2"), group=name)
        assert await told(world, error) is ErrorCode.GROUP_UNKNOWN
        assert len(str(error)) < 300
        assert not world.gateway.groups._known

    scenario(tmp_path)


@in_world()
async def test_the_operators_switches_and_models_do_not_apply(world):
    server = await added(world, replace(KIMI, models=("*",)))
    server.answers = [answer("Hello"), answer("Hello")]
    for model in ("off", "no/such:model"):
        _, error = await world.ask(messages_body(model), group="kimi")
        assert error is None
    assert [json.loads(call.body)["model"] for call in server.calls] == ["off", "no/such:model"]


@in_world()
async def test_a_limit_that_the_client_names_is_its_own_affair(world):
    server = await added(world, replace(KIMI, protocol="chat", dialect="generic", output_limit=900))
    reply = [chunk("Hi"), chunk(finish="stop"), b"data: [DONE]\n\n"]
    server.answers = [ScriptedReply(list(reply)) for _ in range(3)]
    for limit in (123_456, None, 10**30):
        body = chat_body("k2") if limit is None else chat_body("k2", max_tokens=limit)
        client, error = await world.ask(body, "chat", group="kimi")
        if limit == 10**30:
            assert error is None or error.code is ErrorCode.FIELD_INVALID
        else:
            assert error is None
            sent = json.loads(server.calls[-1].body)
            assert sent["max_tokens"] == (limit or 900)
            assert "x-tollbridge-max-tokens" not in client.headers


@in_world()
async def test_own_reports_teach_the_operators_estimates_nothing(world):
    server = await added(world)
    server.answers = [answer("Hello")]
    await world.ask(messages_body("k2"), group="kimi")
    assert not world.gateway.calibration._filters


@in_world()
async def test_own_models_are_listed(world):
    inquiry = Inquiry(world.gateway)
    with pytest.raises(GatewayError):
        await inquiry.models(world.inbound(b"", **MINE), "")
    await added(world)
    listed = await inquiry.models(world.inbound(b"", **MINE), "")
    assert [model.name for model in listed] == ["k2", "k3"]
    (one,) = await inquiry.models(world.inbound(b"", **MINE), "k3")
    assert one.name == "k3"
    with pytest.raises(GatewayError, match="it has: k2, k3"):
        await inquiry.models(world.inbound(b"", **MINE), "k9")


@in_world()
async def test_an_own_upstream_counts(world):
    server = await added(world)
    server.answers = [ScriptedReply([b'{"input_tokens": 4711}'], 200, JSON_HEAD)]
    count = await Inquiry(world.gateway).count_tokens(world.inbound(messages_body("k2"), **MINE))
    assert (json.loads(count.body), count.exact) == ({"input_tokens": 4711}, True)


@in_world()
async def test_a_store_that_is_away(world):
    await added(world)
    record = await world.gateway.directory.find(b"")
    assert record is None
    await world.ask(messages_body("k9"), group="kimi")

    async def away(*_: object) -> None:
        raise StoreUnavailableError("the cable is out")

    world.store.find_group = away
    await world.add_key("tb_second", "key_2")
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert await told(world, error) is ErrorCode.LEDGER_UNAVAILABLE
    with pytest.raises(GatewayError) as raised:
        await Inquiry(world.gateway).models(world.inbound(b"", **MINE), "")
    assert raised.value.code is ErrorCode.LEDGER_UNAVAILABLE


@in_world()
async def test_an_upstream_that_is_not_there(world):
    server = await added(world)
    nowhere = UpstreamError("its name leads to no public address", sent=False)
    server.answers = [nowhere for _ in range(1 + RETRIES_MAX)]
    _, error = await world.ask(messages_body("k2"), group="kimi")
    assert "no public address" in str(error)


@in_world()
async def test_a_request_that_comes_round_again_is_refused(world):
    await added(world)
    _, error = await world.ask(
        messages_body("k2"), group="kimi", headers={"cdn-loop": "other, tollbridge"}
    )
    assert await told(world, error) is ErrorCode.UPSTREAM_REFUSED
    assert "leads back to this gateway" in str(error)


class Store:
    """Groups of one environment, all of one generation."""

    def __init__(self, **groups) -> None:
        self.generation = 1
        self.groups = groups
        self.asked = 0

    async def find_group(self, env_id, name):
        self.asked += 1
        await asyncio.sleep(0)
        return self.generation, self.groups.get(name)


class Server:
    """Notes that it was closed."""

    closed = 0

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


class Record:
    """Of a key."""

    env_id = ENV

    def __init__(self, generation: int) -> None:
        self.generation = generation


def test_a_group_is_read_once_for_each_generation():
    async def scenario():
        store = Store(kimi=KIMI)
        groups = Groups(store, lambda _: Server())
        first = await groups.find(Record(1), "kimi", {})
        assert await groups.find(Record(1), "Kimi", {}) is first
        assert store.asked == 1
        store.generation = 2
        second = await groups.find(Record(2), "kimi", {})
        assert (store.asked, second.server) == (2, first.server), "nothing of it has changed"
        store.generation, store.groups["kimi"] = 3, replace(KIMI, secret=b"new")
        third = await groups.find(Record(3), "kimi", {})
        assert third.server is not first.server
        assert (first.server.closed, third.server.closed) == (1, 0)
        await groups.close()
        assert third.server.closed == 1

    asyncio.run(scenario())


def test_many_at_once_share_a_server():
    async def scenario():
        opened = []
        groups = Groups(Store(kimi=KIMI), lambda _: opened.append(Server()) or opened[-1])
        found = await asyncio.gather(*(groups.find(Record(1), "kimi", {}) for _ in range(9)))
        assert {id(each.server) for each in found} == {id(opened[0])}
        assert len(opened) == 1

    asyncio.run(scenario())


def test_memory_is_bounded_and_forgets_the_least_used(monkeypatch):
    monkeypatch.setattr(module, "GROUPS_MAX", 2)

    async def scenario():
        groups = Groups(Store(a=group("a"), b=group("b"), c=group("c")), lambda _: Server())
        a, b = await groups.find(Record(1), "a", {}), await groups.find(Record(1), "b", {})
        await groups.find(Record(1), "a", {})
        await groups.find(Record(1), "c", {})
        assert (a.server.closed, b.server.closed) == (0, 1)
        assert len(groups._known) == 2

    asyncio.run(scenario())
