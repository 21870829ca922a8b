import gc
import itertools
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollbridge.app.ports import UpstreamError
from tollbridge.upstream import response as module
from tollbridge.upstream.response import OVERHEAD_BYTES_MAX, PIECE_BYTES, Response
from tollbridge.wire.scan import no_chunks

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\nX-Empty:\r\nX: 1\r\nx: 2\r\n\r\n"


@pytest.fixture(params=["c", "python"], autouse=True, scope="module")
def whole_chunks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything holds whether or not the parser sees all chunks."""
    with pytest.MonkeyPatch.context() as patch:
        in_c = request.param == "c"
        take = request.getfixturevalue("c_scan").whole_chunks if in_c else no_chunks
        patch.setattr(module, "whole_chunks", take)
        yield


def fed(*pieces: bytes, bodyless: bool = False) -> Response:
    response = Response(bodyless=bodyless)
    for piece in pieces:
        response.feed(piece)
    return response


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.data())
def test_cut_anywhere(chunks: list[bytes], data: st.DataObject) -> None:
    """However a message is cut into reads, the same comes out; every proper prefix is cut short."""
    frames = [b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    raw = (
        b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + CHUNKED + b"".join(frames) + b"0\r\nt: 1\r\n\r\n"
    )
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    response = Response()
    body = b""
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        assert not response.ended
        before = (response.head_done, response.buffered)
        news = response.feed(raw[start:end])
        assert news == (before != (response.head_done, response.buffered) or response.ended)
        body += response.take()
    assert response.ended
    assert response.reusable
    assert response.status == 200
    assert response.headers == {"transfer-encoding": "chunked", "x-empty": "", "x": "2"}
    assert body == b"".join(chunks)
    prefix = Response()
    prefix.feed(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(UpstreamError):
        prefix.feed_eof()


PLAIN = st.binary(min_size=1, max_size=20).map(lambda chunk: b"%x\r\n%b\r\n" % (len(chunk), chunk))
CODED = st.lists(
    PLAIN
    | st.sampled_from(
        [b"3;x=1\r\nabc\r\n", b"0A\r\n0123456789\r\n", b"0\r\n\r\n", b"2\nok\n", b"\r\n\r\n", b"f"]
    ),
    max_size=8,
).map(b"".join)
STARTS = [CHUNKED, CHUNKED.replace(b": c", b": C"), b"\r\n\r\n" + CHUNKED, CHUNKED[:-2]]
STARTS += [b"HTTP/1.1 103 Early\r\nlink: chunked\r\n\r\n" + CHUNKED]
STARTS += [CHUNKED.replace(b"\r\n", b"\r\ntransfer-encoding: gzip\r\n", 1)]


def outcome(reads: list[bytes], *, bodyless: bool) -> tuple[list[object], str, Response]:
    """What each read brings, the error, and what is left."""
    response = Response(bodyless=bodyless)
    seen: list[object] = []
    error = ""
    try:
        for read in reads:
            if not response.ended:
                news = response.feed(read)
                seen.append((news, response.head_done, response.take()))
        response.feed_eof()
    except UpstreamError as failed:
        error = str(failed)
    return seen, error, response


# The first blank line of the second read stands in a chunk, and not at the end of the head.
@example(
    start=CHUNKED,
    coded=b"12\r\nchunked\r\n\r\n2\r\nok\r\n\r\n",
    cuts=[len(CHUNKED) - 1],
    bodyless=False,
)
@given(
    start=st.sampled_from(STARTS),
    coded=CODED,
    cuts=st.lists(st.integers(1, 300), max_size=8),
    bodyless=st.booleans(),
)
def test_nothing_depends_on_who_takes_the_chunks(
    start: bytes, coded: bytes, cuts: list[int], bodyless: bool
) -> None:
    raw = start + coded
    edges = [0, *sorted({cut for cut in cuts if cut < len(raw)}), len(raw)]
    reads = [raw[a:b] for a, b in itertools.pairwise(edges)]
    seen, error, response = outcome(reads, bodyless=bodyless)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "whole_chunks", no_chunks)
        expected, expected_error, parsed = outcome(reads, bodyless=bodyless)
    assert (seen, error) == (expected, expected_error)
    for name in ("status", "headers", "head_done", "ended", "reusable"):
        assert getattr(response, name) == getattr(parsed, name), name
    assert response.take() == parsed.take()


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_000])
def test_the_parser_sees_few_of_many_chunks(size: int, c_scan: ModuleType) -> None:
    """Reads that cut chunks, and their size lines, find back to where chunks begin."""
    raw = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (index, b"x" * index) for index in range(1, 300))
    taken = 0

    def counted(data: bytes, at: int) -> tuple[bytes, int, int]:
        nonlocal taken
        content, end, missing = c_scan.whole_chunks(data, at)
        taken += end - at
        return content, end, missing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "whole_chunks", counted)
        response = fed(*(raw[at : at + size] for at in range(0, len(raw), size)))
    assert sum(map(len, response.chunks)) == sum(range(300))
    assert taken > len(raw) * (1 - 300 / size)


@pytest.mark.parametrize(
    ("raw", "body", "reusable"),
    [
        (HEAD + b"content-length: 2\r\n\r\nok", b"ok", True),
        (HEAD + b"content-length: 0\r\n\r\n", b"", True),
        (HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b"", True),
        (b"HTTP/1.1 101 Switching\r\n\r\n", b"", False),
        (HEAD + b"content-length: 2\r\n\r\nok" + HEAD, b"ok", False),
        (HEAD + b"content-length: 2\r\n\r\nokX", b"ok", False),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\nX", b"ok", False),
    ],
)
def test_ends_by_itself(raw: bytes, body: bytes, reusable: bool) -> None:
    response = fed(raw)
    assert (response.ended, response.reusable, response.take()) == (True, reusable, body)
    response.feed_eof()


@pytest.mark.parametrize(
    "header", [b"", b"transfer-encoding: identity\r\n", b"connection: close\r\n"]
)
def test_close_delimited(header: bytes) -> None:
    response = fed(HEAD + header + b"\r\nab", b"cd")
    assert not response.ended
    response.feed_eof()
    assert (response.ended, response.reusable, response.take()) == (True, False, b"abcd")


@pytest.mark.parametrize(
    "header",
    [
        b"content-encoding: gzip",
        b"content-encoding: BR",
        b"content-encoding: identity, gzip",
        b"transfer-encoding: gzip",
        b"transfer-encoding: gzip, chunked",
        b"transfer-encoding: xchunked",
    ],
)
def test_codings_that_nobody_asked_for(header: bytes) -> None:
    response = Response()
    with pytest.raises(UpstreamError, match=r"compressed|transfer-encoding"):
        response.feed(HEAD + header + b"\r\n\r\nab")
    assert not response.head_done
    assert fed(HEAD + header + b"\r\n\r\n", bodyless=True).ended


@pytest.mark.parametrize("value", [b"", b"identity", b"Identity", b"identity \t"])
def test_a_coding_that_is_none(value: bytes) -> None:
    response = fed(HEAD + b"content-encoding: " + value + b"\r\ncontent-length: 2\r\n\r\nok")
    assert (response.ended, response.take()) == (True, b"ok")


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"chunked  "])
def test_chunks_however_they_are_announced(value: bytes) -> None:
    response = fed(HEAD + b"transfer-encoding: " + value + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert (response.ended, response.reusable, response.take()) == (True, True, b"ok")


@pytest.mark.parametrize("status", [307, 401, 429, 503])
def test_a_refusal_counts_even_if_nobody_can_read_it(status: int) -> None:
    head = b"HTTP/1.1 %d X\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n" % status
    response = fed(head + b"\x1f\x8b")
    assert (response.status, response.ended) == (status, True)


@pytest.mark.parametrize(
    "interim",
    [
        b"content-length: 5\r\n\r\nearly",
        b"transfer-encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n",
    ],
)
def test_what_an_interim_response_says_is_no_part_of_the_answer(interim: bytes) -> None:
    with pytest.raises(UpstreamError, match=r"not HTTP/1\.1"):
        fed(b"HTTP/1.1 104 Early\r\n" + interim + HEAD + b"content-length: 2\r\n\r\nok")


@pytest.mark.parametrize("rest", [b"", b"ok"])
def test_answer_to_head_ends_with_its_head(rest: bytes) -> None:
    response = fed(HEAD + b"content-length: 2\r\n\r\n" + rest, bodyless=True)
    assert (response.ended, response.reusable, response.chunks) == (True, False, [])
    assert response.headers == {"content-length": "2"}


@pytest.mark.parametrize(
    "piece", [b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, b"HTTP/1.1 102 P\r\n\r\n" * 4000]
)
def test_a_head_is_bounded(piece: bytes) -> None:
    with pytest.raises(UpstreamError, match=f"head is longer than {OVERHEAD_BYTES_MAX}"):
        fed(*(piece[i : i + 5000] for i in range(0, len(piece), 5000)))


def test_trailers_are_bounded() -> None:
    with pytest.raises(UpstreamError, match="framing is longer"):
        fed(CHUNKED + b"0\r\n", *[b"t: 1\r\n"] * 20_000)


def test_a_body_in_small_pieces_is_not_overhead() -> None:
    response = fed(CHUNKED, *[b"1\r\nx\r\n"] * 20_000)
    assert response.buffered == 20_000 * (1 + PIECE_BYTES)


def test_take_joins_and_empties() -> None:
    response = fed(HEAD + b"content-length: 6\r\n\r\n", b"ab", b"cd")
    assert response.buffered == 4 + 2 * PIECE_BYTES
    assert response.take() == b"abcd"
    assert (response.buffered, response.chunks, response.take()) == (0, [], b"")


def test_no_cycle_is_left() -> None:
    """Memory of a closed response is freed at once, not by the collector."""
    gc.freeze()
    gc.disable()
    try:
        fed(HEAD + b"content-length: 2\r\n\r\nok").close()
        fed(CHUNKED).close()
        left = [item for item in gc.get_objects() if isinstance(item, Response)]
        assert left == []
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_status_below_100_is_not_http() -> None:
    with pytest.raises(UpstreamError, match=r"not HTTP/1\.1"):
        fed(b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n")
