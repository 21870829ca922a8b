"""What is tried next, after which wait, and what is not."""

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.classes import REACTIONS, Again
from tollbridge.routing.health import EJECTION_MS, STREAK_MAX, Health
from tollbridge.routing.plan import (
    ATTEMPTS_MAX,
    BACKOFF_MS,
    BACKOFF_MS_MAX,
    RETRIES_MAX,
    SPREAD_MS,
    WAIT_MS_MAX,
    Failed,
    Failure,
    plan,
    spares,
)
from tollbridge.units import Millis

ONE = Target("one", "m", "messages", "generic")
TWO = Target("two", "m", "chat", "vllm", rank=1)
THREE = Target("three", "m", "chat", "vllm", rank=2)
NOW = Millis(1_000_000)
HALF = 0.5


def error(code: ErrorCode, retry_after_s: int | None = None) -> GatewayError:
    return GatewayError(code, "no", retry_after_s=retry_after_s)


class Play:
    """A plan, and a world in which only waiting takes time."""

    def __init__(self, *targets, retries=RETRIES_MAX, health=None, jitter=HALF):
        self.health = Health() if health is None else health
        self.now = NOW
        self.jitter = jitter
        self.waits = []
        self.tried = []
        self.attempts = plan(targets, self.health, retries, self.now)
        self._take(next(self.attempts))

    def fail(self, code, retry_after_s=None, *, begun=False):
        """Returns False at the end."""
        failure = error(code, retry_after_s)
        self.health.failed(self.attempt, failure, self.now)
        return self.end(Failure(self.attempt.target, failure, begun))

    def end(self, *failures):
        """The attempt, and perhaps one beside it, ends in failures."""
        try:
            self._take(self.attempts.send(Failed(failures, self.now, self.jitter)))
        except StopIteration:
            return False
        return True

    def fail_always(self, code, retry_after_s=None, *, begun=False):
        while self.fail(code, retry_after_s, begun=begun):
            pass
        return [target.upstream for target in self.tried]

    def _take(self, attempt):
        assert attempt.began_at == self.now + attempt.wait_ms
        self.now = attempt.began_at
        self.attempt = attempt
        self.tried.append(attempt.target)
        self.waits.append(attempt.wait_ms)


# One row of the table after the other.


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
@pytest.mark.parametrize("begun", [False, True])
def test_a_failure_of_each_class_with_one_target(code, begun):
    again = {
        Again.NO: 0,
        Again.UNBEGUN: 0 if begun else RETRIES_MAX,
        Again.YES: RETRIES_MAX,
        Again.AMENDED: 1,
    }[REACTIONS[code].again]
    play = Play(ONE)
    assert play.fail_always(code, begun=begun) == ["one"] * (1 + again)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_a_failure_of_each_class_with_two_targets(code):
    play = Play(ONE, TWO, retries=0)
    expected = ["one", "two"] if REACTIONS[code].elsewhere else ["one"]
    if REACTIONS[code].again is Again.AMENDED:
        expected = ["one", "one", "two", "two"]
    assert play.fail_always(code) == expected
    assert play.waits == [0] * len(expected), "nobody waits to try another target"


@pytest.mark.parametrize(
    "code", [code for code in ErrorCode if REACTIONS[code].again is Again.AMENDED]
)
def test_the_cause_of_a_refusal_is_taken_out_once(code):
    play = Play(ONE, TWO)
    assert play.fail(code)
    assert play.attempt.target == ONE._replace(avoid=code)
    assert play.fail(code)
    assert play.attempt.target == TWO


def test_an_amended_request_stays_so_when_it_is_sent_again():
    play = Play(ONE)
    play.fail(ErrorCode.SCHEMA_REFUSED)
    play.fail(ErrorCode.UPSTREAM_OVERLOADED)
    assert play.attempt.target.avoid is ErrorCode.SCHEMA_REFUSED


# Retries.


