"""What the use cases need from outside, owned by the user of each service.

Adapters live on the edge floor: `storage` implements the stores, `upstream` the transports,
`telemetry` the observer, `server` the client's side. Time and entropy come in through `Clock` and
`Entropy`, so that a test decides both.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from tollbridge.app.accounts import (
    Alert,
    CorrectionConflictError,
    CorrectionRefusedError,
    Environment,
    Grant,
    GrantConflictError,
    KeyInfo,
    KeyRecord,
    Receipt,
    SettlementConflictError,
    StoreUnavailableError,
    UnknownEnvironmentError,
    UnknownHoldError,
    UnknownPackError,
    UpstreamUsageRow,
    UsageRow,
)
from tollbridge.app.clients import Client, Inbound
from tollbridge.app.observation import Observer, Scoreboard, Waits
from tollbridge.ledger.model import (
    UNLIMITED,
    Admission,
    Checkpoint,
    Correction,
    Hold,
    Limits,
    Pack,
    PackTransfer,
    Refusal,
    Settled,
    Settlement,
)
from tollbridge.routing.group import Group
from tollbridge.translate.bridge import Kept
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, RequestId

__all__ = [
    "Alert",
    "Client",
    "CorrectionConflictError",
    "CorrectionRefusedError",
    "Environment",
    "Grant",
    "GrantConflictError",
    "Inbound",
    "KeyInfo",
    "KeyRecord",
    "Observer",
    "Receipt",
    "Scoreboard",
    "SettlementConflictError",
    "StoreUnavailableError",
    "UnknownEnvironmentError",
    "UnknownHoldError",
    "UnknownPackError",
    "UpstreamUsageRow",
    "UsageRow",
    "Waits",
]
# The values come with the ports that use them; who asks and who watches have files of their own.

Clock = Callable[[], Millis]
"""Milliseconds since the epoch."""

Entropy = Callable[[int], bytes]
"""That many random bytes, fit for secrets."""


CountText = Callable[[str], int]
"""Tokens of a text. Takes milliseconds: called in a thread of its own."""


class AccountStore(Protocol):
    """The hot path's view of environments, keys and the ledger.

    Every method raises `StoreUnavailableError` when the database is away. `admit`, `settle` and
    `checkpoint` calls that arrive together are committed together; each returns only when its
    transaction is committed.
    """

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        """The key with this SHA-256, revoked and expired ones included."""

    async def generation(self, env_id: EnvId) -> int | None:
        """The environment's current generation; None: no such environment."""

    async def find_group(self, env_id: EnvId, name: str) -> tuple[int, Group | None]:
        """The environment's generation (0: no such environment), and its group of this name."""

    def admit(self, admission: Admission) -> Awaitable[Hold | Refusal]:
        """Hold the price of a request, or say which check refused it. Nothing is written then.

        Whoever is cancelled meanwhile leaves no hold.
        """

    def settle(self, settlement: Settlement) -> Awaitable[Settled]:
        """End the hold: post the amount (void if 0) and record the usage. Idempotent.

        A request that was recovered in the meantime keeps the recovered charge.

        Raises:
            UnknownHoldError: it was never admitted.
            SettlementConflictError: it was settled before with other content.
        """

    async def checkpoint(
        self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis
    ) -> None:
        """Renew the worker's lease and note how far its streams are."""

    async def sweep(self, now: Millis) -> int:
        """Recover holds of workers whose lease has run out; expire packs. Returns how many."""

    async def keep_prices(self, books: Mapping[str, str], now: Millis) -> None:
        """Store price books (JSON text by version), so that old charges can be explained."""

    async def receipt(self, env_id: EnvId, request_id: RequestId) -> Receipt | None:
        """Of an exchange that has ended; None: this environment has no such."""

    async def take_alerts(self, now: Millis) -> Sequence[Alert]:
        """Alerts that are due, for this caller to deliver.

        Nobody else gets them until `ALERT_RETRY_MS`, doubled with each try, has passed. After
        `ALERT_TRIES_MAX` tries an alert is given up.
        """

    async def alert_sent(self, alert: Alert) -> None:
        """It was delivered: nobody gets it again."""

    async def close(self, worker_id: str) -> None:
        """Give up the lease and close the database."""


class Spool(Protocol):
    """Settlements that wait for the database, kept where they outlive the process.

    Every method may raise `OSError`.
    """

    def keep(self, settlement: Settlement) -> None:
        """Durable when it returns. Called from a thread: it waits for a disk."""

    def adopt(self) -> Sequence[Settlement]:
        """What dead workers kept, and nobody else gets now."""

    def clear(self) -> None:
        """All that was kept and adopted is on the ledger."""

    def reject(self, settlement: Settlement, reason: str) -> None:
        """Set one aside that the ledger does not take."""

    def close(self) -> None:
        """What is still kept is left to the next worker."""


