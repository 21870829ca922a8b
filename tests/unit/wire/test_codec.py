"""The JSON door: what a client is told about its mistakes."""

import json
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.wire.codec import (
    VALUE_BODY_BYTES_MAX,
    decode,
    decode_answer,
    encode,
    reading_raw_members,
)


class Inner(Struct):
    role: str
    content: str | list[str] | None = None


class Outer(Struct):
    model: Annotated[str, Meta(min_length=1)]
    max_tokens: int
    count: Annotated[int, Meta(ge=1, le=8)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    above: Annotated[float, Meta(gt=0, lt=2)] | None = None
    messages: Annotated[list[Inner], Meta(min_length=1, max_length=3)] | None = None
    pair: Annotated[list[int], Meta(min_length=2)] | None = None
    code: Annotated[str, Meta(max_length=3)] | None = None
    stream: bool | None = None
    raw: Raw | UnsetType = UNSET


DECODER = msgspec.json.Decoder(Outer)


def refusal(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        decode(body, DECODER)
    return caught.value


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"model": ""}, "model: must not be empty"),
        ({"model": None}, "model: must be a string, got null"),
        ({"model": 5}, "model: must be a string, got 5"),
        ({"model": {}}, "model: must be a string, got an object"),
        ({"max_tokens": "many"}, "max_tokens: must be a whole number, got a string"),
        ({"max_tokens": 1.5}, "max_tokens: must be a whole number, got 1.5"),
        ({"max_tokens": True}, "max_tokens: must be a whole number, got true or false"),
        ({"count": 0}, "count: must be at least 1, got 0"),
        ({"count": 9}, "count: must be at most 8, got 9"),
        ({"count": 10**15}, "count: must be at most 8, got 1000000000000000"),
        ({"count": 10**30}, "count: must be at most 8"),
        ({"temperature": 2}, "temperature: must be at most 1, got 2"),
        ({"temperature": -0.1}, "temperature: must be at least 0, got -0.1"),
        ({"temperature": "hot"}, "temperature: must be a number, got a string"),
        ({"above": 0}, "above: must be more than 0, got 0"),
        ({"above": 2.0}, "above: must be less than 2, got 2.0"),
        ({"messages": []}, "messages: must not be empty"),
        ({"messages": [{"role": "a"}] * 4}, "messages: must have at most 3 entries"),
        ({"messages": "Hello"}, "messages: must be a list, got a string"),
        ({"messages": ["Hello"]}, "messages[0]: must be an object, got a string"),
        ({"messages": [{"role": "a"}, {"role": 7}]}, "messages[1].role: must be a string, got 7"),
        (
            {"messages": [{"role": "a", "content": 7}]},
            "messages[0].content: must be a string or a list, got 7",
        ),
        (
            {"messages": [{"role": "a", "content": ["x", 7]}]},
            "messages[0].content[1]: must be a string, got 7",
        ),
        ({"pair": [1]}, "pair: must have at least 2 entries"),
        ({"code": "long"}, "code: must have at most 3 characters"),
        ({"stream": "yes"}, "stream: must be true or false, got a string"),
    ],
)
def test_a_wrong_member_is_told_in_plain_words(members: dict[str, object], message: str):
    error = refusal(json.dumps({"model": "m", "max_tokens": 1, **members}).encode())
    assert error.code is ErrorCode.FIELD_INVALID
    assert error.message == message
    assert error.field == message.partition(":")[0]


def test_a_number_beyond_all_types_is_told():
    assert refusal(b'{"model":"m","max_tokens":1,"temperature":1e999}').message == (
        "temperature: the number is too large"
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"model": "m"}', "max_tokens"),
        (b'{"model": "m", "max_tokens": 1, "messages": [{}]}', "messages[0].role"),
    ],
)
def test_a_missing_member_is_named(body: bytes, field: str):
    error = refusal(body)
    assert error.code is ErrorCode.FIELD_MISSING
    assert error.message == f"{field}: this field is required"
    assert error.field == field


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is empty; send a JSON object."),
        (b" \n ", "The request body is empty; send a JSON object."),
        (b"[]", "The request body must be a JSON object, got a list."),
        (b"null", "The request body must be a JSON object, got null."),
        (b"7", "The request body must be a JSON object, got a whole number."),
        (b'"x"', "The request body must be a JSON object, got a string."),
        (b"hello", "The request body is not valid JSON: invalid character (byte 0)."),
        (b'{"model":', "The request body is not valid JSON: Input data was truncated."),
        (b'{"model": "\xff"}', "The request body is not UTF-8: byte 11 cannot be decoded."),
        (b'{"raw": "\xff"}', "The request body is not UTF-8: byte 9 cannot be decoded."),
        (b'{"other": "\xc3"}', "The request body is not UTF-8: byte 11 cannot be decoded."),
        (b'{"raw":' + b"[" * 100_000, "The request body is nested too deeply."),
    ],
)
def test_what_is_no_json_object_is_told(body: bytes, message: str):
    error = refusal(body)
    assert error.code is ErrorCode.BODY_INVALID
    assert error.message == message


def test_texts_of_the_client_are_not_repeated():
    for members in ({"stream": "secret"}, {"max_tokens": "secret"}, {"code": "secret"}):
        error = refusal(encode({"model": "m", "max_tokens": 1, **members}))
        assert "secret" not in error.message


def test_a_large_body_is_not_decoded_again_for_its_number():
    padding = "x" * VALUE_BODY_BYTES_MAX
    error = refusal(encode({"raw": padding, "model": "m", "max_tokens": 1, "temperature": 2}))
    assert error.message == "temperature: must be at most 1"


def test_good_bodies_keep_text_of_every_script():
    body = '{"model":"模型","max_tokens":1,"raw":{"ключ" :"é"}}'.encode()
    outer = decode(body, DECODER)
    assert outer.model == "模型"
    assert isinstance(outer.raw, Raw)
    assert bytes(outer.raw) == '{"ключ" :"é"}'.encode()


@given(any_json(*Outer.__struct_fields__))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)


@given(any_json(*Outer.__struct_fields__))
def test_an_answer_raises_nothing_but_upstream_failed(body: bytes):
    code = ErrorCode.UPSTREAM_FAILED
    try:
        decode_answer(body, DECODER)
    except GatewayError as error:
        code = error.code
    assert code is ErrorCode.UPSTREAM_FAILED


def test_an_answer_nested_too_deeply_is_the_upstreams_failure():
    with pytest.raises(GatewayError) as caught:
        decode_answer(b'{"raw":' + b"[" * 100_000, DECODER)
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


@given(st.text() | st.integers() | st.dictionaries(st.text(), st.text()))
def test_encode_writes_what_json_reads(value: object):
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize("raw", [b"1e999", b"[" * 100_000 + b"]" * 100_000])
def test_raw_members_that_cannot_be_read_are_the_client_s(raw: bytes):
    with pytest.raises(GatewayError) as caught, reading_raw_members():
        msgspec.json.decode(raw)
    assert caught.value.code is ErrorCode.BODY_INVALID
