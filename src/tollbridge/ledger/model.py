"""The nouns of the ledger: packs, holds, transfers and the commands that move credits.

All amounts are micro-credits. A pack is four accounts (available, held, spent, expired) whose sum
is what was granted. A transfer moves a positive amount between two accounts of one pack, or between
a pack and the operator's accounts (issued, overrun). Two-phase transfers as in double entry with
pending amounts: a hold is pending; it ends exactly once, by a post (of at most the held amount; the
rest returns to available) or by a void.

The garbage collector need not look at them: they are values, and form no cycles.
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
    ADD = "add"
    """operator.issued -> available: a correction in the tenant's favour"""
    TAKE_BACK = "take_back"
    """available -> operator.issued: a correction in the operator's favour"""


class Pack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A prepaid pack and its balances. `granted = available + held + spent + expired`, always.

    `granted` is what was granted first, with all corrections since.
    """

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
    seq: int = 1
    """The number of its last transfer; the grant is the first."""


class Need(msgspec.Struct, frozen=True, gc=False):
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


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What an environment or a key may do at once and in a minute; 0: no limit."""

    concurrency: int = 0
    """Exchanges under way: a hold takes a slot and gives it back when it ends."""
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


UNLIMITED = Limits()


class Leg(msgspec.Struct, frozen=True, gc=False):
    """A part of a hold or charge that one pack bears."""

    pack_id: PackId
    amount: MicroCredits


class Refusal(enum.Enum):
    """Why an admission was refused, in order of precedence: the first that applies is told.

    What concerns the request itself comes first, then credits, then slots, then the minute; the
    key before the environment. `STALE`, `DUPLICATE`, `KEY_EXPIRED`, `KEY_EXHAUSTED` and
    `EXHAUSTED` are final: the same request will be refused again. The others pass.
    """

    STALE = enum.auto()
    """The caller decided on an old generation of keys and switches: read again and retry."""
    DUPLICATE = enum.auto()
    """This request id was admitted before."""
    KEY_EXPIRED = enum.auto()
    """The key's time has ended."""
    KEY_EXHAUSTED = enum.auto()
    """What is left of the key's budget does not pay for even the floor."""
    KEY_HELD = enum.auto()
    """Passing: it would, once the key's requests under way have ended."""
    EXHAUSTED = enum.auto()
    """No pack has the credits for even the floor."""
    HELD = enum.auto()
    """Passing: credits are there, but held by requests under way."""
    KEY_CONCURRENCY = enum.auto()
    """Passing: the key has as many exchanges under way as it may."""
    CONCURRENCY = enum.auto()
    """Passing: the environment has."""
    KEY_REQUESTS = enum.auto()
    """Passing with the minute: the key's requests."""
    KEY_TOKENS = enum.auto()
    """Passing with the minute: the key's tokens."""
    REQUESTS = enum.auto()
    """Passing with the minute: the environment's requests."""
    TOKENS = enum.auto()
    """Passing with the minute: the environment's tokens."""


class Admission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request to hold credits for one exchange.

    The limits, the key's expiry and whether it has a budget are those of `generation`: a change of
    any of them makes the admission stale, so that nothing has to be read to know them.
    """

    request_id: RequestId
    env_id: EnvId
    key_id: KeyId
    generation: int
    model: str
    need: Need
    worker_id: str
    now: Millis
    client_protocol: str
    stream: bool
    price_version: str
    input_tokens: Tokens = Tokens(0)
    """The expected length of the prompt; counts in the minute until the usage is known."""
    limits: Limits = UNLIMITED
    """Of the environment."""
    key_limits: Limits = UNLIMITED
    key_budgeted: bool = False
    key_expires_at: Millis | None = None


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Credits held for one exchange, possibly in several packs."""

    request_id: RequestId
    legs: tuple[Leg, ...]
    output_tokens: Tokens
    """The output that was paid for: what was asked, or less."""
    available: MicroCredits
    """What the packs this model may draw from have left after the hold."""


class Budget(msgspec.Struct, frozen=True, gc=False):
    """What a key may be charged in its life. Settlements may take `charged` above `budget`."""

    budget: MicroCredits
    charged: MicroCredits
    held: MicroCredits
    """By its exchanges under way."""

    @property
    def left(self) -> int:
        """What a new hold may take; negative after an overrun."""
        return self.budget - self.charged - self.held


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """One row for the journal. Only an overrun names no pack."""

    kind: TransferKind
    leg: int
    """Tells rows of one kind and one request apart; of a post or void, the leg of the hold."""
    pack_id: PackId | None
    amount: MicroCredits
    released: MicroCredits = MicroCredits(0)
    """Of a post only: what was held above the amount and returns to available."""
    seq: int = 0
    """Its number among the transfers of its pack; an overrun has none."""


class HoldPlan(msgspec.Struct, frozen=True, gc=False):
    """A hold that can be placed."""

    legs: tuple[Leg, ...]
    output_tokens: Tokens
    """What was asked, or as much of it as the packs can pay."""
    available: MicroCredits
    """What the packs have left together."""
    transfers: tuple[Transfer, ...]
    packs: tuple[Pack, ...]
    """Those that changed."""


class Ending(msgspec.Struct, frozen=True, gc=False):
    """What the end of a hold does. The charge is what is posted, spent and overrun."""

    transfers: tuple[Transfer, ...]
    packs: tuple[Pack, ...]
    """Those that changed."""
    overrun: MicroCredits
    """The part of the charge that no pack could bear."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of one exchange: what it used, what it costs, and why."""

    request_id: RequestId
    env_id: EnvId
    key_id: KeyId
    model: str
    upstream: str
    upstream_model: str = ""
    """The model's name there."""
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
    raw_usage: str = ""
    """The JSON text of the usage as the upstream reported it; empty if it did not, or if it is
    longer than `RAW_USAGE_CHARS_MAX`."""


class Settled(msgspec.Struct, frozen=True, gc=False):
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
    upstream: str = ""
    upstream_model: str = ""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """Credits that an operator adds to a pack or takes back, with the reason.

    The id is the operator's, so that a repeated call corrects once.
    """

    env_id: EnvId
    pack_id: PackId
    correction_id: str
    amount: int
    """In micro-credits: positive adds, negative takes back."""
    reason: str
    now: Millis


class PackTransfer(msgspec.Struct, frozen=True):
    """A row of the journal that concerns one pack."""

    at: Millis
    kind: TransferKind
    request_id: str
    """Of a grant or an expiry the pack's id, of a correction its own."""
    amount: MicroCredits
    released: MicroCredits
    reason: str = ""
    """Of a correction."""
