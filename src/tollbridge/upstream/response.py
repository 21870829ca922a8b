"""One response: bytes in, a head and pieces of the body out. Knows no socket and no clock."""

from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tollbridge.app.ports import UpstreamError
from tollbridge.units import OVERHEAD_BYTES_MAX
from tollbridge.wire.header_names import NAMES, name_in_lower_case
from tollbridge.wire.scan import whole_chunks

PIECE_BYTES = 48
"""What a piece of the body takes beside its bytes: a flood of tiny chunks is a flood, too."""

BEFORE_ANSWER = "before the first byte of the answer"
IN_ANSWER = "in the middle of the answer"

HEAD_END = b"\r\n\r\n"


class Response:
    """A response while it arrives. `feed` until `ended`, or `feed_eof` if the connection ends
    first; then `close`.

    The parser calls what begins with `on_`; a piece of the body goes straight into the list, since
    a call of Python for each costs several times what parsing it does. It skips the bodies that
    204 and 304 do not have and refuses a message whose length is told twice; what it does not know
    is the request's method and where a close-delimited body ends.

    Whole chunks are not shown to it where they can be taken without: between two chunks it waits
    for the next one, however many there were. It sees the head, chunks that are cut or have
    extensions, the last one, and everything that is wrong.
    """

    __slots__ = (
        "_bodyless",
        "_chunk_ahead",
        "_chunk_begun",
        "_news",
        "_overhead",
        "_parser",
        "_to_eof",
        "buffered",
        "chunks",
        "ended",
        "head_done",
        "headers",
        "on_body",
        "reusable",
        "status",
    )

    def __init__(self, *, bodyless: bool = False) -> None:
        """`bodyless`: the request was HEAD, whose answer announces a body that does not come."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.buffered = 0
        """Memory that `chunks` take, in bytes."""
        self.head_done = False
        self.ended = False
        self.reusable = False
        """Once ended: whether the connection can carry another exchange."""
        self._bodyless = bodyless
        self._to_eof = False
        self._news = False
        self._overhead = 0
        self._chunk_ahead = -1
        """So many bytes on, a chunk begins; -1: only the parser knows."""
        self._chunk_begun = b""
        """The beginning of that chunk's size line, which the parser has not seen."""
        self.on_body: Callable[[bytes], None] = self.chunks.append
        """Called for each piece of the body."""
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Take bytes from the connection. True: the head, a piece of the body or the end came.

        Raises:
            UpstreamError: this is not HTTP/1.1, or too much of something that is not body.
        """
        parser = self._parser
        assert parser is not None, "fed after `close`"
        chunks = self.chunks
        known = len(chunks)
        self._news = False
        try:
            if self._chunk_ahead >= 0:
                self._feed_rest(parser, data)
            elif self.head_done:
                parser.feed_data(data)
            else:
                self._feed_head(parser, data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if isinstance(error.__context__, UpstreamError):
                raise error.__context__ from None
            if not self.ended:
                raise UpstreamError(f"the answer is not HTTP/1.1: {error}", sent=True) from None
            self.reusable = False  # what follows the message is not ours to understand
        if self._bodyless:
            chunks.clear()
        pieces = len(chunks) - known
        if pieces > 0:
            size = len(chunks[known]) if pieces == 1 else sum(map(len, chunks[known:]))
            self.buffered += size + pieces * PIECE_BYTES
            self._overhead = 0
            return True
        self._overhead += len(data)
        if self._overhead > OVERHEAD_BYTES_MAX and not self.ended:
            where = "framing" if self.head_done else "head"
            message = f"the answer's {where} is longer than {OVERHEAD_BYTES_MAX} bytes"
            raise UpstreamError(message, sent=True)
        return self._news

    def _feed_head(self, parser: HttpResponseParser, data: bytes) -> None:
        """Let the parser see the head alone, if it ends here and chunks follow it."""
        cut = data.find(HEAD_END) + len(HEAD_END)
        if data.find(b"chunked", 0, cut) < 0:
            parser.feed_data(data)
            return
        parser.feed_data(data[:cut])
        # If that was not where the head ends, the parser has seen some of the body, too, or waits
        # for the head of another message.
        if self.head_done and not self.ended and not self.chunks and _is_chunked(self.headers):
            self._feed_chunks(parser, data, cut)
        else:
            parser.feed_data(data[cut:])

    def _feed_rest(self, parser: HttpResponseParser, data: bytes) -> None:
        """Let the parser see the rest of a chunk, then go on with those that follow it."""
        rest = self._chunk_ahead
        if rest >= len(data):
            self._chunk_ahead = rest - len(data)
            parser.feed_data(data)
            return
        if rest:
            parser.feed_data(data[:rest])
        elif self._chunk_begun:
            data = self._chunk_begun + data
            self._chunk_begun = b""
        self._feed_chunks(parser, data, rest)

    def _feed_chunks(self, parser: HttpResponseParser, data: bytes, at: int) -> None:
        """Take the whole chunks from `at` on, and let the parser see what is none."""
        content, end, missing = whole_chunks(data, at)
        if content:
            self.on_body(content)
        self._chunk_ahead = 0
        if missing < 0:
            self._chunk_begun = data[end:]
        elif end < len(data):
            self._chunk_ahead = missing or -1
            parser.feed_data(data[end:])

    def feed_eof(self) -> None:
        """The connection has ended.

        Raises:
            UpstreamError: the message had not.
        """
        if self._to_eof:
            self.ended = True
        elif not self.ended:
            where = IN_ANSWER if self.head_done or self._overhead else BEFORE_ANSWER
            raise UpstreamError(f"the connection was closed {where}", sent=True)

    def close(self) -> None:
        """Nothing more will be fed. The body that has arrived can still be taken.

        The parser holds bound methods of this object, a cycle that would keep both alive until
        the collector comes round.
        """
        self._parser = None

    def take(self) -> bytes:
        """The body that has arrived since the last call."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.buffered = 0
        return data

    def on_message_begin(self) -> None:
        """Called at the first byte of each message."""
        if self.ended:
            raise ValueError("bytes after the end of the message")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each header, and for each trailer, which is dropped."""
        if not self.head_done:
            key = NAMES.get(name) or name_in_lower_case(name)
            self.headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called after each head, be it interim or final."""
        parser, headers = self._parser, self.headers
        assert parser is not None
        status = parser.get_status_code()
        if status < 100:
            raise ValueError(f"a status of {status}")
        if status < 200 and status != 101:
            headers.clear()
            return
        if self.chunks:
            raise ValueError("an interim response with a body")
        if not self._bodyless:
            self._to_eof = _ends_with_the_connection(status, headers)
        self.status = status
        self.head_done = self._news = True
        self.ended = self._bodyless

    def on_message_complete(self) -> None:
        """Called at the end of each message, be it interim or final."""
        if self.head_done and not self.ended:
            assert self._parser is not None
            self.ended = self._news = True
            # We asked for no upgrade: whatever talks after a 101, it is not HTTP.
            self.reusable = self.status != 101 and self._parser.should_keep_alive()


def _is_chunked(headers: dict[str, str]) -> bool:
    return headers.get("transfer-encoding", "").lower() == "chunked"


def _ends_with_the_connection(status: int, headers: dict[str, str]) -> bool:
    """Whether nothing else tells where the body ends. The parser leaves the blanks
    behind values, and knows `chunked` with spaces behind it, but not with tabs.

    Raises:
        UpstreamError: it is compressed. Unpacked it would need bounds of its own, and passed on
            as it is nobody could read it. A refusal is known by its status alone.
    """
    content = headers.get("content-encoding", "").rstrip(" \t").lower()
    if content not in ("", "identity") and status < 300:
        raise UpstreamError("the answer is compressed, and nobody asked for it", sent=True)
    transfer = headers.get("transfer-encoding", "identity").rstrip(" ").lower()
    if transfer == "identity":
        return "content-length" not in headers
    if transfer != "chunked":
        raise UpstreamError("the answer's transfer-encoding is not chunked", sent=True)
    return False
