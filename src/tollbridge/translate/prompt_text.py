"""The text of a prompt, for a tokenizer of the model's own.

What its chat template adds, some tokens for each turn, is not known here. Texts go in as they are,
structures (tools, arguments) as JSON; the names of the members of turns and blocks stay out.
"""

import msgspec

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.wire.codec import encode

_AS_JSON = frozenset({"tools", "input", "arguments", "parameters", "input_schema"})
_PROMPT = ("system", "tools", "messages")
_NOT_TEXT = frozenset({"type", "signature", "media_type", "cache_control", "data", "id"})
_DATA_URI = "data:"


def prompt_text(body: bytes) -> str:
    """All that the model reads, in order, a line for each text; base64 is left out.

    Raises:
        GatewayError: BODY_INVALID.
    """
    try:
        value: object = msgspec.json.decode(body)
        members = value if isinstance(value, dict) else {}
        texts: list[str] = []
        for name in _PROMPT:
            _collect(name, members.get(name), texts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayError(ErrorCode.BODY_INVALID, f"The body is not JSON: {error}.") from error
    except RecursionError:
        raise GatewayError(
            ErrorCode.BODY_INVALID, "The request body is nested too deeply."
        ) from None
    return "\n".join(texts)


def _collect(name: str, value: object, texts: list[str]) -> None:
    if name in _NOT_TEXT or value is None:
        return
    if isinstance(value, str):
        if not value.startswith(_DATA_URI):
            texts.append(value)
    elif name in _AS_JSON:
        texts.append(encode(value).decode())
    elif isinstance(value, list):
        for item in value:
            _collect("", item, texts)
    elif isinstance(value, dict):
        for inner, item in value.items():
            _collect(inner, item, texts)
