"""Browsers on other sites may call the gateway: its credentials are keys, never cookies, so that a
foreign page can do nothing that the holder of the key could not do without it.
"""

from collections.abc import Mapping

ANSWER_HEADERS = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "*"),
)
"""On every answer. They are the same for every origin, so that caches need no `vary`."""

REQUEST_HEADERS = (
    "authorization, x-api-key, content-type, accept, accept-language, anthropic-version,"
    " anthropic-beta, x-sdk-version, x-tcb-source, x-tcb-region, x-client-timestamp"
)
"""What the SDKs send (`cloudbase.md` 9.1), for a preflight that does not list its headers."""

MAX_AGE_S = 86_400


def preflight(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The answer to OPTIONS. Whatever headers are asked for are allowed: the SDKs' list is open,
    and `*` would not cover `authorization` (Fetch standard, CORS protocol).
    """
    return [
        ("allow", "GET, HEAD, POST, OPTIONS"),
        ("access-control-allow-methods", "GET, HEAD, POST"),
        (
            "access-control-allow-headers",
            headers.get("access-control-request-headers") or REQUEST_HEADERS,
        ),
        ("access-control-max-age", str(MAX_AGE_S)),
    ]
