"""A wrong answer is never counted as a right one."""

import json

import pytest
from bench.gateway.client import is_refusal, problem_with, request_for
from bench.gateway.replies import END, Wanted, framed, unframed, whole

STREAM = Wanted("messages", 4, 0, stream=True)
ONE_SHOT = Wanted("messages", 4, 0, stream=False)


def asked(want: Wanted, **options):
    return request_for(
        "http://127.0.0.1:9", "k", "m", want.protocol,
        chunks=want.chunks, stream=want.stream, **options,
    )  # fmt: skip


@pytest.mark.parametrize("want", [STREAM, ONE_SHOT, STREAM._replace(protocol="chat")])
def test_what_the_upstream_sends_is_right(want):
    assert problem_with(whole(want), asked(want)) == ""


def test_a_chunk_boundary_within_a_word_is_no_fault():
    head, _, body = whole(STREAM).partition(b"\r\n\r\n")
    content = unframed(body)
    pieces = [content[start : start + 7] for start in range(0, len(content), 7)]
    answer = head + b"\r\n\r\n" + b"".join(map(framed, pieces)) + END
    assert problem_with(answer, asked(STREAM)) == ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda answer: answer.replace(b" 200 OK", b" 502 Bad Gateway"), "not a 200"),
        (lambda answer: answer.replace(b" word", b" sword", 1).replace(b"word", b"wort", 1), "3 words"),
        (lambda answer: answer.replace(b'"message_stop"', b'"message_halt"'), "no terminal event"),
        (lambda answer: answer[:-5], "chunks of the body"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(spoil, says):
    assert says in problem_with(spoil(whole(STREAM)), asked(STREAM))


def test_more_headers_come_before_the_body():
    head, _, body = asked(ONE_SHOT, headers={"x-provider": "fake"}).wire.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\nx-provider: fake")
    assert len(body) == int(head.partition(b"content-length: ")[2].split()[0])


def test_refusals():
    assert is_refusal(b"HTTP/1.1 529 Overloaded\r\n\r\n")
    assert not is_refusal(b"HTTP/1.1 200 OK\r\n\r\n")
    assert not is_refusal(b"")


@pytest.mark.parametrize("size", [60_000, 1_000_000])
def test_long_bodies(size):
    request = asked(ONE_SHOT, body_bytes=size)
    roles = [message["role"] for message in json.loads(request.body)["messages"]]
    assert size <= len(request.body) < 1.2 * size
    assert roles == [("user", "assistant")[index % 2] for index in range(len(roles))]
    assert roles[-1] == "user"
