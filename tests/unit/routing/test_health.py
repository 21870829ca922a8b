"""What takes a target out, what brings it back, and that only one request finds out."""

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing import health as module
from tollbridge.routing.catalog import Target
from tollbridge.routing.health import (
    EJECTION_MS,
    EJECTION_MS_MAX,
    PARKED_S_MAX,
    STREAK_MAX,
    WINDOW_FAILURES,
    WINDOW_MS,
    Health,
)
from tollbridge.units import OUTLIERS_MAX, Millis

ONE = Target("one", "m", "messages", "generic")
TWO = Target("two", "m", "chat", "vllm")
NOW = Millis(1_000_000)
DEAD = GatewayError(ErrorCode.UPSTREAM_UNREACHABLE, "no")


def fail(health, target=ONE, now=NOW, times=1, error=DEAD):
    for _ in range(times):
        attempt = health.begin(target, now)
        health.failed(attempt, error, now)
        health.release(attempt)


def succeed(health, target=ONE, now=NOW):
    attempt = health.begin(target, now)
    health.succeeded(attempt, now)
    health.release(attempt)


def state(health, now=NOW):
    return {row.upstream: row.state for row in health.snapshot(now)}


def out(health, now=NOW):
    return health.best([ONE, TWO], now) is TWO


def test_nothing_is_kept_of_targets_that_work():
    health = Health()
    succeed(health)
    assert health.outliers == {}
    assert health.best([ONE, TWO], NOW) is ONE


def test_failures_in_a_row_take_a_target_out():
    health = Health()
    fail(health, times=STREAK_MAX - 1)
    assert not out(health)
    assert state(health) == {"one": "failing"}
    fail(health)
    assert out(health)
    assert state(health) == {"one": "ejected"}
    assert health.is_ejected(ONE)
    assert not health.is_ejected(TWO)


def test_a_success_ends_the_row():
    health = Health()
    fail(health, times=STREAK_MAX - 1)
    succeed(health)
    fail(health, times=STREAK_MAX - 1)
    assert not out(health)
    fail(health)
    assert out(health)


@pytest.mark.parametrize(("successes", "expected"), [(1, True), (2, False)])
def test_a_share_of_failures_in_a_window_takes_a_target_out(successes, expected):
    health = Health()
    fail(health)
    for _ in range(WINDOW_FAILURES - 1):
        assert not out(health)
        for _ in range(successes):
            succeed(health)
        fail(health)
    assert out(health) is expected


