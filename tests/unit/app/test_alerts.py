import asyncio
import hashlib
import hmac
import json

import pytest
from tests.fakes.exchange_parts import RecordingObserver

from tollbridge.app.alerts import SIGNATURE_HEADER, Alerter, Webhook, alert_body, signature
from tollbridge.app.ports import Alert, StoreUnavailableError, UpstreamError
from tollbridge.units import EnvId, MicroCredits, Millis, PackId

NOW = Millis(1_700_000_000_123)
ALERT = Alert(
    env_id=EnvId("acme"),
    pack_id=PackId("p1"),
    level=80,
    at=Millis(5),
    granted=MicroCredits(100),
    spent=MicroCredits(81),
    tries=1,
)


class Store:
    def __init__(self, *alerts: Alert | Exception) -> None:
        self.alerts = alerts
        self.sent: list[Alert] = []

    async def take_alerts(self, now):
        for alert in self.alerts:
            if isinstance(alert, Exception):
                raise alert
        return self.alerts

    async def alert_sent(self, alert):
        self.sent.append(alert)


class Upstream:
    """Answers each call with a status, or an error."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests = []
        self.closed = False

    async def send(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer)

    async def close(self):
        self.closed = True


class Reply:
    def __init__(self, status):
        self.status = status

    def abort(self):
        pass


def deliver(store: Store, upstream: Upstream | None) -> RecordingObserver:
    observer = RecordingObserver()
    webhook = None if upstream is None else Webhook(upstream, "/hook?a=1", b"s3cret")

    async def scenario() -> None:
        alerter = Alerter(store, webhook, observer, lambda: NOW)
        alerter.wake()
        await alerter._task
        await alerter.stop()

    asyncio.run(scenario())
    return observer


def test_without_a_webhook_the_log_tells() -> None:
    store = Store(ALERT)
    assert deliver(store, None).alerts == [ALERT]
    assert store.sent == [ALERT]


def test_a_call_is_signed() -> None:
    store, upstream = Store(ALERT), Upstream(204)
    deliver(store, upstream)
    (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/hook?a=1")
    told = json.loads(request.body)
    assert (told["id"], told["level_percent"], told["spent"]) == ("acme/p1/80", 80, 81)
    text = b"1700000000." + request.body
    expected = hmac.new(b"s3cret", text, hashlib.sha256).hexdigest()
    assert dict(request.headers)[SIGNATURE_HEADER] == f"t=1700000000,v1={expected}"
    assert store.sent == [ALERT]
    assert upstream.closed


@pytest.mark.parametrize("answer", [500, 302, UpstreamError("gone", sent=False), TimeoutError()])
def test_what_was_not_delivered_stays_due(answer: int | Exception) -> None:
    store, upstream = Store(ALERT, ALERT), Upstream(answer, 200)
    observer = deliver(store, upstream)
    assert store.sent == [ALERT], "the other one"
    assert [what for what, _ in observer.troubles] == ["alert try 1 failed"]
    assert "s3cret" not in repr(observer.troubles)


def test_the_log_tells_once() -> None:
    again = Alert(**{name: getattr(ALERT, name) for name in ALERT.__struct_fields__} | {"tries": 2})
    assert deliver(Store(again), Upstream(200)).alerts == []


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("bug")])
def test_trouble_is_told_and_ends_nothing(error: Exception) -> None:
    assert [e for _, e in deliver(Store(error), None).troubles] == [error]


def test_one_delivery_at_a_time_and_a_stop_in_the_middle() -> None:
    class Slow(Store):
        asked = 0

        async def take_alerts(self, now):
            self.asked += 1
            await asyncio.Event().wait()

    async def scenario() -> int:
        store = Slow()
        alerter = Alerter(store, None, RecordingObserver(), lambda: NOW)
        await alerter.stop()
        alerter.wake()
        alerter.wake()
        await asyncio.sleep(0)
        alerter.wake()
        await alerter.stop()
        return store.asked

    assert asyncio.run(scenario()) == 1


def test_signatures_differ_with_time_and_body() -> None:
    body = alert_body(ALERT)
    texts = {signature(b"k", Millis(n), b) for n, b in ((0, body), (1_000, body), (0, b"{}"))}
    assert len(texts) == 3
