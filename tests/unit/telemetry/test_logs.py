import io
import json

import pytest

from tollbridge.app.ports import Alert, Waits
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.model import Settlement
from tollbridge.ledger.tariff import Outcome
from tollbridge.telemetry.logs import OTHERS, LogObserver
from tollbridge.units import (
    UNKNOWN_NAMES_MAX,
    EnvId,
    KeyId,
    MicroCredits,
    Millis,
    PackId,
    RequestId,
)
from tollbridge.usage import Provenance, TokenUsage

SETTLEMENT = Settlement(
    request_id=RequestId("req_1"),
    env_id=EnvId("env"),
    key_id=KeyId("key_1"),
    model="模型",
    upstream="demo",
    client_protocol="messages",
    stream=True,
    started_at=Millis(1000),
    ended_at=Millis(1250),
    usage=TokenUsage(input=1, cache_read=2, cache_write=3, output=4),
    amount=MicroCredits(5),
    provenance=Provenance.REPORTED,
    outcome=Outcome.FINISHED,
    price_version="v1",
)


def observed() -> tuple[LogObserver, io.StringIO]:
    stream = io.StringIO()
    return LogObserver(stream, lambda: Millis(7)), stream


def test_one_line_for_an_exchange():
    observer, stream = observed()
    observer.exchange_ended(SETTLEMENT, 200, None, Waits(first_event_ms=120), 2)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {
        "at": 1250, "event": "exchange", "request_id": "req_1", "env": "env", "key": "key_1",
        "model": "模型", "upstream": "demo", "attempts": 2, "protocol": "messages", "stream": True,
        "status": 200, "error": None, "outcome": "finished", "ms": 250, "first_event_ms": 120,
        "input": 1, "cache_read": 2,
        "cache_write": 3, "output": 4, "charge": 5, "provenance": "reported",
    }  # fmt: skip


def test_a_line_for_an_attempt_that_failed():
    observer, stream = observed()
    error = GatewayError(ErrorCode.UPSTREAM_OVERLOADED, "said by somebody")
    observer.attempt_ended("req_1", "lab", error)
    assert json.loads(stream.getvalue()) == {
        "at": 7, "event": "attempt", "request_id": "req_1", "upstream": "lab",
        "error": "UPSTREAM_OVERLOADED",
    }  # fmt: skip


def test_a_refusal_names_the_field_and_repeats_no_text():
    observer, stream = observed()
    error = GatewayError(ErrorCode.FIELD_INVALID, "stop: got a secret", field="stop")
    observer.request_refused("req_1", "chat", error)
    assert json.loads(stream.getvalue()) == {
        "at": 7, "event": "refused", "request_id": "req_1", "protocol": "chat",
        "error": "FIELD_INVALID", "field": "stop",
    }  # fmt: skip


def test_trouble_says_where_it_happened():
    observer, stream = observed()
    try:
        raise ZeroDivisionError("two\nlines")
    except ZeroDivisionError as error:
        observer.trouble("a bug", error)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told["error"] == "ZeroDivisionError: two\nlines"
    assert "test_logs.py:" in told["where"]
    observer.trouble("without a traceback", ValueError("x"))
    assert json.loads(stream.getvalue().splitlines()[1])["where"] == ""


@pytest.mark.parametrize("failure", [BrokenPipeError(), OSError(28, "No space left"), ValueError()])
def test_a_log_that_cannot_be_written_stops_no_exchange(failure: Exception):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise failure

    LogObserver(Broken(), lambda: Millis(7)).exchange_ended(
        SETTLEMENT, 200, None, Waits(first_event_ms=120), 1
    )


def test_what_json_cannot_say_stops_no_exchange():
    observer, _ = observed()
    observer.trouble("a path", ValueError("\udcff"))


def test_an_unknown_name_is_logged_once_and_counted():
    observer, stream = observed()
    for _ in range(3):
        observer.unknown("messages event", "weather")
    assert json.loads(stream.getvalue()) == {
        "at": 7, "event": "unknown", "kind": "messages event", "name": "weather",
    }  # fmt: skip
    assert observer.unknown_names["messages event", "weather"] == 3


def test_unknown_names_are_bounded():
    observer, stream = observed()
    for number in range(UNKNOWN_NAMES_MAX + 50):
        observer.unknown("chat request field", str(number))
    assert len(stream.getvalue().splitlines()) == UNKNOWN_NAMES_MAX
    assert observer.unknown_names["chat request field", OTHERS] == 50


def test_a_pack_that_runs_out():
    observer, stream = observed()
    observer.pack_reached(
        Alert(
            env_id=EnvId("env"), pack_id=PackId("p1"), level=80, at=Millis(5),
            granted=MicroCredits(100), spent=MicroCredits(81), tries=1,
        )
    )  # fmt: skip
    assert json.loads(stream.getvalue()) == {
        "at": 7, "event": "alert", "env": "env", "pack": "p1", "level_percent": 80,
        "granted": 100, "spent": 81,
    }  # fmt: skip


def test_a_reload():
    observer, stream = observed()
    observer.reloaded([], ["server.port"])
    observer.reloaded(["worker 1 is late", "worker 2 is late"], [])
    good, bad = map(json.loads, stream.getvalue().splitlines())
    assert good == {
        "at": 7, "event": "reload", "ok": True, "error": None, "needs_restart": "server.port",
    }  # fmt: skip
    assert (bad["ok"], bad["error"]) == (False, "worker 1 is late; worker 2 is late")
