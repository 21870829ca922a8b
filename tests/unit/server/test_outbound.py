import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.wire_client import Answer as Received
from tests.fakes.wire_client import AnswerStream

from tollbridge.server.outbound import HEADER_CHARS_MAX, JOIN_BYTES_MAX, Answer, header_value
from tollbridge.units import RequestId

IDS = ("request-id", "x-request-id", "x-cloudbase-request-id")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text/event-stream; charset=utf-8", "text/event-stream; charset=utf-8"),
        ("seed, top_k", "seed, top_k"),
        ("工具", "\\u5de5\\u5177"),
        ("é", "\\xe9"),
        ("a\r\nset-cookie: b", "a\\r\\nset-cookie: b"),
        ("nul\x00tab\t", "nul\\x00tab\\t"),
        ("\udcff", "\\udcff"),
        ("", ""),
    ],
)
def test_a_value_is_printable_ascii(text: str, value: str):
    assert header_value(text) == value


@given(st.text(st.characters(), max_size=3 * HEADER_CHARS_MAX))
def test_no_value_can_break_an_answer(text: str):
    assert all(0x20 <= byte < 0x7F for byte in header_value(text).encode("ascii"))


def test_a_long_value_is_cut():
    value = header_value("member, " * 10_000)
    assert len(value) == HEADER_CHARS_MAX
    assert value.endswith("...")


class Line:
    """A `Wire` that notes its writes."""

    date_line = "date: Thu, 01 Jan 1970 00:00:00 GMT"

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.choked = False
        self.gone = False

    def send(self, data: bytes, more: bytes = b"") -> None:
        self.writes += [data, more] if more else [data]

    async def drained(self) -> None:
        self.choked = False

    def received(self, *, head_only: bool = False) -> Received:
        stream = AnswerStream(head_only=head_only)
        stream.feed(b"".join(self.writes))
        stream.close()
        (answer,) = stream.whole
        return answer


def test_an_answer_bears_the_request_id_and_may_be_read_by_browsers():
    line = Line()
    answer = Answer(line)
    answer.name(RequestId("req_1"))
    answer.start(200, [("x-tollbridge-dropped", "工")])
    assert (answer.started, line.writes) == (True, [])
    answer.finish(b"hello")
    assert len(line.writes) == 1
    received = line.received()
    assert (received.status, received.body) == (200, b"hello")
    headers = received.headers
    assert [headers[name] for name in IDS] == ["req_1"] * 3
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-tollbridge-dropped"] == "\\u5de5"
    assert headers["content-length"] == "5"
    assert headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert not headers.keys() & {"transfer-encoding", "connection"}


PIECES = [b"a", b"b" * JOIN_BYTES_MAX, b"c" * (JOIN_BYTES_MAX + 1), b"", b"d"]


@pytest.mark.parametrize("last", [b"", b"last"])
@pytest.mark.parametrize("chunked", [True, False])
def test_what_comes_in_pieces(chunked: bool, last: bytes):
    line = Line()
    answer = Answer(line, chunked=chunked)
    answer.start(200, [])
    for piece in PIECES:
        answer.write(piece)
    answer.finish(last)
    answer.finish(b"again")
    received = line.received()
    assert received.body == b"".join(PIECES) + last
    assert "content-length" not in received.headers
    assert received.headers.get("transfer-encoding") == ("chunked" if chunked else None)
    assert received.headers.get("connection") == (None if chunked else "close")
    assert PIECES[2] in line.writes or not chunked, "a large piece is not copied"
    assert (answer.finished, answer.closing) == (True, not chunked)


def test_a_large_body_is_not_copied():
    line, body = Line(), b"x" * (JOIN_BYTES_MAX + 1)
    answer = Answer(line)
    answer.start(200, [])
    answer.finish(body)
    assert line.writes[1] is body
    assert line.received().body == body


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_head_has_no_body(pieces: int):
    line = Line()
    answer = Answer(line, head_only=True)
    answer.start(200, [])
    for _ in range(pieces):
        answer.write(b"hello")
    answer.finish(b"hello")
    received = line.received(head_only=True)
    assert received.headers.get("content-length") == (None if pieces else "5")


def test_no_content_has_no_length():
    line = Line()
    answer = Answer(line)
    answer.start(204, [])
    answer.finish()
    received = line.received()
    assert (received.status, received.body) == (204, b"")
    assert not received.headers.keys() & {"content-length", "transfer-encoding"}


def test_a_status_that_is_no_standard():
    line = Line()
    answer = Answer(line)
    answer.start(529, [])
    answer.finish(b"x")
    assert line.received().status == 529


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_the_connection_is_not_used_again(when: str):
    line = Line()
    answer = Answer(line, closing=when == "before")
    answer.start(200, [])
    if when == "between":
        answer.close_after()
        answer.close_after()
    answer.write(b"x")
    if when == "after":
        answer.close_after()
    answer.finish()
    assert answer.closing
    assert line.received().headers.get("connection") == (None if when == "after" else "close")


def test_the_watcher_is_called_once_when_the_client_leaves():
    answer, gone = Answer(Line()), []
    answer.watch(lambda: gone.append(1))
    answer.lose()
    answer.lose()
    assert gone == [1]


def test_an_unwatched_or_finished_answer_does_not_tell():
    answer, gone = Answer(Line()), []
    answer.watch(lambda: gone.append(1))
    answer.unwatch()
    answer.lose()
    answer.watch(lambda: gone.append(1))
    answer.start(200, [])
    answer.finish()
    answer.lose()
    assert gone == []


@pytest.mark.parametrize("unwatched", [False, True])
def test_a_client_that_is_gone_already(unwatched: bool):
    async def scenario() -> None:
        line, gone = Line(), []
        line.gone = True
        answer = Answer(line)
        answer.watch(lambda: gone.append(1))
        assert gone == []
        if unwatched:
            answer.unwatch()
        await asyncio.sleep(0)
        assert gone == ([] if unwatched else [1])

    asyncio.run(scenario())


def test_a_slow_client_is_waited_for():
    async def scenario() -> None:
        line = Line()
        answer = Answer(line)
        line.choked = True
        assert answer.choked
        await answer.drained()
        assert not answer.choked

    asyncio.run(scenario())
