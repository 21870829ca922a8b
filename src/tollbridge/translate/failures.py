"""Errors: what an upstream said, as one of the gateway's codes; and a code, in a client's words.

A body carries the dialect's own shape and, at its top level, CloudBase's members (`code`,
`message`, `requestId`), which each client's SDK ignores or prefers as it likes. What an upstream
wrote is told to the client only after addresses and credentials have been taken out of it.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.tables import ERROR_STATUSES, ERROR_WORDS
from tollbridge.wire.codec import encode

RETRY_AFTER_MAX_S = 60
"""Anthropic's SDKs sleep as long as they are told, OpenAI's give up above 120 s."""
MESSAGE_CHARS_MAX = 1_000
"""An upstream that echoes the request in its error does not do so through the gateway."""

_SECRETS = re.compile(
    r"""
      (?:bearer|basic)\s+[\w.~+/=-]{6,}
    | \b(?:sk|pk|ak|rk|org|proj|key)[-_][\w*.-]{5,}
    | \b[a-z][a-z0-9+.-]*://[^\s"'<>)\]},]+
    | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b
    | \blocalhost(?::\d+)?\b
    | \b(?:[a-z0-9_-]+\.)+(?:com|net|org|cn|io|ai|dev|app|cloud|local|internal|svc|lan|corp|tech)
      (?::\d+)?\b(?:/[^\s"'<>)\]},]*)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OVERFLOW = re.compile(
    r"maximum context length|context[ _]length|context (?:size|window|limit)|prompt is too long"
    r"|longer than the model|exceed\w* (?:the )?(?:model(?:'s)? )?(?:token limit|limit|max length)"
    r"|input (?:length|token count)[^.]*exceed|prompt exceeds|range of input length",
    re.IGNORECASE,
)
_OVERFLOW_MAXIMA = (
    re.compile(r">\s*(\d[\d,]*)"),
    re.compile(
        r"\b(?:maximum|limit|allowed|context (?:length|size|window))\b\D{0,40}?(\d[\d,]*)",
        re.IGNORECASE,
    ),
)
_SUM = re.compile(r"(\d+) \+ (\d+) >")
_NUMBER = re.compile(r"\d[\d,]*\d|\d")
_QUOTA = re.compile(
    r"insufficient[ _](?:quota|balance|credit)|credit balance is too low|exceeded_current_quota"
    r"|exceeded your current quota|account .{0,40}(?:arrear|overdue|suspended)|\barrearage\b",
    re.IGNORECASE,
)
_SCHEMA = re.compile(
    r"(?:invalid|unsupported|bad) (?:json[ _-]?)?schema|schema\b.{0,80}(?:invalid|not (?:supported|"
    r"permitted|allowed)|unsupported)|(?:parse|convert|compile|build)\w* .{0,30}(?:grammar|schema)"
    r"|grammar\b.{0,40}(?:error|invalid|fail)|(?:pattern|format|keyword)\b.{0,60}(?:not supported"
    r"|unsupported)",
    re.IGNORECASE,
)
_THINKING_LOST = re.compile(
    r"expected .?(?:thinking|redacted_thinking)\b|must start with a thinking block", re.IGNORECASE
)
_UNABLE = re.compile(r"\b(?:image|audio|video|file) input is not supported", re.IGNORECASE)
"""llama.cpp says so with a status of 500; no other try would succeed."""
_MODEL_MISSING = re.compile(
    r"\bmodel\b.{0,80}(?:not exist|not found|does not exist)", re.IGNORECASE | re.DOTALL
)


def error_status(protocol: Protocol, error: GatewayError) -> int:
    """The HTTP status that tells this error in this protocol."""
    problem = error.problem
    return problem.messages_status if protocol == "messages" else problem.chat_status


def error_body(protocol: Protocol, error: GatewayError, request_id: str) -> bytes:
    """The JSON body that tells this error in this protocol."""
    return encode(_error_members(protocol, error, request_id))


def stream_error(protocol: Protocol, error: GatewayError, request_id: str) -> bytes:
    """The event that ends a stream which has begun; nothing may follow it.

    A Chat parser may want `choices` in whatever it is sent, so the error is a chunk with none.
    """
    members = _error_members(protocol, error, request_id)
    if protocol == "messages":
        return b"event: error\ndata: %s\n\n" % encode(members)
    return b"data: %s\n\n" % encode({"object": "chat.completion.chunk", "choices": [], **members})


def _error_members(protocol: Protocol, error: GatewayError, request_id: str) -> dict[str, object]:
    problem = error.problem
    members: dict[str, object]
    if protocol == "messages":
        detail = {"type": problem.messages_type, "message": error.message}
        members = {"type": "error", "error": detail, "request_id": request_id}
    else:
        members = {
            "error": {
                "message": error.message,
                "type": problem.chat_type,
                "param": error.field,
                "code": problem.chat_code,
            }
        }
    return {**members, "code": problem.code, "message": error.message, "requestId": request_id}


def failure_from_upstream(
    upstream: Protocol, status: int, headers: Mapping[str, str], body: bytes
) -> GatewayError:
    """What an upstream's error answer means for the client (protocol notes C.7).

    Reads the error body of either vocabulary, of their imitators, or none: an HTML page of a proxy
    gives a plain sentence. `headers` have lower-case names.
    """
    text, words, numbers = _read_error_body(body)
    if status == 200:
        # An error in disguise may say as its code what it should have had as its status.
        status = next((int(word) for word in words if word.isdecimal()), status)
    code = _recognised(words, text, status)
    if code is None:
        code = ERROR_STATUSES.get(status) or (
            ErrorCode.UPSTREAM_REFUSED if 400 <= status < 500 else ErrorCode.UPSTREAM_FAILED
        )
    if status == 404 and not words and (upstream == "messages" or "model" not in text.lower()):
        # A Messages upstream words every refusal; a bare 404 is a wrong base URL, not a model.
        code = ErrorCode.UPSTREAM_FAILED
    return _failure(code, text, numbers, retry_after_s=_retry_after(headers))


def strict_error(dropped: Sequence[str]) -> GatewayError:
    """What a client that wants no losses is told of those it would have had."""
    names = ", ".join(dropped)
    return GatewayError(
        ErrorCode.FIELD_UNSUPPORTED,
        f"{names}: this model's server cannot take this, and the request is strict.",
        field=dropped[0],
    )


def failure_from_event(
    kind: str | None, message: str, code: str | int | None = None
) -> GatewayError:
    """What an error inside a stream, or inside an answer of status 200, means for the client.

    `kind` is the error's `type`; `code` its `code`, which some servers fill with a status.
    """
    status = int(code) if code is not None and str(code).isdigit() else 0
    words = [word for word in (kind, code) if isinstance(word, str)]
    found = _recognised(words, message, status) or ERROR_STATUSES.get(status)
    if found is None:
        found = ErrorCode.UPSTREAM_REFUSED if 400 <= status < 500 else ErrorCode.UPSTREAM_FAILED
    return _failure(found, message, [])


def _recognised(words: list[str], text: str, status: int) -> ErrorCode | None:
    """The code that the upstream's own words give; wording counts only where a status allows."""
    found = next((ERROR_WORDS[word] for word in words if word in ERROR_WORDS), None)
    loose = found in (None, ErrorCode.UPSTREAM_REFUSED, ErrorCode.UPSTREAM_RATE_LIMITED)
    if loose and status < 500:
        if _QUOTA.search(text) or any(_QUOTA.search(word) for word in words):
            return ErrorCode.UPSTREAM_QUOTA
        if status in (0, 400, 413, 422) and _OVERFLOW.search(text):
            return ErrorCode.CONTEXT_OVERFLOW
        if status in (400, 422) and _THINKING_LOST.search(text):
            return ErrorCode.THINKING_LOST
        if status in (400, 422) and _SCHEMA.search(text):
            return ErrorCode.SCHEMA_REFUSED
        if status in (400, 404) and _MODEL_MISSING.search(text):
            return ErrorCode.UPSTREAM_MODEL_MISSING
    if _UNABLE.search(text):
        return ErrorCode.UPSTREAM_REFUSED
    if found in (ErrorCode.UPSTREAM_REFUSED, ErrorCode.UPSTREAM_FAILED) and status in (
        ERROR_STATUSES
    ):
        return None
    return found


_SENTENCES: dict[ErrorCode, tuple[str, bool]] = {
    # What the client reads, and whether the upstream's own text follows.
    ErrorCode.UPSTREAM_REFUSED: ("The model's server refused the request", True),
    ErrorCode.SCHEMA_REFUSED: ("The model's server refused a schema", True),
    ErrorCode.THINKING_LOST: ("The model's server refused the request", True),
    ErrorCode.BODY_TOO_LARGE: ("The request is too large for the model's server", True),
    ErrorCode.UPSTREAM_CREDENTIAL: (
        "The gateway's credential for this model was refused; tell the operator",
        False,
    ),
    ErrorCode.UPSTREAM_QUOTA: (
        "The gateway's quota at the model's server is used up; tell the operator",
        False,
    ),
    ErrorCode.UPSTREAM_MODEL_MISSING: ("The model's server does not know the model", True),
    ErrorCode.UPSTREAM_RATE_LIMITED: ("The model's server limits the rate of requests", True),
    ErrorCode.UPSTREAM_OVERLOADED: ("The model's server is overloaded", True),
    ErrorCode.UPSTREAM_TIMEOUT: ("The model's server did not answer in time", True),
    ErrorCode.UPSTREAM_TRUNCATED: ("The model's server broke off the answer", True),
    ErrorCode.UPSTREAM_FAILED: ("The model's server failed", True),
}


def _failure(
    code: ErrorCode, text: str, numbers: list[int], *, retry_after_s: int | None = None
) -> GatewayError:
    text = scrub(text)
    if code is ErrorCode.CONTEXT_OVERFLOW:
        return GatewayError(code, _overflow_message(text, numbers))
    sentence, with_text = _SENTENCES[code]
    message = f"{sentence}: {text}" if with_text and text else f"{sentence}."
    wait = retry_after_s if code is not ErrorCode.UPSTREAM_QUOTA else None
    return GatewayError(code, message, retry_after_s=wait)


def _overflow_message(text: str, numbers: list[int]) -> str:
    """The official wording, by which coding agents know that they have to compact."""
    found = next((match for rule in _OVERFLOW_MAXIMA if (match := rule.search(text))), None)
    maximum = numbers[1] if numbers else int(found[1].replace(",", "")) if found else 0
    sizes = numbers[:1] or [int(number.replace(",", "")) for number in _NUMBER.findall(text)]
    if added := _SUM.search(text):
        sizes = [int(added[1]) + int(added[2])]
    longest = max(sizes, default=0)
    if longest > maximum > 1:
        return f"prompt is too long: {longest} tokens > {maximum} maximum"
    return f"prompt is too long: {text}" if text else "prompt is too long for the model's window"


def scrub(text: str) -> str:
    """An upstream's words without addresses, hosts and credentials, and not too many of them."""
    return _SECRETS.sub("[hidden]", text[: 4 * MESSAGE_CHARS_MAX])[:MESSAGE_CHARS_MAX].strip()


def _read_error_body(body: bytes) -> tuple[str, list[str], list[int]]:
    """The message, the type and code words, and llama.cpp's counts (prompt, window) if it has."""
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", [], []
    if isinstance(value, list) and value:
        value = value[0]
    outer: dict[str, object] = value if isinstance(value, dict) else {}
    error = outer.get("error", outer)
    if isinstance(error, str):
        return error, [str(outer[name]) for name in ("type", "code") if name in outer], []
    inner: dict[str, object] = error if isinstance(error, dict) else outer
    text = next(
        (
            found
            for name in ("message", "msg", "error_msg", "detail", "title")
            for found in [_as_text(inner.get(name) or outer.get(name))]
            if found
        ),
        "",
    )
    words = [
        str(inner[name]) for name in ("code", "type") if isinstance(inner.get(name), str | int)
    ]
    numbers = [inner.get("n_prompt_tokens"), inner.get("n_ctx")]
    counts = [number for number in numbers if isinstance(number, int)]
    return text, words, counts if len(counts) == 2 else []


def _as_text(value: object) -> str:
    """A message as servers write it: text, or FastAPI's list of places and reasons."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    lines = []
    for item in value:
        if isinstance(item, dict) and isinstance(item.get("msg"), str):
            place = item.get("loc")
            where = ".".join(map(str, place)) if isinstance(place, list) else ""
            lines.append(f"{where}: {item['msg']}" if where else item["msg"])
    return "; ".join(lines)


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds, at least one and at most `RETRY_AFTER_MAX_S`; a date is not read."""
    for name, per_second in (("retry-after-ms", 1_000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        if seconds > 0:  # also false for NaN
            return max(1, round(min(seconds, RETRY_AFTER_MAX_S)))
    return None