def test_old_failures_are_forgotten():
    health = Health()
    for number in range(5 * WINDOW_FAILURES):
        fail(health, now=Millis(NOW + number * WINDOW_MS // 5))
        succeed(health, now=Millis(NOW + number * WINDOW_MS // 5))
        assert not health.is_ejected(ONE)
    succeed(health, now=Millis(NOW + 100 * WINDOW_MS))
    assert health.outliers == {}


def test_exactly_one_probe_when_the_time_is_up():
    health = Health()
    fail(health, times=STREAK_MAX)
    assert out(health, Millis(NOW + EJECTION_MS - 1))
    due = Millis(NOW + EJECTION_MS)
    assert not out(health, due)
    probe = health.begin(ONE, due)
    assert probe.probe
    assert state(health, due) == {"one": "probing"}
    assert out(health, due)
    assert not health.begin(ONE, due).probe
    health.succeeded(probe, due)
    assert health.outliers == {}


def test_every_failed_probe_doubles_the_time():
    health, now, span = Health(), NOW, EJECTION_MS
    fail(health, times=STREAK_MAX)
    for _ in range(10):
        assert out(health, Millis(now + span - 1))
        now = Millis(now + span)
        assert not out(health, now)
        fail(health, now=now)
        span = min(2 * span, EJECTION_MS_MAX)
    assert span == EJECTION_MS_MAX


def test_a_whole_answer_makes_the_next_time_short_again():
    health = Health()
    fail(health, times=STREAK_MAX)
    due = Millis(NOW + EJECTION_MS)
    succeed(health, now=due)
    fail(health, times=STREAK_MAX, now=due)
    assert not out(health, Millis(due + EJECTION_MS))


def test_a_probe_that_says_nothing_leaves_its_place():
    health = Health()
    fail(health, times=STREAK_MAX)
    due = Millis(NOW + EJECTION_MS)
    first = health.begin(ONE, due)
    health.failed(first, GatewayError(ErrorCode.UPSTREAM_BUSY, "full"), due)
    assert out(health, due)
    health.release(first)
    assert health.begin(ONE, due).probe


def test_a_probe_with_a_good_head_brings_the_target_back_on_probation():
    health = Health()
    fail(health, times=STREAK_MAX)
    due = Millis(NOW + EJECTION_MS)
    probe = health.begin(ONE, due)
    health.answered(probe)
    assert not out(health, due)
    health.failed(probe, DEAD, due)  # it broke off in the middle
    assert out(health, due)
    assert health.snapshot(due)[0].ready_at == due + 2 * EJECTION_MS


def test_a_refusal_proves_that_the_target_is_alive():
    health = Health()
    fail(health, times=STREAK_MAX)
    due = Millis(NOW + EJECTION_MS)
    fail(health, now=due, error=GatewayError(ErrorCode.UPSTREAM_REFUSED, "bad request"))
    assert health.outliers == {}


def test_what_began_before_says_nothing_about_afterwards():
    health = Health()
    early = health.begin(ONE, Millis(NOW - 1))
    fail(health, times=STREAK_MAX)
    health.succeeded(early, Millis(NOW + 1))
    assert out(health, Millis(NOW + 1))
    health.failed(early, DEAD, Millis(NOW + 1))
    assert health.snapshot(NOW)[0].ready_at == NOW + EJECTION_MS, "nor does it prolong anything"


def test_what_began_before_does_not_end_a_probation():
    health = Health()
    early = [health.begin(ONE, Millis(NOW - 1)) for _ in range(2)]
    fail(health, times=STREAK_MAX)
    due = Millis(NOW + EJECTION_MS)
    probe = health.begin(ONE, due)
    health.answered(probe)
    health.failed(early[0], DEAD, due)
    assert not out(health, due), "neither in the one way"
    health.succeeded(early[1], due)
    health.failed(probe, DEAD, due)
    assert health.is_ejected(ONE), "nor in the other"


def test_an_attempt_for_want_of_others_can_bring_it_back():
    health = Health()
    fail(health, times=STREAK_MAX)
    attempt = health.begin(ONE, Millis(NOW + 1))
    assert not attempt.probe
    health.succeeded(attempt, Millis(NOW + 2))
    assert health.outliers == {}


def test_when_all_are_out_the_one_that_is_back_soonest():
    health = Health()
    fail(health, ONE, times=STREAK_MAX, now=Millis(NOW + 1))
    fail(health, TWO, times=STREAK_MAX)
    assert health.best([ONE, TWO], Millis(NOW + 2)) is TWO


@pytest.mark.parametrize(("asked", "honoured"), [(7, 7), (PARKED_S_MAX + 1, PARKED_S_MAX)])
def test_a_target_that_asks_for_a_pause_comes_last_until_then(asked, honoured):
    health = Health()
    limited = GatewayError(ErrorCode.UPSTREAM_RATE_LIMITED, "no", retry_after_s=asked)
    fail(health, error=limited)
    assert state(health) == {"one": "parked"}
    assert out(health, Millis(NOW + 1_000 * honoured - 1))
    assert health.parked_ms(ONE, NOW) == 1_000 * honoured
    assert not health.is_ejected(ONE)
    assert not out(health, Millis(NOW + 1_000 * honoured))
    assert health.parked_ms(ONE, Millis(NOW + 1_000 * honoured)) == 0


def test_well_is_what_is_neither_out_nor_parked_nor_to_be_probed():
    health = Health()
    assert health.is_well(ONE, NOW)
    fail(health)
    assert health.is_well(ONE, NOW)
    fail(health, times=STREAK_MAX)
    assert not health.is_well(ONE, NOW)
    assert not health.is_well(ONE, Millis(NOW + 10 * EJECTION_MS)), "a probe is due"
    asked = GatewayError(ErrorCode.UPSTREAM_RATE_LIMITED, "later", retry_after_s=5)
    fail(health, TWO, error=asked)
    assert not health.is_well(TWO, NOW)
    assert health.is_well(TWO, Millis(NOW + 5_000))


def test_models_of_one_upstream_have_their_own_health():
    health = Health()
    fail(health, times=STREAK_MAX)
    assert not health.is_ejected(ONE._replace(model="other"))
    assert health.is_ejected(ONE._replace(avoid=ErrorCode.SCHEMA_REFUSED))


def test_records_are_bounded(monkeypatch):
    assert OUTLIERS_MAX >= 1_000
    monkeypatch.setattr(module, "OUTLIERS_MAX", 3)
    health = Health()
    for number in range(10):
        fail(health, ONE._replace(upstream=f"up{number}"))
    assert [upstream for upstream, _ in health.outliers] == ["up7", "up8", "up9"]
    fail(health, ONE._replace(upstream="own:acme/mine"))
    for number in range(10):
        fail(health, ONE._replace(upstream="own:acme/mine", model=f"m{number}"))
    left = [("up8", "m"), ("up9", "m"), ("own:acme/mine", "m9")]
    assert list(health.outliers) == left, "tenants push out only each other"
