"""Which targets are out of order: outlier ejection with half-open probing. Pure: time is passed in.

A target is an upstream and a model there: a provider whose one model is broken, or limited, keeps
serving the others. Only a target that has failed has a record here, so that health costs nothing
while all is well.

in order   -- too many failures --> out until some moment, twice as long each time
out        -- the moment passes --> one request is let through, the probe
probe      -- it is answered    --> in order; one more failure before an answer is whole: out
           -- it fails          --> out again
           -- it ends otherwise --> the next request is the probe

What a target asks for itself (`retry-after`) only puts it behind the others until then. Nobody is
refused because a target is out: `best` then gives the one whose time is up soonest.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tollbridge.config import OWN_PREFIX
from tollbridge.errors import GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.classes import REACTIONS
from tollbridge.units import OUTLIERS_MAX, Millis

STREAK_MAX = 5
"""So many failures in a row take a target out."""
WINDOW_MS = 30_000
WINDOW_FAILURES = 10
WINDOW_SHARE = 0.5
"""So do so many within this time, if they are at least this share of what was tried in it."""
EJECTION_MS = 2_000
EJECTION_MS_MAX = 120_000
"""The first and the longest time for which a target is out."""
PARKED_S_MAX = 60
"""No `retry-after` is honoured for longer."""

Key = tuple[str, str]
"""Upstream and model there."""


class Attempt:
    """One try of a target, after a wait. Its identity is what a probe is known by."""

    __slots__ = ("arrived", "began_at", "probe", "target", "wait_ms")

    def __init__(
        self, target: Target, began_at: Millis, wait_ms: int = 0, *, probe: bool = False
    ) -> None:
        self.target = target
        self.began_at = began_at
        """When it goes out, the wait included."""
        self.wait_ms = wait_ms
        self.probe = probe
        """On its outcome depends whether the target is taken back."""
        self.arrived = False
        """Its request has left for the upstream."""

    def arrive(self) -> None:
        """To be called when its request has left."""
        self.arrived = True


class Outlier:
    """What is remembered of one target that has failed."""

    __slots__ = (
        "ejected_at", "ejected_until", "ejections", "failures", "last_ejected_at", "parked_until",
        "probe", "streak", "successes", "window_at",
    )  # fmt: skip

    def __init__(self, now: Millis) -> None:
        self.streak = 0
        """Failures since the last success."""
        self.window_at = now
        self.failures = 0
        self.successes = 0
        """Within the window that began then."""
        self.ejections = 0
        """In a row, without a whole answer in between."""
        self.ejected_at: Millis | None = None
        """None: in order."""
        self.last_ejected_at = Millis(0)
        """Attempts that began before say how things were."""
        self.ejected_until = now
        self.parked_until = now
        self.probe: Attempt | None = None

    def count(self, now: Millis, *, success: bool) -> None:
        """One more outcome in the window; the first one after its end opens the next."""
        if now >= self.window_at + WINDOW_MS:
            self.window_at, self.failures, self.successes = now, 0, 0
        self.failures += not success
        self.successes += success

    @property
    def excessive(self) -> bool:
        """Whether it has failed too often."""
        tried = self.failures + self.successes
        often = self.failures >= WINDOW_FAILURES and self.failures >= WINDOW_SHARE * tried
        return often or self.streak >= STREAK_MAX

    def eject(self, now: Millis) -> None:
        """Out, twice as long as the last time."""
        span = min(EJECTION_MS << min(self.ejections, 20), EJECTION_MS_MAX)
        self.ejections += 1
        self.ejected_at = self.last_ejected_at = now
        self.ejected_until = Millis(now + span)
        self.failures = self.successes = 0
        self.probe = None

    def admit(self) -> None:
        """In order again, on probation: one failure below the limit."""
        self.ejected_at = self.probe = None
        self.streak = STREAK_MAX - 1

    def out(self, now: Millis) -> bool:
        """Whether others come first: ejected, or being probed, or parked."""
        if self.ejected_at is not None and (self.probe is not None or now < self.ejected_until):
            return True
        return now < self.parked_until

    def ready_at(self) -> Millis:
        """When its time is up."""
        ejected = self.ejected_until if self.ejected_at is not None else self.parked_until
        return max(ejected, self.parked_until)


class TargetHealth(NamedTuple):
    """A target that has failed lately, as metrics and people see it."""

    upstream: str
    model: str
    state: str
    """`ejected`, `probing`, `parked` or `failing`."""
    streak: int
    ready_at: Millis


class Health:
    """The outliers among one worker's targets."""

    def __init__(self) -> None:
        self.outliers: dict[Key, Outlier] = {}

    def best(self, targets: Sequence[Target], now: Millis) -> Target:
        """The first that is in order or due for a probe, else the one whose time is up soonest."""
        if not self.outliers:
            return targets[0]
        soonest = None
        for target in targets:
            outlier = self._find(target)
            if outlier is None or not outlier.out(now):
                return target
            if soonest is None or outlier.ready_at() < soonest[0]:
                soonest = outlier.ready_at(), target
        assert soonest is not None, "there is a target to choose from"
        return soonest[1]

    def is_ejected(self, target: Target) -> bool:
        """Whether it is out for its failures, a due probe included."""
        outlier = self._find(target)
        return outlier is not None and outlier.ejected_at is not None

    def is_well(self, target: Target, now: Millis) -> bool:
        """Whether it is neither out, nor parked, nor to be probed."""
        outlier = self._find(target)
        return outlier is None or (outlier.ejected_at is None and not outlier.out(now))

    def parked_ms(self, target: Target, now: Millis) -> int:
        """For how long it still asked to be left alone."""
        outlier = self._find(target)
        return 0 if outlier is None else max(0, outlier.parked_until - now)

    def begin(self, target: Target, now: Millis, wait_ms: int = 0) -> Attempt:
        """An attempt at the target, which is its probe if one is due."""
        began_at = Millis(now + wait_ms)
        outlier = self._find(target) if self.outliers else None
        if outlier is None or outlier.ejected_at is None or outlier.out(now):
            return Attempt(target, began_at, wait_ms)
        outlier.probe = attempt = Attempt(target, began_at, wait_ms, probe=True)
        return attempt

    def answered(self, attempt: Attempt) -> None:
        """A probe has got a good head: the others need not wait for the end of its answer."""
        outlier = self._find(attempt.target)
        if outlier is not None and outlier.probe is attempt:
            outlier.admit()

    def succeeded(self, attempt: Attempt, now: Millis) -> None:
        """A whole answer, or a refusal that only something alive can give."""
        outlier = self._find(attempt.target)
        if outlier is None or attempt.began_at <= outlier.last_ejected_at:
            return
        outlier.streak = outlier.ejections = 0
        outlier.ejected_at = outlier.probe = None
        outlier.count(now, success=True)
        if not outlier.failures and now >= outlier.parked_until:
            del self.outliers[_key(attempt.target)]

    def failed(self, attempt: Attempt, error: GatewayError, now: Millis) -> None:
        """The attempt came to nothing; the class of the error says what that means."""
        ill = REACTIONS[error.code].ill
        if ill is False:
            self.succeeded(attempt, now)
        elif ill:
            self._count_failure(attempt, error, now)

    def release(self, attempt: Attempt) -> None:
        """The attempt is over. A probe that said nothing leaves its place to the next request."""
        outlier = self._find(attempt.target)
        if outlier is not None and outlier.probe is attempt:
            outlier.probe = None

    def snapshot(self, now: Millis) -> list[TargetHealth]:
        """Every target that has failed lately."""
        return [
            TargetHealth(upstream, model, _state(outlier, now), outlier.streak, outlier.ready_at())
            for (upstream, model), outlier in self.outliers.items()
        ]

    def _count_failure(self, attempt: Attempt, error: GatewayError, now: Millis) -> None:
        outlier = self._find(attempt.target)
        if outlier is None:
            if len(self.outliers) >= OUTLIERS_MAX:
                del self.outliers[self._dispensable()]
            outlier = self.outliers[_key(attempt.target)] = Outlier(now)
        if error.retry_after_s is not None:
            asked = Millis(now + 1_000 * min(error.retry_after_s, PARKED_S_MAX))
            outlier.parked_until = max(outlier.parked_until, asked)
        if outlier.ejected_at is not None:
            # It is known to be out. Only the probe has something new to say.
            if outlier.probe is attempt:
                outlier.eject(now)
            return
        if attempt.began_at <= outlier.last_ejected_at:
            return
        outlier.streak += 1
        outlier.count(now, success=False)
        if outlier.excessive:
            outlier.eject(now)

    def _dispensable(self) -> Key:
        """The oldest record of an environment's own upstream, else the oldest: no tenant's failures
        make the gateway forget what it knows of the operator's targets."""
        own = (key for key in self.outliers if key[0].startswith(OWN_PREFIX))
        return next(own, next(iter(self.outliers)))

    def _find(self, target: Target) -> Outlier | None:
        return self.outliers.get(_key(target))


def _key(target: Target) -> Key:
    return target.upstream, target.model


def _state(outlier: Outlier, now: Millis) -> str:
    if outlier.ejected_at is not None:
        return "ejected" if outlier.probe is None else "probing"
    return "parked" if now < outlier.parked_until else "failing"
