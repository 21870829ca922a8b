import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.calibration import UNTAUGHT, bound
from tollbridge.translate.prompt_features import (
    IMAGE_TOKENS_BOUND,
    IMAGE_TOKENS_EXPECTED,
    SAMPLE_BYTES,
    read_features,
)


def estimate_prompt(body: bytes) -> tuple[int, int]:
    features = read_features(body)
    return UNTAUGHT.estimate("m", features), bound(features, UNTAUGHT.estimate("m", features))


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
    assert a == pytest.approx(b, rel=0.06)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_estimate_below_their_bound(body: bytes):
    expected, bound = estimate_prompt(body)
    assert 0 < expected < bound


def test_a_payload_that_never_ends_is_no_loop():
    assert estimate_prompt(b'{"type":"base64","data":"/9j/AAAA')[0] > 0


def test_each_kind_of_text_is_told_apart():
    body = "word 12 多语 жук".encode()
    found = read_features(body)
    assert (found.letters, found.marks, found.wide, found.other) == (7, 2, 2, 3)


def test_a_long_body_is_sampled():
    body = ("prose " * 9 + "多" * 6 + "{1};").encode()
    whole, long = read_features(body), read_features(body * 4_000)
    assert len(body) * 4_000 > SAMPLE_BYTES
    for kind in ("letters", "marks", "wide"):
        assert getattr(long, kind) == pytest.approx(4_000 * getattr(whole, kind), rel=0.2)
    assert long.bound == pytest.approx(4_000 * len(body) // 2, rel=0.01)


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return base64.b64encode(head + b"x" * 50_000).decode()


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(75, 100, 11), (1_000, 750, 1_001), (4_000, 4_000, IMAGE_TOKENS_EXPECTED)],
)
def test_an_image_counts_by_its_pixels(width: int, height: int, tokens: int):
    body = msgspec.json.encode({"type": "base64", "data": png(width, height)})
    found = read_features(body)
    assert found.flat == tokens
    assert found.bound < IMAGE_TOKENS_BOUND + 100
    assert found.letters + found.marks < 30


def test_images_and_texts_between_them():
    parts = [
        {"type": "base64", "data": png(75, 100)},
        {"text": "x" * 500},
        {"url": "data:image/png;base64," + png(75, 100)},
    ]
    found = read_features(msgspec.json.encode(parts))
    assert found.flat == 22
    assert 500 <= found.letters < 560
