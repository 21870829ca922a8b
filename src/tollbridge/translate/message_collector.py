"""Collects a whole Messages answer where `EventWriter` would write its events one by one."""

from typing import Protocol

import msgspec
from msgspec import Raw

from tollbridge.errors import GatewayError
from tollbridge.translate.counting import count_text, messages_usage
from tollbridge.translate.text_frames import Taken
from tollbridge.usage import TokenUsage
from tollbridge.wire.codec import encode
from tollbridge.wire.messages.requests import Block
from tollbridge.wire.messages.responses import Message, StopDetails, StopReason

_blocks = msgspec.json.Decoder(Block)


class Writer(Protocol):
    """Where a translated answer goes, content block by content block."""

    begun: bool
    said: str | None
    """What was counted since the last `mark`, if that was one text; empty if several."""

    def mark(self) -> int:
        """Where `since` may begin."""

    def since(self, mark: int) -> bytes:
        """What was written since then, for `text_frames` to learn from."""

    def write_taken(self, taken: Taken) -> None:
        """Texts that were recognised."""

    @property
    def counted(self) -> int:
        """Our own count of the tokens written."""

    def begin(self, message_id: str, model: str, usage: TokenUsage) -> None:
        """The message begins."""

    def start_block(self, block: bytes, delta: bytes = b"") -> None:
        """A content block begins."""

    def write(self, fragment: str) -> None:
        """More of the open block."""

    def count(self, text: str) -> None:
        """Something was generated and is not shown."""

    def sign(self, signature: str) -> None:
        """The open thinking block is signed."""

    def stop_block(self) -> None:
        """The open block ends."""

    def end(self, reason: StopReason, sequence: str | None, usage: TokenUsage) -> None:
        """The message ends."""

    def fail(self, error: GatewayError, request_id: str) -> None:
        """The message ends in an error."""

    def drain(self) -> bytes:
        """What a stream's client is sent since the last time."""


class MessageCollector:
    """A `Writer` whose result is one `Message`."""

    def __init__(self) -> None:
        self.begun = False
        self.said: str | None = None
        self.message = Message(id="", model="", usage=messages_usage(TokenUsage()))
        self._block = Block(type="")
        self._pieces: list[str] = []
        self._chars = 0
        self._bytes = 0

    @property
    def counted(self) -> int:
        """Our own count of the tokens written."""
        return count_text(self._chars, self._bytes)

    def begin(self, message_id: str, model: str, usage: TokenUsage) -> None:
        """Take the message's head."""
        self.begun = True
        usage_told = messages_usage(usage)
        self.message = Message(id=f"msg_{message_id}", model=model, content=[], usage=usage_told)

    def start_block(self, block: bytes, delta: bytes = b"") -> None:  # noqa: ARG002
        """Begin a block from its JSON; how its deltas would be written does not matter here."""
        self._block = _blocks.decode(block)
        self._pieces = []

    def write(self, fragment: str) -> None:
        """Add to the open block."""
        self.count(fragment)
        self._pieces.append(fragment)

    def mark(self) -> int:
        """What is said is noted anew."""
        self.said = None
        return len(self._pieces)

    def since(self, mark: int) -> bytes:
        """The one piece that was written, as it would stand in an event."""
        return b"".join(b'"%b"' % piece.encode() for piece in self._pieces[mark:])

    def write_taken(self, taken: Taken) -> None:
        """Add to the open block."""
        self.write(taken.text)

    def count(self, text: str) -> None:
        """Count what was generated."""
        self.said = text if self.said is None else ""
        self._chars += len(text)
        self._bytes += len(text.encode())

    def sign(self, signature: str) -> None:
        """Sign the open thinking block."""
        self._block.signature = signature

    def stop_block(self) -> None:
        """Put the open block into the message."""
        block, text = self._block, "".join(self._pieces)
        if block.type == "text":
            block.text = text
        elif block.type == "thinking":
            block.thinking = text
        elif block.type == "tool_use":
            block.input = _tool_input(text)
        self.message.content.append(block)

    def end(self, reason: StopReason, sequence: str | None, usage: TokenUsage) -> None:
        """Complete the message."""
        self.message.stop_reason = reason
        self.message.stop_sequence = sequence
        if reason == "refusal":
            self.message.stop_details = StopDetails(type="refusal")
        self.message.usage = messages_usage(usage)

    def fail(self, error: GatewayError, request_id: str) -> None:
        """The translation raises the error; nothing is written."""

    def drain(self) -> bytes:
        """Nothing: the result is `message`."""
        return b""


def _tool_input(text: str) -> Raw:
    """Arguments as JSON; what the output limit cut stays text and is not taken for an input."""
    if not text.strip():
        return Raw(b"{}")
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Raw(encode(text))
    return Raw(text.encode())
