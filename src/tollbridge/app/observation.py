"""Who watches: what the use cases tell of themselves, for logs and metrics."""

from collections.abc import Set
from typing import Protocol

import msgspec

from tollbridge.app.accounts import Alert
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Settlement


class Waits(msgspec.Struct, frozen=True, gc=False):
    """How long an exchange waited, in milliseconds."""

    admit_ms: int = 0
    """For the ledger to place its hold."""
    settle_ms: int = 0
    """For the ledger to end it."""
    first_event_ms: int | None = None
    """From its beginning to the first event of its stream; None: it had none."""


class Observer(Protocol):
    """Told of every exchange's end, for logs and metrics. Never raises."""

    def exchange_ended(
        self,
        settlement: Settlement,
        status: int,
        error: str | None,
        waits: Waits,
        attempts: int,
    ) -> None:
        """One call for each exchange that was admitted; `attempts` were sent to upstreams."""

    def attempt_ended(self, request_id: str, upstream: str, error: GatewayError | None) -> None:
        """One call for each attempt at an upstream that came to an end of its own: it answered, or
        failed, whether or not another one followed. One whose client went away is not told.
        """

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:
        """One call for each request that was refused before it was admitted."""

    def unknown(self, kind: str, name: str) -> None:
        """One call for each name in an exchange that the vocabularies do not know."""

    def pack_reached(self, alert: Alert) -> None:
        """One call for each level of a pack, by the worker that delivers the alert."""

    def trouble(self, what: str, error: BaseException) -> None:
        """Something an operator should look at; no request may be to blame."""


class Scoreboard(Protocol):
    """What the workers of this machine counted, for who watches over them."""

    content_type: str

    def learn(self, models: Set[str], upstreams: Set[str]) -> None:
        """From now on these names of the operator's are counted as themselves, too."""

    def wake(self, under_way: int) -> None:
        """Leave this worker's figures where others find them; so many exchanges are open."""

    async def text(self, under_way: int) -> bytes:
        """The figures of all workers added up, as `content_type`.

        Raises:
            OSError: those of the others cannot be read.
        """

    async def stop(self) -> None:
        """Leave the last figures."""
