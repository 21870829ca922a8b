"""Any base64 has a number of pixels or none; a payload counts flat, never by its length."""

import base64

from fuzz.target import Target
from tollbridge.translate.image_sizes import image_pixels
from tollbridge.translate.prompt_features import IMAGE_TOKENS_BOUND, read_features


def check(data: bytes) -> None:
    """As a file, as base64 that somebody broke, and within a body."""
    encoded = base64.b64encode(data)
    for text in (encoded, data):
        pixels = image_pixels(text)
        assert pixels is None or 0 <= pixels < 2**64
        assert image_pixels(text) == pixels
    for head in (b"iVBORw0KGg", b"/9j/", b"UklGR", b"R0lGOD"):
        body = b'{"type":"base64","data":"%b"}' % (head + encoded)
        found = read_features(body)
        assert found.flat > 0
        assert found.bound < IMAGE_TOKENS_BOUND + 100
    assert min(read_features(data)) >= 0


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab\xff\xdb\x00\x03x\xff\xc2\x00\x11\x08\x01\xe0\x02\x80\x03"
    + b"\0" * 20
)
TARGET = Target(
    check,
    [
        JPEG,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0" + b"\0" * 10,
        b"GIF89a\x80\x02\xe0\x01" + b"\0" * 30,
        b"RIFF\x30\0\0\0WEBPVP8X\x20\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0" + b"\0" * 20,
        b"RIFF\x30\0\0\0WEBPVP8L\x20\0\0\0\x2f\x7f\xc2\x77\0" + b"\0" * 20,
        b'{"data":"data:image/png;base64,iVBORw0KGgo=","type":"base64"}',
    ],
)
