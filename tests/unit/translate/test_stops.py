from typing import get_args

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.stops import finish_word, stop_reason
from tollbridge.translate.tables import ODD_FINISHES
from tollbridge.wire.chat.responses import FinishReason


def test_every_official_word_means_itself():
    for word in get_args(FinishReason):
        assert finish_word(word) == word


def test_odd_words_mean_a_finish_or_a_failure():
    for word, meaning in ODD_FINISHES.items():
        if isinstance(meaning, ErrorCode):
            with pytest.raises(GatewayError) as caught:
                finish_word(word)
            assert caught.value.code is meaning
        else:
            assert finish_word(word) == meaning
    assert finish_word("never heard of") == "stop"


@pytest.mark.parametrize(
    ("finish", "called", "refused", "matched", "expected"),
    [
        ("stop", False, False, None, "end_turn"),
        ("stop", False, False, "X", "stop_sequence"),
        ("stop", True, False, None, "tool_use"),
        ("tool_calls", False, False, None, "end_turn"),
        ("length", True, False, None, "max_tokens"),
        ("stop", False, True, None, "refusal"),
        ("content_filter", True, False, None, "refusal"),
    ],
)
def test_reasons(
    finish: FinishReason, called: bool, refused: bool, matched: str | None, expected: str
):
    reason = stop_reason(finish, called=called, refused=refused, matched=matched)
    assert reason == expected
