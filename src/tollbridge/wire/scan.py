"""The byte loops of a stream that is passed on: in C where that was compiled, else in Python.

The C (`_scan.c`) makes them fast and nothing else: what it takes, others would have understood in
the same way, and what it does not take is left to them.
"""

__all__ = ["no_chunks", "whole_chunks"]


def no_chunks(data: bytes, at: int, /) -> tuple[bytes, int, int]:  # noqa: ARG001
    """The content of the whole chunks that stand in `data` from `at` on (RFC 9112, 7.1), joined.

    They are plain: a size, without leading junk or an extension, and content. With it comes where
    the first thing begins that is not one, and how many bytes the chunk that begins there still
    lacks: 0 if it is none, or not plain; -1 if even its size line is cut.

    In Python nothing is taken: a loop would be slower than the HTTP parser, which takes it all.
    """
    return b"", at, 0


try:
    from tollbridge.wire._scan import whole_chunks
except ImportError:
    whole_chunks = no_chunks
