import time
from collections import Counter

import pytest
from tests.unit.telemetry.test_logs import SETTLEMENT

from tollbridge.app.ports import Waits
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.telemetry.meter import FAMILIES, OTHER, SUM, Meter
from tollbridge.units import MicroCredits


def meter() -> Meter:
    return Meter({"模型"}, {"demo"})


def test_an_exchange():
    counting = meter()
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(3, 0, 40), 1)
    figures = counting.figures
    assert figures["requests", "messages", "模型", "true", "finished", "200", ""] == 1
    assert [
        figures["tokens", "模型", word] for word in ("input", "cache_read", "cache_write", "output")
    ] == [1, 2, 3, 4]
    assert figures["charged", "模型"] == 5
    assert figures["duration", "messages", "true", SUM] == 250
    assert figures["first_event", "messages", "模型", SUM] == 40
    assert figures["ledger", "admit", SUM] == 3


def test_an_answer_without_events_has_no_first_one():
    counting = meter()
    counting.exchange_ended(SETTLEMENT, 502, "UPSTREAM_FAILED", Waits(), 1)
    assert not [row for row in counting.figures if row[0] == "first_event"]
    assert (
        counting.figures[
            "requests", "messages", "模型", "true", "finished", "502", "UPSTREAM_FAILED"
        ]
        == 1
    )


@pytest.mark.parametrize(
    ("span_ms", "bucket"), [(0, 0), (1, 0), (2, 1), (5, 1), (300_000, 13), (300_001, 14)]
)
def test_a_bucket_holds_what_is_not_above_its_bound(span_ms: int, bucket: int):
    counting = meter()
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(first_event_ms=span_ms), 1)
    assert counting.figures["first_event", "messages", "模型", str(bucket)] == 1


def test_labels_are_the_operators_words_only():
    counting = Meter({"known"}, {"known"})
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(), 1)
    counting.attempt_ended("req_1", "https://somebody.example", None)
    counting.attempt_ended("req_1", "known", GatewayError(ErrorCode.UPSTREAM_TIMEOUT, "no"))
    counting.unknown("messages request field", "secret of a client")
    counting.request_refused("req_1", "chat", GatewayError(ErrorCode.FIELD_INVALID, "a secret"))
    counting.trouble("what", ValueError("a secret"))
    words = {word for row in counting.figures for word in row}
    assert "模型" not in words
    assert not [word for word in words if "secret" in word or "example" in word or word == "env"]
    assert counting.figures["attempts", OTHER, ""] == 1
    assert counting.figures["attempts", "known", "UPSTREAM_TIMEOUT"] == 1
    assert counting.figures["unknown", "messages request field"] == 1
    assert counting.figures["refusals", "chat", "FIELD_INVALID"] == 1
    assert counting.figures["troubles",] == 1


def test_names_are_learned_and_none_is_forgotten():
    counting = Meter({"old"}, {"old"})
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(), 1)
    counting.attempt_ended("req_1", "new", None)
    others = Counter({row: count for row, count in counting.figures.items() if OTHER in row})
    counting.learn({"模型"}, {"new"})
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(), 1)
    for upstream in ("new", "old"):
        counting.attempt_ended("req_1", upstream, None)
    now = Counter({row: count for row, count in counting.figures.items() if OTHER in row})
    assert now == others != Counter(), "what was counted stays where it is"
    assert counting.figures["charged", "模型"] == SETTLEMENT.amount
    assert counting.figures["attempts", "new", ""] == 1
    assert counting.figures["attempts", "old", ""] == 1


def test_every_row_fits_its_family():
    counting = meter()
    counting.exchange_ended(SETTLEMENT, 200, None, Waits(first_event_ms=1), 1)
    counting.attempt_ended("req_1", "demo", None)
    for word, *labels in counting.figures:
        family = FAMILIES[word]
        assert len(labels) == len(family.labels) + bool(family.bounds_ms), word


def test_an_exchange_costs_microseconds():
    counting, waits, rounds = meter(), Waits(1, 1, 1), 2_000
    started = time.process_time()
    for _ in range(rounds):
        counting.exchange_ended(SETTLEMENT, 200, None, waits, 1)
    spent = (time.process_time() - started) / rounds
    # About 15 increments; the bound is for a busy machine.
    assert spent < 50e-6, f"{spent * 1e6:.1f} us for one exchange"
    assert counting.figures["charged", "模型"] == rounds * MicroCredits(5)
