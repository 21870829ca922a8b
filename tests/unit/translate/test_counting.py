import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.counting import (
    IMAGE_TOKENS_BOUND,
    IMAGE_TOKENS_EXPECTED,
    chat_usage,
    count_text,
    estimate_prompt,
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


def image_body(size: int) -> bytes:
    data = base64.b64encode(b"\xff\xd8\xff\xe0" + b"x" * size).decode()
    source = {"type": "base64", "media_type": "image/jpeg", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    return msgspec.json.encode({"messages": [{"role": "user", "content": content}]})


def test_ollama_14127_an_image_counts_flat_whatever_its_length():
    small, large = estimate_prompt(image_body(1_000)), estimate_prompt(image_body(1_000_000))
    assert small == large
    assert IMAGE_TOKENS_EXPECTED < large[0] < IMAGE_TOKENS_EXPECTED + 100
    assert IMAGE_TOKENS_BOUND < large[1] < IMAGE_TOKENS_BOUND + 200


def test_an_image_by_data_uri_counts_the_same():
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"y" * 900_000).decode()
    for written in (data, data.replace("/", "\\/")):
        body = f'{{"image_url":{{"url":"data:image/png;base64,{written}"}}}}'.encode()
        assert estimate_prompt(body)[0] < IMAGE_TOKENS_EXPECTED + 50


def test_copilot_api_210_and_cliproxy_679_system_and_tools_are_counted():
    messages = [{"role": "user", "content": "foo"}]
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(99)}}
    whole = {"system": "Be kind. " * 500, "tools": [{"input_schema": schema}], "messages": messages}
    assert estimate_prompt(msgspec.json.encode({"messages": messages}))[0] < 50
    assert estimate_prompt(msgspec.json.encode(whole))[0] > 1_500


def test_litellm_13252_and_stdapi_297_a_prompt_beyond_every_window_has_a_count():
    assert estimate_prompt(msgspec.json.encode({"system": "word " * 10**6}))[0] > 1_000_000


def test_text_that_only_calls_itself_data_counts_in_full():
    body = msgspec.json.encode({"data": "word " * 10_000})
    assert estimate_prompt(body)[0] > 10_000


def test_a_pdf_counts_by_its_length():
    data = base64.b64encode(b"%PDF-1.7" + b"z" * 240_000).decode()
    expected, bound = estimate_prompt(msgspec.json.encode({"type": "base64", "data": data}))
    assert 5_000 < expected < 20_000 < bound


def test_escaped_and_plain_spelling_of_one_text_count_alike():
    plain, escaped = "多语言" * 1_000, "\\u591a\\u8bed\\u8a00" * 1_000
    a = estimate_prompt(f'{{"text":"{plain}"}}'.encode())
    b = estimate_prompt(f'{{"text":"{escaped}"}}'.encode())
    assert a == pytest.approx(b, rel=0.02)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_estimate_below_their_bound(body: bytes):
    expected, bound = estimate_prompt(body)
    assert 0 < expected < bound


def test_a_payload_that_never_ends_is_no_loop():
    assert estimate_prompt(b'{"data":"/9j/AAAA')[0] > 0
