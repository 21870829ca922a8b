"""JSON as a vendor, or a client gone wrong, may send it: names of the vocabulary, any values."""

import json
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.wire.codec import decode

T = TypeVar("T")

REFUSALS = {ErrorCode.BODY_INVALID, ErrorCode.FIELD_MISSING, ErrorCode.FIELD_INVALID}


def any_json(*names: str) -> st.SearchStrategy[bytes]:
    """Documents whose members bear these names, and texts that are no JSON at all."""
    keys = st.sampled_from(["type", "role", "content", "text", *names])
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=15,
    )
    return st.binary(max_size=30) | values.map(lambda value: json.dumps(value).encode())


def refusal_of(body: bytes, decoder: msgspec.json.Decoder[T]) -> GatewayError | None:
    """Why the body is refused; None: it is not. Everything else that is raised gets through."""
    try:
        decode(body, decoder)
    except GatewayError as error:
        return error
    return None


def check_only_declared_errors(body: bytes, decoder: msgspec.json.Decoder[T]) -> None:
    """Decoding gives a value that can be written and read again, or a refusal."""
    refusal = refusal_of(body, decoder)
    if refusal is None:
        written = msgspec.json.encode(decoder.decode(body))
        assert msgspec.json.encode(decoder.decode(written)) == written
    else:
        assert refusal.code in REFUSALS
        assert "`" not in refusal.message
        assert (refusal.field is None) == (refusal.code is ErrorCode.BODY_INVALID)
