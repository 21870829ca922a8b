"""The classes of failures: what each one lets us try next, and what it says about the target.

The page docs/routing.md shows `REACTIONS` as it is, by `tools/routing_table.py`.
"""

import enum
from typing import NamedTuple

from tollbridge.errors import ErrorCode


class Again(enum.Enum):
    """Whether the same target is tried once more, a little later."""

    NO = "no"
    """Nothing would be different, or a generation may be under way that is paid for as well."""
    UNBEGUN = "unless an answer had begun"
    YES = "yes"
    AMENDED = "at once, without the cause"


class Reaction(NamedTuple):
    """What follows from a failure, as long as nothing has been delivered.

    `elsewhere`: another target is tried. `ill`: the target is to blame, and its health suffers;
    False says that it is alive, None nothing.
    """

    again: Again = Again.NO
    elsewhere: bool = True
    ill: bool | None = None


_PASSING = Reaction(Again.YES, ill=True)
_BROKEN = Reaction(Again.UNBEGUN, ill=True)
_OUT_OF_ORDER = Reaction(ill=True)
_AMENDABLE = Reaction(Again.AMENDED, ill=False)
_REFUSED = Reaction(elsewhere=False, ill=False)
_ONLY_THERE = Reaction()
"""Said by us, about this target alone: no place is free, or its protocol has no word for it."""
_NEVER = Reaction(elsewhere=False)
"""Known before the first attempt, or not about any target."""

REACTIONS: dict[ErrorCode, Reaction] = {
    ErrorCode.UPSTREAM_UNREACHABLE: _PASSING,
    ErrorCode.UPSTREAM_FAILED: _BROKEN,
    ErrorCode.UPSTREAM_OVERLOADED: _PASSING,
    ErrorCode.UPSTREAM_RATE_LIMITED: _PASSING,
    ErrorCode.UPSTREAM_TIMEOUT: _OUT_OF_ORDER,
    ErrorCode.UPSTREAM_TRUNCATED: _OUT_OF_ORDER,
    ErrorCode.UPSTREAM_QUOTA: _OUT_OF_ORDER,
    ErrorCode.UPSTREAM_CREDENTIAL: _OUT_OF_ORDER,
    ErrorCode.UPSTREAM_MODEL_MISSING: _OUT_OF_ORDER,
    ErrorCode.UPSTREAM_BUSY: _ONLY_THERE,
    ErrorCode.FIELD_MISSING: _ONLY_THERE,
    ErrorCode.FIELD_INVALID: _ONLY_THERE,
    ErrorCode.FIELD_UNSUPPORTED: _ONLY_THERE,
    ErrorCode.BODY_INVALID: _ONLY_THERE,
    ErrorCode.SCHEMA_REFUSED: _AMENDABLE,
    ErrorCode.THINKING_LOST: _AMENDABLE,
    ErrorCode.UPSTREAM_REFUSED: _REFUSED,
    ErrorCode.CONTEXT_OVERFLOW: _REFUSED,
    ErrorCode.BODY_TOO_LARGE: _REFUSED,
    ErrorCode.ROUTE_UNKNOWN: _NEVER,
    ErrorCode.RECEIPT_UNKNOWN: _NEVER,
    ErrorCode.METHOD_NOT_ALLOWED: _NEVER,
    ErrorCode.REQUEST_MALFORMED: _NEVER,
    ErrorCode.REQUEST_TIMEOUT: _NEVER,
    ErrorCode.HEAD_TOO_LARGE: _NEVER,
    ErrorCode.CREDENTIAL_MISSING: _NEVER,
    ErrorCode.KEY_UNKNOWN: _NEVER,
    ErrorCode.KEY_EXPIRED: _NEVER,
    ErrorCode.KEY_REVOKED: _NEVER,
    ErrorCode.KEY_FOREIGN: _NEVER,
    ErrorCode.GROUP_UNKNOWN: _NEVER,
    ErrorCode.MODEL_UNKNOWN: _NEVER,
    ErrorCode.MODEL_DISABLED: _NEVER,
    ErrorCode.PACK_EXHAUSTED: _NEVER,
    ErrorCode.CREDITS_HELD: _NEVER,
    ErrorCode.CONCURRENCY_EXCEEDED: _NEVER,
    ErrorCode.RATE_EXCEEDED: _NEVER,
    ErrorCode.LEDGER_UNAVAILABLE: _NEVER,
    ErrorCode.GATEWAY_OVERLOADED: _NEVER,
    ErrorCode.GATEWAY_STOPPING: _NEVER,
    ErrorCode.INTERNAL: _NEVER,
}
