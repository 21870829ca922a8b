"""Requests that cost nothing."""

import asyncio
import dataclasses
import json

import msgspec
import pytest
from msgspec.structs import replace
from tests.fakes.bodies import OVERLOADED
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply
from tests.fakes.world import ENV, KEY, in_world, settle_down

from tollbridge.app import inquiry as inquiries
from tollbridge.app.inquiry import Inquiry
from tollbridge.app.ports import UpstreamError
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.count_requests import MESSAGES_COUNT_PATH
from tollbridge.translate.prompt_features import read_features
from tollbridge.units import ASK_AGAIN_AFTER_MS, KeyId


def prompt(model="single", **members):
    body = {"model": model, "messages": [{"role": "user", "content": "Hi there"}], **members}
    return json.dumps(body).encode()


async def counted(world, body=None, **changes):
    answer = await Inquiry(world.gateway).count_tokens(world.inbound(body or prompt(), **changes))
    return json.loads(answer.body)["input_tokens"]


async def refusal(call):
    with pytest.raises(GatewayError) as raised:
        await call
    return raised.value.code


@in_world()
async def test_models_that_are_on(world):
    inquiry = Inquiry(world.gateway)
    assert [model.name for model in await inquiry.models(world.inbound(b""), "")] == [
        "m",
        "single",
        "c",
    ]
    (model,) = await inquiry.models(world.inbound(b""), "c")
    assert model.name == "c"
    assert await refusal(inquiry.models(world.inbound(b""), "off")) is ErrorCode.MODEL_DISABLED
    assert await refusal(inquiry.models(world.inbound(b""), "x")) is ErrorCode.MODEL_UNKNOWN
    other = world.inbound(b"", group="mine")
    assert await refusal(inquiry.models(other, "")) is ErrorCode.GROUP_UNKNOWN


@in_world()
async def test_keys_and_switches_act_at_once(world):
    inquiry = Inquiry(world.gateway)
    await inquiry.models(world.inbound(b""), "")
    await world.store.switch(ENV, ["m"], on=False)
    assert [m.name for m in await inquiry.models(world.inbound(b""), "")] == ["single", "c"]
    await world.store.revoke_key(KeyId("key_1"), world.now)
    assert await refusal(inquiry.models(world.inbound(b""), "")) is ErrorCode.KEY_REVOKED
    assert await refusal(counted(world)) is ErrorCode.KEY_REVOKED


@in_world()
async def test_the_upstream_counts(world):
    server = world.servers["one"]
    server.answers = [ScriptedReply([b'{"input_', b'tokens": 4711}'], 200, JSON_HEAD)]
    assert await counted(world) == 4711
    assert server.calls[0].path == MESSAGES_COUNT_PATH
    assert json.loads(server.calls[0].body)["model"] == "single"
    assert world.usage() == []
    assert world.audit().transfers == 1


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamError("refused", sent=False),
        ScriptedReply([OVERLOADED], 529, JSON_HEAD),
        ScriptedReply([b"not json"], 200, JSON_HEAD),
        ScriptedReply([b"{}"], 200, JSON_HEAD),
        ScriptedReply([UpstreamError("cut", sent=True)], 200, JSON_HEAD),
        ScriptedReply([b" " * 100_000, b"{}"], 200, JSON_HEAD),
    ],
)
def test_without_the_upstream_s_count_we_estimate(tmp_path, answer):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [answer]
        assert 1 <= await counted(world) < 100

    scenario(tmp_path)


@in_world()
async def test_chat_upstreams_are_not_asked(world):
    assert await counted(world, prompt("c")) > 0
    assert world.servers["talk"].calls == []


@in_world()
async def test_bad_bodies(world):
    assert await refusal(counted(world, b"{}")) is ErrorCode.FIELD_MISSING
    assert await refusal(counted(world, b"\xff")) is ErrorCode.BODY_INVALID
    assert await refusal(counted(world, prompt()[:-1] + b',"\xff":1}')) is ErrorCode.BODY_INVALID
    assert await refusal(counted(world, prompt("off"))) is ErrorCode.MODEL_DISABLED


@in_world()
async def test_ready_means_that_the_ledger_answers(world):
    inquiry = Inquiry(world.gateway)
    await inquiry.ready()
    world.store.away = True
    assert await refusal(inquiry.ready()) is ErrorCode.LEDGER_UNAVAILABLE
    assert await refusal(inquiry.models(world.inbound(b""), "")) is ErrorCode.LEDGER_UNAVAILABLE
    assert await refusal(counted(world)) is ErrorCode.LEDGER_UNAVAILABLE
    world.store.away = False


