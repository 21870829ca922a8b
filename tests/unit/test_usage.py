"""Token counts."""

from tollbridge.usage import Provenance, TokenUsage


def test_the_prompt_is_all_three_classes():
    assert TokenUsage(input=1, cache_read=20, cache_write=300, output=5, reasoning=4).prompt == 321


def test_nothing_is_the_default():
    assert TokenUsage().prompt == 0
    assert TokenUsage().output == 0


def test_provenances_are_the_tariff_s_words():
    assert [str(word) for word in Provenance] == ["reported", "counted", "void", "recovered", "own"]
