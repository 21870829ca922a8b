"""The attempts of one request, with an upstream that is a function."""

import asyncio

import pytest
from tests.fakes.exchange_parts import RecordingObserver

from tollbridge.app import attempts as module
from tollbridge.app.attempts import Attempts, Places, Routing
from tollbridge.app.turnstile import Turnstile
from tollbridge.config import parse_config
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Catalog
from tollbridge.routing.health import EJECTION_MS, STREAK_MAX
from tollbridge.routing.plan import RETRIES_MAX
from tollbridge.units import Millis

CONFIG = parse_config(
    """
    [upstreams.one]
    base_url = "http://one.test"
    protocol = "chat"
    concurrency_max = 3
    queue_max = 2
    queue_wait_s = 0.5
    [upstreams.two]
    base_url = "http://two.test"
    protocol = "chat"
    [models.single]
    targets = [{upstream = "one"}]
    [models.pair]
    targets = [{upstream = "one"}, {upstream = "two"}]
    [models.shared]
    targets = [{upstream = "one", weight = 1}, {upstream = "two", weight = 1}]
    [models.dealt]
    targets = [{upstream = "one", weight = 1}, {upstream = "two", weight = 1}]
    affinity = false
    """,
    {},
)
MODELS = {model.name: model for model in Catalog.of(CONFIG)}
BODY = b'{"messages": [{"role": "user", "content": "Hi"}]}'


def failure(code=ErrorCode.UPSTREAM_UNREACHABLE, retry_after_s=None):
    return GatewayError(code, code.name, retry_after_s=retry_after_s)


class World:
    """Upstreams that answer or raise, and what they were asked."""

    def __init__(self, model="single", headers=None, body=BODY):
        self.model, self.headers, self.body = MODELS[model], headers or {}, body
        self.routing = Routing.of(CONFIG)
        self.observer = RecordingObserver()
        self.now = Millis(1_000_000)
        self.answers = {}
        self.asked = []
        self.drawn = 0
        self.delivered = False
        self.attempts = None

    def entropy(self, size):
        self.drawn += 1
        return self.drawn.to_bytes(size, "little")

    async def ask(self):
        attempts = self.attempts = Attempts(
            self.routing, self.observer, lambda: self.now, self.entropy, "req_1"
        )

        async def send(attempt):
            upstream = attempt.target.upstream
            self.asked.append(upstream)
            attempts.sending()
            await asyncio.sleep(0)
            if answers := self.answers.get(upstream):
                answer = answers.pop(0)
                if callable(answer):
                    answer(attempt)
                elif answer is not None:
                    raise answer

        await attempts.run(self.model, self.headers, self.body, send, lambda: not self.delivered)


def play(scenario):
    def test():
        asyncio.run(scenario())

    test.__name__ = scenario.__name__
    return test


@play
async def test_an_answer_at_once_leaves_nothing_behind():
    world = World()
    await world.ask()
    assert (world.asked, world.attempts.made, world.attempts.failures) == (["one"], 1, [])
    assert world.routing.snapshot(world.now) == ([], [Places("one", 0, 0)])
    assert world.observer.failed == []
    assert world.drawn == 0


@play
async def test_each_failure_is_told():
    world = World("pair")
    world.answers = {"one": [failure()]}
    await world.ask()
    assert (world.asked, world.attempts.made) == (["one", "two"], 2)
    ((request_id, upstream, error),) = world.observer.failed
    assert (request_id, upstream, error.code) == ("req_1", "one", ErrorCode.UPSTREAM_UNREACHABLE)
    (row,) = world.routing.snapshot(world.now)[0]
    assert (row.upstream, row.state, row.streak) == ("one", "failing", 1)


@play
async def test_nothing_is_tried_once_the_client_has_something():
    world = World("pair")
    world.answers = {"one": [failure()]}
    world.delivered = True
    with pytest.raises(GatewayError):
        await world.ask()
    assert world.asked == ["one"]
    assert world.routing.snapshot(world.now)[0][0].streak == 1, (
        "the target is to blame all the same"
    )


