"""The only JSON door of the hot path: typed decoding whose errors name the offending member.

What a client got wrong is told in the words of JSON, not in those of the decoding library. The
values of numbers are repeated, since they help; texts are not, since they may be prompts.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

from tollbridge.errors import ErrorCode, GatewayError

T = TypeVar("T")

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_MISSING = re.compile(r"Object missing required field `(.+?)`")
_KIND = re.compile(r"Expected `(.+?)`(?:, got `(.+?)`)?")
_LENGTH = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `\w+` (>=|<=|>|<) (\S+)")

_KINDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
"""The library's names of kinds; what is not here (`null`) is its own name."""
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}

VALUE_BODY_BYTES_MAX = 1024 * 1024
"""The refusal of a larger body does not repeat the number: finding it decodes the body again."""

_NUMBER = re.compile(rb"-?[\d.eE+-]{1,24}")

_list = msgspec.json.Decoder(list[Raw])
_object = msgspec.json.Decoder(dict[str, Raw])
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
        if not body.isascii():
            # Members that stay raw are not looked into by the decoder.
            str(body, "utf-8")
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _field_error(str(error), body) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayError(ErrorCode.BODY_INVALID, _malformed(body, error)) from None
    except RecursionError:
        raise _too_deep() from None


@contextlib.contextmanager
def reading_raw_members() -> Iterator[None]:
    """Around what looks into members of a client's body that typed decoding has left raw.

    Raises:
        GatewayError: BODY_INVALID if one of them is nested too deeply or holds a number that is
            beyond all ranges.
    """
    try:
        yield
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        reason = str(error).partition(" - at ")[0].lower()
        raise GatewayError(
            ErrorCode.BODY_INVALID, f"The request body holds what cannot be read: {reason}."
        ) from None


def _too_deep() -> GatewayError:
    return GatewayError(ErrorCode.BODY_INVALID, "The request body is nested too deeply.")


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
    if isinstance(error, UnicodeDecodeError):
        try:
            body.decode()
        except UnicodeDecodeError as broken:
            return f"The request body is not UTF-8: byte {broken.start} cannot be decoded."
    reason = str(error).removeprefix("JSON is malformed: ")
    return f"The request body is not valid JSON: {reason}."


def _field_error(text: str, body: bytes) -> GatewayError:
    path = _PATH.search(text)
    where = path[1] if path else ""
    reason = text[: path.start()] if path else text
    if missing := _MISSING.match(reason):
        field = f"{where}.{missing[1]}" if where else missing[1]
        return GatewayError(
            ErrorCode.FIELD_MISSING, f"{field}: this field is required", field=field
        )
    if not where:
        kind = _KIND.match(reason)
        got = _kinds(kind[2]) if kind and kind[2] else "something else"
        return GatewayError(
            ErrorCode.BODY_INVALID, f"The request body must be a JSON object, got {got}."
        )
    return GatewayError(
        ErrorCode.FIELD_INVALID, f"{where}: {_plain(reason, where, body)}", field=where
    )


def _plain(reason: str, where: str, body: bytes) -> str:
    """The library's reason in plain words."""
    if length := _LENGTH.fullmatch(reason):
        kind, bound, size = length.groups()
        if (bound, size) == (">=", "1"):
            return "must not be empty"
        unit = "characters" if kind == "str" else "entries"
        return f"must have {_BOUNDS[bound]} {size} {unit}"
    number = _number_at(where, body)
    if limit := _BOUND.fullmatch(reason):
        got = f", got {number}" if number else ""
        return f"must be {_BOUNDS[limit[1]]} {limit[2].removesuffix('.0')}{got}"
    if kind := _KIND.fullmatch(reason):
        wanted = " | ".join(name for name in kind[1].split(" | ") if name != "null")
        return f"must be {_kinds(wanted)}, got {number or _kinds(kind[2])}"
    if reason.endswith("out of range"):
        return "the number is too large"
    return reason[:1].lower() + reason[1:]


def _kinds(names: str) -> str:
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | "))


def _number_at(where: str, body: bytes) -> str:
    """The number at a path of the body as it was written, if there is a short one."""
    if len(body) > VALUE_BODY_BYTES_MAX:
        return ""
    value: bytes | Raw = body
    try:
        for index, name in _STEP.findall(where):
            value = _list.decode(value)[int(index)] if index else _object.decode(value)[name]
    except (msgspec.DecodeError, LookupError, RecursionError):
        return ""
    written = bytes(value)
    return written.decode() if _NUMBER.fullmatch(written) else ""
