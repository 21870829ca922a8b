"""The closed set of refusals and failures, and the one table that gives them their form.

Exception
└── GatewayError          what a client may be told: a code, a sentence, perhaps a field

Every `ErrorCode` has exactly one row in `PROBLEMS`. The `code` column is CloudBase's word where it
has one, so that its SDKs recognise it. The status, the type and the retryability follow protocol
notes A.8, B.6 and C.7.
"""

import enum
from typing import NamedTuple


class ErrorCode(enum.Enum):
    """Everything that can go wrong, from the client's point of view."""

    ROUTE_UNKNOWN = enum.auto()
    RECEIPT_UNKNOWN = enum.auto()
    METHOD_NOT_ALLOWED = enum.auto()
    CREDENTIAL_MISSING = enum.auto()
    KEY_UNKNOWN = enum.auto()
    KEY_EXPIRED = enum.auto()
    KEY_REVOKED = enum.auto()
    KEY_FOREIGN = enum.auto()
    REQUEST_MALFORMED = enum.auto()
    REQUEST_TIMEOUT = enum.auto()
    HEAD_TOO_LARGE = enum.auto()
    BODY_TOO_LARGE = enum.auto()
    BODY_INVALID = enum.auto()
    FIELD_MISSING = enum.auto()
    FIELD_INVALID = enum.auto()
    FIELD_UNSUPPORTED = enum.auto()
    CONTEXT_OVERFLOW = enum.auto()
    GROUP_UNKNOWN = enum.auto()
    MODEL_UNKNOWN = enum.auto()
    MODEL_DISABLED = enum.auto()
    PACK_EXHAUSTED = enum.auto()
    CREDITS_HELD = enum.auto()
    CONCURRENCY_EXCEEDED = enum.auto()
    RATE_EXCEEDED = enum.auto()
    UPSTREAM_REFUSED = enum.auto()
    SCHEMA_REFUSED = enum.auto()
    THINKING_LOST = enum.auto()
    UPSTREAM_CREDENTIAL = enum.auto()
    UPSTREAM_MODEL_MISSING = enum.auto()
    UPSTREAM_RATE_LIMITED = enum.auto()
    UPSTREAM_QUOTA = enum.auto()
    UPSTREAM_OVERLOADED = enum.auto()
    UPSTREAM_BUSY = enum.auto()
    UPSTREAM_UNREACHABLE = enum.auto()
    UPSTREAM_FAILED = enum.auto()
    UPSTREAM_TIMEOUT = enum.auto()
    UPSTREAM_TRUNCATED = enum.auto()
    LEDGER_UNAVAILABLE = enum.auto()
    GATEWAY_OVERLOADED = enum.auto()
    GATEWAY_STOPPING = enum.auto()
    INTERNAL = enum.auto()


class Problem(NamedTuple):
    """How one error code is told: CloudBase's code, then status and type in each dialect.

    `retryable` is what `x-should-retry` says; None leaves the decision to the client's own rule
    for the status.
    """

    code: str
    messages_status: int
    messages_type: str
    chat_status: int
    chat_type: str
    chat_code: str | None
    retryable: bool | None


_INVALID = "invalid_request_error"

