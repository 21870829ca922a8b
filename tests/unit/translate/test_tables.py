from typing import get_args

from tollbridge.errors import PROBLEMS, ErrorCode
from tollbridge.translate import tables
from tollbridge.wire.chat.responses import FinishReason
from tollbridge.wire.messages.responses import StopReason


def test_every_reason_of_both_vocabularies_has_exactly_one_reading():
    assert set(tables.FINISH_TO_STOP) == set(get_args(FinishReason))
    assert set(tables.STOP_TO_FINISH) == set(get_args(StopReason))
    for way in "<>":
        read = [row.finish if way == "<" else row.stop for row in tables.REASONS if row.way != way]
        assert len(read) == len(set(read)) or way == "<"


def test_rows_without_loss_survive_the_round_trip():
    for row in tables.REASONS:
        there_and_back = tables.STOP_TO_FINISH[tables.FINISH_TO_STOP[row.finish]]
        assert (there_and_back == row.finish) == (row.way != ">")
    for row in tables.EFFORTS:
        if row.messages is not None and row.way == "=":
            assert tables.EFFORT_TO_CHAT[row.messages] == row.chat
            assert tables.EFFORT_TO_MESSAGES[row.chat] == row.messages
    for row in tables.TOOL_CHOICES:
        assert tables.CHOICE_TO_CHAT[tables.CHOICE_TO_MESSAGES[row.chat]] == row.chat


def test_odd_finishes_are_no_official_words_and_failures_have_a_problem():
    assert not set(tables.ODD_FINISHES) & set(get_args(FinishReason))
    for meaning in tables.ODD_FINISHES.values():
        assert meaning in PROBLEMS or meaning in get_args(FinishReason)


def test_every_effort_of_messages_has_a_chat_word_and_a_budget_of_its_own_size():
    assert set(tables.EFFORT_TO_CHAT) == set(get_args(tables.Effort))
    budgets = [row.budget for row in tables.EFFORTS]
    assert budgets == sorted(budgets)


def test_budgets_fall_into_three_efforts():
    spoken = {size: tables.effort_of_budget(size) for size in (1024, 4095, 4096, 16383, 16384)}
    assert list(spoken.values()) == ["low", "low", "medium", "medium", "high"]


def test_the_type_of_an_image_is_what_its_bytes_say():
    assert tables.image_media_type("/9j/4AAQ", "image/png") == "image/jpeg"
    assert tables.image_media_type("AAAA", "image/png") == "image/png"


def test_errors_of_upstreams_never_become_a_refusal_of_the_clients_key():
    for code in [*tables.ERROR_WORDS.values(), *tables.ERROR_STATUSES.values()]:
        assert PROBLEMS[code].messages_status not in {401, 403}
    assert tables.ERROR_WORDS["authentication_error"] is ErrorCode.UPSTREAM_CREDENTIAL
