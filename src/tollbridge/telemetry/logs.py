"""One line per exchange, as JSON on a stream that the operator chooses (standard error).

A line holds identifiers, counts and codes. It never holds a key, a prompt or an answer.
"""

import asyncio
import contextlib
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

import msgspec

from tollbridge.app.ports import Alert, Clock, Waits
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Settlement
from tollbridge.telemetry.log_lines import ExchangeLine
from tollbridge.units import UNKNOWN_NAMES_MAX

OTHERS = "(others)"

_encoder = msgspec.json.Encoder()


class LogObserver:
    """Implements `app.ports.Observer`."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self.unknown_names: Counter[tuple[str, str]] = Counter()
        """How many exchanges used a name that the vocabularies do not know, by (kind, name)."""
        self._stream = stream
        self._lines: list[bytes] = []
        self._clock = clock

    def exchange_ended(
        self,
        settlement: Settlement,
        status: int,
        error: str | None,
        waits: Waits,
        attempts: int,
    ) -> None:
        """The end of an admitted exchange."""
        usage = settlement.usage
        self._line(
            ExchangeLine(
                settlement.ended_at,
                "exchange",
                settlement.request_id,
                settlement.env_id,
                settlement.key_id,
                settlement.model,
                settlement.upstream,
                attempts,
                settlement.client_protocol,
                settlement.stream,
                status,
                error,
                settlement.outcome,
                settlement.ended_at - settlement.started_at,
                waits.first_event_ms,
                usage.input,
                usage.cache_read,
                usage.cache_write,
                usage.output,
                settlement.amount,
                settlement.provenance,
            )
        )

    def attempt_ended(self, request_id: str, upstream: str, error: GatewayError | None) -> None:
        """An attempt; only one that failed is worth a line."""
        if error is None:
            return
        self._line(
            {
                "at": self._clock(),
                "event": "attempt",
                "request_id": request_id,
                "upstream": upstream,
                "error": error.code.name,
            }
        )

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:
        """A request that was refused before it was admitted."""
        self._line(
            {
                "at": self._clock(),
                "event": "refused",
                "request_id": request_id,
                "protocol": protocol,
                "error": error.code.name,
                "field": error.field,
            }
        )

    def unknown(self, kind: str, name: str) -> None:
        """A name that a protocol has grown, or a client has invented: a line for the first time."""
        key = (kind, name)
        if key not in self.unknown_names:
            if len(self.unknown_names) >= UNKNOWN_NAMES_MAX:
                self.unknown_names[kind, OTHERS] += 1
                return
            self._line({"at": self._clock(), "event": "unknown", "kind": kind, "name": name})
        self.unknown_names[key] += 1

    def pack_reached(self, alert: Alert) -> None:
        """A pack of which so many percent are spent."""
        self._line(
            {
                "at": self._clock(),
                "event": "alert",
                "env": alert.env_id,
                "pack": alert.pack_id,
                "level_percent": alert.level,
                "granted": alert.granted,
                "spent": alert.spent,
            }
        )

    def trouble(self, what: str, error: BaseException) -> None:
        """Something for the operator, with the place in the code where it happened."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._line(
            {
                "at": self._clock(),
                "event": "trouble",
                "what": what,
                "error": f"{type(error).__name__}: {error}",
                "where": where,
            }
        )

    def reloaded(self, reasons: Sequence[str], needs_restart: Sequence[str]) -> None:
        """The operator's file was read again; `reasons`: why it is not in force everywhere."""
        self._line(
            {
                "at": self._clock(),
                "event": "reload",
                "ok": not reasons,
                "error": "; ".join(reasons) or None,
                "needs_restart": ", ".join(needs_restart) or None,
            }
        )

    def _line(self, line: ExchangeLine | dict[str, str | int | bool | None]) -> None:
        """Lines of one tick of the event loop leave in one write."""
        try:
            self._lines.append(_encoder.encode(line))
        except ValueError:  # a lone surrogate: what was to be told cannot be
            return
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                self._flush()  # there is no loop, or no longer

    def _flush(self) -> None:
        lines = b"\n".join(self._lines).decode()
        self._lines.clear()
        # Whoever reads the lines may go away; the exchanges they are about go on.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{lines}\n")
            self._stream.flush()
