"""The closed set of errors and its one table."""

import pytest

from tollbridge.errors import PROBLEMS, ErrorCode, GatewayError


def test_every_code_has_its_row():
    assert list(PROBLEMS) == list(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_statuses_tell_an_error(code):
    problem = PROBLEMS[code]
    assert 400 <= problem.chat_status < 600
    assert 400 <= problem.messages_status < 600
    assert problem.code == problem.code.upper()


@pytest.mark.parametrize("code", ErrorCode)
def test_what_is_final_is_not_a_server_error_and_what_is_passing_is_retried_by_its_status(code):
    problem = PROBLEMS[code]
    if problem.retryable:
        assert problem.chat_status in {408, 429, 503}
    if problem.chat_status in {400, 401, 404, 413}:
        assert problem.retryable is False


def test_only_bugs_are_500():
    bugs = [
        code
        for code in ErrorCode
        if 500 in (PROBLEMS[code].chat_status, PROBLEMS[code].messages_status)
    ]
    assert bugs == [ErrorCode.INTERNAL]


def test_exhausted_and_held_are_told_apart():
    exhausted, held = PROBLEMS[ErrorCode.PACK_EXHAUSTED], PROBLEMS[ErrorCode.CREDITS_HELD]
    assert (exhausted.code, exhausted.chat_status, exhausted.retryable) == (
        "EXCEED_TOKEN_QUOTA_LIMIT",
        429,
        False,
    )
    assert (held.chat_status, held.retryable) == (429, True)


def test_an_error_carries_what_a_client_is_told():
    error = GatewayError(ErrorCode.FIELD_INVALID, "n: too large.", field="n", retry_after_s=3)
    assert (str(error), error.message, error.field, error.retry_after_s) == (
        "n: too large.",
        "n: too large.",
        "n",
        3,
    )
    assert error.problem is PROBLEMS[ErrorCode.FIELD_INVALID]
