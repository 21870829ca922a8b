"""What to try, and what to try next: decided here, acted on by `app.attempts`.

A plan is a generator: it yields an attempt and is sent how that failed; it ends when there is
nothing left to try. It is never asked again once a byte has gone to the client. First every target
has its turn, without waiting. Then, for a few seconds, those that may do better in a moment are
tried again. A target that was asked as well, beside a silent one, and failed has had its turn, too.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from tollbridge.errors import GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.classes import REACTIONS, Again
from tollbridge.routing.health import Attempt, Health
from tollbridge.units import Millis

ATTEMPTS_MAX = 6
"""In all, however many targets there are."""
RETRIES_MAX = 2
"""Of them at a target that has failed before; none if the client repeats requests by itself."""
BACKOFF_MS = 250
BACKOFF_MS_MAX = 2_000
"""The first and the longest wait before a retry; the jitter takes anything from nothing to it."""
WAIT_MS_MAX = 4_000
"""All waits of one request together. A longer `retry-after` is told to the client instead."""
SPREAD_MS = 250
"""Added by the jitter to a wait that the target asked for, so that not all come back at once."""


class Failure(NamedTuple):
    """How a target failed. `begun`: it had answered with a good head."""

    target: Target
    error: GatewayError
    begun: bool = False


class Failed(NamedTuple):
    """How an attempt ended. `jitter` is drawn evenly from [0, 1)."""

    failures: Sequence[Failure]
    """One; or two, in the order in which they came, if a second target was asked as well."""
    now: Millis
    jitter: float


Plan = Generator[Attempt, Failed, None]


def plan(targets: Sequence[Target], health: Health, retries: int, now: Millis) -> Plan:
    """Attempts at targets in the order of preference, as their health and each failure allow."""
    untried = list(targets)
    again: list[Target] = []
    amended: list[Target] = []
    tried, retried, left_ms, jitter = 0, 0, WAIT_MS_MAX, 0.0
    while tried < ATTEMPTS_MAX:
        wait_ms = 0
        if amended:
            target = amended.pop(0)
        elif untried:
            target = health.best(untried, now)
            untried.remove(target)
        elif again and retried < retries:
            waits = [_wait_ms(target, health, retried, now, jitter) for target in again]
            wait_ms = min(waits)
            if wait_ms > left_ms:
                return
            target = again.pop(waits.index(wait_ms))
            retried, left_ms = retried + 1, left_ms - wait_ms
        else:
            return
        failures, now, jitter = yield health.begin(target, now, wait_ms)
        tried += len(failures)
        for target, error, begun in failures:
            reaction = REACTIONS[error.code]
            if not reaction.elsewhere:
                return
            if target in untried:
                untried.remove(target)
            if reaction.again is Again.AMENDED and target.avoid is None:
                amended.append(target._replace(avoid=error.code))
            elif reaction.again is Again.YES or (reaction.again is Again.UNBEGUN and not begun):
                again.append(target)
        # One that has been taken out is no place to wait for: every request would come back to it.
        again = [target for target in again if not health.is_ejected(target)]


def spares(
    targets: Sequence[Target], tried: Sequence[Target], health: Health, now: Millis
) -> Iterator[Target]:
    """Where the request may be sent as well, while one of the `tried` is silent: to what is well.

    What has failed this request already is no help against a silence.
    """
    keys = {(target.upstream, target.model) for target in tried}
    for target in targets:
        if (target.upstream, target.model) not in keys and health.is_well(target, now):
            yield target


def _wait_ms(target: Target, health: Health, retried: int, now: Millis, jitter: float) -> int:
    if parked_ms := health.parked_ms(target, now):
        return parked_ms + int(jitter * SPREAD_MS)
    return int(jitter * min(BACKOFF_MS << retried, BACKOFF_MS_MAX))
