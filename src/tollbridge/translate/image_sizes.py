"""How many pixels a base64 image has, read from its first bytes.

Models are billed by the size of an image, never by the length of its file. Only the header is
decoded: a JPEG may carry a preview and a profile before it tells its size, the others do not.
"""

import binascii

PREFIX_CHARS_MAX = 128 * 1024
"""Base64 looked at for a JPEG; the other formats tell their size in the first 30 bytes."""

_SHORT_CHARS = 64
_JPEG = b"\xff\xd8\xff"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that hold the size; the three others of this range hold tables."""


def image_pixels(base64: bytes) -> int | None:
    """Width times height, from the beginning of an image's base64; None: it cannot be told."""
    head = _decoded(base64[:_SHORT_CHARS])
    if head.startswith(_JPEG):
        return _jpeg_pixels(_decoded(base64[:PREFIX_CHARS_MAX]))
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        return _big(head[16:20]) * _big(head[20:24])
    if head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        return _little(head[6:8]) * _little(head[8:10])
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP" and len(head) >= 30:
        return _webp_pixels(head)
    return None


def _decoded(base64: bytes) -> bytes:
    """What whole groups of four give; JSON may write a slash with a backslash before it."""
    base64 = base64.replace(b"\\", b"")
    try:
        return binascii.a2b_base64(base64[: len(base64) & ~3])
    except binascii.Error:
        return b""


def _jpeg_pixels(data: bytes) -> int | None:
    """From marker to marker to the frame's header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_HEADERS:
            return _big(data[at + 5 : at + 7]) * _big(data[at + 7 : at + 9])
        # Fill bytes and markers without a segment are stepped over one by one.
        bare = marker in (0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        at += (1 if marker == 0xFF else 2) if bare else 2 + max(_big(data[at + 2 : at + 4]), 2)
    return None


def _webp_pixels(head: bytes) -> int | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return (_little(head[24:27]) + 1) * (_little(head[27:30]) + 1)
    if kind == b"VP8L":
        bits = _little(head[21:25])
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        return (_little(head[26:28]) & 0x3FFF) * (_little(head[28:30]) & 0x3FFF)
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
