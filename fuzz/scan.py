"""The byte loops in C take what the HTTP parser, and Python, make of the same bytes."""

import sys
from unittest import mock

from tests.scan_in_c import NoCompilerError, scan_in_c

from fuzz.http_response import HEAD, fed
from fuzz.target import Target
from tollbridge.upstream import response
from tollbridge.wire import scan

try:
    IN_C = scan_in_c()
except NoCompilerError as error:
    print(f"LEFT OUT: the byte loops in C; because: {error}", file=sys.stderr)
    IN_C = scan

FRAMES = (b'data: {"text":"', b'"}\n\n', b'data: {"x":1,"content":"', b'"}\n\n')
TAKEN_BYTES = 8_000
"""Beyond this it is left open how many texts are taken at once."""


def check(data: bytes) -> None:
    """A response in pieces, and a row of texts from anywhere on."""
    size = 1 + sum(data[:16]) % 400
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    for reads in ([data], pieces):
        with mock.patch.object(response, "whole_chunks", IN_C.whole_chunks):
            found = fed(reads, bodyless=False)
        with mock.patch.object(response, "whole_chunks", scan.no_chunks):
            assert found == fed(reads, bodyless=False)
    row = data[:TAKEN_BYTES]
    for at in {0, max(row.find(FRAMES[0]), 0)}:
        assert IN_C.texts(row, at, *FRAMES) == scan.texts_in_python(row, at, *FRAMES)


CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
TEXTS = [b"Hello", b"\\n", b'\\"', b"\\\\", b"\\u001f", "工é😀".encode(), b"\x7f", b"\\u00e9"]
TARGET = Target(
    check,
    [
        CHUNKED + b"5\r\nhello\r\n3\r\n ab\r\n00a\r\n0123456789\r\n0\r\n\r\n",
        CHUNKED + b"1\r\na\r\n" * 200 + b"5;x=1\r\nhello\r\n0\r\nt: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + CHUNKED + b"ffffff\r\n0\r\n\r\n",
        *(FRAMES[0] + text + FRAMES[1] + FRAMES[0] + b"x" + FRAMES[1] for text in TEXTS),
        b"".join(FRAMES[0] + text + FRAMES[1] for text in TEXTS * 3),
    ],
)
