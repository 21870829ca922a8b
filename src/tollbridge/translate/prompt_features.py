"""What of a request body's length says how many tokens it has; scanned, never parsed.

A body is a mix of prose, code, JSON and perhaps CJK text. How much of each there is costs some
microseconds to find out: a long body is sampled. How many tokens each amounts to is `calibration`'s
business, and differs between models.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tollbridge.translate.image_sizes import PREFIX_CHARS_MAX, image_pixels
from tollbridge.translate.tables import IMAGES, PDF_BASE64_MAGIC
from tollbridge.wire.scan import contains, kinds

PIXELS_PER_TOKEN = 750
IMAGE_TOKENS_EXPECTED = 1_600
"""The most that an image costs where it is scaled to about 1.2 million pixels, as most models do;
also taken for an image whose size cannot be read."""
IMAGE_TOKENS_BOUND = 5_000
"""The most that one image costs on models with high resolution (2,576 points on the long edge)."""
_IMAGE_TOKENS_LEAST = 300
"""Some models cost this for the smallest image; part of the bound."""

SAMPLE_BYTES = 8_192
_WINDOWS = 32

_WORD = b"base64"
"""Stands in every request that holds a payload, as a type or in a data URI."""
_MAGIC = b"|".join(re.escape(row.base64_magic.encode()).replace(b"/", rb"\\?/") for row in IMAGES)
_PAYLOAD = re.compile(
    rb'(?:base64,|"data"\s*:\s*")(?:(?P<image>%s)|(?P<pdf>%s))'
    % (_MAGIC, PDF_BASE64_MAGIC.encode())
)


class Features(NamedTuple):
    """Characters of each kind, and what is known without a model."""

    letters: int
    """ASCII letters and spaces: prose, and the words of code."""
    marks: int
    """The rest of ASCII: digits and punctuation, JSON and code."""
    wide: int
    """Chinese, Japanese, Korean."""
    other: int
    """All other scripts, and symbols."""
    flat: int
    """Tokens of images and files, by their size."""
    bound: int
    """No model takes more tokens than this, but for dense digits: what a hold lacks is settled
    from the balance. Two bytes of text to a token."""


def read_features(body: bytes) -> Features:
    """The features of a JSON body of either protocol.

    Base64 images count by their pixels and PDF files by a share of their length; base64 that is
    neither counts as the text it might be.
    """
    text, flat, bound = _without_payloads(body)
    size = len(text)
    if size > SAMPLE_BYTES:
        windows, width, step = _WINDOWS, SAMPLE_BYTES // _WINDOWS, size // _WINDOWS
    else:
        windows, width, step = 1, size, 0
    scale = size / (width * windows) if size else 1.0
    # Of a character beyond ASCII only the first byte is counted; in ASCII, `\u` is one.
    letters, wide, other, rest, escapes = kinds(text, width, step, windows)
    marks = width * windows - letters - wide - other - rest
    if escapes:
        # A backslash, a `u` and four hexadecimal digits, of which about a third are letters.
        letters, marks = max(letters - escapes * 5 // 2, 0), max(marks - escapes * 7 // 2, 0)
        wide += escapes
        bound -= text.count(rb"\u") * 3 // 2
    return Features(
        int(letters * scale), int(marks * scale), int(wide * scale), int(other * scale),
        flat, max(bound + size // 2, 1) + 16,
    )  # fmt: skip


def _without_payloads(body: bytes) -> tuple[bytes, int, int]:
    """The body without base64 images and PDF files, and their expected and bound tokens."""
    spans = sorted(_payloads(body)) if contains(body, _WORD) else None
    if not spans:
        return body, 0, 0
    texts: list[bytes] = []
    begin = flat = bound = 0
    for start, end, image in spans:
        if start < begin:
            continue  # found by both markers
        texts.append(body[begin:start])
        begin = end
        if not image:
            flat += (end - start) // 24
            bound += (end - start) // 4
            continue
        pixels = image_pixels(body[start : min(end, start + PREFIX_CHARS_MAX)])
        tokens = IMAGE_TOKENS_EXPECTED if pixels is None else pixels // PIXELS_PER_TOKEN + 1
        flat += min(tokens, IMAGE_TOKENS_EXPECTED)
        bound += IMAGE_TOKENS_BOUND if pixels is None else _image_bound(tokens)
    texts.append(body[begin:])
    return b"".join(texts), flat, bound


def _payloads(body: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where the base64 of each image (True) or PDF file begins and ends."""
    for marker in (b"base64,", b'"data"'):
        position = body.find(marker)
        while position >= 0:
            end = position + len(marker)
            match = _PAYLOAD.match(body, position)
            if match:
                end = body.find(b'"', match.end())
                if end < 0:
                    break
                yield match.start(match.lastgroup or 0), end, match.lastgroup == "image"
            position = body.find(marker, end)


def _image_bound(tokens: int) -> int:
    return min(_IMAGE_TOKENS_LEAST + 2 * tokens, IMAGE_TOKENS_BOUND)