PROBLEMS: dict[ErrorCode, Problem] = {
    ErrorCode.ROUTE_UNKNOWN: Problem(
        "RESOURCE_NOT_FOUND", 404, "not_found_error", 404, _INVALID, "unknown_url", False
    ),
    ErrorCode.RECEIPT_UNKNOWN: Problem(
        "RESOURCE_NOT_FOUND", 404, "not_found_error", 404, _INVALID, "receipt_not_found", False
    ),
    ErrorCode.METHOD_NOT_ALLOWED: Problem(
        "METHOD_NOT_ALLOWED", 405, _INVALID, 405, _INVALID, "method_not_allowed", False
    ),
    ErrorCode.CREDENTIAL_MISSING: Problem(
        "INVALID_CREDENTIALS", 401, "authentication_error", 401, _INVALID, "invalid_api_key", False
    ),
    ErrorCode.KEY_UNKNOWN: Problem(
        "INVALID_ACCESS_TOKEN", 401, "authentication_error", 401, _INVALID, "invalid_api_key", False
    ),
    ErrorCode.KEY_EXPIRED: Problem(
        "ACCESS_TOKEN_EXPIRED", 401, "authentication_error", 401, _INVALID, "invalid_api_key", False
    ),
    ErrorCode.KEY_REVOKED: Problem(
        "ACCESS_TOKEN_INVALID", 401, "authentication_error", 401, _INVALID, "invalid_api_key", False
    ),
    ErrorCode.KEY_FOREIGN: Problem(
        "INVALID_ACCESS_TOKEN", 401, "authentication_error", 401, _INVALID, "invalid_api_key", False
    ),
    ErrorCode.REQUEST_MALFORMED: Problem(
        "REQUEST_MALFORMED", 400, _INVALID, 400, _INVALID, "request_malformed", False
    ),
    ErrorCode.REQUEST_TIMEOUT: Problem(
        "REQUEST_TIMEOUT", 408, "timeout_error", 408, _INVALID, "request_timeout", True
    ),
    ErrorCode.HEAD_TOO_LARGE: Problem(
        "REQUEST_TOO_LARGE", 431, _INVALID, 431, _INVALID, "headers_too_large", False
    ),
    ErrorCode.BODY_TOO_LARGE: Problem(
        "REQUEST_TOO_LARGE", 413, "request_too_large", 413, _INVALID, "request_too_large", False
    ),
    ErrorCode.BODY_INVALID: Problem(
        "AI_MODEL_PARAM_INVALID", 400, _INVALID, 400, _INVALID, "invalid_json", False
    ),
    ErrorCode.FIELD_MISSING: Problem(
        "AI_MODEL_PARAM_REQUIRED", 400, _INVALID, 400, _INVALID, "missing_required_parameter", False
    ),
    ErrorCode.FIELD_INVALID: Problem(
        "AI_MODEL_PARAM_INVALID", 400, _INVALID, 400, _INVALID, "invalid_value", False
    ),
    ErrorCode.FIELD_UNSUPPORTED: Problem(
        "AI_MODEL_PARAM_INVALID", 400, _INVALID, 400, _INVALID, "unsupported_parameter", False
    ),
    ErrorCode.CONTEXT_OVERFLOW: Problem(
        "AI_MODEL_PARAM_INVALID", 400, _INVALID, 400, _INVALID, "context_length_exceeded", False
    ),
    ErrorCode.GROUP_UNKNOWN: Problem(
        "AI_MODEL_NOT_FOUND", 404, "not_found_error", 404, _INVALID, "group_not_found", False
    ),
    ErrorCode.MODEL_UNKNOWN: Problem(
        "AI_MODEL_NOT_SUPPORTED", 404, "not_found_error", 404, _INVALID, "model_not_found", False
    ),
    ErrorCode.MODEL_DISABLED: Problem(
        "AI_MODEL_DISABLED", 404, "not_found_error", 404, _INVALID, "model_not_found", False
    ),
    ErrorCode.PACK_EXHAUSTED: Problem(
        "EXCEED_TOKEN_QUOTA_LIMIT",
        429,
        "rate_limit_error",
        429,
        "insufficient_quota",
        "insufficient_quota",
        False,
    ),
    ErrorCode.CREDITS_HELD: Problem(
        "TOKEN_QUOTA_HELD",
        429,
        "rate_limit_error",
        429,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        True,
    ),
    ErrorCode.CONCURRENCY_EXCEEDED: Problem(
        "EXCEED_CONCURRENT_REQUEST_LIMIT",
        429,
        "rate_limit_error",
        429,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        True,
    ),
    ErrorCode.RATE_EXCEEDED: Problem(
        "EXCEED_REQUEST_LIMIT",
        429,
        "rate_limit_error",
        429,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        True,
    ),
    ErrorCode.UPSTREAM_REFUSED: Problem(
        "AI_MODEL_REQUEST_FAILED", 400, _INVALID, 400, _INVALID, None, False
    ),
    ErrorCode.SCHEMA_REFUSED: Problem(
        "AI_MODEL_REQUEST_FAILED",
        400,
        _INVALID,
        400,
        _INVALID,
        "invalid_function_parameters",
        False,
    ),
    ErrorCode.THINKING_LOST: Problem(
        "AI_MODEL_REQUEST_FAILED", 400, _INVALID, 400, _INVALID, None, False
    ),
    ErrorCode.UPSTREAM_CREDENTIAL: Problem(
        "AI_MODEL_CONFIG_MISSING", 502, "api_error", 502, "server_error", "upstream_error", False
    ),
    ErrorCode.UPSTREAM_MODEL_MISSING: Problem(
        "AI_MODEL_NOT_SUPPORTED", 404, "not_found_error", 404, _INVALID, "model_not_found", False
    ),
    ErrorCode.UPSTREAM_RATE_LIMITED: Problem(
        "UPSTREAM_RATE_LIMITED",
        429,
        "rate_limit_error",
        429,
        "rate_limit_exceeded",
        "rate_limit_exceeded",
        True,
    ),
    ErrorCode.UPSTREAM_QUOTA: Problem(
        "UPSTREAM_QUOTA_EXHAUSTED",
        429,
        "rate_limit_error",
        429,
        "insufficient_quota",
        "insufficient_quota",
        False,
    ),
    ErrorCode.UPSTREAM_OVERLOADED: Problem(
        "UPSTREAM_OVERLOADED", 529, "overloaded_error", 503, "server_error", "overloaded", True
    ),
    ErrorCode.UPSTREAM_BUSY: Problem(
        "UPSTREAM_OVERLOADED", 529, "overloaded_error", 503, "server_error", "overloaded", True
    ),
    ErrorCode.UPSTREAM_UNREACHABLE: Problem(
        "AI_MODEL_REQUEST_FAILED", 502, "api_error", 502, "server_error", "upstream_error", None
    ),
    ErrorCode.UPSTREAM_FAILED: Problem(
        "AI_MODEL_REQUEST_FAILED", 502, "api_error", 502, "server_error", "upstream_error", None
    ),
    ErrorCode.UPSTREAM_TIMEOUT: Problem(
        "UPSTREAM_TIMEOUT", 504, "timeout_error", 504, "server_error", "timeout", None
    ),
    ErrorCode.UPSTREAM_TRUNCATED: Problem(
        "UPSTREAM_TRUNCATED", 502, "api_error", 502, "server_error", "stream_truncated", None
    ),
    ErrorCode.LEDGER_UNAVAILABLE: Problem(
        "LEDGER_UNAVAILABLE", 503, "api_error", 503, "server_error", "ledger_unavailable", True
    ),
    ErrorCode.GATEWAY_OVERLOADED: Problem(
        "GATEWAY_OVERLOADED", 529, "overloaded_error", 503, "server_error", "overloaded", True
    ),
    ErrorCode.GATEWAY_STOPPING: Problem(
        "GATEWAY_STOPPING", 503, "api_error", 503, "server_error", "gateway_stopping", True
    ),
    ErrorCode.INTERNAL: Problem(
        "INTERNAL_ERROR", 500, "api_error", 500, "server_error", "internal_error", None
    ),
}


class GatewayError(Exception):
    """A refusal or failure that a client is told about, in the client's dialect.

    `message` is a whole sentence for a person and holds no secret and no upstream host. `field` is
    the path of the offending member (`messages[0].content`), if there is one. `retry_after_s` is
    sent as `retry-after`.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    @property
    def problem(self) -> Problem:
        """The row of `PROBLEMS` for this error."""
        return PROBLEMS[self.code]
