import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.counting import (
    chat_usage,
    count_text,
    messages_usage,
    usage_from_chat,
    usage_from_messages,
)
from tollbridge.usage import TokenUsage
from tollbridge.wire.chat.responses import ChatUsage
from tollbridge.wire.messages.responses import Usage

counts = st.integers(0, 10**9)
usages = st.builds(TokenUsage, counts, counts, counts, counts, st.just(0))


def read_chat(**members: object) -> TokenUsage:
    return usage_from_chat(msgspec.convert(members, ChatUsage))


@given(usages)
def test_usage_survives_both_vocabularies(usage: TokenUsage):
    assert usage_from_chat(chat_usage(usage)) == usage
    assert usage_from_messages(messages_usage(usage)) == usage


@pytest.mark.parametrize(
    "spelling",
    [
        {"prompt_tokens_details": {"cached_tokens": 30}},
        {"prompt_cache_hit_tokens": 30, "prompt_cache_miss_tokens": 70},
        {"cached_tokens": 30},
        {"cache_read_input_tokens": 30},
        {"prompt_tokens_details": {"cached_tokens": 30}, "prompt_cache_hit_tokens": 30},
        {"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 30},
    ],
)
def test_ogx_6415_and_router_1681_cached_tokens_are_subtracted_once(spelling: dict[str, object]):
    usage = read_chat(prompt_tokens=100, completion_tokens=5, **spelling)
    assert (usage.input, usage.cache_read, usage.prompt) == (70, 30, 100)


def test_cached_tokens_beyond_the_prompt_mean_the_disjoint_convention():
    usage = read_chat(prompt_tokens=8, completion_tokens=1, cache_read_input_tokens=4_000)
    assert (usage.input, usage.cache_read) == (8, 4_000)


def test_cache_writes_are_a_part_of_the_prompt_too():
    details = {"cached_tokens": 10, "cache_write_tokens": 20}
    usage = read_chat(prompt_tokens=100, completion_tokens=5, prompt_tokens_details=details)
    assert usage == TokenUsage(input=70, cache_read=10, cache_write=20, output=5)


def test_negative_and_missing_counts_are_zero():
    assert read_chat(prompt_tokens=-3) == TokenUsage()
    assert read_chat() == TokenUsage()


def test_cliproxy_2281_a_chat_prompt_includes_the_cache():
    usage = chat_usage(TokenUsage(input=5, cache_read=90, cache_write=7, output=3))
    assert (usage.prompt_tokens, usage.total_tokens) == (102, 105)


def test_a_later_messages_usage_overwrites_and_keeps_what_it_leaves_out():
    start = usage_from_messages(Usage(input_tokens=10, cache_read_input_tokens=4, output_tokens=1))
    end = usage_from_messages(Usage(output_tokens=50), start)
    assert end == TokenUsage(input=10, cache_read=4, output=50)
    assert usage_from_messages(Usage(input_tokens=12), end).input == 12


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("", 0, 0), ("hello", 1, 2), ("word " * 100, 100, 150), ("你好世界" * 25, 60, 90)],
)
def test_text_is_counted_by_its_characters(text: str, low: int, high: int):
    assert low <= count_text(len(text), len(text.encode())) <= high
