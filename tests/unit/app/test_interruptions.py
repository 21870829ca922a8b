from tollbridge.app.interruptions import bug_midway, stopping
from tollbridge.errors import ErrorCode


def test_a_client_may_come_back_to_another_worker():
    error = stopping()
    assert error.code is ErrorCode.GATEWAY_STOPPING
    assert "send it again" in error.message


def test_a_bug_is_told_without_its_cause():
    error = bug_midway()
    assert error.code is ErrorCode.INTERNAL
    assert error.__cause__ is None
