"""Good keys, bad keys, and what a request may cost at most."""

import asyncio

import pytest

from tollbridge.app.admission import (
    ROOM_MIN_TOKENS,
    admission,
    identify,
    key_error,
    ledger_away,
    refused,
)
from tollbridge.app.directory import Directory
from tollbridge.app.ports import KeyRecord
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.model import UNLIMITED, Limits, Refusal
from tollbridge.ledger.pricing import PriceBook, Weights
from tollbridge.routing.catalog import Model
from tollbridge.translate.bridge import Ask
from tollbridge.units import Millis

RECORD = KeyRecord(
    key_id="key_1",
    env_id="acme",
    name="",
    expires_at=None,
    revoked_at=None,
    generation=3,
    models_on=frozenset(),
)
BOOK = PriceBook(Weights(2, 1, 3, 5), (), "v1")


def record(**changes):
    return KeyRecord(**{name: getattr(RECORD, name) for name in RECORD.__struct_fields__} | changes)


@pytest.mark.parametrize(
    ("found", "env_id", "code"),
    [
        (None, None, ErrorCode.KEY_UNKNOWN),
        (record(), None, None),
        (record(), "acme", None),
        (record(), "other", ErrorCode.KEY_FOREIGN),
        (record(revoked_at=1), None, ErrorCode.KEY_REVOKED),
        (record(expires_at=100), None, ErrorCode.KEY_EXPIRED),
        (record(expires_at=101), None, None),
        (record(revoked_at=1), "other", ErrorCode.KEY_FOREIGN),
    ],
)
def test_key_error(found, env_id, code):
    error = key_error(found, env_id, 100)
    assert (error.code if error else None) is code


class Store:
    """Has these records of one key, one after the other; only the last is current."""

    def __init__(self, *records):
        self.records = list(records)

    async def find_key(self, key_hash):
        return self.records.pop(0) if self.records[1:] else self.records[0]

    async def generation(self, env_id):
        return self.records[-1].generation


def identified(*records):
    return asyncio.run(identify(Directory(Store(*records)), b"", None, 100))


def test_a_refusal_from_memory_is_confirmed_first():
    good = record(generation=4)
    found = identified(record(revoked_at=1), good)
    assert found is good


def test_a_confirmed_refusal():
    with pytest.raises(GatewayError) as raised:
        identified(record(expires_at=5), record(revoked_at=1, generation=4))
    assert raised.value.code is ErrorCode.KEY_REVOKED


def need(max_tokens, *, estimate=10, window=100_000, limit=1_000, choices=1):
    ask = Ask(
        model="m",
        stream=False,
        max_tokens=max_tokens,
        choices=choices,
        thinking=False,
        input_estimate=estimate,
        input_bound=20,
    )
    model = Model("m", "m", (), window, limit)
    return admission("req_1", RECORD, ask, model, BOOK, "chat", "worker-1", 7).need


def test_the_dearest_input_weight_and_the_client_s_limit():
    asked = need(50)
    assert (asked.input_amount, asked.output_weight, asked.output_tokens) == (60, 5, 50)


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        (need(None), 1_000),
        (need(10**30), 1_000),
        (need(0), 0),
        (need(None, estimate=95_000, limit=8_000), 5_000),
        # An estimate above the window may be wrong: the answer keeps some room.
        (need(None, estimate=10**9, limit=8_000), ROOM_MIN_TOKENS),
        (need(None, estimate=10**9, limit=100), 100),
        (need(None, choices=4), 4_000),
        (need(8_000, choices=8), 8_000),
    ],
)
def test_the_output_is_bounded(asked, output):
    assert asked.output_tokens == output


def test_an_admission_names_the_generation_it_was_decided_on():
    ask = Ask(model="m", stream=False, max_tokens=1, thinking=False)
    asked = admission(
        "req_1", RECORD, ask, Model("m", "m", (), 10, 10), BOOK, "chat", "worker-1", 7
    )
    assert (asked.generation, asked.env_id, asked.key_id, asked.worker_id, asked.now) == (
        3, "acme", "key_1", "worker-1", 7,
    )  # fmt: skip


def test_an_admission_carries_the_limits_and_what_a_recovered_record_needs():
    limited = record(limits=Limits(1), env_limits=Limits(2), budgeted=True, expires_at=Millis(99))
    ask = Ask(model="m", stream=True, max_tokens=1, thinking=False, input_estimate=33)
    asked = admission("req_1", limited, ask, Model("m", "m", (), 10, 10), BOOK, "chat", "w", 7)
    assert (asked.key_limits, asked.limits, asked.key_budgeted) == (Limits(1), Limits(2), True)
    assert (asked.key_expires_at, asked.input_tokens) == (99, 33)
    assert (asked.client_protocol, asked.stream, asked.price_version) == ("chat", True, "v1")
    asked = admission("req_1", RECORD, ask, Model("m", "m", (), 10, 10), BOOK, "chat", "w", 7)
    assert (asked.limits, asked.key_limits, asked.key_budgeted) == (UNLIMITED, UNLIMITED, False)


@pytest.mark.parametrize(
    ("refusal", "code", "retry_after_s"),
    [
        (Refusal.STALE, ErrorCode.LEDGER_UNAVAILABLE, 1),
        (Refusal.DUPLICATE, ErrorCode.INTERNAL, None),
        (Refusal.KEY_EXPIRED, ErrorCode.KEY_EXPIRED, None),
        (Refusal.KEY_EXHAUSTED, ErrorCode.PACK_EXHAUSTED, None),
        (Refusal.KEY_HELD, ErrorCode.CREDITS_HELD, 2),
        (Refusal.EXHAUSTED, ErrorCode.PACK_EXHAUSTED, None),
        (Refusal.HELD, ErrorCode.CREDITS_HELD, 2),
        (Refusal.KEY_CONCURRENCY, ErrorCode.CONCURRENCY_EXCEEDED, 2),
        (Refusal.CONCURRENCY, ErrorCode.CONCURRENCY_EXCEEDED, 2),
        (Refusal.KEY_REQUESTS, ErrorCode.RATE_EXCEEDED, 49),
        (Refusal.KEY_TOKENS, ErrorCode.RATE_EXCEEDED, 49),
        (Refusal.REQUESTS, ErrorCode.RATE_EXCEEDED, 49),
        (Refusal.TOKENS, ErrorCode.RATE_EXCEEDED, 49),
    ],
)
def test_refusals_in_words(refusal, code, retry_after_s):
    error = refused(refusal, Millis(11_500))
    assert (error.code, error.retry_after_s) == (code, retry_after_s)


def test_every_refusal_has_its_own_words():
    assert len({refused(refusal, Millis(0)).message for refusal in Refusal}) == len(Refusal)


def test_a_ledger_that_is_away_comes_back():
    assert ledger_away().code is ErrorCode.LEDGER_UNAVAILABLE
    assert ledger_away().retry_after_s == 5
