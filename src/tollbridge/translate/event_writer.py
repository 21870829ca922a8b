"""Writes the events of one Messages stream, one content block at a time (protocol notes A.7)."""

from tollbridge.errors import GatewayError
from tollbridge.translate.counting import count_text, messages_usage
from tollbridge.translate.failures import stream_error
from tollbridge.translate.text_frames import Taken
from tollbridge.usage import TokenUsage
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.responses import StopDetails, StopReason
from tollbridge.wire.sse import encode_event

PING = encode_event("ping", b'{"type":"ping"}')
_MESSAGE_STOP = encode_event("message_stop", b'{"type":"message_stop"}')
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_DELTA_END = b"}}\n\n"


class EventWriter:
    """Collects events until they are drained, and counts what they hold.

    Fragments of text are the hot path: they are set between bytes that were prepared when their
    block began.
    """

    __slots__ = ("_bytes", "_chars", "_out", "_prefix", "begun", "index", "said")

    def __init__(self) -> None:
        self.begun = False
        """`message_start` is out."""
        self.index = -1
        """Of the content block that was opened last."""
        self._out: list[bytes] = []
        self._prefix = b""
        self._chars = 0
        self._bytes = 0
        self.said: str | None = None
        """What was counted since this was last set to None; empty if that was several texts."""

    @property
    def counted(self) -> int:
        """Our own count of the tokens written."""
        return count_text(self._chars, self._bytes)

    def drain(self) -> bytes:
        """The events since the last time."""
        if len(self._out) == 1:
            return self._out.pop()
        out = b"".join(self._out)
        self._out.clear()
        return out

    def begin(self, message_id: str, model: str, usage: TokenUsage) -> None:
        """`message_start`."""
        self.begun = True
        message: dict[str, object] = {
            "id": f"msg_{message_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": messages_usage(usage),
        }
        data = encode({"type": "message_start", "message": message})
        self._out.append(encode_event("message_start", data))

    def start_block(self, block: bytes, delta: bytes = b"") -> None:
        """Open a block, given as JSON; `delta` is how its deltas begin, up to the text."""
        self.index += 1
        self._out.append(_START % self.index + b'"content_block":%b}\n\n' % block)
        self._prefix = _DELTA % self.index + delta

    def write(self, fragment: str) -> None:
        """A fragment of the open block's text, thinking or arguments."""
        self.count(fragment)
        self._out.append(self._prefix + encode(fragment) + _DELTA_END)

    def count(self, text: str) -> None:
        """Count what was generated, shown or not."""
        self.said = text if self.said is None else ""
        chars = len(text)
        self._chars += chars
        self._bytes += chars if text.isascii() else len(text.encode())

    def mark(self) -> int:
        """Where `since` may begin; what is said is noted anew."""
        self.said = None
        return len(self._out)

    def since(self, mark: int) -> bytes:
        """The events since then, which are not drained by this."""
        return b"".join(self._out[mark:])

    def write_taken(self, taken: Taken) -> None:
        """Events that are known to become others."""
        self._chars += taken.chars
        self._bytes += taken.utf8
        self._out.append(taken.sent)

    def sign(self, signature: str) -> None:
        """The signature of the open thinking block."""
        delta = b'"delta":{"type":"signature_delta","signature":%b' % encode(signature)
        self._out.append(_DELTA % self.index + delta + _DELTA_END)

    def stop_block(self) -> None:
        """Close the open block."""
        self._out.append(_STOP % self.index)

    def end(self, reason: StopReason, sequence: str | None, usage: TokenUsage) -> None:
        """`message_delta` and `message_stop`."""
        delta: dict[str, object] = {"stop_reason": reason, "stop_sequence": sequence}
        if reason == "refusal":
            delta["stop_details"] = StopDetails(type="refusal")
        event = {"type": "message_delta", "delta": delta, "usage": messages_usage(usage)}
        self._out.append(encode_event("message_delta", encode(event)))
        self._out.append(_MESSAGE_STOP)

    def fail(self, error: GatewayError, request_id: str) -> None:
        """The error that ends the stream."""
        self._out.append(stream_error("messages", error, request_id))
