"""What all streams of the bridges share: framing, counting, and how a stream may end.

A stream ends once: in its terminal event, in an error that the upstream told, or in an error that
says that the upstream broke off. After that nothing is sent any more.
"""

from collections.abc import Sequence

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity, Kept
from tollbridge.translate.counting import count_text
from tollbridge.translate.failures import stream_error
from tollbridge.usage import TokenUsage
from tollbridge.wire.sse import SSEDecoder


class Relay:
    """The base of the streams: subclasses say what becomes of one event, and of the end."""

    client: Protocol
    """The protocol in which errors are told."""

    __slots__ = (
        "_ask", "_chars", "_decoder", "_identity", "_utf8", "failure", "finished", "kept",
        "stopped_early", "usage",
    )  # fmt: skip

    def __init__(self, ask: Ask, identity: Identity) -> None:
        self._ask = ask
        self._identity = identity
        self._decoder = SSEDecoder()
        self._chars = 0
        self._utf8 = 0
        self.usage: TokenUsage | None = None
        self.failure: GatewayError | None = None
        self.finished = False
        self.stopped_early = False
        self.kept: Kept | None = None

    @property
    def counted_output(self) -> int:
        """Our own count of the output tokens seen so far."""
        return count_text(self._chars, self._utf8)

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes as they arrive, give the client's for each event they complete."""
        try:
            blocks = self._decoder.blocks(data)
        except GatewayError as error:
            return self.fail(error)
        return self._relay(blocks)

    def close(self) -> bytes:
        """The upstream's bytes have ended. Unless its terminal event was seen, that is an error."""
        sent = self._relay(self._decoder.last_block())
        if self.finished or self.failure:
            return sent
        rest = self._end()
        if rest is not None:
            return sent + rest
        return sent + self.fail(
            GatewayError(
                ErrorCode.UPSTREAM_TRUNCATED, "The upstream broke off before its answer was whole."
            )
        )

    def fail(self, error: GatewayError) -> bytes:
        """The error that ends the stream; none if it has ended already."""
        if self.finished or self.failure:
            return b""
        self.failure = error
        return stream_error(self.client, error, self._identity.request_id)

    def _relay(self, blocks: Sequence[bytes]) -> bytes:
        sent = b""
        for block in blocks:
            if self.finished or self.failure:
                break
            try:
                sent += self._block(block)
            except GatewayError as error:
                sent += self.fail(error)
        return sent

    def _count(self, text: str) -> None:
        size = len(text)
        self._chars += size
        self._utf8 += size if text.isascii() else len(text.encode())

    def _block(self, block: bytes) -> bytes:
        """What one event of the upstream becomes."""
        raise NotImplementedError

    def _end(self) -> bytes | None:
        """The rest of a stream that is whole without its terminal event; None: it was cut."""
        return None
