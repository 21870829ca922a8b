"""The table of classes is complete, and its rows do not contradict each other."""

import pytest

from tollbridge.errors import ErrorCode
from tollbridge.routing.classes import REACTIONS, Again


def test_every_failure_has_its_row():
    assert set(REACTIONS) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_what_ends_the_plan_is_not_tried_again(code):
    reaction = REACTIONS[code]
    if not reaction.elsewhere:
        assert reaction.again is Again.NO
        assert reaction.ill is not True, "who is to blame should be replaced"


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_only_upstreams_can_be_ill(code):
    if REACTIONS[code].ill:
        assert code.name.startswith("UPSTREAM_")


def test_a_generation_that_may_have_begun_is_not_repeated_where_it_runs():
    assert REACTIONS[ErrorCode.UPSTREAM_TIMEOUT].again is Again.NO
    assert REACTIONS[ErrorCode.UPSTREAM_TRUNCATED].again is Again.NO
    assert REACTIONS[ErrorCode.UPSTREAM_FAILED].again is Again.UNBEGUN


def test_a_full_house_is_no_illness():
    assert REACTIONS[ErrorCode.UPSTREAM_BUSY].ill is None


def test_refusals_about_the_request_go_nowhere_else():
    assert {code for code, reaction in REACTIONS.items() if reaction.ill is False} == {
        ErrorCode.UPSTREAM_REFUSED, ErrorCode.CONTEXT_OVERFLOW, ErrorCode.BODY_TOO_LARGE,
        ErrorCode.SCHEMA_REFUSED, ErrorCode.THINKING_LOST,
    }  # fmt: skip