def test_others_first_then_again_in_the_order_of_preference():
    play = Play(ONE, TWO)
    assert play.fail_always(ErrorCode.UPSTREAM_FAILED) == ["one", "two", "one", "two"]
    assert play.waits[:2] == [0, 0]
    assert play.waits[2:] == [BACKOFF_MS // 2, BACKOFF_MS]


def test_only_those_are_tried_again_that_may_do_better():
    play = Play(ONE, TWO)
    play.fail(ErrorCode.UPSTREAM_QUOTA)
    assert play.fail_always(ErrorCode.UPSTREAM_OVERLOADED) == ["one", "two", "two", "two"]


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_the_jitter_is_full(jitter):
    play = Play(ONE, jitter=jitter)
    play.fail(ErrorCode.UPSTREAM_UNREACHABLE)
    assert play.waits == [0, int(jitter * BACKOFF_MS)]


def test_a_client_that_tries_again_by_itself_is_not_multiplied():
    assert Play(ONE, retries=0).fail_always(ErrorCode.UPSTREAM_OVERLOADED) == ["one"]


def test_the_wait_that_the_target_asks_for():
    play = Play(ONE)
    play.fail(ErrorCode.UPSTREAM_RATE_LIMITED, 2)
    assert play.waits == [0, 2_000 + SPREAD_MS // 2]
    assert not play.fail(ErrorCode.UPSTREAM_RATE_LIMITED, 2), "the patience is used up"


def test_a_wait_beyond_all_patience_is_left_to_the_client():
    assert not Play(ONE).fail(ErrorCode.UPSTREAM_OVERLOADED, WAIT_MS_MAX // 1_000 + 1)


def test_who_can_be_tried_sooner_is():
    play = Play(ONE, TWO)
    play.fail(ErrorCode.UPSTREAM_RATE_LIMITED, 3)
    play.fail(ErrorCode.UPSTREAM_FAILED)
    assert play.attempt.target == TWO
    assert play.attempt.wait_ms <= BACKOFF_MS


def test_all_waits_are_bounded():
    targets = [ONE._replace(upstream=f"up{n}") for n in range(3)]
    for retry_after_s in (None, 1, 2):
        play = Play(*targets, retries=10, jitter=0.999)
        play.fail_always(ErrorCode.UPSTREAM_OVERLOADED, retry_after_s)
        assert sum(play.waits) <= WAIT_MS_MAX
        assert max(play.waits) <= max(BACKOFF_MS_MAX, 1_000 * (retry_after_s or 0) + SPREAD_MS)


def test_all_attempts_are_bounded():
    targets = [ONE._replace(upstream=f"up{n}") for n in range(20)]
    assert len(Play(*targets).fail_always(ErrorCode.UPSTREAM_FAILED)) == ATTEMPTS_MAX
    assert len(Play(*targets).fail_always(ErrorCode.SCHEMA_REFUSED)) == ATTEMPTS_MAX


# Health.


def ejected(*targets):
    health = Health()
    for target in targets:
        for _ in range(STREAK_MAX):
            health.failed(health.begin(target, NOW), error(ErrorCode.UPSTREAM_UNREACHABLE), NOW)
    return health


def test_a_target_that_is_out_comes_last():
    play = Play(ONE, TWO, THREE, health=ejected(ONE, TWO))
    assert play.attempt.target == THREE
    assert play.fail_always(ErrorCode.UPSTREAM_TIMEOUT) == ["three", "one", "two"]


def test_nobody_is_refused_because_all_are_out():
    play = Play(ONE, TWO, health=ejected(ONE, TWO))
    assert play.attempt.target == ONE
    assert not play.attempt.probe
    assert play.fail_always(ErrorCode.UPSTREAM_UNREACHABLE) == ["one", "two"], "and nobody waits"


def test_the_failure_that_takes_a_target_out_is_not_followed_by_a_wait():
    health = Health()
    for _ in range(STREAK_MAX - 1):
        health.failed(health.begin(ONE, NOW), error(ErrorCode.UPSTREAM_UNREACHABLE), NOW)
    assert not Play(ONE, health=health).fail(ErrorCode.UPSTREAM_UNREACHABLE)


def test_one_request_is_the_probe_and_falls_back_like_any_other():
    health = ejected(ONE)
    assert Play(ONE, TWO, health=health).attempt.target == TWO
    later = Millis(NOW + EJECTION_MS)
    first, second = (plan([ONE, TWO], health, 0, later) for _ in range(2))
    probe = next(first)
    assert (probe.target, probe.probe) == (ONE, True)
    assert next(second).target == TWO
    failure = error(ErrorCode.UPSTREAM_UNREACHABLE)
    health.failed(probe, failure, later)
    assert first.send(Failed([Failure(ONE, failure)], later, HALF)).target == TWO


# Two at a time.


def failed(target, code=ErrorCode.UPSTREAM_OVERLOADED, *, begun=False):
    return Failure(target, error(code), begun)


def test_spares_are_all_others_that_are_well():
    health = Health()
    targets = (ONE, ONE._replace(rank=5), TWO, THREE)
    assert list(spares(targets, [ONE], health, NOW)) == [TWO, THREE]
    for _ in range(STREAK_MAX):
        health.failed(health.begin(TWO, NOW), error(ErrorCode.UPSTREAM_UNREACHABLE), NOW)
    assert list(spares(targets, [ONE], health, NOW)) == [THREE]


def test_what_has_failed_is_no_spare():
    avoiding = ONE._replace(avoid=ErrorCode.SCHEMA_REFUSED)
    assert list(spares((ONE, TWO, THREE), [TWO, avoiding], Health(), NOW)) == [THREE]


def test_when_both_fail_both_have_had_their_turn():
    play = Play(ONE, TWO, THREE)
    assert play.end(failed(ONE), failed(TWO))
    assert (play.attempt.target, play.attempt.wait_ms) == (THREE, 0)
    assert play.fail_always(ErrorCode.UPSTREAM_TIMEOUT) == ["one", "three", "one", "two"]


def test_each_of_two_is_tried_again_for_what_it_said_itself():
    for first, second, again in [
        (ErrorCode.UPSTREAM_CREDENTIAL, ErrorCode.UPSTREAM_OVERLOADED, TWO),
        (ErrorCode.UPSTREAM_OVERLOADED, ErrorCode.UPSTREAM_CREDENTIAL, ONE),
    ]:
        play = Play(ONE, TWO)
        assert play.end(failed(ONE, first), failed(TWO, second))
        assert play.attempt.target == again
        assert not Play(ONE, TWO, retries=0).end(failed(ONE, first), failed(TWO, second))


def test_both_of_two_are_amended():
    refused, lost = ErrorCode.SCHEMA_REFUSED, ErrorCode.THINKING_LOST
    play = Play(ONE, TWO)
    play.end(failed(TWO, lost), failed(ONE, refused))
    assert play.attempt.target == TWO._replace(avoid=lost)
    play.fail(ErrorCode.UPSTREAM_TIMEOUT)
    assert play.attempt.target == ONE._replace(avoid=refused)
    assert not play.fail(ErrorCode.UPSTREAM_TIMEOUT)


def test_a_final_refusal_by_one_of_two_ends_it():
    for failures in [
        (failed(ONE, ErrorCode.CONTEXT_OVERFLOW), failed(TWO)),
        (failed(TWO), failed(ONE, ErrorCode.CONTEXT_OVERFLOW)),
    ]:
        assert not Play(ONE, TWO, THREE).end(*failures)


def test_of_two_the_one_that_was_cancelled_for_the_other_has_not_failed():
    play = Play(ONE, TWO)
    assert play.end(failed(ONE, ErrorCode.UPSTREAM_TRUNCATED, begun=True))
    assert play.attempt.target == TWO, "whose head came second"
    play = Play(ONE, TWO)
    assert not play.end(failed(TWO, ErrorCode.UPSTREAM_TRUNCATED, begun=True))


def test_two_at_a_time_are_two_attempts():
    targets = [ONE._replace(upstream=f"up{n}") for n in range(20)]
    play = Play(*targets)
    for number in range(0, ATTEMPTS_MAX - 2, 2):
        assert play.end(failed(targets[number]), failed(targets[number + 1]))
    assert not play.end(failed(targets[-2]), failed(targets[-1]))
