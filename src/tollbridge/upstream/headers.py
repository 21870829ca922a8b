"""Which headers a request to an upstream carries: credentials, the protocol's own, the client's."""

import functools
from collections.abc import Mapping

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError

ANTHROPIC_VERSION_DEFAULT = "2023-06-01"
"""Sent when the client names none: the version under which sampling parameters still work
(protocol notes 0.2, A.2)."""

FORWARDED: dict[Protocol, tuple[str, ...]] = {
    "messages": ("anthropic-",),
    "chat": (),
}
"""The client's headers that reach an upstream, by how they begin: an open list, because beta
features add to it weekly (protocol notes E.3). Everything else stays here: hop-by-hop headers,
the client's credentials, cookies, addresses, and `openai-organization` and `openai-project`,
which name the client's account with a vendor and not the gateway's."""

NEVER_FORWARDED = frozenset(
    {
        # Says that a browser holds the key: ours is on the gateway.
        "anthropic-dangerous-direct-browser-access",
        # Name things of the client's own account with the vendor (protocol notes A.2).
        "anthropic-workspace-id",
        "anthropic-user-profile-id",
    }
)


def credential_headers(protocol: Protocol, dialect: str, api_key: str) -> list[tuple[str, str]]:
    """How the key is presented; nothing without a key.

    Anthropic's own servers take `x-api-key` under every version. Whoever else speaks Messages
    takes `authorization`, as the vendor's current SDKs send it (protocol notes 0.3).
    """
    if not api_key:
        return []
    if protocol == "messages" and dialect == "anthropic":
        return [("x-api-key", api_key)]
    return [("authorization", f"Bearer {api_key}")]


def request_headers(
    protocol: Protocol,
    dialect: str,
    api_key: str,
    client_headers: Mapping[str, str],
    *,
    stream: bool,
    pin_version: str | None = None,
    more: tuple[tuple[str, str], ...] = (),
) -> tuple[tuple[str, str], ...]:
    """All headers of a request except those that the HTTP client sets itself.

    `client_headers` has lower-case names. `pin_version` replaces the client's
    `anthropic-version`, for requests that were translated into one version's vocabulary.

    Raises:
        GatewayError: FIELD_INVALID: a header of the client's would go on, and cannot.
    """
    prefixes = FORWARDED[protocol]
    forwarded: tuple[tuple[str, str], ...] = ()
    if prefixes:
        forwarded = tuple(
            [
                item
                for item in client_headers.items()
                if item[0].startswith(prefixes) and item[0] not in NEVER_FORWARDED
            ]
        )
    return _headers(protocol, dialect, api_key, forwarded, stream, pin_version, more)


@functools.lru_cache(256)
def _headers(
    protocol: Protocol,
    dialect: str,
    api_key: str,
    forwarded: tuple[tuple[str, str], ...],
    stream: bool,
    pin_version: str | None,
    more: tuple[tuple[str, str], ...],
) -> tuple[tuple[str, str], ...]:
    """Clients of one kind send the same headers with every request. What raises is not kept."""
    for name, value in forwarded:
        if not (value.isascii() and value.isprintable()):
            raise GatewayError(
                ErrorCode.FIELD_INVALID,
                f"The header {name} goes on to the model's server and must be one line of"
                " printable ASCII, without tabs.",
            )
    headers = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream" if stream else "application/json"),
        *credential_headers(protocol, dialect, api_key),
    ]
    if protocol == "messages":
        version = pin_version or dict(forwarded).get("anthropic-version")
        headers.append(("anthropic-version", version or ANTHROPIC_VERSION_DEFAULT))
    headers += [item for item in forwarded if item[0] != "anthropic-version"]
    return (*headers, *more)
