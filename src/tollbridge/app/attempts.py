"""The attempts of one request: the plan says which, here they are made and judged.

What the attempts of all requests share, the health of targets and the places at upstreams, is this
worker's own: workers do not ask each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tollbridge.app.ports import Clock, Entropy, Observer
from tollbridge.app.turnstile import Turnstile
from tollbridge.config import Config
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.affinity import affinity_key
from tollbridge.routing.catalog import Model, Target
from tollbridge.routing.classes import REACTIONS
from tollbridge.routing.health import Attempt, Health, TargetHealth
from tollbridge.routing.order import order
from tollbridge.routing.plan import RETRIES_MAX, Failed, Failure, plan, spares
from tollbridge.units import Millis

RETRY_COUNT_HEADER = "x-stainless-retry-count"
"""The SDKs of both vendors say how often they have sent a request before."""


class Places(NamedTuple):
    """How busy an upstream with a limit is, for metrics."""

    upstream: str
    inside: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Routing:
    """What one worker knows of its upstreams."""

    health: Health = field(default_factory=Health)
    turnstiles: Mapping[str, Turnstile] = field(default_factory=dict)
    """Of the upstreams that have a limit."""

    @classmethod
    def of(cls, config: Config) -> "Routing":
        """With the limits of a checked configuration."""
        turnstiles = {
            name: Turnstile(
                upstream.concurrency_max,
                queue_max=upstream.queue_max,
                queue_wait_s=upstream.queue_wait_s,
            )
            for name, upstream in config.upstreams.items()
            if upstream.concurrency_max is not None
        }
        return cls(turnstiles=turnstiles)

    def renewed(self, config: Config, same: Set[str]) -> "Routing":
        """For another configuration, in which the upstreams named in `same` have not changed.

        Health is kept for all: a probe finds out soon what has changed.
        """
        kept = {name: line for name, line in self.turnstiles.items() if name in same}
        return replace(self, turnstiles={**Routing.of(config).turnstiles, **kept})

    def snapshot(self, now: Millis) -> tuple[list[TargetHealth], list[Places]]:
        """The targets that have failed lately, and the upstreams that have a limit."""
        places = [
            Places(name, turnstile.inside, turnstile.waiting)
            for name, turnstile in self.turnstiles.items()
        ]
        return self.health.snapshot(now), places


class Attempts:
    """Of one request.

    `made` counts those that were sent. `sent`: the last of them has not failed. `begun`: it has got
    a good head. `failures` are all so far. `hedge_ms`: when a second target is asked, too.
    """

    _under_way: Attempt
    """The one that is to be judged."""

    __slots__ = (
        "_beside", "_clock", "_entropy", "_observer", "_place", "_request_id", "_routing",
        "_second_place", "_targets", "_under_way", "begun", "failures", "hedge_ms", "made", "sent",
    )  # fmt: skip

    def __init__(
        self, routing: Routing, observer: Observer, clock: Clock, entropy: Entropy, request_id: str
    ) -> None:
        self.made = 0
        self.sent = False
        self.begun = False
        self.failures: list[Failure] = []
        self.hedge_ms: int | None = None
        self._targets: Sequence[Target] = ()
        self._beside: Attempt | None = None
        self._place: Turnstile | None = None
        self._second_place: Turnstile | None = None
        self._routing = routing
        self._observer = observer
        self._clock = clock
        self._entropy = entropy
        self._request_id = request_id

    async def run(
        self,
        model: Model,
        headers: Mapping[str, str],
        body: bytes,
        send: Callable[[Attempt], Awaitable[None]],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Send to one target after another until an answer is whole.

        `may_go_on` is asked after a failure: False once the client has received anything.

        Raises:
            GatewayError: of all failures the one that leaves the client the most hope; that of the
                last attempt, if another one would not have helped or was not possible.
        """
        targets = model.targets
        if model.shares:
            key = affinity_key(headers, body) if model.affinity else self._entropy(8)
            targets = tuple(order(targets, key))
        health, retries = self._routing.health, _retries(headers)
        self._targets = targets
        self.hedge_ms = model.hedge_ms if retries else None
        steps = plan(targets, health, retries, self._clock())
        attempt = next(steps)
        told: GatewayError | None = None
        while True:
            known = len(self.failures)
            try:
                await self._make(attempt, send)
            except GatewayError as error:
                # What its traceback holds would wait for the collector, with the body.
                failure, now = error.with_traceback(None), self._clock()
                at_upstream = self.sent or error.code is ErrorCode.UPSTREAM_BUSY
                self.sent = False
                health.failed(self._under_way, failure, now)
            else:
                if self.sent:
                    upstream = self._under_way.target.upstream
                    self._observer.attempt_ended(self._request_id, upstream, None)
                return
            finally:
                if attempt.probe:
                    health.release(attempt)
            target = self._under_way.target
            if at_upstream:
                self._observer.attempt_ended(self._request_id, target.upstream, failure)
            self.failures.append(Failure(target, failure, self.begun))
            if not may_go_on():
                raise failure
            fresh = self.failures[known:]
            for failed in fresh:
                if not REACTIONS[failed.error.code].elsewhere:
                    raise failed.error
                if told is None or _hope(failed.error) >= _hope(told):
                    told = failed.error
            try:
                attempt = steps.send(Failed(fresh, now, self._draw()))
            except StopIteration:
                break
        assert told is not None, "an attempt has failed"
        raise told

    def refusal(self, target: Target) -> GatewayError:
        """The last failure of a target that has failed."""
        where = target.upstream, target.model
        return next(
            failed.error
            for failed in reversed(self.failures)
            if (failed.target.upstream, failed.target.model) == where
        )

    def sending(self) -> None:
        """To be called by whoever makes an attempt, when nothing has kept it from being sent."""
        self.made += 1
        self.sent = True

    @property
    def at_work(self) -> bool:
        """Whether an upstream has got the request and not failed since: that costs something."""
        beside = self._beside
        return self.sent and (self._under_way.arrived or (beside is not None and beside.arrived))

    def second(self) -> Attempt | None:
        """Another attempt to make while the one under way is silent, in a place that is free."""
        now = self._clock()
        tried = [self._under_way.target, *(failed.target for failed in self.failures)]
        for target in spares(self._targets, tried, self._routing.health, now):
            place = self._routing.turnstiles.get(target.upstream)
            if place is None or place.try_enter():
                self._second_place = place
                self._beside = Attempt(target, now)
                return self._beside
        return None

    def failed_beside(self, attempt: Attempt, error: GatewayError) -> None:
        """One of two has failed, and the other goes on."""
        self.failures.append(Failure(attempt.target, error.with_traceback(None)))
        self._routing.health.failed(attempt, error, self._clock())
        self._observer.attempt_ended(self._request_id, attempt.target.upstream, error)

    def goes_on(self, attempt: Attempt) -> None:
        """This attempt, of two or alone."""
        if attempt is not self._under_way:
            self._routing.health.release(self._under_way)  # a probe, perhaps
            self._under_way = attempt
            self._place, self._second_place = self._second_place, self._place
        self.leave_second()

    def leave_second(self) -> None:
        """The other attempt is over, or could not be made."""
        self._beside = None
        place, self._second_place = self._second_place, None
        if place is not None:
            place.leave()

    async def _make(self, attempt: Attempt, send: Callable[[Attempt], Awaitable[None]]) -> None:
        """One attempt, in a place at the upstream if those are limited."""
        health = self._routing.health
        self.begun = False
        self._under_way = attempt
        if attempt.wait_ms:
            await asyncio.sleep(attempt.wait_ms / 1_000)
        turnstile = self._routing.turnstiles.get(attempt.target.upstream)
        if turnstile is not None:
            await turnstile.enter()
            self._place = turnstile
        try:
            await send(attempt)
        finally:
            for place in (self._place, self._second_place):
                if place is not None:
                    place.leave()
            self._place = self._second_place = None
        if health.outliers and self.sent:
            health.succeeded(self._under_way, self._clock())

    def _draw(self) -> float:
        """Evenly from [0, 1)."""
        return int.from_bytes(self._entropy(4)) / 2**32


def _retries(headers: Mapping[str, str]) -> int:
    """None for a request that the client has sent before: its retries and ours would multiply."""
    return RETRIES_MAX if headers.get(RETRY_COUNT_HEADER, "0") == "0" else 0


def _hope(error: GatewayError) -> int:
    """A spare target that is badly set up must not make a passing failure look final."""
    return {True: 2, None: 1, False: 0}[error.problem.retryable]
