"""What stores take in and hand out, and how they refuse: the values of `ports`."""

import msgspec

from tollbridge.ledger.model import UNLIMITED, Leg, Limits, Settlement
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId


class StoreUnavailableError(Exception):
    """The database is away. The caller fails closed: nothing is served that cannot be charged."""


class UnknownHoldError(Exception):
    """A settlement of a request that was never admitted: there is nothing to end."""


class SettlementConflictError(Exception):
    """The request was settled with other content; the message names the differing field."""


class GrantConflictError(Exception):
    """A pack with this id exists with other content; the message names the differing field."""


class CorrectionConflictError(Exception):
    """A correction with this id was made with other content; the message names the field."""


class CorrectionRefusedError(Exception):
    """The pack cannot be corrected so: it is over, or has less available than is taken back."""


class UnknownEnvironmentError(Exception):
    """There is no environment with this id."""


class UnknownPackError(Exception):
    """The environment has no pack with this id."""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key with the environment it opens, read in one snapshot."""

    key_id: KeyId
    env_id: EnvId
    name: str
    expires_at: Millis | None
    revoked_at: Millis | None
    generation: int
    """Of the environment: any change of its limits, keys, switches or groups raises it."""
    models_on: frozenset[str]
    """The models of group `cloudbase` that are switched on."""
    limits: Limits = UNLIMITED
    budgeted: bool = False
    """Whether the key has a budget; what is left of it is read with each admission."""
    strict: bool = False
    """Whether what a target cannot take is refused instead of reported."""
    env_limits: Limits = UNLIMITED


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that explains one charge."""

    settlement: Settlement
    overrun: MicroCredits
    packs: tuple[Leg, ...]
    """What each pack bore, as the journal has it."""
    prices: str
    """The price book of that version as JSON text; empty if it is not known."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A pack of which so many percent are spent; told once per pack and level."""

    env_id: EnvId
    pack_id: PackId
    level: int
    """In percent."""
    at: Millis
    granted: MicroCredits
    spent: MicroCredits
    """Both at the moment of the crossing."""
    tries: int
    """Deliveries begun, this one included."""


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: never the key itself."""

    key_id: KeyId
    env_id: EnvId
    name: str
    hint: str
    """The key's last four characters."""
    created_at: Millis
    expires_at: Millis | None
    revoked_at: Millis | None
    limits: Limits = UNLIMITED
    budget: MicroCredits = MicroCredits(0)
    """What the key may be charged in its life; 0: no limit."""
    strict: bool = False


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    env_id: EnvId
    name: str
    created_at: Millis
    generation: int
    limits: Limits = UNLIMITED


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Usage added up by environment, model and day (UTC)."""

    env_id: EnvId
    day: str
    model: str
    requests: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    amount: MicroCredits


class UpstreamUsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Usage added up by day (UTC), upstream, its model's name and provenance."""

    day: str
    upstream: str
    upstream_model: str
    provenance: str
    requests: int
    input: int
    cache_read: int
    cache_write: int
    output: int


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A pack to be granted. The id is the caller's, so that a repeated call grants once."""

    env_id: EnvId
    pack_id: PackId
    amount: MicroCredits
    expires_at: Millis | None
    models: tuple[str, ...]
    now: Millis
