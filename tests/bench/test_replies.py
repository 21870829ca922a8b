"""The fake upstream's answers are whole, in the form of their protocol, and say when they left."""

import json

import pytest
from bench.gateway.replies import (
    PROTOCOLS,
    STAMP,
    IncompleteError,
    NotUnderstoodError,
    Wanted,
    closing,
    framed,
    opening,
    size_of,
    template,
    unframed,
    wanted,
    whole,
)

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
BODY = b'{"messages": "@chunks=3 @pace_ms=20 Count.", "stream":true}'


def events(body: bytes) -> list[dict]:
    lines = [line for line in body.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def test_a_request_is_understood():
    request = HEAD % len(BODY) + BODY
    assert size_of(request + b"POST ") == len(request)
    assert wanted(request, len(request)) == Wanted("messages", 3, 20, stream=True)


def test_what_follows_a_request_is_not_read():
    request = HEAD % 2 + b"{}"
    with pytest.raises(NotUnderstoodError, match="no directive"):
        wanted(request + BODY, len(request))


def test_a_request_that_is_not_whole():
    with pytest.raises(IncompleteError):
        size_of(b"POST /v1/messages HTTP/1.1\r\nHost:")


def test_a_body_without_a_length_is_refused():
    with pytest.raises(NotUnderstoodError, match="no content-length"):
        size_of(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_holds_its_words(protocol):
    body = unframed(whole(Wanted(protocol, 5, 0, stream=True)).partition(b"\r\n\r\n")[2])
    said = json.dumps(events(body))
    assert said.count('" word"') == 5
    assert "5" in json.dumps(events(body)[-2:])  # the usage


def test_a_paced_stream_is_made_of_the_same_parts():
    parts = opening("chat") + template("chat") % 7 + closing("chat", 1)
    body = unframed(parts.partition(b"\r\n\r\n")[2])
    assert STAMP.findall(body) == [b"000000000007"]
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_length_of_a_paced_word_does_not_change(protocol):
    assert len(template(protocol) % 0) == len(template(protocol) % (10**12 - 1))


def test_a_one_shot_answer_has_a_length():
    head, _, body = whole(Wanted("chat", 2, 0, stream=False)).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["choices"][0]["message"]["content"] == "word0 word1"


def test_unframed_needs_the_last_chunk():
    with pytest.raises(ValueError, match="not found"):
        unframed(framed(b"word"))
