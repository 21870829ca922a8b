"""What all streams of the bridges share: framing, counting, and how a stream may end.

A stream ends once: in its terminal event, in an error that the upstream told, or in an error that
says that the upstream broke off. After that nothing is sent any more.
"""

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity, Kept
from tollbridge.translate.counting import count_text
from tollbridge.translate.failures import stream_error
from tollbridge.translate.text_frames import Taken, TextFrames
from tollbridge.usage import TokenUsage
from tollbridge.wire.sse import SSEDecoder


class Relay:
    """The base of the streams: subclasses say what becomes of one event, and of the end."""

    client: Protocol
    """The protocol in which errors are told."""

    __slots__ = (
        "_ask", "_chars", "_decoder", "_frames", "_identity", "_said", "_utf8", "failure",
        "finished", "kept", "notable", "stopped_early", "usage",
    )  # fmt: skip

    def __init__(self, ask: Ask, identity: Identity) -> None:
        self._ask = ask
        self._identity = identity
        self._decoder = SSEDecoder()
        self._frames = TextFrames()
        self._said: str | None = None
        """The text of the event at hand, if that is all there is to it."""
        self._chars = 0
        self._utf8 = 0
        self.usage: TokenUsage | None = None
        self.failure: GatewayError | None = None
        self.finished = False
        self.stopped_early = False
        self.kept: Kept | None = None
        self.notable = b""

    @property
    def counted_output(self) -> int:
        """Our own count of the output tokens seen so far."""
        return count_text(self._chars, self._utf8)

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes as they arrive, give the client's for each event they complete."""
        sent: list[bytes] = []
        at = 0
        self.notable = b""
        while at < len(data) and not (self.finished or self.failure):
            try:
                taken = self._take_texts(data, at)
                if taken is not None:
                    sent.append(taken.sent)
                    at = taken.end
                    continue
                start, at = at, self._frames.stride(data, at)
                piece = data[start:at]
                self.notable += piece
                sent += self._relay(self._decoder.blocks(piece))
            except GatewayError as error:
                sent.append(self.fail(error))
        return b"".join(sent)

    def close(self) -> bytes:
        """The upstream's bytes have ended. Unless its terminal event was seen, that is an error."""
        sent = b"".join(self._relay(self._decoder.last_block()))
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
        self._frames.forget()
        return stream_error(self.client, error, self._identity.request_id)

    def _relay(self, blocks: list[bytes]) -> list[bytes]:
        sent: list[bytes] = []
        for block in blocks:
            if self.finished or self.failure:
                break
            sent.append(self._teach(block))
        return sent

    def _teach(self, block: bytes) -> bytes:
        """What one event becomes, which the frames may learn from."""
        self._listen()
        try:
            sent = self._block(block)
        except GatewayError as error:
            sent = self.fail(error)
        if self._said:
            self._frames.show(block, self._said, sent)
        else:
            self._frames.forget()
        return sent

    def _listen(self) -> None:
        """An event begins, and nothing of it has been counted."""
        self._said = None

    def _take_texts(self, data: bytes, at: int) -> Taken | None:
        """The texts that stand in `data` from `at` on, counted."""
        if not self._frames.ready or self._decoder.holds:
            return None
        taken = self._frames.take(data, at)
        if taken is not None:
            self._chars += taken.chars
            self._utf8 += taken.utf8
        return taken

    def _count(self, text: str) -> None:
        self._said = text if self._said is None else ""
        size = len(text)
        self._chars += size
        self._utf8 += size if text.isascii() else len(text.encode())

    def _block(self, block: bytes) -> bytes:
        """What one event of the upstream becomes."""
        raise NotImplementedError

    def _end(self) -> bytes | None:
        """The rest of a stream that is whole without its terminal event; None: it was cut."""
        return None
