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
from tollbridge.app.ports import KeyRecord
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.model import Refusal
from tollbridge.ledger.pricing import Weights
from tollbridge.routing.catalog import Model
from tollbridge.translate.bridge import Ask

RECORD = KeyRecord(
    key_id="key_1",
    env_id="acme",
    name="",
    expires_at=None,
    revoked_at=None,
    generation=3,
    models_on=frozenset(),
)
WEIGHTS = Weights(2, 1, 3, 5)


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


class Directory:
    """Has read these records, one after the other; only the last is current."""

    def __init__(self, *records):
        self.records = list(records)

    async def find(self, key_hash):
        return self.records[0]

    async def is_current(self, key_hash, found):
        if len(self.records) == 1:
            return True
        self.records.pop(0)
        return False


def test_a_refusal_from_memory_is_confirmed_first():
    good = record(generation=4)
    found = asyncio.run(identify(Directory(record(revoked_at=1), good), b"", None, 100))
    assert found is good


def test_a_confirmed_refusal():
    with pytest.raises(GatewayError) as raised:
        asyncio.run(identify(Directory(record(expires_at=5), record(revoked_at=1)), b"", None, 100))
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
    return admission("req_1", RECORD, ask, model, WEIGHTS, "worker-1", 7).need


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
    asked = admission("req_1", RECORD, ask, Model("m", "m", (), 10, 10), WEIGHTS, "worker-1", 7)
    assert (asked.generation, asked.env_id, asked.key_id, asked.worker_id, asked.now) == (
        3, "acme", "key_1", "worker-1", 7,
    )  # fmt: skip


def test_refusals_in_words():
    assert refused(Refusal.EXHAUSTED).code is ErrorCode.PACK_EXHAUSTED
    assert refused(Refusal.EXHAUSTED).retry_after_s is None
    assert refused(Refusal.HELD).code is ErrorCode.CREDITS_HELD
    assert refused(Refusal.HELD).retry_after_s == 2
    assert refused(Refusal.DUPLICATE).code is ErrorCode.INTERNAL


def test_a_ledger_that_is_away_comes_back():
    assert ledger_away().code is ErrorCode.LEDGER_UNAVAILABLE
    assert ledger_away().retry_after_s == 5
