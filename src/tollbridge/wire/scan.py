"""The loops over the bytes that are passed on: in C where that was compiled, else in Python.

The C (`_scan.c`) makes them fast and nothing else: what it takes, others would have understood in
the same way, and what it does not take is left to them.
"""

from itertools import repeat

import msgspec

from tollbridge.units import KIB
from tollbridge.wire.codec import encode

__all__ = [
    "contains", "contains_in_python", "kinds", "kinds_in_python", "no_chunks", "texts",
    "texts_in_python", "whole_chunks",
]  # fmt: skip

WINDOW_BYTES = 16 * KIB
"""So much is looked at together in Python: what stops the taking costs no more than this."""

_strings = msgspec.json.Decoder(str)

_LETTERS = b" ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WIDE = bytes(range(0xE3, 0xEE))
_OTHER = bytes(range(0xC0, 0xE3)) + bytes(range(0xEE, 0x100))
_REST = bytes(range(0x80, 0xC0))


def no_chunks(data: bytes, at: int, /) -> tuple[bytes, int, int]:  # noqa: ARG001
    """The content of the whole chunks that stand in `data` from `at` on (RFC 9112, 7.1), joined.

    They are plain: a size, without leading junk or an extension, and content. With it comes where
    the first thing begins that is not one, and how many bytes the chunk that begins there still
    lacks: 0 if it is none, or not plain; -1 if even its size line is cut.

    In Python nothing is taken: a loop would be slower than the HTTP parser, which takes it all.
    """
    return b"", at, 0


def texts_in_python(
    data: bytes, at: int, before: bytes, after: bytes, to_before: bytes, to_after: bytes, /
) -> tuple[bytes, int, int, int] | None:
    """Texts in JSON that stand in a row between `before` and `after`, put into another frame.

    The frames have the quotes in them. A text is not empty, valid UTF-8 by itself, and spelled as
    `codec.encode` spells it. Given are: the texts between `to_before` and `to_after`, where the
    first thing begins that is not one, and the characters and UTF-8 bytes that the texts are, once
    decoded. None: not even one stands at `at`. There may be more than are taken at once.
    """
    start = at + len(before)
    end = data.rfind(after, start, at + WINDOW_BYTES)
    if end <= start or not data.startswith(before, at):
        return None
    raws, said = _split(data[at:end], before, after)
    if not raws:
        return None
    end = at + sum(map(len, raws)) + len(raws) * (len(before) + len(after))
    sent = b"".join((to_before, (to_after + to_before).join(raws), to_after))
    return sent, end, len(said), len(said.encode())


def _split(data: bytes, before: bytes, after: bytes) -> tuple[list[bytes], str]:
    """The texts as they are spelled, and what they say together; `data` lacks the last `after`.

    They are split at what is short and stands there once: of the ways to find what stands
    between two texts it is the one that costs least by far.
    """
    parts = data.split(after)
    raws = list(map(bytes.removeprefix, parts, repeat(before)))
    raw = b"".join(raws)
    framing = len(parts) * (len(before) + len(after)) - len(after)
    if len(raw) + framing == len(data) and b"" not in raws:
        text = _plain(raw)
        if text is not None and (text.isascii() or all(map(_is_whole, raws))):
            return raws, text
    raws, said = [], []
    for part in parts:
        # Something else in between looks like a text that is no JSON.
        text = _read(part[len(before) :]) if part.startswith(before) else None
        if not text:
            break
        raws.append(part[len(before) :])
        said.append(text)
    return raws, "".join(said)


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


def contains_in_python(body: bytes, word: bytes, /) -> bool:
    """Whether `word` stands in `body`. In C a megabyte takes 15 us instead of 115, and what follows
    a zero byte is not looked at: JSON that could be decoded has none.
    """
    return word in body


def kinds_in_python(
    data: bytes, width: int, step: int, count: int, /
) -> tuple[int, int, int, int, int]:
    """Bytes by kind in `count` windows of `width` bytes, `step` bytes apart: ASCII letters and
    spaces; first bytes of characters from U+3000 to U+DFFF (Chinese, Japanese, Korean); first bytes
    of others beyond ASCII; the bytes that go on with a character. Last, how many times `\\u` stands
    in the windows. All windows lie within `data`.
    """
    starts = [step * index for index in range(count)]
    sample = b"".join([data[at : at + width] for at in starts])
    escapes = sum(data.count(rb"\u", at, at + width) for at in starts)
    letters = _count(sample, _LETTERS)
    if sample.isascii():
        return letters, 0, 0, 0, escapes
    return letters, _count(sample, _WIDE), _count(sample, _OTHER), _count(sample, _REST), escapes


def _count(data: bytes, kind: bytes) -> int:
    # One pass; to translate the kinds to letters and count these are two, and longer ones.
    return len(data) - len(data.translate(None, kind))


try:
    from tollbridge.wire._scan import contains, kinds, texts, whole_chunks
except ImportError:
    contains, kinds = contains_in_python, kinds_in_python
    texts, whole_chunks = texts_in_python, no_chunks
