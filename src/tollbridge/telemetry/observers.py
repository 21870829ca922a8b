"""Several observers as one."""

from collections.abc import Sequence

from tollbridge.app.ports import Alert, Observer, Waits
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Settlement


class Observers:
    """Implements `app.ports.Observer`: tells everything to each."""

    def __init__(self, *observers: Observer) -> None:
        self._observers: Sequence[Observer] = observers

    def exchange_ended(
        self,
        settlement: Settlement,
        status: int,
        error: str | None,
        waits: Waits,
        attempts: int,
    ) -> None:
        """The end of an admitted exchange."""
        for observer in self._observers:
            observer.exchange_ended(settlement, status, error, waits, attempts)

    def attempt_ended(self, request_id: str, upstream: str, error: GatewayError | None) -> None:
        """One attempt at an upstream."""
        for observer in self._observers:
            observer.attempt_ended(request_id, upstream, error)

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:
        """A request that was refused before it was admitted."""
        for observer in self._observers:
            observer.request_refused(request_id, protocol, error)

    def unknown(self, kind: str, name: str) -> None:
        """A name that the vocabularies do not know."""
        for observer in self._observers:
            observer.unknown(kind, name)

    def pack_reached(self, alert: Alert) -> None:
        """A level of a pack."""
        for observer in self._observers:
            observer.pack_reached(alert)

    def trouble(self, what: str, error: BaseException) -> None:
        """Something for the operator."""
        for observer in self._observers:
            observer.trouble(what, error)
