"""The request for one target, as its bridge writes it, if the client can live with the losses."""

from collections.abc import Mapping

from tollbridge.config import Protocol
from tollbridge.routing.catalog import Target
from tollbridge.translate.bridge import Bridge, UpstreamTerms
from tollbridge.translate.failures import strict_error
from tollbridge.units import Tokens

PATHS: dict[Protocol, str] = {"messages": "/v1/messages", "chat": "/chat/completions"}
"""What is appended to an upstream's base URL."""

STRICT_HEADER = "x-tollbridge-strict"
"""A client that sends it rather has an error than an answer for which something was dropped."""
STRICT_ON = frozenset({"1", "true", "on"})


def write_request(
    bridge: Bridge,
    target: Target,
    output: Tokens,
    headers: Mapping[str, str],
    *,
    strict: bool = False,
) -> bytes:
    """The body for the target, whose output may be `output` tokens long.

    `strict` is the key's; a request's header can add strictness and not take it away.

    Raises:
        GatewayError: it cannot be said there, or, to a strict client, not without a loss.
    """
    body = bridge.request(
        UpstreamTerms(
            target.model,
            target.dialect,
            output,
            target.system_messages,
            target.avoid,
            target.overrides,
        )
    )
    if bridge.dropped and (strict or headers.get(STRICT_HEADER, "") in STRICT_ON):
        raise strict_error(bridge.dropped)
    return body
