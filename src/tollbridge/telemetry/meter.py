"""Counts what happens, as plain integers: an increment is one entry of one dictionary.

What is counted is listed in `FAMILIES`. Labels take only words that the operator or this program
has chosen: an environment, a key or a name of a client's choosing is never one, so that the number
of series is bounded and a reader of the metrics learns nothing of a tenant.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Set
from typing import NamedTuple

from tollbridge.app.ports import Alert, Waits
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Settlement

OTHER = "(other)"
"""Stands for models and upstreams that are not the operator's."""

SECONDS = (1, 5, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)
WAITS = (1, 2, 5, 10, 20, 50, 100, 500, 2_000)
"""Upper bounds of a histogram's buckets, in milliseconds, inclusive."""

SUM = "sum"
"""Stands where a bucket's index stands: the sum of all values, in milliseconds."""

Figures = Counter[tuple[str, ...]]
"""Counts by family and label values; of a histogram by bucket, too. Figures are added by `+`."""


class Family(NamedTuple):
    """One metric: its name, what it says, and what its series differ by."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    bounds_ms: tuple[int, ...] = ()
    """Of a histogram's buckets; a counter has none."""


FAMILIES: dict[str, Family] = {
    "requests": Family(
        "tollbridge_requests",
        "Admitted requests that have ended; error is empty where there was none.",
        ("protocol", "model", "stream", "outcome", "status", "error"),
    ),
    "refusals": Family(
        "tollbridge_refusals",
        "Requests that were refused before they were admitted, and cost nothing.",
        ("protocol", "error"),
    ),
    "tokens": Family(
        "tollbridge_tokens",
        "Tokens of ended requests; thinking is part of output.",
        ("model", "class"),
    ),
    "charged": Family(
        "tollbridge_charged_microcredits", "What ended requests were charged.", ("model",)
    ),
    "attempts": Family(
        "tollbridge_upstream_attempts",
        "Attempts at upstreams that ended; error is empty where the answer was whole.",
        ("upstream", "error"),
    ),
    "unknown": Family(
        "tollbridge_unknown_names",
        "Names that the vocabularies do not know, each counted once for a request.",
        ("kind",),
    ),
    "troubles": Family("tollbridge_troubles", "What the log calls trouble."),
    "duration": Family(
        "tollbridge_request_seconds",
        "From a request's arrival to its last byte.",
        ("protocol", "stream"),
        SECONDS,
    ),
    "first_event": Family(
        "tollbridge_first_event_seconds",
        "From a request's arrival to the first event of its streamed answer.",
        ("protocol", "model"),
        SECONDS,
    ),
    "ledger": Family(
        "tollbridge_ledger_seconds",
        "What requests waited for the ledger, measured in whole milliseconds.",
        ("step",),
        WAITS,
    ),
}


class Meter:
    """Implements `app.ports.Observer`."""

    def __init__(self, models: Set[str], upstreams: Set[str]) -> None:
        """The operator's models and upstreams."""
        self.figures: Figures = Counter()
        self._models = set(models)
        self._upstreams = set(upstreams)

    def learn(self, models: Set[str], upstreams: Set[str]) -> None:
        """More of them. Those that are gone are known still: exchanges under way name them."""
        self._models.update(models)
        self._upstreams.update(upstreams)

    def exchange_ended(
        self,
        settlement: Settlement,
        status: int,
        error: str | None,
        waits: Waits,
        attempts: int,  # noqa: ARG002 - counted one by one
    ) -> None:
        """The end of an admitted exchange."""
        figures, protocol = self.figures, settlement.client_protocol
        model = settlement.model if settlement.model in self._models else OTHER
        stream = "true" if settlement.stream else "false"
        outcome = str(settlement.outcome)
        figures["requests", protocol, model, stream, outcome, str(status), error or ""] += 1
        usage = settlement.usage
        figures["tokens", model, "input"] += usage.input
        figures["tokens", model, "cache_read"] += usage.cache_read
        figures["tokens", model, "cache_write"] += usage.cache_write
        figures["tokens", model, "output"] += usage.output
        figures["charged", model] += settlement.amount
        self._time("duration", settlement.ended_at - settlement.started_at, protocol, stream)
        if waits.first_event_ms is not None:
            self._time("first_event", waits.first_event_ms, protocol, model)
        self._time("ledger", waits.admit_ms, "admit")
        self._time("ledger", waits.settle_ms, "settle")

    def attempt_ended(self, request_id: str, upstream: str, error: GatewayError | None) -> None:  # noqa: ARG002
        """One attempt at an upstream."""
        name = upstream if upstream in self._upstreams else OTHER
        self.figures["attempts", name, error.code.name if error else ""] += 1

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:  # noqa: ARG002
        """A request that was refused before it was admitted."""
        self.figures["refusals", protocol, error.code.name] += 1

    def unknown(self, kind: str, name: str) -> None:  # noqa: ARG002  # names are clients' words
        """A name that the vocabularies do not know."""
        self.figures["unknown", kind] += 1

    def pack_reached(self, alert: Alert) -> None:
        """Alerts have a webhook of their own."""

    def trouble(self, what: str, error: BaseException) -> None:  # noqa: ARG002
        """Something that the log tells."""
        self.figures["troubles",] += 1

    def _time(self, family: str, span_ms: int, *labels: str) -> None:
        bucket = bisect_left(FAMILIES[family].bounds_ms, span_ms)
        self.figures[family, *labels, str(bucket)] += 1
        self.figures[family, *labels, SUM] += span_ms