@in_world()
async def test_a_number_says_whose_it_is(world):
    inquiry = Inquiry(world.gateway)
    world.servers["one"].answers = [
        ScriptedReply([b'{"input_tokens": 5}'], 200, JSON_HEAD),
        ScriptedReply([OVERLOADED], 529, JSON_HEAD),
    ]
    assert (await inquiry.count_tokens(world.inbound(prompt()))).exact
    assert not (await inquiry.count_tokens(world.inbound(prompt()))).exact


@in_world()
async def test_an_upstream_without_the_endpoint_is_left_alone_for_a_while(world):
    inquiry = Inquiry(world.gateway)
    server = world.servers["one"]
    server.answers = [ScriptedReply([b"nothing here"], 404, JSON_HEAD)]
    for _ in range(3):
        assert not (await inquiry.count_tokens(world.inbound(prompt()))).exact
    assert len(server.calls) == 1
    world.now += ASK_AGAIN_AFTER_MS
    server.answers = [ScriptedReply([b'{"input_tokens": 5}'], 200, JSON_HEAD)]
    assert (await inquiry.count_tokens(world.inbound(prompt()))).exact


def test_a_slow_upstream_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(inquiries, "COUNT_TIMEOUT_S", 0.01)

    @in_world()
    async def scenario(world):
        world.servers["one"].answers = ["hang"]
        assert 1 <= await counted(world) < 100

    scenario(tmp_path)


@in_world()
async def test_a_count_takes_a_place_at_an_upstream_that_has_few(world):
    await world.store.switch(ENV, ["narrow"], on=True)
    server, turnstile = world.servers["narrow"], world.gateway.routing.turnstiles["narrow"]
    numbers = [ScriptedReply([b'{"input_tokens": %d}' % n], 200, JSON_HEAD) for n in (5, 6)]
    server.answers = ["hang"]
    hanging = asyncio.ensure_future(counted(world, prompt("narrow")))
    await settle_down()
    server.answers = numbers
    waiting = asyncio.ensure_future(counted(world, prompt("narrow")))
    await settle_down()
    assert (turnstile.inside, turnstile.waiting, len(server.calls)) == (1, 1, 1)
    answer = await Inquiry(world.gateway).count_tokens(world.inbound(prompt("narrow")))
    assert not answer.exact, "the line is full, and an estimate is better than none"
    hanging.cancel()
    assert await waiting == 5
    assert await counted(world, prompt("narrow")) == 6
    assert (turnstile.inside, turnstile.waiting) == (0, 0)


@in_world()
async def test_a_model_with_a_tokenizer_is_counted_by_it(world):
    gateway = dataclasses.replace(world.gateway, tokenizers={"c": lambda text: len(text.split())})
    answer = await Inquiry(gateway).count_tokens(world.inbound(prompt("c", system="one two three")))
    assert json.loads(answer.body)["input_tokens"] == len(
        ["one", "two", "three", "user", "Hi", "there"]
    )
    assert not answer.exact


@in_world()
async def test_estimates_follow_what_upstreams_report(world):
    body = prompt("c", system="Toll and token and bridge. " * 100)
    before = await counted(world, body)
    features = read_features(body)
    for _ in range(20):
        world.gateway.calibration.learn("c", features, 2 * before)
    assert await counted(world, body) == pytest.approx(2 * before, rel=0.02)


class Board:
    """A scoreboard of one line."""

    content_type = "text/plain"

    async def text(self, under_way):
        if under_way:
            raise OSError("the folder is gone")
        return b"figures"


def watched(world, key):
    config = world.gateway.config
    server = msgspec.structs.replace(config.server, metrics_key="a long secret word")
    config = msgspec.structs.replace(config, server=server)
    gateway = dataclasses.replace(world.gateway, config=config, scoreboard=Board())
    return Inquiry(gateway), replace(world.inbound(b""), presented_key=lambda: key)


@in_world()
async def test_metrics_are_for_who_has_their_key(world):
    inquiry, inbound = watched(world, "a long secret word")
    assert await inquiry.metrics(inbound) == ("text/plain", b"figures")
    for key in (KEY, "", "a long secret"):
        inquiry, inbound = watched(world, key)
        assert await refusal(inquiry.metrics(inbound)) is ErrorCode.KEY_UNKNOWN


@in_world()
async def test_without_a_key_there_are_no_metrics(world):
    off = Inquiry(world.gateway).metrics(world.inbound(b""))
    assert await refusal(off) is ErrorCode.ROUTE_UNKNOWN


@in_world()
async def test_figures_that_cannot_be_read(world):
    inquiry, inbound = watched(world, "a long secret word")
    world.gateway.pulse.live["an exchange"] = None
    refused = await refusal(inquiry.metrics(inbound))
    world.gateway.pulse.live.clear()
    assert refused is ErrorCode.INTERNAL
    assert world.observer.troubles[0][0] == "the metrics cannot be read"