class ControlStore(Protocol):
    """What operators and tenants change. Each method is one transaction.

    Methods that name an environment raise `UnknownEnvironmentError` if there is none.
    """

    async def create_environment(
        self, env_id: EnvId, name: str, now: Millis, limits: Limits = UNLIMITED
    ) -> bool:
        """Returns False if it exists already."""

    async def limit_environment(self, env_id: EnvId, limits: Limits) -> None:
        """Set the limits and raise the generation: they hold for the very next request."""

    async def environments(self) -> Sequence[Environment]:
        """All of them, by id."""

    async def add_key(self, key: KeyInfo, key_hash: bytes) -> None:
        """Store a new key's hash and raise the environment's generation."""

    async def keys(self, env_id: EnvId | None) -> Sequence[KeyInfo]:
        """Of one environment or of all, by creation."""

    async def revoke_key(self, key_id: KeyId, now: Millis) -> bool:
        """Raise the generation, so that the very next request is refused. False: no such key."""

    async def limit_key(
        self, key_id: KeyId, limits: Limits, budget: MicroCredits, strict: bool | None = None
    ) -> bool:
        """Set limits and budget (0: none) and raise the generation. False: no such key.

        `strict` None: as it was. What the key was charged before counts against the budget.
        """

    async def switch(self, env_id: EnvId, models: Sequence[str], *, on: bool) -> None:
        """Turn models of group `cloudbase` on or off and raise the generation."""

    async def models_on(self, env_id: EnvId) -> frozenset[str]:
        """The models that are switched on."""

    async def put_group(self, group: Group, *, replace: bool = False) -> bool:
        """Add an upstream of the environment and raise the generation.

        False: there is one of this name, and it was not to be replaced.
        """

    async def remove_group(self, env_id: EnvId, name: str) -> bool:
        """Remove it with its secret and raise the generation. False: there is none."""

    async def groups(self, env_id: EnvId | None) -> Sequence[Group]:
        """Of one environment or of all, by environment and name."""

    async def grant(self, grant: Grant) -> bool:
        """Grant a pack. False: it exists with the same content.

        Raises:
            GrantConflictError: a pack with this id has other content.
        """

    async def correct(self, correction: Correction) -> bool:
        """Add credits to a pack or take them back. False: done before with the same content.

        Raises:
            UnknownPackError: the environment has no such pack.
            CorrectionConflictError: the id was used with other content.
            CorrectionRefusedError: the pack is over, or has less available.
        """

    async def transfers(self, env_id: EnvId, pack_id: PackId) -> Sequence[PackTransfer]:
        """Every transfer of one pack, in the order in which they happened.

        Raises:
            UnknownPackError: the environment has no such pack.
        """

    async def packs(self, env_id: EnvId | None) -> Sequence[Pack]:
        """In the order in which they are drawn: soonest to expire first, then oldest."""

    async def usage(self, env_id: EnvId | None, since: Millis, until: Millis) -> Sequence[UsageRow]:
        """Usage added up by environment, day and model."""

    async def upstream_usage(self, since: Millis, until: Millis) -> Sequence[UpstreamUsageRow]:
        """Usage of all environments as the upstreams see it, for `ledger.reconcile`."""


class Store(AccountStore, ControlStore, Protocol):
    """A whole database."""


class UpstreamRequest(msgspec.Struct, frozen=True, gc=False):
    """One request to a server that runs models. `path` is appended to the upstream's base URL."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    on_sent: Callable[[], None] | None = None
    """Called when there is a connection and it has taken the request: the server may be at work."""


class UpstreamError(Exception):
    """The upstream could not be reached, or broke the connection or the protocol.

    `sent` is true once a byte of the request may have arrived there.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UpstreamTimeoutError(UpstreamError):
    """A deadline passed: connect, first byte or idle."""


class UpstreamBusyError(UpstreamError):
    """Every connection that may be open to the upstream is in use: it is not to blame."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class UpstreamReply(Protocol):
    """An answer whose head has arrived and whose body is still coming."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """With lower-case names; of repeated ones the last."""

    @property
    def at_end(self) -> bool:
        """Whether the body has ended and nothing of it is left to read."""

    async def read(self) -> bytes:
        """What has arrived since the last call, waiting for at least one byte; b"" at the end.

        Raises:
            UpstreamError: the body was cut short.
            UpstreamTimeoutError: nothing came within the idle deadline.
        """

    async def pour(self, take: Callable[[bytes], bool]) -> bool:
        """Call `take` with each piece as it arrives, until it returns False or the body ends.

        Cheaper than a `read` for each piece. What arrives while nobody pours is kept, up to a
        bound at which no more is read from the upstream. Returns whether the body has ended; if
        not, `pour` and `read` go on from there. Raises what `read` and `take` raise.
        """

    def abort(self) -> None:
        """Cancel at once: the connection is closed, a pending `read` raises `UpstreamError`.

        After the end of the body this does nothing.
        """


class Upstream(Protocol):
    """A server that runs models."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request and wait for the head of the answer.

        Raises:
            UpstreamError: it could not be reached or broke off.
            UpstreamTimeoutError: no connection or no head within the deadline.
            UpstreamBusyError: no connection became free within the deadline.
        """

    async def close(self) -> None:
        """Close idle connections."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """What the exchange asks of a model server: a body in its protocol, and what to forward."""

    path: str
    body: bytes
    stream: bool
    client_headers: Mapping[str, str]
    pin_version: str | None = None
    """An `anthropic-version` that this body needs, whatever the client sent."""
    on_sent: Callable[[], None] | None = None
    """See `UpstreamRequest`."""

    def with_body(self, body: bytes) -> "Call":
        """The same with another body."""
        return msgspec.structs.replace(self, body=body)


class ModelServer(Protocol):
    """An upstream with its credentials: adds the headers that its protocol and dialect want."""

    async def send(self, call: Call) -> UpstreamReply:
        """As `Upstream.send`."""

    async def close(self) -> None:
        """Close idle connections."""


class Vault(Protocol):
    """Keeps for a while, between two requests, thinking that clients do not send back."""

    def may_hold(self, env_id: EnvId) -> bool:
        """Whether it is worth asking; a vault that is shared says yes."""

    async def keep(self, env_id: EnvId, kept: Kept, now: Millis) -> None:
        """Keep a turn's thinking, if there is room for it. Never raises."""

    async def recall(
        self, env_id: EnvId, call_ids: Sequence[str], now: Millis
    ) -> Mapping[str, bytes]:
        """What is kept of these calls: the blocks of `Kept` by call id. Never raises."""
