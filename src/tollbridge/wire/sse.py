"""Server-sent events: a push decoder for what upstreams send, encoders for what clients get.

Bytes go in as they arrive and are never decoded piecewise; lines end in LF, CR or CRLF and nothing
else (protocol notes C.9.19 and C.9.20).
"""

from typing import NamedTuple

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import EVENT_BYTES_MAX

BOUNDARY = b"\n\n"
"""Between two events, once all line ends are LF."""

COMMENT_HEARTBEAT = b": keep-alive\n\n"
"""What a silent stream sends where a `ping` event would be read as data (protocol notes B.5)."""

DONE = b"[DONE]"
"""The data of the last event of a Chat stream."""

_BOM = b"\xef\xbb\xbf"
_CR, _LF = b"\r\n"
"""As numbers they are looked for six times as fast as as bytes."""


class SSEEvent(NamedTuple):
    """One event: the name of its `event:` line, if it had one, and its data."""

    event: str | None
    data: bytes


class SSEDecoder:
    """Splits a stream into events, however its bytes are cut."""

    __slots__ = ("_after_cr", "_begun", "_buffer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._after_cr = False
        self._begun = False

    @property
    def holds(self) -> bool:
        """Whether the beginning of an event, or of a line end, is waiting for its rest."""
        return bool(self._buffer) or self._after_cr

    def feed(self, data: bytes) -> list[SSEEvent]:
        """The events that `data` completes.

        Raises:
            GatewayError: UPSTREAM_FAILED if one event exceeds `EVENT_BYTES_MAX` bytes.
        """
        return _events(self.blocks(data))

    def close(self) -> list[SSEEvent]:
        """The last event, where the stream ends without a blank line."""
        return _events(self.last_block())

    def blocks(self, data: bytes) -> list[bytes]:
        """Like `feed`, but the events as they stand on the wire, without the blank line.

        Line ends are LF, whatever they were. A block of comments is a block too.
        """
        if self._after_cr or _CR in data:
            data = self._with_line_feeds(data)
        buffer = self._buffer
        if buffer:
            # A long event that comes in small pieces is searched once, not once for each piece.
            ends = BOUNDARY in data or (data[:1] == b"\n" and buffer[-1:] == b"\n")
            buffer += data
            if not ends:
                _check_size(len(buffer))
                return []
            data = bytes(buffer)
            buffer.clear()
        blocks = data.split(BOUNDARY)
        rest = blocks.pop()
        if rest:
            buffer += rest
        if len(data) > EVENT_BYTES_MAX:
            _check_size(max(len(rest), *map(len, blocks)) if blocks else len(rest))
        if blocks and not self._begun:
            self._begun = True
            blocks[0] = blocks[0].removeprefix(_BOM)
        return blocks

    def last_block(self) -> list[bytes]:
        """Like `close`: what is left, if it is more than line ends."""
        block = bytes(self._buffer)
        self._buffer.clear()
        if not self._begun:
            block = block.removeprefix(_BOM)
        return [block] if block.strip(b"\n") else []

    def _with_line_feeds(self, data: bytes) -> bytes:
        # The LF of a CRLF that was cut in two belongs to the line end that the CR already made.
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def parse_block(block: bytes) -> tuple[str | None, bytes]:
    """An event's name and data, given without its blank line: no data in comments, a lone name.

    Not an `SSEEvent`, which costs as much as the rest of it.
    """
    if block.startswith(b"event: "):
        cut = block.find(b"\n")
        if block.startswith(b"\ndata: ", cut) and block.find(b"\n", cut + 1) < 0:
            return block[7:cut].decode("utf-8", "replace"), block[cut + 7 :]
    elif block.startswith(b"data: ") and _LF not in block:
        return None, block[6:]
    return _parse_lines(block)


def encode_event(name: str, data: bytes) -> bytes:
    """A named event, as Messages and Responses have it. `data` is JSON without line ends."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def encode_data(data: bytes) -> bytes:
    """An event without a name, as Chat has it. `data` is JSON without line ends, or `[DONE]`."""
    return b"data: %b\n\n" % data


def _events(blocks: list[bytes]) -> list[SSEEvent]:
    return [SSEEvent(name, data) for name, data in map(parse_block, blocks) if data]


def _parse_lines(block: bytes) -> tuple[str | None, bytes]:
    name: str | None = None
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return name, b"\n".join(lines)


def _check_size(size: int) -> None:
    if size > EVENT_BYTES_MAX:
        raise GatewayError(
            ErrorCode.UPSTREAM_FAILED,
            f"The upstream sent a single event of more than {EVENT_BYTES_MAX} bytes.",
        )
