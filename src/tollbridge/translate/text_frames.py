"""What an event of text becomes, learned from two of them, for the thousand that follow.

In the middle of an answer one event differs from the next in nothing but its text, and so does what
the client gets for it. Two events in a row that were translated in full show what stands before and
after the text on both sides; those that look the same are then taken by their bytes, many at once.
Any other event, and a text that JSON could spell in another way, goes the long way.
"""

import itertools
from typing import NamedTuple

import msgspec

from tollbridge.wire.codec import encode
from tollbridge.wire.sse import BOUNDARY

MANY = 4
"""So many events that came together are worth taking by their bytes."""

MANY_MAX = 64
"""So many are looked at together: what stops the taking costs no more than these."""


_strings = msgspec.json.Decoder(str)


class Taken(NamedTuple):
    """Events that were recognised."""

    sent: bytes
    """What the client gets for them."""
    text: str
    """What they say together."""
    utf8: int
    """The length of that in bytes."""
    events: int
    """How many they are."""
    rest: bytes
    """What follows the last of them."""


class _Frame(NamedTuple):
    """What surrounds a text."""

    before: bytes
    after: bytes


class TextFrames:
    """The frames of one stream. Only events that do nothing but add to one text may be shown."""

    __slots__ = ("_between", "_client", "_client_between", "_same", "_seen", "_upstream", "ready")

    def __init__(self) -> None:
        self.ready = False
        """Whether `take` may recognise something."""
        self._seen: tuple[_Frame, _Frame] | None = None
        """Of the last event that was shown."""
        self._upstream = self._client = _Frame(b"", b"")
        self._between = self._client_between = b""
        self._same = False
        """The client gets what the upstream sent."""

    def show(self, block: bytes, text: str, sent: bytes) -> None:
        """An event (without its blank line), its text, and all that the client got for it."""
        seen = self._seen
        self.forget()
        quoted = encode(text)
        upstream, client = _frame(block + BOUNDARY, quoted), _frame(sent, quoted)
        if upstream is None or client is None:
            return
        if b"\\" in upstream.before or b"\\" in upstream.after:
            return  # what is escaped there might be the text, and what was found another member
        self._seen = (upstream, client)
        self.ready = seen == self._seen
        if self.ready:
            self._upstream, self._client = upstream, client
            self._same = upstream == client
            self._between = upstream.after + upstream.before
            self._client_between = client.after + client.before

    def forget(self) -> None:
        """An event of another kind has come: what follows it may be told in another way."""
        self.ready = False
        self._seen = None

    def take(self, data: bytes) -> Taken | None:
        """The events at the beginning of `data` that only differ in their text; None: not one."""
        before, after = self._upstream
        start, end = len(before), data.rfind(after)
        if end <= start or not data.startswith(before):
            return None
        texts = data[start:end].split(self._between)
        joined = texts[0] if len(texts) == 1 else b"".join(texts)
        text = _plain(joined)
        if text is None or b"" in texts or not (text.isascii() or all(map(_is_whole, texts))):
            read = list(itertools.takewhile(bool, map(_read, texts)))
            if not read:
                return None
            # Another event in between looks like a text that is no JSON.
            texts = texts[: len(read)]
            text = "".join(map(str, read))
            joined = b"".join(texts)
            end = start + len(joined) + (len(texts) - 1) * len(self._between)
        end += len(after)
        if self._same:
            sent = data[:end]
        else:
            before, after = self._client
            sent = b"%b%b%b" % (before, self._client_between.join(texts), after)
        return Taken(sent, text, len(text.encode()), len(texts), data[end:])


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
    return _Frame(before + b'"', b'"' + after)
