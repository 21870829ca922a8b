"""A receipt, and how it is asked for over HTTP."""

import json

import pytest
from tests.contract.samples import settlement
from tests.unit.server.conftest import (
    BASE,
    ENV,
    MESSAGES,
    OTHER,
    Play,
    World,
    check_ids,
    check_refusal,
    prompt,
)

from tollbridge.app.ports import Receipt, StoreUnavailableError
from tollbridge.ledger.model import Leg, Limits
from tollbridge.server.receipts import receipt_body
from tollbridge.units import MicroCredits, PackId


def test_everything_that_explains_the_charge() -> None:
    receipt = Receipt(
        settlement=settlement("r1", 30, now=7),
        overrun=MicroCredits(4),
        packs=(Leg(PackId("p1"), MicroCredits(20)), Leg(PackId("p2"), MicroCredits(6))),
        prices='{"base":{},"tiers":[]}',
    )
    assert json.loads(receipt_body(receipt)) == {
        "object": "receipt",
        "request_id": "r1",
        "environment": "acme",
        "key_id": "key_1",
        "model": "hy3-preview",
        "upstream": "hunyuan",
        "upstream_model": "hunyuan-turbo",
        "protocol": "chat",
        "stream": True,
        "started_at": 0,
        "ended_at": 7,
        "outcome": "finished",
        "provenance": "reported",
        "usage": {"input": 5, "cache_read": 0, "cache_write": 0, "output": 15, "reasoning": 0},
        "usage_reported": {"prompt_tokens": 5},
        "charge": 30,
        "overrun": 4,
        "packs": [{"pack": "p1", "amount": 20}, {"pack": "p2", "amount": 6}],
        "price": {"version": "v1", "book": {"base": {}, "tiers": []}},
    }


def test_what_is_not_known_is_null() -> None:
    receipt = Receipt(
        settlement=settlement("r1", 0, raw_usage=""), overrun=MicroCredits(0), packs=(), prices=""
    )
    told = json.loads(receipt_body(receipt))
    assert (told["usage_reported"], told["price"]["book"], told["packs"]) == (None, None, [])


@pytest.mark.parametrize("stream", [False, True])
def test_the_receipt_of_an_exchange(play: Play, stream: bool) -> None:
    async def scenario(world: World) -> None:
        books = {book.version: book.text() for book in world.gateway.prices.values()}
        await world.store.keep_prices(books, world.now)
        answer = await world.ask(MESSAGES, prompt(stream=stream))
        request_id = check_ids(answer)
        for path in (f"/v1/ai/receipts/{request_id}", f"/receipts/{request_id}"):
            told = (await world.ask(path)).json()
            assert told["request_id"] == request_id
            assert (told["environment"], told["stream"]) == (ENV, stream)
            assert (told["upstream"], told["upstream_model"]) == ("demo", "demo")
            assert told["provenance"] == "reported"
            assert sum(leg["amount"] for leg in told["packs"]) == told["charge"] > 0
            assert told["price"]["book"]["base"]["output"] == 1_000_000
            reported = told["usage_reported"]
            last = reported[-1] if stream else reported
            assert last["output_tokens"] == told["usage"]["output"]
        if not stream:
            assert answer.headers["x-tollbridge-charge"] == str(told["charge"])

    play(scenario)


def test_receipts_of_others_are_not_found(play: Play) -> None:
    async def scenario(world: World) -> None:
        request_id = check_ids(await world.ask(MESSAGES, prompt()))
        other = await world.add_key(OTHER)
        answer = await world.ask(f"/v1/ai/receipts/{request_id}", key=other)
        check_refusal(answer, 404, "RESOURCE_NOT_FOUND", dialect="chat")
        answer = await world.ask("/v1/ai/receipts/req_none")
        check_refusal(answer, 404, "RESOURCE_NOT_FOUND", dialect="chat")
        answer = await world.ask(f"/receipts/{request_id}", key="tb_nobody")
        assert answer.status == 401
        answer = await world.ask(f"/receipts/{request_id}", b"{}")
        check_refusal(answer, 405, "METHOD_NOT_ALLOWED", dialect="chat")
        answer = await world.ask(f"{BASE}/receipts/{request_id}")
        check_refusal(answer, 404, "RESOURCE_NOT_FOUND", dialect="chat")

    play(scenario)


def test_a_database_that_is_away_is_told(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailableError("away")

    async def scenario(world: World) -> None:
        monkeypatch.setattr(world.store, "receipt", away)
        answer = await world.ask("/receipts/req_1")
        check_refusal(answer, 503, "LEDGER_UNAVAILABLE", dialect="chat")

    play(scenario)


def test_limits_are_told_with_the_time_to_wait(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.store.limit_environment(ENV, Limits(requests_per_minute=1))
        assert (await world.ask(MESSAGES, prompt())).status == 200
        answer = await world.ask(MESSAGES, prompt())
        check_refusal(answer, 429, "EXCEED_REQUEST_LIMIT", dialect="messages")
        left = 60 - world.now // 1000 % 60
        assert int(answer.headers["retry-after"]) == left
        assert answer.headers["x-should-retry"] == "true"
        await world.store.limit_environment(ENV, Limits())
        assert (await world.ask(MESSAGES, prompt())).status == 200
        key_id = world.key_id(world.key)
        await world.store.limit_key(key_id, Limits(), MicroCredits(1))
        answer = await world.ask(MESSAGES, prompt())
        message = check_refusal(answer, 429, "EXCEED_TOKEN_QUOTA_LIMIT", dialect="messages")
        assert "budget of this API key" in message
        assert answer.headers["x-should-retry"] == "false"

    play(scenario)
