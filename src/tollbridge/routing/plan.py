"""What to try, and what to try next: decided here, acted on by the exchange.

A plan is a generator: it yields a target and is sent the error of the attempt; it ends when there
is nothing left to try. It is never asked again once a byte has gone to the client.
"""

from collections.abc import Generator, Sequence

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Target

NOT_ELSEWHERE = frozenset(
    {ErrorCode.UPSTREAM_REFUSED, ErrorCode.CONTEXT_OVERFLOW, ErrorCode.BODY_TOO_LARGE}
)
"""Failures that are about the request itself: another upstream would say the same."""

AVOIDABLE = frozenset({ErrorCode.SCHEMA_REFUSED, ErrorCode.THINKING_LOST})
"""Refusals whose cause can be taken out of the request, for a second attempt at the same target."""

Plan = Generator[Target, GatewayError, None]


def plan(targets: Sequence[Target]) -> Plan:
    """Each target once, in order, until one answers or refuses the request as such.

    A target whose refusal can be avoided is tried once more.
    """
    for target in targets:
        error = yield target
        if error.code in AVOIDABLE:
            error = yield target._replace(avoid=error.code)
        if error.code in NOT_ELSEWHERE:
            return
