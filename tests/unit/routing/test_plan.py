"""What is tried next, and what is not."""

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.plan import AVOIDABLE, NOT_ELSEWHERE, plan

ONE = Target("one", "m", "messages", "generic")
TWO = Target("two", "m", "chat", "vllm")


def test_each_target_once_and_in_order():
    attempts = plan([ONE, TWO])
    assert next(attempts) is ONE
    assert attempts.send(GatewayError(ErrorCode.UPSTREAM_OVERLOADED, "busy")) is TWO
    with pytest.raises(StopIteration):
        attempts.send(GatewayError(ErrorCode.UPSTREAM_OVERLOADED, "busy"))


@pytest.mark.parametrize("code", sorted(AVOIDABLE, key=lambda code: code.name))
def test_a_refusal_that_can_be_avoided_is_met_once(code):
    attempts = plan([ONE, TWO])
    next(attempts)
    assert attempts.send(GatewayError(code, "no")) == ONE._replace(avoid=code)
    assert attempts.send(GatewayError(code, "no")) is TWO


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - AVOIDABLE, key=lambda code: code.name))
def test_only_what_is_about_the_request_ends_the_plan(code):
    attempts = plan([ONE, TWO])
    next(attempts)
    if code in NOT_ELSEWHERE:
        with pytest.raises(StopIteration):
            attempts.send(GatewayError(code, "no"))
    else:
        assert attempts.send(GatewayError(code, "no")) is TWO


def test_refusals_about_the_request():
    assert {
        ErrorCode.UPSTREAM_REFUSED, ErrorCode.CONTEXT_OVERFLOW, ErrorCode.BODY_TOO_LARGE,
    } == NOT_ELSEWHERE  # fmt: skip
