"""What an event of text becomes, learned from two of them, for the thousand that follow.

In the middle of an answer one event differs from the next in nothing but its text, and so does what
the client gets for it. Two events in a row that were translated in full show what stands before and
after the text on both sides; those that look the same are then taken by their bytes, many at once.
Any other event, and a text that JSON could spell in another way, goes the long way.
"""

import msgspec

from tollbridge.units import KIB
from tollbridge.wire.codec import encode
from tollbridge.wire.scan import texts
from tollbridge.wire.sse import BOUNDARY

STRIDE_BYTES = KIB // 2
"""So much of a read goes the long way before the rest may be taken by its bytes."""

_strings = msgspec.json.Decoder(str)

_BACKSLASH = ord("\\")
"""As a number it is looked for six times as fast as as bytes."""


_Frame = tuple[bytes, bytes]
"""What stands before and after a text, its quotes included."""


class Taken:
    """Events that were recognised."""

    __slots__ = ("_at", "_data", "_frame", "chars", "end", "sent", "utf8")

    def __init__(
        self, found: tuple[bytes, int, int, int], data: bytes, at: int, frame: _Frame
    ) -> None:
        self.sent, self.end, self.chars, self.utf8 = found
        """What the client gets for them, where what follows them begins, and how many characters
        and UTF-8 bytes they say."""
        self._data = data
        self._at = at
        self._frame = frame

    @property
    def text(self) -> str:
        """What they say together. Most streams never ask."""
        before, after = self._frame
        quoted = self._data[self._at + len(before) - 1 : self.end - len(after) + 1]
        # There are line ends between two texts, which cannot stand inside of one.
        return _strings.decode(quoted.replace(after + before, b""))


class TextFrames:
    """The frames of one stream. Only events that do nothing but add to one text may be shown."""

    __slots__ = ("_client", "_seen", "_soon", "_upstream", "ready")

    def __init__(self) -> None:
        self.ready = False
        """Whether `take` may recognise something."""
        self._soon = False
        """One event was shown: the next may be all that it takes."""
        self._seen: tuple[_Frame, _Frame] | None = None
        """Of the last event that was shown."""
        self._upstream: _Frame = (b"", b"")
        self._client: _Frame = (b"", b"")

    def show(self, block: bytes, text: str, sent: bytes) -> None:
        """An event (without its blank line), its text, and all that the client got for it."""
        seen = self._seen
        self.forget()
        quoted = encode(text)
        upstream = _frame(block + BOUNDARY, quoted)
        client = _frame(sent, quoted)
        if upstream is None or client is None:
            return
        if _BACKSLASH in upstream[0] or _BACKSLASH in upstream[1]:
            return  # what is escaped there might be the text, and what was found another member
        self._soon = seen is None
        self._seen = (upstream, client)
        self.ready = seen == self._seen
        if self.ready:
            self._upstream, self._client = upstream, client

    def forget(self) -> None:
        """An event of another kind has come: what follows it may be told in another way."""
        self.ready = self._soon = False
        self._seen = None

    def stride(self, data: bytes, at: int) -> int:
        """How far to go the long way from `at` on, before `take` is worth a try."""
        end = data.find(BOUNDARY, at if self._soon else at + STRIDE_BYTES)
        return len(data) if end < 0 else end + len(BOUNDARY)

    def take(self, data: bytes, at: int = 0) -> Taken | None:
        """The events from `at` on that only differ in their text; None: not one."""
        before, after = self._upstream
        to_before, to_after = self._client
        found = texts(data, at, before, after, to_before, to_after)
        return None if found is None else Taken(found, data, at, self._upstream)


def _frame(event: bytes, quoted: bytes) -> _Frame | None:
    """Around the only place where the text stands; None if that is not plain to see."""
    at = event.find(quoted)
    after = at + len(quoted)
    if at < 0 or event.find(quoted, after) >= 0:
        return None
    return event[: at + 1], event[after - 1 :]