@pytest.mark.parametrize(
    ("one", "two", "told"),
    [
        (ErrorCode.UPSTREAM_TIMEOUT, ErrorCode.UPSTREAM_CREDENTIAL, ErrorCode.UPSTREAM_TIMEOUT),
        (ErrorCode.UPSTREAM_QUOTA, ErrorCode.UPSTREAM_CREDENTIAL, ErrorCode.UPSTREAM_CREDENTIAL),
        (ErrorCode.UPSTREAM_QUOTA, ErrorCode.UPSTREAM_REFUSED, ErrorCode.UPSTREAM_REFUSED),
        (ErrorCode.UPSTREAM_BUSY, ErrorCode.UPSTREAM_REFUSED, ErrorCode.UPSTREAM_REFUSED),
        (ErrorCode.UPSTREAM_BUSY, ErrorCode.UPSTREAM_TIMEOUT, ErrorCode.UPSTREAM_BUSY),
    ],
)
def test_the_failure_that_leaves_the_most_hope_is_told(one, two, told):
    async def main():
        world = World("pair")
        world.answers = {"one": [failure(one)], "two": [failure(two)]}
        with pytest.raises(GatewayError) as raised:
            await world.ask()
        assert raised.value.code is told
        assert world.attempts.failures[-1].error.code is two

    asyncio.run(main())


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, 1 + RETRIES_MAX),
        ({"x-stainless-retry-count": "0"}, 1 + RETRIES_MAX),
        ({"x-stainless-retry-count": "1"}, 1),
        ({"x-stainless-retry-count": "?"}, 1),
    ],
)
def test_the_client_s_own_retries_are_respected(headers, sent):
    async def main():
        world = World(headers=headers)
        world.answers = {"one": [failure() for _ in range(9)]}
        with pytest.raises(GatewayError):
            await world.ask()
        assert world.asked == ["one"] * sent

    asyncio.run(main())


@play
async def test_a_session_keeps_to_its_target_and_many_are_spread():
    firsts = {}
    for session in range(40):
        world = World("shared", {"x-tollbridge-session": str(session)})
        await world.ask()
        await world.ask()
        assert world.asked[0] == world.asked[1]
        firsts[session] = world.asked[0]
        assert world.drawn == 0
    assert set(firsts.values()) == {"one", "two"}


@play
async def test_without_affinity_each_request_draws():
    world = World("dealt", {"x-tollbridge-session": "s"})
    for _ in range(40):
        await world.ask()
    assert set(world.asked) == {"one", "two"}
    assert world.drawn == 40


@play
async def test_a_model_with_one_target_looks_at_no_prompt():
    await World("pair", body=b"not even JSON").ask()


@play
async def test_a_probe_whose_client_leaves_is_left_to_the_next():
    world = World("pair")
    world.answers = {"one": [failure() for _ in range(STREAK_MAX)]}
    for _ in range(STREAK_MAX):
        await world.ask()
    world.asked.clear()
    await world.ask()
    assert world.asked == ["two"]
    world.now = Millis(world.now + EJECTION_MS)

    def leave(attempt):
        assert attempt.probe
        raise asyncio.CancelledError

    world.answers = {"one": [leave, lambda attempt: None]}
    with pytest.raises(asyncio.CancelledError):
        await world.ask()
    await world.ask()
    assert world.asked == ["two", "one", "one"]
    assert world.routing.health.outliers == {}


@play
async def test_an_answer_that_no_upstream_gave_proves_nothing():
    world = World("pair")
    world.answers = {"one": [failure()]}
    await world.ask()

    async def answer_here(attempt):
        return None

    attempts = Attempts(world.routing, world.observer, lambda: world.now, world.entropy, "req_2")
    await attempts.run(world.model, {}, BODY, answer_here, lambda: True)
    assert world.routing.snapshot(world.now)[0][0].streak == 1


@play
async def test_places_are_given_back_however_it_ends():
    world = World()
    world.answers = {"one": [None, failure(ErrorCode.UPSTREAM_REFUSED), ValueError("a bug")]}
    await world.ask()
    for kind in (GatewayError, ValueError):
        with pytest.raises(kind):
            await world.ask()
    assert world.routing.snapshot(world.now)[1] == [Places("one", 0, 0)]


@play
async def test_a_full_upstream_is_passed_by_and_not_blamed():
    world = World("pair")
    full = Turnstile(1, queue_max=0, queue_wait_s=1)
    await full.enter()
    world.routing = Routing(turnstiles={"one": full})
    await world.ask()
    assert (world.asked, world.attempts.made) == (["two"], 1)
    assert world.routing.health.outliers == {}


def test_limits_come_from_the_configuration():
    routing = Routing.of(CONFIG)
    assert set(routing.turnstiles) == {"one"}
    gate = routing.turnstiles["one"]
    assert (gate._places, gate._queue_max, gate._queue_wait_s) == (3, 2, 0.5)


def test_every_retryability_has_its_hope():
    for code in ErrorCode:
        assert module._hope(failure(code)) in (0, 1, 2)
