"""The line that comes with every exchange, as a type: written in a third of a dictionary's time."""

import msgspec


class ExchangeLine(msgspec.Struct, gc=False):
    """An exchange that was admitted, at its end. Times in milliseconds, usage in tokens."""

    at: int
    event: str
    request_id: str
    env: str
    key: str
    model: str
    upstream: str
    attempts: int
    protocol: str
    stream: bool
    status: int
    error: str | None
    outcome: str
    ms: int
    first_event_ms: int | None
    input: int
    cache_read: int
    cache_write: int
    output: int
    charge: int
    """In micro-credits."""
    provenance: str
