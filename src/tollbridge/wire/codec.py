"""The only JSON door of the hot path: typed decoding whose errors name the offending member."""

import re
from typing import TypeVar

import msgspec

from tollbridge.errors import ErrorCode, GatewayError

T = TypeVar("T")

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_MISSING = re.compile(r"^Object missing required field `(.+?)`")

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""A value to compact JSON bytes."""


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A client's body to a typed value.

    Raises:
        GatewayError: BODY_INVALID if it is not JSON or not UTF-8; FIELD_MISSING or FIELD_INVALID
            with the path of the member otherwise.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _field_error(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayError(ErrorCode.BODY_INVALID, _malformed(body, error)) from None
    except RecursionError:
        raise GatewayError(
            ErrorCode.BODY_INVALID, "The request body is nested too deeply."
        ) from None


def decode_answer(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """An upstream's body to a typed value.

    Raises:
        GatewayError: UPSTREAM_FAILED if it is not JSON of the expected shape.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GatewayError(
            ErrorCode.UPSTREAM_FAILED, f"The upstream's answer cannot be read: {error}."
        ) from None


def _malformed(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "The request body is empty; send a JSON object."
    try:
        body.decode()
    except UnicodeDecodeError as broken:
        return f"The request body is not UTF-8: byte {broken.start} cannot be decoded."
    return f"The request body is not valid JSON: {error}."


def _field_error(text: str) -> GatewayError:
    path = _PATH.search(text)
    where = path.group(1) if path else ""
    reason = text[: path.start()] if path else text
    missing = _MISSING.match(reason)
    if missing:
        field = f"{where}.{missing.group(1)}" if where else missing.group(1)
        return GatewayError(
            ErrorCode.FIELD_MISSING, f"{field}: this field is required.", field=field
        )
    where = where.replace("[...]", "[]")
    if not where:
        return GatewayError(
            ErrorCode.BODY_INVALID, f"The request body must be an object: {reason}."
        )
    return GatewayError(ErrorCode.FIELD_INVALID, f"{where}: {reason}.", field=where)
