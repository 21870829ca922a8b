"""A client's request while it arrives: a head, and a body that the application asks for."""

import asyncio
from collections.abc import Callable, Mapping
from io import BytesIO

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import DISCARD_BYTES_MAX, KIB, PLACED_BYTES_MAX

PLACED_BYTES_MIN = 16 * KIB
"""Less than this is not worth a place of its own."""


class ClientGoneError(Exception):
    """The client went away while its request was being read; there is nobody to answer."""


def body_too_slow() -> GatewayError:
    """The client sends, but less than it must."""
    return GatewayError(
        ErrorCode.REQUEST_TIMEOUT,
        "The request body came too slowly; send it again over a better connection.",
    )


class Request:
    """A request whose head is there. The connection feeds it, the application reads it.

    `path` is percent-decoded and has no query. `headers` have lower-case names; lines of one name
    are joined with a comma (RFC 9110 section 5.3). `refusal`: what was wrong with its very form.
    """

    __slots__ = (
        "_bytes_max",
        "_dropped",
        "_failure",
        "_on_wanted",
        "_parts",
        "_place",
        "_size",
        "_waiter",
        "ended",
        "headers",
        "method",
        "path",
        "refusal",
    )

    def __init__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        bytes_max: int,
        *,
        on_wanted: Callable[[], None] | None = None,
        refusal: GatewayError | None = None,
    ) -> None:
        """`on_wanted` is called when the body is first waited for."""
        self.method = method
        self.path = path
        self.headers = headers
        self.refusal = refusal
        self.ended = False
        self._bytes_max = bytes_max
        self._on_wanted = on_wanted
        self._parts: list[bytes] = []
        self._place: BytesIO | None = None
        """Of the whole body, if it is read to where it stays."""
        self._size = 0
        self._dropped = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The application's side.

    async def body(self) -> bytes:
        """The whole body; may be called once.

        Raises:
            GatewayError: BODY_TOO_LARGE, while it is being read; REQUEST_TIMEOUT.
            ClientGoneError: the client left before its end.
        """
        while True:
            if self._size > self._bytes_max or self._declared() > self._bytes_max:
                raise self._too_large()
            if self._failure is not None:
                raise self._failure
            if self.ended:
                if self._place is not None:
                    return self._place.getvalue()  # no copy, once nobody writes to it
                parts = self._parts
                return parts[0] if len(parts) == 1 else b"".join(parts)
            await self._arrival()

    def _too_large(self) -> GatewayError:
        return GatewayError(
            ErrorCode.BODY_TOO_LARGE,
            f"The request body is larger than {self._bytes_max} bytes; send less, or fewer images.",
        )

    def _declared(self) -> int:
        length = self.headers.get("content-length")
        return int(length) if length is not None and len(length) < 20 and length.isdigit() else 0

    async def _arrival(self) -> None:
        if self._on_wanted is not None:
            on_wanted, self._on_wanted = self._on_wanted, None
            on_wanted()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # The connection's side.

    def feed(self, data: bytes) -> None:
        """A piece of the body. What is too large is not kept.

        Raises:
            GatewayError: BODY_TOO_LARGE; it is not even worth the reading.
        """
        self._size += len(data)
        if self._size <= self._bytes_max:
            if not self._dropped:
                self._parts.append(data)
        elif self._size > self._bytes_max + DISCARD_BYTES_MAX:
            raise self._too_large()
        elif not self._dropped:
            self.drop()
            self._wake()

    def place(self) -> memoryview | None:
        """Where all that is missing of a long body is to be written, instead of being fed: what is
        read there is not copied any more. None: it is to be fed.
        """
        length, size = self._declared(), self._size
        if length - size < PLACED_BYTES_MIN or self._dropped:
            return None
        if length > min(self._bytes_max, PLACED_BYTES_MAX):
            return None
        self._place = BytesIO(bytes(length))
        self._place.write(b"".join(self._parts))
        self._parts.clear()
        return self._place.getbuffer()[size:]

    def drop(self) -> None:
        """Keep nothing of what has come or will come: nobody is going to read it."""
        self._dropped = True
        self._parts.clear()
        self._place = None

    def end(self) -> None:
        """The body is complete."""
        self.ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """The rest will not come."""
        if not self.ended:
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
