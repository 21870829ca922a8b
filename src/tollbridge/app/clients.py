"""Who asks: a request as the edge hands it over, and the way back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from tollbridge.config import Protocol as WireProtocol
from tollbridge.units import EnvId, RequestId


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A client's request as the edge hands it over; its body has not been read yet."""

    request_id: RequestId
    protocol: WireProtocol
    group: str
    env_id: EnvId | None
    """From the host; None: the key names the environment."""
    presented_key: Callable[[], str]
    headers: Mapping[str, str]
    body: Callable[[], Awaitable[bytes]]


class Client(Protocol):
    """The client's side of an exchange. Writing never waits; who writes much looks at `choked`."""

    @property
    def choked(self) -> bool:
        """The client is slow to take what was written: wait for `drained` before writing more."""

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head of the answer; afterwards errors can only be told inside the body."""

    def write(self, data: bytes) -> None:
        """Send a part of the body. Nothing happens if the client is gone."""

    def finish(self, data: bytes = b"") -> None:
        """Send the last part."""

    async def drained(self) -> None:
        """Return once the client is not `choked`, or gone."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back once if the client goes away before `finish`, or has gone already."""

    def unwatch(self) -> None:
        """Stop watching."""
