"""What a fuzz target is, and the checks that all streams share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tollbridge.errors import GatewayError

GROWTH = 40
"""Bytes of output allowed for each byte of input: an event of a few bytes may become several."""
ALLOWANCE = 20_000
"""Bytes of output allowed whatever the input: heads, errors, ends."""


class Target(NamedTuple):
    """A check that raises for an input that breaks the invariant, and inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]


class Stream(Protocol):
    """What all stream translators have."""

    finished: bool
    failure: GatewayError | None

    def feed(self, data: bytes) -> bytes:
        """Bytes in, bytes out."""

    def close(self) -> bytes:
        """The end."""


def check_stream(open_stream: Callable[[], Stream], data: bytes) -> bytes:
    """Whole, cut in two, and again: the same bytes, an outcome that is told, bounded output."""
    first = open_stream()
    whole = first.feed(data) + first.close()
    told = first.failure is not None
    assert told != first.finished, "a stream ends either well or in an error"
    assert first.feed(b"data: {}\n\n") == first.close() == b"", "nothing follows the end"
    assert len(whole) <= GROWTH * len(data) + ALLOWANCE, f"{len(whole)} from {len(data)} bytes"
    cut = len(data) // 3
    second = open_stream()
    parts = second.feed(data[:cut]) + second.feed(data[cut:]) + second.close()
    assert (second.failure is not None) is told, "the cut changes the outcome"
    if not told:
        # The first event may be a `message_start` that could not wait for the usage.
        assert parts.partition(b"\n\n")[2] == whole.partition(b"\n\n")[2], "the cut is seen"
    return whole


def refused(call: Callable[[], bytes]) -> bytes | None:
    """The output; None: the input was refused in a declared way."""
    try:
        return call()
    except GatewayError as error:
        assert error.message
        return None


def check_twice(call: Callable[[], bytes], size: int) -> None:
    """The same twice, and bounded."""
    first = refused(call)
    assert refused(call) == first, "not deterministic"
    if first is not None:
        assert len(first) <= GROWTH * size + ALLOWANCE, f"{len(first)} from {size} bytes"
