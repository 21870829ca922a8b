"""The nouns of the ledger: packs, holds, transfers and the commands that move credits.

All amounts are micro-credits. A pack is four accounts (available, held, spent, expired) whose sum
is what was granted. A transfer moves a positive amount between two accounts of one pack, or between
a pack and the operator's accounts (issued, overrun). Two-phase transfers as in double entry with
pending amounts: a hold is pending; it ends exactly once, by a post (of at most the held amount; the
rest returns to available) or by a void.
"""

import enum

import msgspec

from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, RequestId, Tokens
from tollbridge.usage import Provenance, TokenUsage


class TransferKind(enum.StrEnum):
    """What a row of the journal does."""

    GRANT = "grant"
    """operator.issued -> available"""
    HOLD = "hold"
    """available -> held"""
    POST = "post"
    """held -> spent; what was held above the amount returns to available in the same row"""
    VOID = "void"
    """held -> available"""
    SPEND = "spend"
    """available -> spent: usage above the hold that the pack can still bear"""
    EXPIRE = "expire"
    """available -> expired"""
    OVERRUN = "overrun"
    """operator.overrun -> nobody's pack: usage above the hold that no pack could bear"""


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A prepaid pack and its balances. `granted = available + held + spent + expired`, always."""

    env_id: EnvId
    pack_id: PackId
    granted: MicroCredits
    available: MicroCredits
    held: MicroCredits = MicroCredits(0)
    spent: MicroCredits = MicroCredits(0)
    expired: MicroCredits = MicroCredits(0)
    granted_at: Millis
    expires_at: Millis | None = None
    models: tuple[str, ...] = ()
    """The models that may draw from it; empty: all of group `cloudbase`."""


class Need(msgspec.Struct, frozen=True):
    """What a request may cost at most, split so that its output can be capped.

    The full price is `input_amount + output_tokens * output_weight`. With fewer credits available
    the output is capped, but not below `output_floor`.
    """

    input_amount: MicroCredits
    output_weight: MicroCredits
    output_tokens: Tokens
    output_floor: Tokens

    def amount(self, output_tokens: int) -> MicroCredits:
        """The price with this many output tokens."""
        return MicroCredits(self.input_amount + output_tokens * self.output_weight)


class Leg(msgspec.Struct, frozen=True):
    """A part of a hold or charge that one pack bears."""

    pack_id: PackId
    amount: MicroCredits


class Refusal(enum.Enum):
    """Why an admission was refused, in order of precedence: the first that applies is told."""

    STALE = enum.auto()
    """The caller decided on an old generation of keys and switches: read again and retry."""
    DUPLICATE = enum.auto()
    """This request id was admitted before."""
    EXHAUSTED = enum.auto()
    """Final: no pack has the credits for even the floor."""
    HELD = enum.auto()
    """Passing: credits are there, but held by requests under way."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """A request to hold credits for one exchange."""

    request_id: RequestId
    env_id: EnvId
    key_id: KeyId
    generation: int
    model: str
    need: Need
    worker_id: str
    now: Millis


class Hold(msgspec.Struct, frozen=True):
    """Credits held for one exchange, possibly in several packs."""

    request_id: RequestId
    legs: tuple[Leg, ...]
    output_tokens: Tokens
    """The output that was paid for: what was asked, or less."""
    available: MicroCredits
    """What the packs this model may draw from have left after the hold."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one exchange: what it used, what it costs, and why."""

    request_id: RequestId
    env_id: EnvId
    key_id: KeyId
    model: str
    upstream: str
    client_protocol: str
    stream: bool
    started_at: Millis
    ended_at: Millis
    usage: TokenUsage
    amount: MicroCredits
    provenance: Provenance
    outcome: str
    """`finished`, `client_gone`, `upstream_failed`, `refused`, `killed`: a row of the tariff."""
    price_version: str


class Settled(msgspec.Struct, frozen=True):
    """What a settlement did. `exists` is true when it had been done before."""

    amount: MicroCredits
    overrun: MicroCredits
    exists: bool = False


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a stream is; what the sweeper charges if its worker dies now."""

    request_id: RequestId
    env_id: EnvId
    usage: TokenUsage
    amount: MicroCredits
