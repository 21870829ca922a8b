"""What an event of text becomes, learned from two of them, for the thousand that follow.

In the middle of an answer one event differs from the next in nothing but its text, and so does what
the client gets for it. Two events in a row that were translated in full show what stands before and
after the text on both sides; those that look the same are then taken by their bytes, many at once.
Any other event, and a text that JSON could spell in another way, goes the long way.
"""

from itertools import repeat

import msgspec

from tollbridge.units import KIB
from tollbridge.wire.codec import encode
from tollbridge.wire.sse import BOUNDARY

STRIDE_BYTES = KIB // 2
"""So much of a read goes the long way before the rest may be taken by its bytes."""

WINDOW_BYTES = 16 * KIB
"""So much is looked at together: what stops the taking costs no more than this."""

_strings = msgspec.json.Decoder(str)


_Frame = tuple[bytes, bytes]
"""What stands before and after a text, its quotes included."""


class Taken:
    """Events that were recognised."""

    __slots__ = ("end", "sent", "text")

    def __init__(self, sent: bytes, text: str, end: int) -> None:
        self.sent = sent
        """What the client gets for them."""
        self.text = text
        """What they say together."""
        self.end = end
        """Where what follows them begins."""


def stride(data: bytes, at: int) -> int:
    """How far to go the long way from `at` on, before `take` is worth another try."""
    end = data.find(BOUNDARY, at + STRIDE_BYTES)
    return len(data) if end < 0 else end + len(BOUNDARY)


class TextFrames:
    """The frames of one stream. Only events that do nothing but add to one text may be shown."""

    __slots__ = ("_client", "_client_between", "_same", "_seen", "_upstream", "ready")

    def __init__(self) -> None:
        self.ready = False
        """Whether `take` may recognise something."""
        self._seen: tuple[_Frame, _Frame] | None = None
        """Of the last event that was shown."""
        self._upstream: _Frame = (b"", b"")
        self._client: _Frame = (b"", b"")
        self._client_between = b""
        self._same = False
        """The client gets what the upstream sent."""

    def show(self, block: bytes, text: str, sent: bytes) -> None:
        """An event (without its blank line), its text, and all that the client got for it."""
        seen = self._seen
        self.forget()
        quoted = encode(text)
        upstream = _frame(block + BOUNDARY, quoted)
        client = _frame(sent, quoted)
        if upstream is None or client is None:
            return
        if b"\\" in upstream[0] or b"\\" in upstream[1]:
            return  # what is escaped there might be the text, and what was found another member
        self._seen = (upstream, client)
        self.ready = seen == self._seen
        if self.ready:
            self._upstream, self._client = upstream, client
            self._same = upstream == client
            self._client_between = client[1] + client[0]

    def forget(self) -> None:
        """An event of another kind has come: what follows it may be told in another way."""
        self.ready = False
        self._seen = None

    def take(self, data: bytes, at: int = 0) -> Taken | None:
        """The events from `at` on that only differ in their text; None: not one."""
        before, after = self._upstream
        start = at + len(before)
        end = data.rfind(after, start, at + WINDOW_BYTES)
        if end <= start or not data.startswith(before, at):
            return None
        raw = data[start:end]
        text = _plain(raw)
        if text is None:  # several events, or one that JSON escapes
            texts, text = self._texts(data[at:end])
            if not texts:
                return None
            raw = b"".join(texts)
            end = at + len(raw) + len(texts) * (len(before) + len(after)) - len(after)
        else:
            texts = [raw]
        end += len(after)
        if self._same:
            sent = data[at:end]
        else:
            before, after = self._client
            sent = b"".join((before, self._client_between.join(texts), after))
        return Taken(sent, text, end)

    def _texts(self, data: bytes) -> tuple[list[bytes], str]:
        """The texts of events that lack the end of the last, and what they say together.

        They are split at what is short and stands there once: of the ways to find what stands
        between two texts it is the one that costs least by far.
        """
        before, after = self._upstream
        parts = data.split(after)
        texts = list(map(bytes.removeprefix, parts, repeat(before)))
        raw = b"".join(texts)
        framing = len(parts) * (len(before) + len(after)) - len(after)
        if len(raw) + framing == len(data) and b"" not in texts:
            text = _plain(raw)
            if text is not None and (text.isascii() or all(map(_is_whole, texts))):
                return texts, text
        texts, said = [], []
        for part in parts:
            # Another event in between looks like a text that is no JSON.
            text = _read(part[len(before) :]) if part.startswith(before) else None
            if not text:
                break
            texts.append(part[len(before) :])
            said.append(text)
        return texts, "".join(said)


def _plain(raw: bytes) -> str | None:
    """The text, if JSON has it as it is; None or empty if not."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and '"' not in text and "\\" not in text else None


def _read(raw: bytes) -> str | None:
    """The text, if JSON has it spelled like this and we would, too; None or empty if not."""
    text = _plain(raw)
    if text is None:
        quoted = b'"%b"' % raw
        try:
            text = _strings.decode(quoted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if encode(text) != quoted:
            return None
    return text


def _is_whole(raw: bytes) -> bool:
    """Whether a part of valid UTF-8 begins with a character, not in the middle of one."""
    return raw[0] & 0xC0 != 0x80


def _frame(event: bytes, quoted: bytes) -> _Frame | None:
    """Around the only place where the text stands; None if that is not plain to see."""
    before, found, after = event.partition(quoted)
    if not found or quoted in after:
        return None
    return before + b'"', b'"' + after
