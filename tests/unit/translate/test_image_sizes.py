import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.translate.image_sizes import image_pixels


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8" + before + frame + b"\0" * 40


def segment(marker: int, size: int) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", size + 2) + b"\x01" * size


def webp(kind: bytes, rest: bytes) -> bytes:
    return b"RIFF\x30\0\0\0WEBP" + kind + b"\x20\0\0\0" + rest + b"\0" * 20


EXIF_WITH_PREVIEW = segment(0xE1, 60_000)
TABLES = segment(0xDB, 65) + segment(0xC4, 30)
FILES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + b"\0" * 30,
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0" * 30,
    "jpeg": jpeg(640, 480),
    "jpeg after a preview": jpeg(640, 480, EXIF_WITH_PREVIEW + TABLES),
    "jpeg with fill bytes": jpeg(640, 480, segment(0xE0, 14) + b"\xff\xff"),
    "webp": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)),
    "webp without loss": webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
    "webp extended": webp(b"VP8X", b"\0\0\0\0" + struct.pack("<I", 639)[:3] + b"\xdf\x01\0"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_size_stands_in_the_header(name: str):
    encoded = base64.b64encode(FILES[name])
    assert image_pixels(encoded) == 640 * 480
    assert image_pixels(encoded.replace(b"/", rb"\/")) == 640 * 480
    assert image_pixels(encoded[:12]) is None


def test_a_preview_longer_than_the_prefix_hides_the_size():
    assert image_pixels(base64.b64encode(jpeg(640, 480, segment(0xE1, 65_000) * 3))) is None


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=40), st.integers(0, 60))
def test_broken_files_have_a_size_or_none(name: str, noise: bytes, at: int):
    data = FILES[name]
    broken = base64.b64encode(data[:at] + noise + data[at + len(noise) :])
    for text in (broken, noise):
        pixels = image_pixels(text)
        assert pixels is None or pixels >= 0
